//! Sends stored secrets to the probes of their providers, and keeps what these say about their end.
//!
//! Invariant: each release is recorded by name before the secret leaves; no record, no release.

use super::actor::{Actor, keys_if_open};
use super::secrets;
use crate::audit::{Destination, Event, Log, NewRecord, Outcome, SecretUse};
use crate::check::ProbeRecord;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::network;
use crate::probe::{self, Address, ProbePlan, ProbeRequest};
use crate::scan::stored::StoredSecrets;
use crate::secret::{Keys, SecretName};
use crate::store::{self, Index, Prompt};

/// Asks the providers, and records each request before it is sent.
///
/// # Errors
/// `network-changed`; `audit-unwritable`; those of [`probe::ask`].
pub fn to_providers(
    dirs: &Dirs,
    stored: &StoredSecrets,
    actor: Actor,
    plan: ProbePlan,
) -> Result<Vec<ProbeRecord>> {
    let keys = &stored.keys;
    let network = network::verify(dirs, network::find(dirs)?, keys)?;
    let value = |name: &SecretName| {
        let known = stored.secrets.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.clone())
    };
    let route = network.route(&value);
    let log = Log::open(dirs, Some(keys))?;
    probe::ask(
        plan,
        &route,
        &mut |address: &Address, request: &ProbeRequest| {
            let print = keys.fingerprint(&request.value);
            let secret = SecretUse {
                name: request.secret.clone().into(),
                variable: Some(request.probe.secret.clone()),
                fingerprint: Some(print.clone()),
            };
            let to = Destination::Provider(&address.host);
            let entry = NewRecord::release(secret, to, actor.detail())
                .server(&request.server)
                .policy(&request.policy);
            log.append(&[entry])?;
            Ok(print)
        },
    )
}

/// Keeps the ends that were told with the stored values, where none is known yet or only a later one: the
/// user's own earlier date stays. Returns what was kept.
///
/// # Errors
/// Those of the store and of the audit log; `file-unusable`.
pub fn keep_ends(
    dirs: &Dirs,
    config: &Config,
    keys: &Keys,
    actor: Actor,
    records: &[ProbeRecord],
) -> Result<Vec<(SecretName, Expiry)>> {
    let is_news = |end: Expiry, known: Option<Expiry>| {
        known.is_none_or(|known| end.instant() < known.instant())
    };
    let index = Index::load(dirs)?;
    let told = records.iter().filter_map(|record| {
        let row = index.secrets.get(&record.secret)?;
        let end = record.end().filter(|end| is_news(*end, row.expires))?;
        (row.fingerprint == record.fingerprint).then_some((record, end))
    });
    let told: Vec<_> = told.collect();
    let mut kept = Vec::new();
    if told.is_empty() {
        return Ok(kept);
    }
    let store = store::open(dirs, config, Prompt::Allowed)?;
    let log = Log::open(dirs, Some(keys))?;
    for (record, end) in told {
        let name = &record.secret;
        let mut item = store.get(name)?;
        if keys.fingerprint(&item.value) != record.fingerprint || !is_news(end, item.expires) {
            // Another program changed it in the meantime.
            continue;
        }
        item.expires = Some(end);
        let entry = |outcome| {
            let print = Some(&record.fingerprint);
            secrets::entry(Event::SecretSet, outcome, name, print, actor)
        };
        log.append(&[entry(Outcome::Ok).reason("expiry")])?;
        if let Err(error) = store.put(name, &item) {
            log.append(&[entry(Outcome::Failed).reason(error.code.name())])?;
            return Err(error);
        }
        Index::update(dirs, |index| {
            if let Some(row) = index.secrets.get_mut(name) {
                row.expires = Some(end);
            }
        })?;
        kept.push((name.clone(), end));
    }
    Ok(kept)
}

/// Records that a request to providers was refused.
///
/// # Errors
/// `audit-unwritable`.
pub fn record_refusal(dirs: &Dirs, config: &Config, refusal: &Error) -> Result<()> {
    let entry = NewRecord::new(Event::Release, Outcome::Refused)
        .reason(refusal.code.name())
        .detail(Actor::unasked().detail());
    let keys = keys_if_open(dirs, config);
    Log::open(dirs, keys.as_ref())?.append(&[entry])
}
