//! Approves policies in their current form: writes the record first, then the sealed grant.

use similar::TextDiff;

use super::actor::Actor;
use super::embedded_secrets;
use crate::audit::{Event, Log, NewRecord, Outcome};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::grant::{self, GrantState};
use crate::policy::{Policy, summary};
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
/// Those of `agree`, of the store, and of [`approve`].
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
        if actor.is_asked() {
            agree(policy, &question(dirs, policy))?;
        }
        let keys = match &keys {
            Some(keys) => keys,
            None => keys.insert(open_keys(dirs, config)?),
        };
        approve(dirs, policy, keys, actor)?;
        done(policy, Approval::Granted);
    }
    Ok(())
}

/// Writes the record and the grant.
///
/// # Errors
/// `audit-unwritable`, and those of [`grant::grant`].
pub fn approve(dirs: &Dirs, policy: &Policy, keys: &Keys, actor: Actor) -> Result<()> {
    let entry = record(policy, Outcome::Ok, actor);
    Log::open(dirs, Some(keys))?.append(&[entry])?;
    grant::grant(dirs, policy, keys, actor.by())
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

/// All that the user approves, and the changes since the last grant.
pub fn question(dirs: &Dirs, policy: &Policy) -> String {
    let server = &policy.server;
    let facts = summary::text(dirs, policy, &embedded_secrets::warnings);
    // An unreadable grant is replaced by the new one.
    let record = grant::record(dirs, server).ok().flatten();
    let revoked = record
        .as_ref()
        .filter(|record| record.state == GrantState::Revoked);
    let revoked = revoked.map_or_else(String::new, |record| {
        let reason = record
            .reason
            .as_deref()
            .map_or_else(String::new, |r| format!(": {r}"));
        format!("revoked on {}{reason}\n", grant::day(record.at))
    });
    let changes = match record.and_then(|record| record.policy) {
        None => "not granted before\n".to_owned(),
        Some(old) if old == policy.text => "nothing changed since the last grant\n".to_owned(),
        Some(old) => {
            let diff = TextDiff::from_lines(&old, &policy.text);
            let diff = diff.unified_diff().header("as granted", "now").to_string();
            format!("changed since the last grant:\n{diff}")
        }
    };
    format!("this policy allows server `{server}`:\n{facts}{revoked}{changes}")
}
