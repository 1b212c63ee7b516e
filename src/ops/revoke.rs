//! Revokes the approval of policies and stops their servers.
//!
//! Invariants: processes are ended and seen to exit first, then grants are withdrawn, then the record
//! is written. A failure in one step, or with one server, does not stop the others. Neither the
//! store nor a readable policy is needed: a locked keychain must not keep a server running.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::actor::{Actor, keys_if_open};
use super::again;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Error, Result};
use crate::grant::{self, Withdrawal};
use crate::invocation;
use crate::launch::container::Container;
use crate::launch::engine::EngineContainer;
use crate::launch::start;
use crate::mint::kept::{WithdrawIndex, WithdrawRow};
use crate::mint::left::{self, LeftBehind, WithdrawnMints};
use crate::oauth::revoke::RevokedToken;
use crate::reference::{Reference, SecretLabel};
use crate::secret::ServerName;
use crate::supervise::find::{self, Found, Stray};
use crate::supervise::running::{self, Ended, Order, StopMethod};
use crate::{oauth, policy};

/// The servers that can be revoked: those with a policy, a grant or a running supervisor.
pub fn known(dirs: &Dirs, found: &Found) -> BTreeSet<ServerName> {
    policy::names(dirs)
        .into_iter()
        .chain(grant::names(dirs))
        .chain(found.running.iter().map(|one| one.server.clone()))
        .chain(found.strays.iter().map(|one| one.server.clone()))
        .collect()
}

/// How a server lost its grant.
#[derive(Clone, Debug)]
pub enum Withdrawn {
    Grant(Withdrawal),
    /// The grant cannot be read, so it allows nothing, and it could not be replaced for this reason.
    Unusable(Error),
}

/// The result of a revocation.
#[derive(Debug)]
pub struct Revocation {
    pub servers: Vec<ServerName>,
    /// Names of which nothing is known.
    pub unknown: Vec<ServerName>,
    /// For each server, how its grant was revoked, or why it was not.
    pub grants: Vec<(ServerName, Result<Withdrawn>)>,
    pub ended: Vec<Ended>,
    /// The containers of these servers: what was killed, or why one may be alive.
    pub containers: EndedContainers,
    /// The servers that were granted before.
    pub granted: Vec<ServerName>,
    /// What has the secrets of these servers, and is outside of their trees.
    pub strays: Vec<Stray>,
    /// The short-lived credentials that these servers had, by the ID of the run.
    pub minted: BTreeMap<String, WithdrawRow>,
}

/// Revokes these servers, or all: kills what runs, withdraws the grants, and kills what was started in between. A
/// supervisor whose grant cannot be withdrawn is killed, too, because it would accept the grant.
pub fn revoke(dirs: &Dirs, named: Option<&[ServerName]>, reason: Option<&str>) -> Revocation {
    let wanted = |server: &ServerName| named.is_none_or(|named| named.contains(server));
    // What cannot be read stands in no way.
    let mut minted = WithdrawIndex::load(dirs).unwrap_or_default().runs;
    // What answers is ended before the log and the process table are read.
    let mut first = find::by_socket(dirs, true);
    first.retain(|one| wanted(&one.server));
    let mut ended = running::end_all(running::look_all(first), Order::Revoke);
    let mut found = find::find(dirs, true);
    let known = known(dirs, &found);
    found
        .running
        .retain(|one| wanted(&one.server) && !ended.iter().any(|known| known.running.is(one)));
    ended.extend(running::end_all(
        running::look_all(found.running),
        Order::Revoke,
    ));
    let is_known = |server: &ServerName| {
        known.contains(server) || ended.iter().any(|one| one.running.server == *server)
    };
    let named = named.map_or_else(|| known.iter().cloned().collect(), <[ServerName]>::to_vec);
    let (servers, unknown): (Vec<_>, Vec<_>) = named.into_iter().partition(is_known);
    let granted = again::granted(dirs, &servers);
    let withdraw = |server: &ServerName| (server.clone(), withdraw(dirs, server, reason));
    let grants: Vec<_> = servers.iter().map(withdraw).collect();
    let Found { running, strays } = find::find(dirs, true);
    let second = running
        .into_iter()
        .filter(|one| servers.contains(&one.server));
    let second: Vec<_> = second.collect();
    let fails = |server: &ServerName| {
        let withdrawn =
            |(name, result): &(ServerName, Result<Withdrawn>)| name == server && result.is_ok();
        !grants.iter().any(withdrawn)
    };
    let (doomed, others): (Vec<_>, Vec<_>) = second.into_iter().partition(|one| fails(&one.server));
    for one in &doomed {
        running::kill_supervisor(one);
    }
    let doomed = running::end_all(running::look_all(doomed), Order::Revoke);
    let others = running::end_all(running::look_all(others), Order::Check);
    merge(&mut ended, doomed.into_iter().chain(others));
    Revocation {
        containers: end_containers(dirs, &servers),
        grants,
        ended,
        granted,
        strays: strays
            .into_iter()
            .filter(|one| servers.contains(&one.server))
            .collect(),
        minted: {
            minted.retain(|_, row| servers.contains(&row.server));
            minted
        },
        servers,
        unknown,
    }
}

/// The containers of these servers: those with a note, and those that the engine of the policy knows.
pub fn containers(dirs: &Dirs, servers: &[ServerName]) -> Vec<Container> {
    let mut all = Container::noted(dirs);
    all.retain(|one| servers.contains(&one.server));
    for server in servers {
        let policy = policy::load(dirs, server, None).ok();
        all.extend(policy.and_then(|policy| {
            Container::of_policy(dirs, &policy, || {
                // The grant with the sealed variables is gone: those of this terminal are the same,
                // or the note has the old ones.
                let resolved = invocation::resolve(&policy, dirs).ok().into_iter();
                let sealed = resolved.flat_map(|found| found.invocation.variables());
                let mut variables = start::inherited(&policy.env.pass);
                variables.extend(sealed);
                variables
            })
        }));
    }
    all
}

