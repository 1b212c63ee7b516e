//! `mcpwrap revoke`: revokes the approval of policies and stops their servers. It is the kill switch,
//! so it does not ask.

use super::{Context, print};
use crate::dirs::Dirs;
use crate::error::{Code, EXIT_ERROR, EXIT_NO, Error, Result};
use crate::grant::Withdrawal;
use crate::ops::actor::Actor;
use crate::ops::revoke;
use crate::policy;
use crate::secret::ServerName;
use crate::supervise::running::{Ended, Running, StopMethod};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Servers to revoke (without any, lists running servers)
    server: Vec<ServerName>,
    /// Revoke every server with a policy or a grant
    #[arg(long, conflicts_with = "server")]
    all: bool,
    /// Reason, shown when someone tries to start the server
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Show what would change, without changing anything
    #[arg(long)]
    dry_run: bool,
}

/// The exit code is 1 if a grant is still valid, 2 if a name is unknown or something may be alive.
pub fn run(args: &Args, cx: &Context) -> u8 {
    let found = revoke::revocable(&cx.dirs);
    if args.server.is_empty() && !args.all {
        return list(&found.running);
    }
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
        // The error names what is missing, and the nearest name.
        if let Err(error) = policy::load(&cx.dirs, server, None) {
            print::error(&error);
        }
        code = EXIT_ERROR;
    }
    if servers.is_empty() && unknown.is_empty() {
        print::note("nothing to revoke");
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
        print::warning("the servers are revoked, but the audit log has no record of it");
    }
    remind(&cx.dirs, &servers);
    code
}

/// Without a name nothing is revoked, and the user sees what could be.
fn list(running: &[Running]) -> u8 {
    for one in running {
        print::line(&format!("running: {} (supervisor {})", one.server, one.pid));
    }
    let what = match running.len() {
        0 => "no server named, and none is running".to_owned(),
        n => format!("no server named, {} running", print::count(n, "server")),
    };
    print::error(
        &Error::new(Code::Usage, "nothing was revoked")
            .cause(what)
            .hint("run `mcpwrap revoke SERVER`, or `mcpwrap revoke --all` for every server"),
    );
    EXIT_ERROR
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

/// Prints how each server ended; `true` if a process survived.
fn report(all: &[Ended]) -> bool {
    let mut survived = false;
    for ended in all {
        let (server, supervisor) = (&ended.running.server, ended.running.pid);
        let ms = ended.took.as_millis();
        let what = match (ended.pid, ended.processes) {
            (Some(pid), count) => format!("pid {pid}, {}", print::count(count, "process")),
            (None, 0) => "no server process".to_owned(),
            (None, count) => print::count(count, "process"),
        };
        let how = match ended.method {
            StopMethod::Asked => "stopped by its supervisor",
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
                    format!("server `{server}` is revoked, but some processes are still running"),
                )
                .cause(format!(
                    "a descendant of pid {supervisor} survived SIGKILL for 10 s"
                ))
                .hint(format!(
                    "run `kill -9 {supervisor}`; if that fails, the process hangs in the kernel"
                )),
            );
        }
    }
    survived
}

/// A server may have copied its secrets: only their providers can invalidate them.
fn remind(dirs: &Dirs, servers: &[ServerName]) {
    let names = revoke::secrets(dirs, servers);
    if !names.is_empty() {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        print::note(&format!(
            "if a server may have misused a secret, also rotate it at its provider: {}",
            names.join(", "),
        ));
    }
}
