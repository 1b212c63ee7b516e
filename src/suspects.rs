//! Credentials that look as if a service had refused them: `suspects.toml`, facts without values.
//!
//! A supervisor notes them when an answer of its server reads like a refusal; `check` and `ps` show them. A
//! row is about one value: another value of the same name is not suspect.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::Problem;
use crate::launch::injected::Injected;
use crate::secret::{Fingerprint, ServerName};
use crate::store::{read_facts, update_locked};

/// All suspect credentials of this user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SuspectIndex {
    /// By server, then by the name of the credential as logs show it.
    pub servers: BTreeMap<ServerName, BTreeMap<String, SuspectRow>>,
}

/// Facts about one suspect credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectRow {
    /// The first answer that read like a refusal.
    pub since: Timestamp,
    /// The value.
    pub fingerprint: Fingerprint,
}

impl SuspectIndex {
    /// Reads the index. A missing or damaged one is empty.
    ///
    /// # Errors
    /// `file-unusable`, `file-not-private`.
    pub fn load(dirs: &Dirs) -> Result<Self> {
        read_facts(&dirs.suspects(), &|problem| failed(dirs, problem))
    }

    fn update(dirs: &Dirs, change: impl FnOnce(&mut Self)) -> Result<()> {
        let load = || Self::load(dirs);
        update_locked(
            &dirs.suspects(),
            &|problem| failed(dirs, problem),
            load,
            change,
        )
    }

    /// Notes that a service refused what this server got. The time of the first refusal of a value stays.
    ///
    /// # Errors
    /// `file-unusable`, `file-not-private`.
    pub fn note(dirs: &Dirs, server: &ServerName, injected: &[Injected]) -> Result<()> {
        let since = Timestamp::now();
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        Self::update(dirs, |index| {
            let rows = index.servers.entry(server.clone()).or_default();
            for one in injected {
                let row = SuspectRow {
                    since,
                    fingerprint: one.fingerprint.clone(),
                };
                let known = rows.entry(one.name.to_string()).or_insert(row.clone());
                if known.fingerprint != row.fingerprint {
                    *known = row;
                }
            }
        })
    }

    /// Forgets what is known of a server but for the values that it gets now. Without a file it does nothing.
    ///
    /// # Errors
    /// `file-unusable`, `file-not-private`.
    pub fn keep_only(dirs: &Dirs, server: &ServerName, injected: &[Injected]) -> Result<()> {
        let index = Self::load(dirs)?;
        let Some(rows) = index.servers.get(server) else {
            return Ok(());
        };
        let is_current = |name: &String, row: &SuspectRow| {
            let mut injected = injected.iter();
            injected.any(|one| one.fingerprint == row.fingerprint && one.name.to_string() == *name)
        };
        if rows.iter().all(|(name, row)| is_current(name, row)) {
            return Ok(());
        }
        Self::update(dirs, |index| {
            if let Some(rows) = index.servers.get_mut(server) {
                rows.retain(|name, row| is_current(name, row));
            }
            index.servers.retain(|_, rows| !rows.is_empty());
        })
    }
}

fn failed(dirs: &Dirs, problem: Problem) -> Error {
    let what = "cannot use the index of suspect credentials";
    problem.explain(Code::FileUnusable, what, &dirs.tilde(&dirs.suspects()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::injected::Place;
    use crate::secret::{Keys, Secret, SecretName};

    fn injected(name: &str, value: &str) -> Injected {
        let keys = Keys::from_master(&Secret::new(b"ours".to_vec()));
        Injected {
            name: name.parse::<SecretName>().unwrap().into(),
            variable: "TOKEN".into(),
            fingerprint: keys.fingerprint(&Secret::new(value.as_bytes().to_vec())),
            to: Place::Env,
        }
    }

    #[test]
    fn another_value_is_not_suspect() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let server = ServerName::new("s").unwrap();
        let names = || {
            let index = SuspectIndex::load(&dirs).unwrap();
            let rows = index.servers.into_values().flatten();
            rows.map(|(name, _)| name).collect::<Vec<_>>()
        };
        SuspectIndex::keep_only(&dirs, &server, &[]).unwrap();
        assert!(!dirs.suspects().exists());
        let both = [injected("a", "one"), injected("b", "two")];
        SuspectIndex::note(&dirs, &server, &both).unwrap();
        SuspectIndex::note(&dirs, &server, &both).unwrap();
        assert_eq!(names(), ["a", "b"]);
        SuspectIndex::keep_only(&dirs, &server, &both).unwrap();
        assert_eq!(names(), ["a", "b"]);
        let rotated = [injected("a", "three"), injected("b", "two")];
        SuspectIndex::keep_only(&dirs, &server, &rotated).unwrap();
        assert_eq!(names(), ["b"]);
        let other = ServerName::new("other").unwrap();
        SuspectIndex::keep_only(&dirs, &other, &[]).unwrap();
        assert_eq!(names(), ["b"]);
        let text = std::fs::read_to_string(dirs.suspects()).unwrap();
        assert!(!text.contains("two"), "{text}");
    }

    #[test]
    fn the_first_refusal_of_a_value_counts() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let server = ServerName::new("s").unwrap();
        let row = || {
            let index = SuspectIndex::load(&dirs).unwrap();
            index.servers[&server]["a"].clone()
        };
        let first = [injected("a", "one")];
        SuspectIndex::note(&dirs, &server, &first).unwrap();
        let long_ago = Timestamp::from_second(1_000).unwrap();
        SuspectIndex::update(&dirs, |index| {
            let rows = index.servers.get_mut(&server).unwrap();
            rows.get_mut("a").unwrap().since = long_ago;
        })
        .unwrap();
        SuspectIndex::note(&dirs, &server, &first).unwrap();
        assert_eq!(row().since, long_ago);
        let other = [injected("a", "three")];
        SuspectIndex::note(&dirs, &server, &other).unwrap();
        assert_eq!(row().fingerprint, other[0].fingerprint);
        assert!(row().since > long_ago);
    }
}
