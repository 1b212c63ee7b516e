//! `mcpwrap revoke`: revokes the approval of policies and stops their servers. It is the kill switch,
//! so it does not ask.

use super::{Context, print};
use crate::dirs::Dirs;
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::ops::actor::Actor;
use crate::ops::revoke;
use crate::policy;
use crate::secret::ServerName;
use crate::supervise::running::{Ended, StopMethod};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Servers to revoke
    #[arg(required_unless_present = "all")]
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

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let found = revoke::revocable(&cx.dirs);
    let servers = if args.all {
        found.servers.iter().cloned().collect()
    } else {
        args.server.clone()
    };
    if let Some(unknown) = servers
        .iter()
        .find(|server| !found.servers.contains(server))
    {
        // The error names what is missing, and the nearest name.
        policy::load(&cx.dirs, unknown, None)?;
    }
    if servers.is_empty() {
        print::note("nothing to revoke");
    }
    if args.dry_run {
        for server in &servers {
            let running = found.running.iter();
            let count = running.filter(|one| one.server == *server).count();
            print::line(&format!("would revoke: {server} ({count} running)"));
        }
        return Ok(0);
    }
    let reason = args.reason.as_deref();
    let mut revoked = |server: &ServerName| print::line(&format!("revoked: {server}"));
    let ended = revoke::revoke(&cx.dirs, &servers, found.running, reason, &mut revoked)?;
    let survived = report(&ended);
    if let Err(error) = revoke::record(&cx.dirs, &servers, Actor::unasked(), reason) {
        print::error(&error);
        print::warning("the servers are revoked, but the audit log has no record of it");
    }
    remind(&cx.dirs, &servers);
    Ok(if survived { EXIT_NO } else { 0 })
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
