//! Withdraws the approval of policies and ends their servers.
//!
//! Invariants: the grant is withdrawn first, then what runs is ended and seen dead, then the record
//! is written. None of these stops the next one, and a failure with one server spares no other.
//! Neither the store nor a readable policy is needed: a locked keychain must not keep a server running.

use std::collections::BTreeSet;

use super::actor::{Actor, keys_if_open};
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::grant::{self, Withdrawal};
use crate::policy;
use crate::secret::{SecretName, ServerName};
use crate::supervise::running::{self, Ended, Running};

/// What can be revoked: servers with a policy, a grant or a running supervisor.
#[derive(Debug)]
pub struct Revocable {
    pub servers: BTreeSet<ServerName>,
    pub running: Vec<Running>,
}

/// Looks for what can be revoked.
pub fn revocable(dirs: &Dirs) -> Revocable {
    let running = running::all(dirs);
    let servers = policy::names(dirs)
        .into_iter()
        .chain(grant::names(dirs))
        .chain(running.iter().map(|one| one.server.clone()))
        .collect();
    Revocable { servers, running }
}

/// What became of a revocation.
#[derive(Debug)]
pub struct Revocation {
    /// For each server, how its grant was withdrawn, or why it is still there.
    pub grants: Vec<(ServerName, Result<Withdrawal>)>,
    pub ended: Vec<Ended>,
}

/// Revokes servers. A grant that cannot be withdrawn spares no server: what runs is ended all the
/// same, with its supervisor if that still finds the grant good.
pub fn revoke(
    dirs: &Dirs,
    servers: &[ServerName],
    running: Vec<Running>,
    reason: Option<&str>,
) -> Revocation {
    let wanted = running
        .into_iter()
        .filter(|one| servers.contains(&one.server));
    let seen = running::look_all(wanted.collect());
    let withdraw = |server: &ServerName| (server.clone(), grant::revoke(dirs, server, reason));
    Revocation {
        grants: servers.iter().map(withdraw).collect(),
        ended: running::end_all(seen),
    }
}

/// Records the revocation.
///
/// # Errors
/// `audit-unwritable`.
pub fn record(
    dirs: &Dirs,
    servers: &[ServerName],
    actor: Actor,
    reason: Option<&str>,
) -> Result<()> {
    let keys = Config::load(dirs)
        .ok()
        .and_then(|config| keys_if_open(dirs, &config));
    let detail = Detail {
        note: reason.map(str::to_owned),
        ..actor.detail()
    };
    let entry = |server| {
        NewRecord::new(Event::Revoke, Outcome::Ok)
            .server(server)
            .detail(detail.clone())
    };
    let entries: Vec<_> = servers.iter().map(entry).collect();
    Log::open(dirs, keys.as_ref())?.append(&entries)
}

/// The secrets that the servers could use. A server that had one may have copied it: only its
/// provider can make it worthless.
pub fn secrets(dirs: &Dirs, servers: &[ServerName]) -> BTreeSet<SecretName> {
    let secrets = |server| policy::load(dirs, server, None).map(|policy| policy.secrets);
    servers
        .iter()
        .filter_map(|server| secrets(server).ok())
        .flat_map(|secrets| secrets.into_values().map(|slot| slot.from.name().clone()))
        .collect()
}
