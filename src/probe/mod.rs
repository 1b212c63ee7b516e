//! Asks providers whether credentials are valid.
//!
//! Invariants: only secrets of granted policies are sent, each to a host that the catalog names for
//! its server, over TLS. What a provider does not report stays unknown. The caller gets the list of
//! requests first, decides whether any is sent, and records each before it is sent.

mod service;

use crate::catalog::{self, KnownServer, Probe};
use crate::check::{Facts, Location, ProbeRecord};
use crate::dirs::Dirs;
use crate::error::Result;
use crate::grant;
use crate::https::WebRoute;
use crate::policy::Policy;
use crate::reference::SecretLabel;
use crate::scan::stored::StoredSecrets;
use crate::secret::{Secret, SecretName, ServerName};

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

/// Builds the requests about the stored secrets of granted policies whose package is known. Sends
/// nothing.
pub fn plan(dirs: &Dirs, stored: Option<&StoredSecrets>, facts: &Facts) -> ProbePlan {
    let mut plan = ProbePlan::default();
    let (Some(stored), Some(machine)) = (stored, &facts.machine) else {
        return plan;
    };
    for (file, policy) in machine.read_policies() {
        let request = match request(stored, policy, &file.shown) {
            Some(Ok(request)) => request,
            Some(Err(elsewhere)) => {
                let why = "its value is in another store, which a check does not open";
                plan.refused.push((elsewhere, why.to_owned()));
                continue;
            }
            None => continue,
        };
        // A policy that nobody approved could name the secret of another server.
        let granted = grant::find(dirs, policy).and_then(|grant| grant.verify(&stored.keys));
        let address = granted
            .map_err(|error| error.what)
            .and_then(|()| service::address(request.shipped, request.probe));
        match address {
            Ok(address) => plan.requests.push((address, request)),
            Err(why) => plan.refused.push((request.secret.into(), why)),
        }
    }
    let key = |(_, request): &(Address, ProbeRequest)| (request.shipped.id, request.secret.clone());
    plan.requests.sort_by_key(key);
    plan.requests
        .dedup_by(|(_, a), (_, b)| a.shipped.id == b.shipped.id && a.value == b.value);
    plan
}

/// The request about a policy, or its value that is not in the local store.
fn request(
    stored: &StoredSecrets,
    policy: &Policy,
    shown: &str,
) -> Option<Result<ProbeRequest, SecretLabel>> {
    let shipped = catalog::of_policy(policy)?;
    // Only a probe that was verified to work.
    let probe = shipped.probe.as_ref().filter(|probe| probe.verified)?;
    let slot = policy.secrets.get(&probe.secret)?;
    let Some(name) = slot.from.local() else {
        return Some(Err(slot.from.label()));
    };
    let (_, value) = stored.secrets.iter().find(|(known, _)| known == name)?;
    Some(Ok(ProbeRequest {
        shipped,
        probe,
        server: policy.server.clone(),
        policy: policy.digest.clone(),
        secret: name.clone(),
        location: Location::line(shown.to_owned(), slot.line),
        value: value.clone(),
    }))
}

/// Asks the providers. `record` is called before each request, which is not sent if that fails.
///
/// # Errors
/// `file-unusable` if the machine has no CA certificates; those of `record`.
pub fn ask(
    plan: ProbePlan,
    route: &WebRoute,
    record: &mut dyn FnMut(&Address, &ProbeRequest) -> Result<()>,
) -> Result<Vec<ProbeRecord>> {
    let services = service::Services::new(route)?;
    let mut answers = Vec::new();
    for (address, request) in plan.requests {
        record(&address, &request)?;
        answers.push(ProbeRecord {
            result: services.ask(&address, request.probe, &request.value),
            host: address.host,
            location: request.location,
            server: request.server,
            secret: request.secret,
            known: request.shipped.scopes.as_ref(),
        });
    }
    Ok(answers)
}
