//! `mcpwrap policy rm`: stops a server, withdraws its grant, its tokens and its credentials, and removes its policy.

use crate::audit::{Event, NewRecord, Outcome};
use crate::cli::{Context, ask, policy_removal, print};
use crate::config::Config;
use crate::error::{Code, EXIT_ERROR, EXIT_NO, Error, Result, printable};
use crate::ops::actor::{Actor, actor};
use crate::ops::secrets;
use crate::policy;
use crate::secret::ServerName;
use crate::settings::AgentAct;
use crate::uninstall;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Servers whose policy to remove
    #[arg(required = true)]
    server: Vec<ServerName>,
    /// Show what would change, without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

/// Does what it can for each name; the exit code is that of the worst.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let actor = if args.dry_run {
        Actor::unasked()
    } else {
        let flag = args.yes.then_some("--yes");
        let act = ("policy rm", Some(AgentAct::Policy));
        actor(&cx.dirs, &config, act, flag, |actor| {
            let refused = |server: &ServerName| {
                NewRecord::new(Event::Revoke, Outcome::Refused)
                    .server(server)
                    .detail(actor.detail())
            };
            args.server.iter().map(refused).collect()
        })?
    };
    let mut code = 0;
    for server in &args.server {
        match one(args, cx, actor, server) {
            Ok(done) => code = code.max(done),
            Err(error) if error.code == Code::NoTerminal => return Err(error),
            Err(error) => {
                print::error(&error);
                code = EXIT_ERROR;
            }
        }
    }
    Ok(code)
}

fn one(args: &Args, cx: &Context, actor: Actor, server: &ServerName) -> Result<u8> {
    let path = policy::load::path(&cx.dirs, server);
    if path.symlink_metadata().is_err() {
        // The error of a missing policy names the nearest one.
        let policy = policy::load(&cx.dirs, server, None)?;
        return Err(
            Error::new(Code::Usage, format!("cannot remove policy `{server}`"))
                .cause(format!(
                    "`{}` belongs to the administrator",
                    policy.path.display()
                ))
                .hint(format!(
                    "run `mcpwrap revoke {server}` to stop the server for this user"
                )),
        );
    }
    warn_users(cx, server)?;
    let shown = cx.dirs.tilde(&path);
    if args.dry_run {
        print::line(&format!("would remove: {shown}"));
        return Ok(0);
    }
    let question = format!("stop server `{server}`, revoke it and remove {shown}?");
    if !args.yes && !ask::confirm(&question)? {
        print::note(&format!("policy `{server}` was not removed"));
        return Ok(EXIT_NO);
    }
    let names = policy::load(&cx.dirs, server, None).map(|policy| policy.secrets);
    let why = "its policy was removed";
    let code = policy_removal::take_back(cx, server, actor, why);
    policy_removal::remove(cx, server)?;
    let unused: Vec<_> = names
        .into_iter()
        .flatten()
        .filter_map(|(_, slot)| slot.from.local().cloned())
        .filter(|name| secrets::users(&cx.dirs, name).is_empty())
        .map(|name| name.to_string())
        .collect();
    if !unused.is_empty() {
        print::note(&format!(
            "no policy names these secrets now; to remove them, run `mcpwrap secret rm {}`",
            unused.join(" ")
        ));
    }
    Ok(code)
}

/// Names the entries that start through the policy.
fn warn_users(cx: &Context, server: &ServerName) -> Result<()> {
    let entries = uninstall::wrapped(&cx.dirs, &[])?;
    let users = entries
        .iter()
        .filter(|entry| entry.server == server.as_str());
    let users: Vec<_> = users
        .map(|entry| {
            let file = cx.dirs.tilde(&entry.file);
            format!("`{}` in {file}", printable(&entry.name))
        })
        .collect();
    if !users.is_empty() {
        print::warning(&format!(
            "{} will no longer start; `mcpwrap adopt --undo --server {server}` restores adopted entries",
            users.join(", ")
        ));
    }
    Ok(())
}
