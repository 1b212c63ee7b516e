//! Asks providers whether credentials are valid.
//!
//! Invariants: a secret goes only to a host that the catalog names for its server, over TLS. What a
//! provider does not report stays unknown. The caller gets the list of requests first and decides
//! whether any is sent.

mod service;

use crate::catalog::{self, KnownServer, Probe};
use crate::check::{
    CheckedServer, ConfigFile, ConfigValue, Facts, FieldKind, Location, ProbeRecord,
};
use crate::error::Result;
use crate::package;
use crate::scan::stored::StoredSecrets;
use crate::secret::Secret;

pub use self::service::Address;

/// One request to a provider: whether a value is valid.
#[derive(Debug)]
pub struct ProbeRequest {
    pub shipped: &'static KnownServer,
    pub probe: &'static Probe,
    /// The user's name for the secret.
    pub secret: String,
    location: Location,
    server: String,
    stored: bool,
    value: Secret,
}

/// The possible requests, and what cannot be asked: the secret and the reason.
#[derive(Debug, Default)]
pub struct ProbePlan {
    pub requests: Vec<(Address, ProbeRequest)>,
    pub refused: Vec<(String, String)>,
}

/// Builds the requests about the secrets in the files and in the store. Sends nothing.
pub fn plan(stored: Option<&StoredSecrets>, facts: &Facts) -> ProbePlan {
    let mut requests = of_policies(stored, facts);
    for file in &facts.files {
        requests.extend(file.values.iter().filter_map(|value| of_value(file, value)));
    }
    requests.sort_by(|a, b| (a.shipped.id, &a.secret).cmp(&(b.shipped.id, &b.secret)));
    requests.dedup_by(|a, b| a.shipped.id == b.shipped.id && a.value == b.value);
    let mut plan = ProbePlan::default();
    for request in requests {
        match service::address(request.shipped, request.probe) {
            Ok(address) => plan.requests.push((address, request)),
            Err(why) => plan.refused.push((request.secret, why)),
        }
    }
    plan
}

/// Asks the providers.
///
/// # Errors
/// `file-unusable` if the machine has no CA certificates.
pub fn ask(plan: ProbePlan) -> Result<Vec<ProbeRecord>> {
    let services = service::Services::new()?;
    let answer = |(address, request): (Address, ProbeRequest)| ProbeRecord {
        result: services.ask(&address, request.probe, &request.value),
        host: address.host,
        location: request.location,
        server: request.server,
        secret: request.secret,
        stored: request.stored,
    };
    Ok(plan.requests.into_iter().map(answer).collect())
}

/// The stored secrets of policies whose package is known.
fn of_policies(stored: Option<&StoredSecrets>, facts: &Facts) -> Vec<ProbeRequest> {
    let (Some(stored), Some(machine)) = (stored, &facts.machine) else {
        return Vec::new();
    };
    let mut requests = Vec::new();
    for (file, policy) in machine.read_policies() {
        let launch = package::parse(&policy.command);
        let Some(shipped) = launch.package.as_deref().and_then(catalog::of_package) else {
            continue;
        };
        let Some(probe) = probe(shipped) else {
            continue;
        };
        let Some(slot) = policy.secrets.get(&probe.secret) else {
            continue;
        };
        let name = slot.from.name();
        let value = stored.secrets.iter().find(|(known, _)| known == name);
        requests.extend(value.map(|(_, value)| ProbeRequest {
            shipped,
            probe,
            location: Location::line(file.shown.clone(), slot.line),
            server: file.server.to_string(),
            secret: name.to_string(),
            stored: true,
            value: value.clone(),
        }));
    }
    requests
}

/// The request for a value of a file that is the secret of its server.
fn of_value(file: &ConfigFile, value: &ConfigValue) -> Option<ProbeRequest> {
    let server = file.server_of(value)?;
    let shipped = server.shipped?;
    let probe = probe(shipped)?;
    let part = value.verdict.secrets().first()?;
    let text = value.text.get(part.range.clone())?;
    belongs(server, shipped, probe, value, text).then(|| ProbeRequest {
        shipped,
        probe,
        location: file.location_of(value, &part.range),
        server: server.entry.name.clone(),
        secret: format!("{} in {}", value.name.trim_start_matches('-'), file.shown),
        stored: false,
        value: Secret::new(text.as_bytes().to_vec()),
    })
}

/// Whether a value is in a field where this server expects the secret of the probe.
fn belongs(
    server: &CheckedServer,
    shipped: &KnownServer,
    probe: &Probe,
    value: &ConfigValue,
    text: &str,
) -> bool {
    let Some(slot) = shipped.secrets.get(&probe.secret) else {
        return false;
    };
    match value.kind {
        FieldKind::Env => value.name == probe.secret,
        FieldKind::Argument => slot.flags.contains(&value.name),
        // The remote version of the server accepts the same token.
        FieldKind::Header => {
            server.url().is_some()
                && slot
                    .looks
                    .iter()
                    .any(|look| text.starts_with(look.as_str()))
        }
        FieldKind::Url | FieldKind::Setting => false,
    }
}

/// The probe of a server, if it was verified to work.
fn probe(shipped: &'static KnownServer) -> Option<&'static Probe> {
    shipped.probe.as_ref().filter(|probe| probe.verified)
}
