//! `mcpwrap revoke`: withdraws the approval of policies and ends their servers. The kill switch, so
//! it asks nothing.
//!
//! *Always* withdraws first, then ends what runs and sees it dead, then writes the record. *Never* needs the store or a readable
//! policy: a locked keychain must not keep a server running.

use std::collections::BTreeSet;

use super::{Context, print};
use crate::audit::{Detail, Entry, Event, Log, Outcome};
use crate::config::Config;
use crate::dirs::{self, Dirs};
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::grant;
use crate::policy;
use crate::secret::{SecretName, ServerName};
use crate::store::{self, Prompt};
use crate::supervise::running::{self, Seen, StopMethod};

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

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let running = running::all(&cx.dirs);
    let known: BTreeSet<_> = policy::names(&cx.dirs)
        .into_iter()
        .chain(grant::names(&cx.dirs))
        .chain(running.iter().map(|one| one.server.clone()))
        .collect();
    let servers = if args.all {
        known.iter().cloned().collect()
    } else {
        args.server.clone()
    };
    if let Some(unknown) = servers.iter().find(|server| !known.contains(server)) {
        // Says what is missing, and the nearest name.
        policy::load(&cx.dirs, unknown, None)?;
    }
    if servers.is_empty() {
        print::note("there is no policy and no grant");
    }
    if args.dry_run {
        for server in &servers {
            let count = running.iter().filter(|one| one.server == *server).count();
            print::line(&format!("would revoke: {server} ({count} running)"));
        }
        return Ok(0);
    }
    let wanted = running
        .into_iter()
        .filter(|one| servers.contains(&one.server));
    let seen = running::look_all(wanted.collect());
    for server in &servers {
        grant::revoke(&cx.dirs, server, args.reason.as_deref())?;
        print::line(&format!("revoked: {server}"));
    }
    let survived = end(seen);
    if let Err(error) = record(&cx.dirs, &servers, args.reason.as_deref()) {
        print::error(&error);
        print::warning("the servers are revoked, but the audit log does not say so");
    }
    remind(&cx.dirs, &servers);
    Ok(if survived { EXIT_NO } else { 0 })
}

/// Ends what runs and says how; `true` if something survived.
fn end(seen: Vec<Seen>) -> bool {
    let mut survived = false;
    for ended in running::end_all(seen) {
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

fn record(dirs: &Dirs, servers: &[ServerName], reason: Option<&str>) -> Result<()> {
    let config = Config::load(dirs);
    let store = config.and_then(|config| store::open(dirs, &config, Prompt::Never));
    let keys = store.and_then(|store| store::keys(&*store)).ok();
    let detail = Detail {
        agent: dirs::agent_variable().map(str::to_owned),
        note: reason.map(str::to_owned),
        ..Detail::default()
    };
    let entry = |server| {
        Entry::new(Event::Revoke, Outcome::Ok)
            .server(server)
            .detail(detail.clone())
    };
    let entries: Vec<_> = servers.iter().map(entry).collect();
    Log::open(dirs, keys.as_ref())?.append(&entries)
}

/// A server that had a secret may have copied it: only its provider can make it worthless.
fn remind(dirs: &Dirs, servers: &[ServerName]) {
    let secrets = |server| policy::load(dirs, server, None).map(|policy| policy.secrets);
    let names: BTreeSet<SecretName> = servers
        .iter()
        .filter_map(|server| secrets(server).ok())
        .flat_map(|secrets| secrets.into_values().map(|slot| slot.from.name().clone()))
        .collect();
    if !names.is_empty() {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        print::note(&format!(
            "if a server may have misused a secret, rotate it at its provider, too: {}",
            names.join(", "),
        ));
    }
}
