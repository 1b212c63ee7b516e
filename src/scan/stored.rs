//! The stored secrets for `--verify`: read once, searched for in files, not shown.

use aho_corasick::AhoCorasick;
use zeroize::Zeroizing;

use crate::audit::{Head, anchor};
use crate::catalog;
use crate::check::{Facts, KeyKind, Location};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Result};
use crate::mask;
use crate::network;
use crate::policy::Policy;
use crate::secret::{Keys, Secret, SecretName};
use crate::store::{self, Index, Prompt, Store};

/// The store, opened because of `--verify`.
pub struct StoredSecrets {
    pub keys: Keys,
    /// The head of the audit log that the store keeps.
    pub head: Option<Head>,
    /// Those that were read: for `check`, every stored secret.
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
            secrets: read(&*store, index.secrets.keys().cloned().collect())?,
            keys,
        })),
        Err(error) if matches!(error.code, Code::NotSetUp | Code::StoreAbsent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The store as for `grant --verify`: it reads only the secrets of one policy, and those with which the
/// approved network settings reach a provider.
///
/// # Errors
/// `network-changed`; those of the store.
pub fn open_for(dirs: &Dirs, config: &Config, policy: &Policy) -> Result<StoredSecrets> {
    let store = store::open(dirs, config, Prompt::Allowed)?;
    let keys = store::keys(&*store)?;
    let slots = policy.secrets.values();
    let mut names: Vec<SecretName> = slots
        .filter_map(|slot| slot.from.local().cloned())
        .collect();
    let network = network::find(dirs).and_then(|found| network::verify(dirs, found, &keys))?;
    names.extend(network.secrets());
    Ok(StoredSecrets {
        head: None,
        secrets: read(&*store, names)?,
        keys,
    })
}

/// These stored secrets. The `expired-credential` check reports those that the store has lost.
fn read(store: &dyn Store, names: Vec<SecretName>) -> Result<Vec<(SecretName, Secret)>> {
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

/// The kinds of the stored secrets of known servers, where the catalog knows several kinds.
pub fn kinds(stored: Option<&StoredSecrets>, facts: &mut Facts) {
    let (Some(stored), Some(machine)) = (stored, &facts.machine) else {
        return;
    };
    let mut kinds = Vec::new();
    for (file, policy) in machine.read_policies() {
        let Some(known) = catalog::of_policy(policy) else {
            continue;
        };
        for (variable, slot) in &policy.secrets {
            let broad = known
                .secrets
                .get(variable)
                .map_or(&[][..], |secret| &secret.broad);
            let value = slot.from.local().and_then(|name| {
                let mut all = stored.secrets.iter();
                all.find(|(known, _)| known == name)
            });
            let Some((name, value)) = value.filter(|_| !broad.is_empty()) else {
                continue;
            };
            kinds.push(KeyKind {
                location: Location::line(file.shown.clone(), slot.line),
                server: file.server.clone(),
                secret: name.clone(),
                broad: broad.iter().find(|kind| value.starts_with(&kind.look)),
            });
        }
    }
    facts.kinds = kinds;
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
