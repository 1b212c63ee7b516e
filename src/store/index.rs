//! The secret index, `secrets.toml`: facts about each secret, without its value.
//!
//! Supervisors watch this file: `generation` grows with every change, and each row has the generation
//! at which its value changed.
//!
//! Invariants: it contains no values, and fingerprints are keyed with the user's key. It is changed
//! under a lock and replaced atomically.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::leftovers;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::expiry::Expiry;
use crate::files::{self, Problem};
use crate::secret::{Fingerprint, ProfileName, SecretName};

const VERSION: u32 = 1;

/// All secrets of this user, keyed by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    version: u32,
    /// Grows with every change of the store.
    pub generation: u64,
    #[serde(default)]
    pub secrets: BTreeMap<SecretName, IndexRow>,
}

/// Facts about one secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    pub created: Timestamp,
    /// When the value was last set or rotated.
    pub changed: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
    pub fingerprint: Fingerprint,
    /// Whether the value cannot be masked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub weak: bool,
    /// The generation of the index at which the value changed.
    pub generation: u64,
    /// Where the value lay in plaintext, until it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed: Option<Exposure>,
}

/// Where a value lay in plaintext, so that others may have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    pub found: Timestamp,
    /// Files, and the git history of files.
    pub places: Vec<String>,
    /// The page of the provider where a new one is created, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate: Option<String>,
}

/// No more places are kept for one value.
const PLACES_MAX: usize = 16;

impl Default for Index {
    fn default() -> Self {
        Self {
            version: VERSION,
            generation: 0,
            secrets: BTreeMap::new(),
        }
    }
}

impl Index {
    /// Reads the index. If it does not exist, it is empty.
    pub fn load(dirs: &Dirs) -> Result<Self> {
        let path = dirs.secrets_index();
        let shown = dirs.tilde(&path);
        let what = "cannot read the secret index";
        let bytes = match files::read_private(&path) {
            Ok(bytes) => bytes,
            Err(Problem::Missing) => return Ok(Self::default()),
            Err(problem) => return Err(problem.explain(Code::FileUnusable, what, &shown)),
        };
        let broken = |why: &str| {
            Error::new(Code::FileUnusable, what)
                .cause(format!("`{shown}` {why}"))
                .hint(format!("run `mv {shown} {shown}.bad`, then `mcpwrap secret set` to start a new index; the values are not in it"))
        };
        let index: Self = toml::from_slice(&bytes).map_err(|_| broken("is damaged"))?;
        if index.version != VERSION {
            return Err(broken("was written by another version of mcpwrap"));
        }
        Ok(index)
    }

    /// Changes the index under its lock and increments the generation.
    pub fn update<T>(dirs: &Dirs, change: impl FnOnce(&mut Self) -> T) -> Result<T> {
        let path = dirs.secrets_index();
        let shown = dirs.tilde(&path);
        let failed = |problem: Problem| {
            problem.explain(Code::FileUnusable, "cannot write the secret index", &shown)
        };
        let load = || Self::load(dirs);
        update_locked(&path, &failed, load, |index| {
            index.generation += 1;
            change(index)
        })
    }

    /// Records that a value was set. Call it inside [`Self::update`].
    pub fn note(
        &mut self,
        name: &SecretName,
        fingerprint: Fingerprint,
        profile: Option<ProfileName>,
        expires: Option<Expiry>,
        weak: bool,
    ) {
        if name.is_internal() {
            return;
        }
        let now = Timestamp::now()
            .round(jiff::Unit::Second)
            .unwrap_or_else(|_| Timestamp::now());
        let old = self.secrets.get(name);
        let created = old.map_or(now, |old| old.created);
        let exposed = old
            .filter(|old| old.fingerprint == fingerprint)
            .and_then(|old| old.exposed.clone());
        let generation = self.generation;
        let entry = IndexRow {
            profile,
            created,
            changed: now,
            expires,
            fingerprint,
            weak,
            generation,
            exposed,
        };
        self.secrets.insert(name.clone(), entry);
    }

    /// Records that the value lies or lay in plaintext. Call it inside [`Self::update`].
    pub fn expose(&mut self, name: &SecretName, place: &str, rotate: Option<&str>) {
        let Some(row) = self.secrets.get_mut(name) else {
            return;
        };
        let exposed = row.exposed.get_or_insert_with(|| Exposure {
            found: Timestamp::now()
                .round(jiff::Unit::Second)
                .unwrap_or_else(|_| Timestamp::now()),
            places: Vec::new(),
            rotate: None,
        });
        let is_new = !exposed.places.iter().any(|known| known == place);
        if is_new && exposed.places.len() < PLACES_MAX {
            exposed.places.push(place.to_owned());
        }
        if let Some(rotate) = rotate {
            exposed.rotate = Some(rotate.to_owned());
        }
    }

    /// The secrets whose values lay in plaintext and have not changed since.
    pub fn exposed(&self) -> impl Iterator<Item = (&SecretName, &Exposure)> {
        let rows = self.secrets.iter();
        rows.filter_map(|(name, row)| Some((name, row.exposed.as_ref()?)))
    }
}

/// Reads a file of facts in TOML. A missing or damaged one is empty.
///
/// # Errors
/// What `failed` makes of a file that cannot be read.
pub fn read_facts<I: Default + DeserializeOwned>(
    path: &Path,
    failed: &dyn Fn(Problem) -> Error,
) -> Result<I> {
    match files::read_private(path) {
        Ok(bytes) => Ok(toml::from_slice(&bytes).unwrap_or_default()),
        Err(Problem::Missing) => Ok(I::default()),
        Err(problem) => Err(failed(problem)),
    }
}

