//! `mcpwrap policy lint`: validates policies and warns about risky content.

use serde_json::json;

use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::{Code, EXIT_NO, Result};
use crate::invocation;
use crate::ops::notes::{notes, refused};
use crate::policy::{self, Policy, summary};
use crate::secret::ServerName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Servers to check [default: all]
    server: Vec<ServerName>,
    /// Print JSON (see docs/policy.md)
    #[arg(long)]
    json: bool,
}

/// The exit code is 1 if a policy is invalid; warnings do not count. A server without a policy is an
/// error.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let mut policies = Vec::new();
    for server in &args.server {
        match policy::load(&cx.dirs, server, None) {
            Err(error) if error.code == Code::PolicyNotFound => return Err(error),
            policy => policies.push((server.clone(), policy)),
        }
    }
    if args.server.is_empty() {
        policies = policy::list(&cx.dirs);
    }
    if args.json {
        print::json(
            &policies
                .iter()
                .map(|(server, policy)| value((cx, &config), server, policy))
                .collect(),
        );
    } else {
        for (server, policy) in &policies {
            show((cx, &config), server, policy);
        }
    }
    Ok(if policies.iter().all(|(_, policy)| policy.is_ok()) {
        0
    } else {
        EXIT_NO
    })
}

fn show(cx: (&Context, &Config), server: &ServerName, policy: &Result<Policy>) {
    match policy {
        Err(error) => print::error(error),
        Ok(policy) => {
            print::line(&format!("{server}: valid"));
            for warning in warnings(cx, policy) {
                print::warning(&format!("{server}: {warning}"));
            }
        }
    }
}

fn value(
    cx: (&Context, &Config),
    server: &ServerName,
    policy: &Result<Policy>,
) -> serde_json::Value {
    let error = policy.as_ref().err().map(|error| {
        json!({"code": error.code.name(), "what": error.headline(), "causes": error.chain(), "hints": error.hints})
    });
    let notes = policy.as_ref().map(|policy| warnings(cx, policy));
    let notes = notes.unwrap_or_default();
    json!({"server": server, "error": error, "notes": notes})
}

/// Risky content of a valid policy, and what this machine lacks for it.
fn warnings((cx, config): (&Context, &Config), policy: &Policy) -> Vec<String> {
    let mut all: Vec<String> = refused(policy, config).into_iter().collect();
    all.extend(notes(policy));
    all.extend(summary::warnings(policy));
    if let Err(error) = invocation::shown_stores(policy, &cx.dirs) {
        all.push(error.text());
    }
    all
}
