//! Which secrets were used by which servers, counted from the records of injections and releases.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::event::Outcome;
use super::record::Record;
use crate::reference::SecretLabel;
use crate::secret::{Fingerprint, ServerName};

/// The uses of one secret by one server.
#[derive(Clone, Debug, Serialize)]
pub struct SecretUsage {
    pub secret: SecretLabel,
    pub server: Option<ServerName>,
    pub times: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The fingerprints of its values.
    pub fingerprints: BTreeSet<String>,
}

/// A secret that left mcpwrap without a server.
#[derive(Clone, Debug, Serialize)]
pub struct SecretRelease {
    pub time: Timestamp,
    pub server: Option<ServerName>,
    /// `probe` or `undo`.
    pub reason: Option<String>,
    /// The provider's host, or the client config.
    pub to: Option<String>,
    pub fingerprint: Option<String>,
}

impl SecretRelease {
    /// From a `release` record that is not refused.
    pub fn of(record: Record) -> Option<Self> {
        let fingerprint = record.secret.and_then(|secret| secret.fingerprint);
        (record.outcome == Outcome::Intent).then(|| Self {
            time: record.time,
            server: record.server,
            reason: record.reason,
            to: record
                .detail
                .host
                .or(record.detail.file)
                .or(record.detail.note),
            fingerprint: fingerprint.as_ref().map(Fingerprint::to_string),
        })
    }
}

/// The uses of all secrets, keyed by secret and server.
#[derive(Debug, Default)]
pub struct SecretUsages(BTreeMap<(SecretLabel, Option<ServerName>), SecretUsage>);

impl SecretUsages {
    /// Counts an `inject` or a `release` record.
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
