//! Which secrets were used, by which servers: counted from the records of injections.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::record::Record;
use crate::secret::{Fingerprint, SecretName, ServerName};

/// The uses of one secret by one server.
#[derive(Clone, Debug, Serialize)]
pub struct SecretUsage {
    pub secret: SecretName,
    pub server: Option<ServerName>,
    pub times: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The values it had, as fingerprints.
    pub fingerprints: BTreeSet<String>,
}

/// The uses of all secrets, by secret and server.
#[derive(Debug, Default)]
pub struct SecretUsages(BTreeMap<(SecretName, Option<ServerName>), SecretUsage>);

impl SecretUsages {
    /// Counts an `inject` record.
    pub fn count(&mut self, record: Record) {
        let Some(secret) = record.secret else { return };
        let key = (secret.name.clone(), record.server.clone());
        let found = self.0.entry(key).or_insert_with(|| SecretUsage {
            secret: secret.name,
            server: record.server,
            times: 0,
            first: record.time,
            last: record.time,
            fingerprints: BTreeSet::new(),
        });
        found.times += 1;
        found.first = found.first.min(record.time);
        found.last = found.last.max(record.time);
        found
            .fingerprints
            .extend(secret.fingerprint.as_ref().map(Fingerprint::to_string));
    }

    pub fn into_list(self) -> Vec<SecretUsage> {
        self.0.into_values().collect()
    }
}
