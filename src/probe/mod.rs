//! Asks providers whether credentials are valid.
//!
//! Invariants: a secret is sent only if its policy is granted, or its user has just read the policy, and
//! only to a host that the catalog names for its server, over TLS. What a provider does not report stays
//! unknown. The caller gets the list of requests first, decides whether any is sent, and records each
//! before it is sent.

mod service;

use std::fmt;

use crate::catalog::{self, KnownServer, Probe};
use crate::check::{Facts, Location, ProbeRecord};
use crate::dirs::Dirs;
use crate::error::Result;
use crate::expiry;
use crate::grant;
use crate::https::WebRoute;
use crate::policy::Policy;
use crate::reference::SecretLabel;
use crate::scan::stored::StoredSecrets;
use crate::secret::{Fingerprint, Secret, SecretName, ServerName};

pub use self::service::Address;

/// One request to a provider: whether a value is valid.
#[derive(Debug)]
pub struct ProbeRequest {
    pub shipped: &'static KnownServer,
    pub probe: &'static Probe,
    pub server: ServerName,
    /// The digest of the policy that names the secret.
    pub policy: String,
    pub secret: SecretName,
    location: Location,
    pub value: Secret,
}

/// The possible requests, and what is not asked: the secret and the reason.
#[derive(Debug, Default)]
pub struct ProbePlan {
    pub requests: Vec<(Address, ProbeRequest)>,
    pub refused: Vec<(SecretLabel, String)>,
}

/// Why nothing is asked about a policy.
#[derive(Debug)]
pub enum Unasked {
    /// No request is known, or the policy has not the secret of it.
    NoRequest(String),
    /// The value is in another store.
    Elsewhere(SecretLabel),
    /// The store has no value.
    NotStored(SecretName),
    /// The catalog does not allow the request.
    NotAllowed(SecretName, String),
}

impl fmt::Display for Unasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRequest(why) => f.write_str(why),
            Self::Elsewhere(secret) => write!(f, "the value of `{secret}` is in another store"),
            Self::NotStored(secret) => write!(f, "`{secret}` is not in the store"),
            Self::NotAllowed(secret, why) => write!(f, "`{secret}`: {why}"),
        }
    }
}

/// Builds the requests about the stored secrets of granted policies whose package is known. Sends
/// nothing.
pub fn plan(dirs: &Dirs, stored: Option<&StoredSecrets>, facts: &Facts) -> ProbePlan {
    let mut plan = ProbePlan::default();
    let (Some(stored), Some(machine)) = (stored, &facts.machine) else {
        return plan;
    };
    for (file, policy) in machine.read_policies() {
        let request = match request(stored, policy, &file.shown) {
            Ok(request) => request,
            Err(Unasked::Elsewhere(secret)) => {
                let why = "its value is in another store, which a check does not open";
                plan.refused.push((secret, why.to_owned()));
                continue;
            }
            Err(Unasked::NotAllowed(secret, why)) => {
                plan.refused.push((secret.into(), why));
                continue;
            }
            Err(Unasked::NoRequest(_) | Unasked::NotStored(_)) => continue,
        };
        // A policy that nobody approved could name the secret of another server.
        let granted = grant::find(dirs, policy).and_then(|grant| grant.verify(&stored.keys));
        match granted {
            Ok(()) => plan.requests.push(request),
            Err(error) => plan.refused.push((request.1.secret.into(), error.what)),
        }
    }
    let key = |(_, request): &(Address, ProbeRequest)| (request.shipped.id, request.secret.clone());
    plan.requests.sort_by_key(key);
    plan.requests
        .dedup_by(|(_, a), (_, b)| a.shipped.id == b.shipped.id && a.value == b.value);
    plan
}

/// The request about one policy, which its user has just read or granted before. Sends nothing.
///
/// # Errors
/// Why there is none.
pub fn plan_of(stored: &StoredSecrets, policy: &Policy, shown: &str) -> Result<ProbePlan, Unasked> {
    let requests = vec![request(stored, policy, shown)?];
    Ok(ProbePlan {
        requests,
        refused: Vec::new(),
    })
}

/// The request about a policy.
fn request(
    stored: &StoredSecrets,
    policy: &Policy,
    shown: &str,
) -> Result<(Address, ProbeRequest), Unasked> {
    let shipped = catalog::of_policy(policy).ok_or_else(|| {
        let why = "mcpwrap does not know this server";
        Unasked::NoRequest(why.to_owned())
    })?;
    // Only a probe that was verified to work.
    let probe = shipped.probe.as_ref().filter(|probe| probe.verified);
    let probe = probe.ok_or_else(|| {
        Unasked::NoRequest(format!(
            "mcpwrap knows no request that tests a secret for {}",
            shipped.title
        ))
    })?;
    let slot = policy.secrets.get(&probe.secret).ok_or_else(|| {
        Unasked::NoRequest(format!(
            "the request that mcpwrap knows tests `{}`, which the policy does not have",
            probe.secret
        ))
    })?;
    let Some(name) = slot.from.local() else {
        return Err(Unasked::Elsewhere(slot.from.label()));
    };
    let mut all = stored.secrets.iter();
    let Some((_, value)) = all.find(|(known, _)| known == name) else {
        return Err(Unasked::NotStored(name.clone()));
    };
    let address =
        service::address(shipped, probe).map_err(|why| Unasked::NotAllowed(name.clone(), why))?;
    let request = ProbeRequest {
        shipped,
        probe,
        server: policy.server.clone(),
        policy: policy.digest.clone(),
        secret: name.clone(),
        location: Location::line(shown.to_owned(), slot.line),
        value: value.clone(),
    };
    Ok((address, request))
}

/// Asks the providers. `record` is called before each request, which is not sent if that fails, and
/// returns the fingerprint of the value.
///
/// # Errors
/// `file-unusable` if the machine has no CA certificates; those of `record`.
pub fn ask(
    plan: ProbePlan,
    route: &WebRoute,
    record: &mut dyn FnMut(&Address, &ProbeRequest) -> Result<Fingerprint>,
) -> Result<Vec<ProbeRecord>> {
    let services = service::Services::new(route)?;
    let mut answers = Vec::new();
    for (address, request) in plan.requests {
        let fingerprint = record(&address, &request)?;
        answers.push(ProbeRecord {
            result: services.ask(&address, request.probe, &request.value),
            own_end: expiry::of_secret(&request.value),
            host: address.host,
            location: request.location,
            server: request.server,
            secret: request.secret,
            known: request.shipped.scopes.as_ref(),
            fingerprint,
        });
    }
    Ok(answers)
}
