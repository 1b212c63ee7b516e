//! The stores of secrets: the keychain, or one encrypted file.
//!
//! Values are bytes: 64 KiB, `=`, quotes, newlines and bytes that are not UTF-8 are preserved. The
//! secret index beside the store contains names, dates and fingerprints, so that listing accesses no
//! item.
//!
//! Invariants: only the store that `config.toml` names is used; if it is unusable, that is an error,
//! without a fallback. A store that hangs fails after [`ANSWER_MS`]. Values are never shown.

mod brief;
mod exec;
mod file;
mod home;
mod index;
mod kernel_key;
pub mod source;
pub mod types;
#[cfg(target_os = "linux")]
mod keychain;
#[cfg(target_os = "macos")]
#[path = "keychain_macos.rs"]
mod keychain;
mod vault;
mod vault_key;

pub use file::create_vault;
pub use home::seal as seal_home;
pub use index::{Exposure, Index, update_locked};
pub use vault_key::{KeySource, lock, prepare_key_file, prepare_passphrase, unlock};

use std::fmt;

use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::expiry::Expiry;
use crate::secret::{Keys, ProfileName, Secret, SecretName};

/// The total time that a store may take, from `open` to the last reply (milliseconds). Less than the
/// 8 s in which a client gets its response. A prompt has its own limit.
pub const ANSWER_MS: u64 = 6_000;

/// One secret with its restrictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretItem {
    pub value: Secret,
    /// The only profile whose runs may use it; `None`: all runs.
    pub profile: Option<ProfileName>,
    pub expires: Option<Expiry>,
}

/// Whether the keychain may ask the user to unlock it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A locked keychain is an immediate error.
    Never,
    /// The user can answer a prompt, within a minute.
    Allowed,
}

/// The master key and several secrets, read in one operation.
#[derive(Debug)]
pub struct SecretBatch {
    pub master: Option<Secret>,
    /// In the order of the requested names. An error concerns one secret: it is missing or not
    /// unique.
    pub items: Vec<Result<SecretItem>>,
}

impl SecretBatch {
    /// The keys derived from the master key.
    pub fn keys(&self) -> Result<Keys> {
        self.master
            .as_ref()
            .map(Keys::from_master)
            .ok_or_else(not_set_up)
    }
}

/// A store of secrets. The same contract test runs on each store.
pub trait Store: Send {
    fn kind(&self) -> StoreKind;

    /// Its name in `config.toml`.
    fn id(&self) -> &'static str {
        self.kind().id()
    }

    /// # Errors
    /// `secret-not-found`, `secret-ambiguous`, or an error of the store.
    fn get(&self, name: &SecretName) -> Result<SecretItem>;

    /// Adds a secret, or replaces its value and restrictions.
    fn put(&self, name: &SecretName, item: &SecretItem) -> Result<()>;

    /// [`Self::put`] for several secrets, with as few writes as the store allows. Returns how many were
    /// stored, in their order, and why the next one was not.
    fn put_all(&self, items: &[(&SecretName, &SecretItem)]) -> (usize, Result<()>) {
        for (n, (name, item)) in items.iter().enumerate() {
            if let Err(error) = self.put(name, item) {
                return (n, Err(error));
            }
        }
        (items.len(), Ok(()))
    }

    /// Removes a secret and all its duplicates.
    ///
    /// # Errors
    /// `secret-not-found` if there is none.
    fn remove(&self, name: &SecretName) -> Result<()>;

    /// The names of all secrets, sorted. The master key is not among them.
    fn names(&self) -> Result<Vec<SecretName>>;

    /// The key from which [`Keys`] are derived; `None` before the first setup.
    fn master(&self) -> Result<Option<Secret>>;

    fn set_master(&self, master: &Secret) -> Result<()>;

    /// The head of the audit log when it was last stored here. Not a secret, but it reveals that the
    /// log was truncated.
    fn audit_head(&self) -> Result<Option<String>>;

    fn set_audit_head(&self, head: &str) -> Result<()>;

    /// Removes what this store keeps outside of mcpwrap's own directories.
    fn clear(&self) -> Result<()> {
        Ok(())
    }

    /// The master key and these secrets, with as few requests as the store allows.
    fn get_all(&self, names: &[SecretName]) -> Result<SecretBatch> {
        let master = self.master()?;
        let mut items = Vec::with_capacity(names.len());
        for name in names {
            items.push(match self.get(name) {
                Err(error)
                    if !matches!(error.code, Code::SecretNotFound | Code::SecretAmbiguous) =>
                {
                    return Err(error);
                }
                answer => answer,
            });
        }
        Ok(SecretBatch { master, items })
    }
}

