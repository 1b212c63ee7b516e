//! Sends stored secrets to the probes of their providers.
//!
//! Invariant: each release is recorded by name before the secret leaves; no record, no release.

use super::actor::{Actor, keys_if_open};
use crate::audit::{Destination, Event, Log, NewRecord, Outcome, SecretUse};
use crate::check::ProbeRecord;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Error, Result};
use crate::network;
use crate::probe::{self, Address, ProbePlan, ProbeRequest};
use crate::scan::stored::StoredSecrets;
use crate::secret::SecretName;

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
            let secret = SecretUse {
                name: request.secret.clone().into(),
                variable: Some(request.probe.secret.clone()),
                fingerprint: Some(keys.fingerprint(&request.value)),
            };
            let to = Destination::Provider(&address.host);
            let entry = NewRecord::release(secret, to, actor.detail())
                .server(&request.server)
                .policy(&request.policy);
            log.append(&[entry])
        },
    )
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
