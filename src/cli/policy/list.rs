//! `mcpwrap policy list`: every policy and its status. An invalid policy does not hide the others.

use serde_json::{Value, json};

use crate::cli::{Context, print};
use crate::dirs::Dirs;
use crate::error::Result;
use crate::grant;
use crate::policy::{self, Policy, summary};
use crate::secret::ServerName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON (see docs/policy.md)
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, cx: &Context) -> u8 {
    let policies = policy::list(&cx.dirs);
    if args.json {
        print::json(
            &policies
                .iter()
                .map(|(server, policy)| value(&cx.dirs, server, policy))
                .collect(),
        );
    } else if policies.is_empty() {
        print::note("no policies; run `mcpwrap adopt` to create them from your client configs");
    } else {
        print::table(
            &["SERVER", "STATUS", "SECRETS", "COMMAND OR URL"],
            policies.iter().map(|(server, policy)| match policy {
                Ok(policy) => vec![
                    server.to_string(),
                    grant::status(&cx.dirs, policy).name().to_owned(),
                    policy.secrets.keys().cloned().collect::<Vec<_>>().join(" "),
                    short(&summary::target(policy)),
                ],
                Err(error) => vec![
                    server.to_string(),
                    "invalid".to_owned(),
                    String::new(),
                    format!("{} [{}]", error.headline(), error.code),
                ],
            }),
        );
    }
    0
}

fn value(dirs: &Dirs, server: &ServerName, policy: &Result<Policy>) -> Value {
    match policy {
        Ok(policy) => json!({
            "server": server,
            "status": grant::status(dirs, policy),
            "tier": policy.tier,
            "path": policy.path,
            "description": policy.description,
            "url": policy.remote.as_ref().map(|remote| &remote.url),
            "secrets": policy.secrets,
            "error": null,
        }),
        Err(error) => json!({
            "server": server,
            "status": "invalid",
            "tier": null,
            "path": null,
            "description": null,
            "url": null,
            "secrets": {},
            "error": {"code": error.code.name(), "what": error.headline(), "causes": error.chain(), "hints": error.hints},
        }),
    }
}

/// The list shows the start of a command; `policy show` shows all of it.
fn short(command: &str) -> String {
    const CHARS_MAX: usize = 60;
    if command.chars().count() <= CHARS_MAX {
        return command.to_owned();
    }
    let start: String = command.chars().take(CHARS_MAX - 1).collect();
    format!("{start}…")
}
