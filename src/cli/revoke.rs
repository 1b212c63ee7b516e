//! `mcpwrap revoke`: withdraws the approval of policies and ends their servers. The kill switch, so
//! it asks nothing.

use super::{Context, print};
use crate::dirs::Dirs;
use crate::error::{Code, EXIT_ERROR, EXIT_NO, Error, Result};
use crate::grant::Withdrawal;
use crate::ops::actor::Actor;
use crate::ops::revoke;
use crate::policy;
use crate::secret::ServerName;
use crate::supervise::running::{Ended, StopMethod};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The servers whose policies are not approved any more
    #[arg(required_unless_present = "all")]
    server: Vec<ServerName>,
    /// Every server that has a policy or a grant
    #[arg(long, conflicts_with = "server")]
    all: bool,
    /// Why; it is shown to whoever tries to start the server
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Show which servers would be revoked, change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The exit code is 1 if a grant is still valid, 2 if a name is unknown or something may be alive.
pub fn run(args: &Args, cx: &Context) -> u8 {
    let found = revoke::revocable(&cx.dirs);
    let servers = if args.all {
        found.servers.iter().cloned().collect()
    } else {
        args.server.clone()
    };
    let (servers, unknown): (Vec<_>, Vec<_>) = servers
        .into_iter()
        .partition(|server| found.servers.contains(server));
    let mut code = 0;
    for server in &unknown {
        // Says what is missing, and the nearest name.
        if let Err(error) = policy::load(&cx.dirs, server, None) {
            print::error(&error);
        }
        code = EXIT_ERROR;
    }
    if servers.is_empty() && unknown.is_empty() {
        print::note("there is no policy and no grant");
    }
    if args.dry_run {
        for server in &servers {
            let running = found.running.iter();
            let count = running.filter(|one| one.server == *server).count();
            print::line(&format!("would revoke: {server} ({count} running)"));
        }
        return code;
    }
    let reason = args.reason.as_deref();
    let done = revoke::revoke(&cx.dirs, &servers, found.running, reason);
    code = code.max(withdrawn(&done.grants));
    if report(&done.ended) {
        code = EXIT_ERROR;
    }
    if let Err(error) = revoke::record(&cx.dirs, &servers, Actor::unasked(), reason) {
        print::error(&error);
        print::warning("the servers are revoked, but the audit log does not say so");
    }
    remind(&cx.dirs, &servers);
    code
}

/// Says which grants are gone; the exit code is 1 if one is still there.
fn withdrawn(grants: &[(ServerName, Result<Withdrawal>)]) -> u8 {
    let mut code = 0;
    for (server, withdrawal) in grants {
        match withdrawal {
            Ok(Withdrawal::Recorded) => print::line(&format!("revoked: {server}")),
            Ok(Withdrawal::Erased) => {
                print::line(&format!("revoked: {server}"));
                print::warning(&format!(
                    "the grant of server `{server}` was erased, because the revocation could not be written"
                ));
            }
            Err(error) => {
                let hint = format!("run `mcpwrap revoke {server}` again when that is fixed");
                print::error(&error.clone().context("the grant is still valid").hint(hint));
                code = EXIT_NO;
            }
        }
    }
    code
}

/// Says how each server was ended; `true` if something survived.
fn report(all: &[Ended]) -> bool {
    let mut survived = false;
    for ended in all {
        let (server, supervisor) = (&ended.running.server, ended.running.pid);
        let ms = ended.took.as_millis();
        let what = match (ended.pid, ended.processes) {
            (Some(pid), count) => format!("pid {pid}, {count} processes"),
            (None, 0) => "no server ran".to_owned(),
            (None, count) => format!("{count} processes"),
        };
        let how = match ended.method {
            StopMethod::Asked => "ended by its supervisor",
            StopMethod::Killed => "killed, because its supervisor did not answer,",
            StopMethod::Survived => "STILL RUNNING",
        };
        print::line(&format!(
            "{server} (supervisor {supervisor}): {what}: {how} after {ms} ms"
        ));
        if ended.method == StopMethod::Survived {
            survived = true;
            print::error(
                &Error::new(
                    Code::StillRunning,
                    format!("server `{server}` is revoked, but not all of it is dead"),
                )
                .cause(format!(
                    "a process below pid {supervisor} outlived SIGKILL for 10 s"
                ))
                .hint(format!(
                    "`kill -9 {supervisor}`; if that does not help, it hangs in the kernel"
                )),
            );
        }
    }
    survived
}

/// Only a secret's provider can make worthless what a server may have copied.
fn remind(dirs: &Dirs, servers: &[ServerName]) {
    let names = revoke::secrets(dirs, servers);
    if !names.is_empty() {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        print::note(&format!(
            "if a server may have misused a secret, rotate it at its provider, too: {}",
            names.join(", "),
        ));
    }
}
