//! `mcpwrap policy lint`: are the policies valid, and what in them deserves a second look?

use serde_json::json;

use super::picture;
use crate::cli::{Context, print};
use crate::error::{EXIT_NO, Result};
use crate::policy::{self, Policy};
use crate::secret::ServerName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The servers; without any, all
    server: Vec<ServerName>,
    /// Print JSON: a list of `{server, error, notes}`
    #[arg(long)]
    json: bool,
}

/// The exit code is 1 if a policy is not valid; notes do not count.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let one = |server: &ServerName| (server.clone(), policy::load(&cx.dirs, server, None));
    let policies: Vec<_> = match args.server.as_slice() {
        [] => policy::list(&cx.dirs),
        servers => servers.iter().map(one).collect(),
    };
    if args.json {
        print::json(
            &policies
                .iter()
                .map(|(server, policy)| value(server, policy))
                .collect(),
        );
    } else {
        for (server, policy) in &policies {
            show(server, policy);
        }
    }
    Ok(if policies.iter().all(|(_, policy)| policy.is_ok()) {
        0
    } else {
        EXIT_NO
    })
}

fn show(server: &ServerName, policy: &Result<Policy>) {
    match policy {
        Err(error) => print::error(error),
        Ok(policy) => {
            print::line(&format!("{server}: valid"));
            for warning in picture::warnings(policy) {
                print::warning(&format!("{server}: {warning}"));
            }
        }
    }
}

fn value(server: &ServerName, policy: &Result<Policy>) -> serde_json::Value {
    let error = policy.as_ref().err().map(|error| {
        json!({"code": error.code.name(), "what": error.headline(), "causes": error.chain(), "hints": error.hints})
    });
    let notes = policy.as_ref().map(picture::warnings).unwrap_or_default();
    json!({"server": server, "error": error, "notes": notes})
}
