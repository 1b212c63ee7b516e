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
    const COLUMNS_MAX: usize = 60;
    if print::width(command) <= COLUMNS_MAX {
        return command.to_owned();
    }
    format!("{}…", print::cut(command, COLUMNS_MAX - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_cut_by_its_columns() {
        assert_eq!(short("node /x.js"), "node /x.js");
        assert_eq!(short(&"a".repeat(60)).len(), 60);
        // A wide character takes two columns.
        let text = short(&"字".repeat(40));
        assert_eq!((text.chars().count(), print::width(&text)), (30, 59));
    }
}