impl fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.kind())
    }
}

/// One kind of store, and how to reach it.
#[derive(Debug)]
pub struct StoreBackend {
    pub kind: StoreKind,
    open: fn(&Dirs, &Config, Prompt) -> Result<Box<dyn Store>>,
    probe: fn(&Dirs, &Config) -> Result<()>,
}

/// All stores. A new one needs one line here and one file.
pub const STORES: &[StoreBackend] = &[
    StoreBackend {
        kind: StoreKind::Keychain,
        open: keychain::open,
        probe: keychain::probe,
    },
    StoreBackend {
        kind: StoreKind::File,
        open: file::open,
        probe: file::probe,
    },
];

/// Opens the configured store, for the directories that it belongs to.
pub fn open(dirs: &Dirs, config: &Config, prompt: Prompt) -> Result<Box<dyn Store>> {
    let store = open_anywhere(dirs, config, prompt)?;
    Ok(Box::new(home::HomeStore::new(store, dirs)))
}

/// Opens the configured store, even if it belongs to other directories. Only for sealing these.
pub fn open_anywhere(dirs: &Dirs, config: &Config, prompt: Prompt) -> Result<Box<dyn Store>> {
    (kind_of(config).open)(dirs, config, prompt)
}

/// Checks that the configured store is usable now without a prompt. Accesses no item.
pub fn probe(dirs: &Dirs, config: &Config) -> Result<()> {
    (kind_of(config).probe)(dirs, config)
}

fn kind_of(config: &Config) -> &'static StoreBackend {
    let mut all = STORES.iter();
    all.find(|kind| kind.kind == config.store)
        .expect("every kind of store is in the table")
}

/// The keys of this user.
///
/// # Errors
/// `not-set-up` if the store has no master key yet.
pub fn keys(store: &dyn Store) -> Result<Keys> {
    store
        .master()?
        .as_ref()
        .map(Keys::from_master)
        .ok_or_else(not_set_up)
}

/// The keys of this user. Creates the master key if there is none.
pub fn keys_or_create(store: &dyn Store) -> Result<Keys> {
    if let Some(master) = store.master()? {
        return Ok(Keys::from_master(&master));
    }
    let mut bytes = vec![0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(Code::FileUnusable, "cannot create a key")
            .cause(format!("no random bytes: {error}"))
    })?;
    let master = Secret::new(bytes);
    store.set_master(&master)?;
    // Read again: if another process was faster, its key is the valid one.
    keys(store)
}

fn not_set_up() -> Error {
    Error::new(Code::NotSetUp, "mcpwrap is not set up for this user")
        .cause("the store has no master key, which seals grants and the audit log")
        .hint("run `mcpwrap init` to create it")
}

/// A stored text that is not a secret.
fn text_of(kept: &Secret) -> String {
    String::from_utf8_lossy(kept.expose()).into_owned()
}

/// The error when a store returns a different value than was stored. `what`: what was not done.
pub fn value_differs(kind: StoreKind, name: &SecretName, what: impl Into<String>) -> Error {
    let code = match kind {
        StoreKind::Keychain => Code::StoreFailed,
        StoreKind::File => Code::StoreBroken,
    };
    Error::new(code, what).cause(format!(
        "{} returns a different value for `{name}` than was stored",
        kind.noun()
    ))
}

fn missing(name: &SecretName, kind: StoreKind) -> Error {
    Error::new(
        Code::SecretNotFound,
        format!("`secret:{name}` has no value"),
    )
    .cause(format!("{} has no `{name}`", kind.noun()))
    .hint(format!("run `mcpwrap secret set {name}` to store it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_only_its_own_store() {
        let name = SecretName::new("github/token").unwrap();
        for store in STORES {
            let noun = store.kind.noun();
            for error in [
                value_differs(store.kind, &name, "nothing was adopted"),
                missing(&name, store.kind),
            ] {
                let text = error.to_string();
                assert!(text.contains(noun), "{text}");
                let other = STORES.iter().filter(|other| other.kind != store.kind);
                for other in other {
                    assert!(!text.contains(other.kind.noun()), "{text}");
                }
            }
        }
    }
}