/// Changes a file of TOML that other processes watch: under its lock, replaced as a whole.
///
/// # Errors
/// Those of `load`, and what `failed` makes of a file that cannot be written.
pub fn update_locked<I: Serialize, T>(
    path: &Path,
    failed: &dyn Fn(Problem) -> Error,
    load: impl FnOnce() -> Result<I>,
    change: impl FnOnce(&mut I) -> T,
) -> Result<T> {
    let lock = files::lock(&path.with_extension("lock")).map_err(failed)?;
    leftovers::remove(path, &lock);
    let mut index = load()?;
    let answer = change(&mut index);
    let text = toml::to_string(&index).expect("an index is always valid TOML");
    files::replace(path, text.as_bytes()).map_err(failed)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn fingerprint(value: &str) -> Fingerprint {
        Fingerprint::new(b"key", &Secret::new(value.into()))
    }

    #[test]
    fn what_is_written_is_read_and_generations_grow() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        assert_eq!(Index::load(&dirs).unwrap(), Index::default());
        let (one, two): (SecretName, SecretName) = ("a/b".parse().unwrap(), "c".parse().unwrap());
        let dev: ProfileName = "dev".parse().unwrap();
        let date = Expiry::Day(jiff::civil::date(2027, 2, 28));
        Index::update(&dirs, |i| {
            i.note(&one, fingerprint("x"), Some(dev), Some(date), false);
        })
        .unwrap();
        Index::update(&dirs, |i| i.note(&two, fingerprint("y"), None, None, true)).unwrap();
        let index = Index::load(&dirs).unwrap();
        assert_eq!((index.generation, index.secrets[&one].generation), (2, 1));
        assert_eq!(index.secrets[&one].expires, Some(date));
        let created = index.secrets[&one].created;
        Index::update(&dirs, |i| i.note(&one, fingerprint("z"), None, None, false)).unwrap();
        let index = Index::load(&dirs).unwrap();
        assert_eq!(index.secrets[&one].generation, 3);
        assert_eq!(index.secrets[&one].created, created);
        assert_ne!(
            index.secrets[&one].fingerprint,
            index.secrets[&two].fingerprint
        );
    }

    #[test]
    fn an_exposure_lasts_until_the_value_changes() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let name: SecretName = "a/b".parse().unwrap();
        let set = |value: &str| {
            let print = fingerprint(value);
            Index::update(&dirs, |i| i.note(&name, print, None, None, false)).unwrap();
        };
        set("x");
        Index::update(&dirs, |i| {
            i.expose(&name, "~/one.json", Some("https://provider.example"));
            i.expose(&name, "~/one.json", None);
            i.expose(&name, "~/two.json", None);
            i.expose(&"unknown".parse().unwrap(), "~/one.json", None);
        })
        .unwrap();
        // The same value again.
        set("x");
        let index = Index::load(&dirs).unwrap();
        let [(_, exposed)] = index.exposed().collect::<Vec<_>>()[..] else {
            panic!("{index:?}")
        };
        assert_eq!(exposed.places, ["~/one.json", "~/two.json"]);
        assert_eq!(exposed.rotate.as_deref(), Some("https://provider.example"));
        set("y");
        assert_eq!(Index::load(&dirs).unwrap().exposed().count(), 0);
    }

    #[test]
    fn twenty_writers_lose_nothing() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        std::thread::scope(|scope| {
            for n in 0..20 {
                let dirs = &dirs;
                scope.spawn(move || {
                    let name = SecretName::new(&format!("n{n}")).unwrap();
                    Index::update(dirs, |i| i.note(&name, fingerprint("x"), None, None, false))
                        .unwrap();
                });
            }
        });
        let index = Index::load(&dirs).unwrap();
        assert_eq!((index.secrets.len(), index.generation), (20, 20));
    }

    #[test]
    fn a_damaged_index_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        for text in ["", "x", "version = 2\ngeneration = 1"] {
            files::replace(&dirs.secrets_index(), text.as_bytes()).unwrap();
            assert_eq!(
                Index::load(&dirs).unwrap_err().code,
                Code::FileUnusable,
                "{text}"
            );
            assert!(Index::update(&dirs, |_| ()).is_err());
        }
    }

    #[test]
    fn an_update_removes_what_a_killed_one_left() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        Index::update(&dirs, |_| ()).unwrap();
        let path = dirs.secrets_index();
        let (dir, name) = (path.parent().unwrap(), path.file_name().unwrap());
        let name = name.to_str().unwrap();
        let stale = dir.join(format!(".{name}.0123456789abcdef"));
        let others = [
            format!(".{name}.0123456789abcde"),
            format!(".{name}.0123456789ABCDEF"),
            format!(".{name}.0123456789abcdef.bak"),
            format!("{name}.0123456789abcdef"),
            ".other.toml.0123456789abcdef".to_owned(),
        ];
        files::replace(&stale, b"").unwrap();
        for other in &others {
            files::replace(&dir.join(other), b"").unwrap();
        }
        let folder = dir.join(format!(".{name}.fedcba9876543210"));
        std::fs::create_dir(&folder).unwrap();
        Index::update(&dirs, |_| ()).unwrap();
        assert!(!stale.exists() && folder.exists());
        assert!(others.iter().all(|other| dir.join(other).exists()));
        assert_eq!(Index::load(&dirs).unwrap().generation, 2);
    }
}