/// Containers, with those of each that were ended, or why that is not known.
pub type EndedContainers = Vec<(Container, std::result::Result<Vec<EngineContainer>, String>)>;

/// Ends the containers of these servers.
pub fn end_containers(dirs: &Dirs, servers: &[ServerName]) -> EndedContainers {
    std::thread::scope(|scope| {
        let end = |one: Container| scope.spawn(move || (one.end(), one));
        let ends: Vec<_> = containers(dirs, servers).into_iter().map(end).collect();
        let done = ends.into_iter().filter_map(|end| end.join().ok());
        done.map(|(result, one)| (one, result)).collect()
    })
}

fn withdraw(dirs: &Dirs, server: &ServerName, reason: Option<&str>) -> Result<Withdrawn> {
    match grant::revoke(dirs, server, reason) {
        Ok(withdrawal) => Ok(Withdrawn::Grant(withdrawal)),
        Err(error) if grant::record(dirs, server, None).is_err() => Ok(Withdrawn::Unusable(error)),
        Err(error) => Err(error),
    }
}

/// Adds the results of the second round, which usually finds the sessions of the first without a
/// server.
fn merge(ended: &mut Vec<Ended>, second: impl Iterator<Item = Ended>) {
    for one in second {
        let known = ended
            .iter_mut()
            .find(|known| known.running.is(&one.running));
        match known {
            Some(known) if one.processes == 0 && one.method != StopMethod::Survived => {
                // What survived the first round is gone now.
                if known.method == StopMethod::Survived {
                    known.method = StopMethod::Killed;
                }
            }
            Some(known) => *known = one,
            None => ended.push(one),
        }
    }
}

/// Takes the OAuth tokens of these servers back, at their issuers and here, and records it. Comes last: an
/// issuer that does not answer holds up nothing.
pub fn tokens(dirs: &Dirs, servers: &[ServerName]) -> Vec<RevokedToken> {
    let Ok(config) = Config::load(dirs) else {
        return Vec::new();
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let config = &config;
        let one = |server| scope.spawn(move || oauth::revoke::revoke_all(dirs, config, server));
        let started: Vec<_> = servers.iter().map(one).collect();
        let ended = started.into_iter().filter_map(|one| one.join().ok());
        ended.flatten().collect()
    });
    let records: Vec<_> = all.iter().map(RevokedToken::record).collect();
    let keys = keys_if_open(dirs, &config);
    if !records.is_empty()
        && let Err(error) = Log::open(dirs, keys.as_ref()).and_then(|log| log.append(&records))
    {
        tracing::warn!("{}", error.text());
    }
    all
}

/// How long supervisors have to withdraw the credentials of the servers that they ended.
const WITHDRAW_LIMIT: Duration = Duration::from_secs(5);

/// Withdraws the short-lived credentials of these servers that are still valid. Their own supervisors come
/// first: they are at it already. `before`: what there was before the servers were ended.
///
/// # Errors
/// `file-unusable` if it is not known which there are.
pub fn credentials(
    dirs: &Dirs,
    servers: &[ServerName],
    before: &BTreeMap<String, WithdrawRow>,
) -> Result<Vec<WithdrawnMints>> {
    let end = Instant::now() + WITHDRAW_LIMIT;
    let is_awaited = |row: &WithdrawRow| row.failed.is_none() && left::is_alive(row);
    let mut now = rows(dirs, servers)?;
    while now.values().any(is_awaited) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
        now = rows(dirs, servers)?;
    }
    let by_supervisor = before.iter().filter(|(run, _)| !now.contains_key(*run));
    let mut done: Vec<_> = by_supervisor
        .map(|(_, row)| WithdrawnMints {
            server: row.server.clone(),
            mints: row.mints.clone(),
            error: None,
            ends: row.ends,
        })
        .collect();
    done.extend(left::withdraw(dirs, LeftBehind::Of(servers))?);
    Ok(done)
}

fn rows(dirs: &Dirs, servers: &[ServerName]) -> Result<BTreeMap<String, WithdrawRow>> {
    let mut rows = WithdrawIndex::load(dirs)?.runs;
    rows.retain(|_, row| servers.contains(&row.server));
    Ok(rows)
}

/// Records the revocation: `failed` for a server whose grant is still valid.
///
/// # Errors
/// `audit-unwritable`.
pub fn record(
    dirs: &Dirs,
    grants: &[(ServerName, Result<Withdrawn>)],
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
    let entry = |(server, result): &(ServerName, Result<Withdrawn>)| {
        let new = |outcome| NewRecord::new(Event::Revoke, outcome).server(server);
        let entry = match result {
            Ok(_) => new(Outcome::Ok),
            Err(error) => new(Outcome::Failed).reason(error.code.name()),
        };
        entry.detail(detail.clone())
    };
    let entries: Vec<_> = grants.iter().map(entry).collect();
    Log::open(dirs, keys.as_ref())?.append(&entries)
}

/// The secrets that the servers could use. A server may have copied them, so only the provider can
/// invalidate them.
pub fn secrets(dirs: &Dirs, servers: &[ServerName]) -> BTreeSet<SecretLabel> {
    let secrets = |server| policy::load(dirs, server, None).map(|policy| policy.secrets);
    servers
        .iter()
        .filter_map(|server| secrets(server).ok())
        .flat_map(BTreeMap::into_values)
        // A short-lived credential is withdrawn.
        .filter(|slot| !matches!(slot.from, Reference::Mint(_)))
        .map(|slot| slot.from.label())
        .collect()
}
