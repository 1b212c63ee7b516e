//! `mcpwrap revoke`: revokes the approval of policies and stops their servers. It is the kill switch,
//! so it does not ask.

use super::print_ended::{report, report_containers, whose};
use super::usage::{looks_secret, masked};
use super::{Context, print, print_revoked};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, EXIT_ERROR, EXIT_NO, Error, Result};
use crate::grant::Withdrawal;
use crate::ops::actor::Actor;
use crate::ops::again::{self, EndedLogin};
use crate::ops::revoke::{self, Withdrawn};
use crate::policy;
use crate::secret::ServerName;
use crate::store::Prompt;
use crate::supervise::find::{self, Found, Stray};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Servers to revoke (without any, lists running servers)
    #[arg(value_name = "SERVER")]
    server: Vec<String>,
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
    if args.server.is_empty() && !args.all {
        return list(&find::find(&cx.dirs, true));
    }
    // One that cannot be a name does not spare the others.
    let (named, invalid) = names(&args.server);
    if args.dry_run {
        return would(args, cx, named).max(name_invalid(&invalid));
    }
    let (reason, is_masked) = reason(args.reason.as_deref());
    let reason = reason.as_deref();
    let named = (!args.all).then_some(named.as_slice());
    let done = revoke::revoke(&cx.dirs, named, reason);
    let mut code = name_unknown(cx, &done.unknown).max(name_invalid(&invalid));
    let servers = done.servers;
    if is_masked {
        print::warning(
            "`--reason` has what may be a secret, so that part is not recorded; delete the line from the shell's history, \
             and create a new value at its provider",
        );
    }
    if servers.is_empty() && done.unknown.is_empty() && invalid.is_empty() {
        print::note("nothing to revoke");
    }
    code = code.max(withdrawn(&done.grants));
    let containers = report_containers(&done.containers);
    if report(&done.ended) | name_strays(&done.strays) | containers {
        code = EXIT_ERROR;
    }
    if let Err(error) = revoke::record(&cx.dirs, &done.grants, Actor::unasked(), reason) {
        print::error(&error);
        print::warning(&unrecorded(&done.grants));
    }
    if let Ok(config) = Config::load(&cx.dirs) {
        code = code.max(print_revoked::retry(cx, &config, Prompt::Never, &servers));
    }
    let tokens = revoke::tokens(&cx.dirs, &servers);
    for token in &tokens {
        code = code.max(print_revoked::report(token));
    }
    code = code.max(print_revoked::credentials(revoke::credentials(
        &cx.dirs,
        &servers,
        &done.minted,
    )));
    if args.all && !done.granted.is_empty() {
        let logins = tokens.into_iter().map(|token| EndedLogin {
            server: token.owner.server,
            profile: token.owner.profile,
        });
        match again::remember(&cx.dirs, &done.granted, &logins.collect::<Vec<_>>()) {
            Ok(()) => print::note("to allow them again, run `mcpwrap grant --again`"),
            Err(error) => print::error(&error),
        }
    }
    remind(&cx.dirs, &servers);
    code
}

/// The longest reason (characters), of which every later refusal shows all.
const REASON_MAX: usize = 1000;

/// The reason as it is recorded, and whether a part that may be a secret was left out.
fn reason(typed: Option<&str>) -> (Option<String>, bool) {
    let Some(typed) = typed else {
        return (None, false);
    };
    let (mut text, is_masked) = masked(typed);
    if let Some((end, _)) = text.char_indices().nth(REASON_MAX) {
        text.truncate(end);
        text.push('…');
    }
    (Some(text), is_masked)
}

/// The names of servers, and what cannot be one.
fn names(typed: &[String]) -> (Vec<ServerName>, Vec<Error>) {
    let (mut names, mut invalid) = (Vec::new(), Vec::new());
    for text in typed {
        match ServerName::new(text) {
            Ok(name) => names.push(name),
            Err(error) => invalid.push(looks_secret(text, "revoke").unwrap_or(error)),
        }
    }
    (names, invalid)
}

fn name_invalid(invalid: &[Error]) -> u8 {
    invalid.iter().for_each(print::error);
    if invalid.is_empty() { 0 } else { EXIT_ERROR }
}

