//! Approves policies in their current form: writes the record first, then the sealed grant.

use super::actor::Actor;
use super::question;
use crate::audit::{Event, Log, NewRecord, Outcome};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Error, Result};
use crate::grant;
use crate::invocation::{self, Resolved};
use crate::policy::Policy;
use crate::secret::Keys;
use crate::store::{self, Prompt};

/// The result for one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    Granted,
    /// A managed policy, which needs no grant.
    Managed,
}

/// Approves policies one by one. `agree` gets the policy and the question that shows all it allows;
/// it is not called if a flag gave consent. `done` is called for each policy.
///
/// # Errors
/// Those of `agree`, of the store, of [`invocation::resolve`] and of [`approve`].
pub fn grant(
    dirs: &Dirs,
    config: &Config,
    policies: &[Policy],
    actor: Actor,
    agree: &mut dyn FnMut(&Policy, &str) -> Result<()>,
    done: &mut dyn FnMut(&Policy, Approval),
) -> Result<()> {
    let mut keys = None;
    for policy in policies {
        if grant::needs_no_grant(policy) && grant::find(dirs, policy).is_ok() {
            done(policy, Approval::Managed);
            continue;
        }
        let resolved = invocation::resolve(policy, dirs)?;
        let keys = match &keys {
            Some(keys) => keys,
            None => keys.insert(open_keys(dirs, config)?),
        };
        if actor.is_asked() {
            agree(
                policy,
                &question::of_grant(dirs, config, policy, &resolved, keys),
            )?;
        }
        approve(dirs, policy, &resolved, keys, actor)?;
        done(policy, Approval::Granted);
    }
    Ok(())
}

/// Writes the record and the grant.
///
/// # Errors
/// `audit-unwritable`, and those of [`grant::grant`].
pub fn approve(
    dirs: &Dirs,
    policy: &Policy,
    resolved: &Resolved,
    keys: &Keys,
    actor: Actor,
) -> Result<()> {
    let entry = record(policy, Outcome::Ok, actor);
    Log::open(dirs, Some(keys))?.append(&[entry])?;
    grant::grant(dirs, policy, &resolved.invocation, keys, actor.by())
        .inspect_err(|error| failed(dirs, &[policy], keys, actor, error))
}

/// Records that grants were not written, since the log has them already. The failure itself matters more than one
/// of the log.
fn failed(dirs: &Dirs, policies: &[&Policy], keys: &Keys, actor: Actor, error: &Error) {
    let records: Vec<_> = policies
        .iter()
        .map(|policy| record(policy, Outcome::Failed, actor).reason(error.code.name()))
        .collect();
    drop(Log::open(dirs, Some(keys)).and_then(|log| log.append(&records)));
}

/// [`approve`] for several policies: writes all records, then the grants.
///
/// # Errors
/// As [`approve`].
pub fn approve_all(
    dirs: &Dirs,
    policies: &[(Policy, Resolved)],
    keys: &Keys,
    actor: Actor,
) -> Result<()> {
    if policies.is_empty() {
        return Ok(());
    }
    let records = policies.iter();
    let records: Vec<_> = records
        .map(|(policy, _)| record(policy, Outcome::Ok, actor))
        .collect();
    Log::open(dirs, Some(keys))?.append(&records)?;
    let granted = policies.iter();
    let granted = granted.map(|(policy, resolved)| (policy, &resolved.invocation));
    grant::grant_all(dirs, granted, keys, actor.by()).inspect_err(|error| {
        let policies: Vec<_> = policies.iter().map(|(policy, _)| policy).collect();
        failed(dirs, &policies, keys, actor, error);
    })
}

/// The records of a grant that was refused.
pub fn refusals(policies: &[Policy], actor: &Actor) -> Vec<NewRecord> {
    let refusal = |policy| record(policy, Outcome::Refused, *actor);
    policies.iter().map(refusal).collect()
}

fn record(policy: &Policy, outcome: Outcome, actor: Actor) -> NewRecord {
    NewRecord::new(Event::Grant, outcome)
        .server(&policy.server)
        .policy(&policy.digest)
        .detail(actor.detail())
}

/// The keys that seal grants, created at the first use of the store.
///
/// # Errors
/// Those of the store.
pub fn open_keys(dirs: &Dirs, config: &Config) -> Result<Keys> {
    store::keys_or_create(&*store::open(dirs, config, Prompt::Allowed)?)
}
