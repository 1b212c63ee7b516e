//! The stored secrets for `check --verify`: read once, searched for in files, not shown.

use aho_corasick::AhoCorasick;
use zeroize::Zeroizing;

use crate::audit::{Head, anchor};
use crate::check::Facts;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Result};
use crate::mask;
use crate::secret::{Keys, Secret, SecretName};
use crate::store::{self, Index, Prompt, Store};

/// The store, opened because of `--verify`.
pub struct StoredSecrets {
    pub keys: Keys,
    /// The head of the audit log that the store keeps.
    pub head: Option<Head>,
    /// Every stored secret.
    pub secrets: Vec<(SecretName, Secret)>,
}

/// Opens the store; none if no store exists yet. Values in files can be verified without it.
pub fn open(dirs: &Dirs) -> Result<Option<StoredSecrets>> {
    let config = Config::load(dirs)?;
    let index = Index::load(dirs)?;
    if index.secrets.is_empty() && !dirs.audit().exists() {
        return Ok(None);
    }
    let opened = store::open(dirs, &config, Prompt::Allowed)
        .and_then(|store| Ok((store::keys(&*store)?, store)));
    match opened {
        Ok((keys, store)) => Ok(Some(StoredSecrets {
            head: anchor::kept(&*store)?,
            secrets: read(&*store, &index)?,
            keys,
        })),
        Err(error) if matches!(error.code, Code::NotSetUp | Code::StoreAbsent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All stored secrets. The `expired-credential` check reports those that the store has lost.
fn read(store: &dyn Store, index: &Index) -> Result<Vec<(SecretName, Secret)>> {
    let names: Vec<SecretName> = index.secrets.keys().cloned().collect();
    let batch = store.get_all(&names)?;
    let items = names.into_iter().zip(batch.items);
    Ok(items
        .filter_map(|(name, item)| Some((name, item.ok()?.value)))
        .collect())
}

impl StoredSecrets {
    /// The spellings of every stored secret, with its name.
    pub fn spellings(&self) -> Vec<(Zeroizing<Vec<u8>>, &SecretName)> {
        let mut all = Vec::new();
        // A weak value is in many files by chance.
        let secrets = self.secrets.iter().filter(|(_, value)| !value.is_weak());
        for (name, secret) in secrets {
            let spellings = mask::spellings(secret).into_iter();
            all.extend(spellings.map(|spelling| (spelling.bytes, name)));
        }
        all
    }
}

/// Searches the files that were read for stored secrets.
pub fn copies(stored: Option<&StoredSecrets>, facts: &mut Facts) {
    let Some(stored) = stored else { return };
    let spellings = stored.spellings();
    let Ok(finder) = AhoCorasick::new(spellings.iter().map(|(form, _)| form.as_slice())) else {
        return;
    };
    for file in &facts.files {
        for hit in finder.find_iter(&file.text) {
            if let Some((_, name)) = spellings.get(hit.pattern().as_usize()) {
                facts
                    .copies
                    .push((file.location(hit.start()), name.to_string()));
            }
        }
    }
}