/// Says what would be revoked.
fn would(args: &Args, cx: &Context, named: Vec<ServerName>) -> u8 {
    let found = find::find(&cx.dirs, false);
    let known = revoke::known(&cx.dirs, &found);
    let named = if args.all {
        known.iter().cloned().collect()
    } else {
        named
    };
    let (servers, unknown): (Vec<_>, Vec<_>) =
        named.into_iter().partition(|server| known.contains(server));
    for server in &servers {
        let running = found.running.iter();
        let count = running.filter(|one| one.server == *server).count();
        print::line(&format!("would revoke: {server} ({count} running)"));
    }
    if servers.is_empty() && unknown.is_empty() {
        print::note("nothing to revoke");
    }
    name_unknown(cx, &unknown)
}

fn name_unknown(cx: &Context, unknown: &[ServerName]) -> u8 {
    for server in unknown {
        // The error names what is missing, and the nearest name.
        let missing = policy::load(&cx.dirs, server, None).err();
        if let Some(error) = looks_secret(server.as_str(), "revoke").or(missing) {
            print::error(&error);
        }
    }
    if unknown.is_empty() { 0 } else { EXIT_ERROR }
}

/// Without a name nothing is revoked, and the user sees what could be.
fn list(found: &Found) -> u8 {
    for one in &found.running {
        print::line(&format!("running: {} ({})", one.server, whose(one)));
    }
    for stray in &found.strays {
        let Stray {
            server,
            pid,
            program,
        } = stray;
        print::line(&format!(
            "running: {server} (outside its process tree: pid {pid}, `{program}`)"
        ));
    }
    let what = match found.running.len() + found.strays.len() {
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
fn withdrawn(grants: &[(ServerName, Result<Withdrawn>)]) -> u8 {
    let mut code = 0;
    for (server, withdrawal) in grants {
        match withdrawal {
            Ok(Withdrawn::Grant(Withdrawal::Recorded)) => {
                print::line(&format!("revoked: {server}"));
            }
            Ok(Withdrawn::Grant(Withdrawal::Erased)) => {
                print::line(&format!("revoked: {server}"));
                print::warning(&format!(
                    "the grant of server `{server}` was erased, because the revocation could not be written"
                ));
            }
            Ok(Withdrawn::Unusable(error)) => {
                print::line(&format!("revoked: {server}"));
                let why = error.causes.first().map(ToString::to_string);
                print::warning(&format!(
                    "the grant of server `{server}` cannot be read, so it allows nothing, but the revocation could not be recorded ({})",
                    why.unwrap_or_default()
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

/// What is true although the audit log does not have it.
fn unrecorded(grants: &[(ServerName, Result<Withdrawn>)]) -> String {
    let revoked = grants.iter().filter(|(_, result)| result.is_ok());
    let revoked: Vec<_> = revoked.map(|(server, _)| server).collect();
    match revoked.as_slice() {
        [] => "the servers were stopped, and the audit log has no record of it".to_owned(),
        all if all.len() == grants.len() => {
            "the servers are revoked, but the audit log has no record of it".to_owned()
        }
        some => format!(
            "the audit log has no record of it, but these are revoked: {}",
            print::names(some)
        ),
    }
}

/// Names what has the environment of a server and was started outside of its tree; `true` if there is
/// something. It is not ended: it may be a service of the user that does other things, too.
fn name_strays(strays: &[Stray]) -> bool {
    for stray in strays {
        let Stray {
            server,
            pid,
            program,
        } = stray;
        print::error(
            &Error::new(
                Code::StillRunning,
                format!("a process outside the tree of server `{server}` has its secrets"),
            )
            .cause(format!("pid {pid}: `{program}`"))
            .hint(format!("run `kill -9 {pid}` if it is not needed")),
        );
    }
    !strays.is_empty()
}

/// A server may have copied its secrets: only their providers can invalidate them.
fn remind(dirs: &Dirs, servers: &[ServerName]) {
    let names = revoke::secrets(dirs, servers);
    if !names.is_empty() {
        print::note(&format!(
            "if a server may have misused a secret, also rotate it at its provider: {}",
            print::names(&names),
        ));
    }
}
