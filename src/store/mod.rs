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
mod leftovers;
mod local;
pub mod own_items;
pub mod source;
pub mod types;
mod vault_server;
pub mod waits;
mod keychain;
mod vault;
mod vault_key;

pub use file::create_vault;
pub use home::{check_named as check_home, seal as seal_home};
pub use index::{Exposure, Index, read_facts, update_locked};
pub use keychain::credential_store;
pub use local::{
    KeyStore, NewKey, Passphrase, SecretStore, Store, StoreBackend, StoreKey, Unlocked,
};
pub use vault_key::{KeySource, lock, prepare_key_file};

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

impl SecretItem {
    /// A value without restrictions.
    pub const fn plain(value: Secret) -> Self {
        Self {
            value,
            profile: None,
            expires: None,
        }
    }
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

/// All local stores. A new one needs one line here and one file.
pub const STORES: &[StoreBackend] = &[keychain::BACKEND, file::BACKEND];

/// The row of a kind.
pub fn backend(kind: StoreKind) -> &'static StoreBackend {
    let mut all = STORES.iter();
    all.find(|backend| backend.kind == kind)
        .expect("every kind of store is in the table")
}

/// Creates what a store of this kind needs, and returns the configuration that names it, not saved yet.
///
/// # Errors
/// `usage` for a key that the store does not need; those of the store.
pub fn set_up(dirs: &Dirs, old: &Config, kind: StoreKind, key: &mut NewKey<'_>) -> Result<Config> {
    let mut config = Config {
        store: kind,
        ..old.clone()
    };
    (backend(kind).set_up)(dirs, &mut config, key)?;
    Ok(config)
}

/// Makes the configured store usable without a prompt. The closure asks for its passphrase.
///
/// # Errors
/// `usage` if mcpwrap does not unlock this kind; those of the store.
pub fn unlock(dirs: &Dirs, config: &Config, passphrase: &mut Passphrase<'_>) -> Result<Unlocked> {
    (backend(config.store).unlock)(dirs, config, passphrase)
}

/// The key that mcpwrap must have to read the configured store, if there is one.
///
/// # Errors
/// `store-absent` if the store needs one and there is none.
pub fn key(dirs: &Dirs, config: &Config) -> Result<Option<StoreKey>> {
    (backend(config.store).key)(dirs, config)
}

/// Whether a few bytes can be written to the configured store within milliseconds and without a prompt.
pub fn writes_quickly(dirs: &Dirs, config: &Config) -> bool {
    (backend(config.store).writes_quickly)(dirs)
}

/// Opens the configured store, for the directories that it belongs to.
pub fn open(dirs: &Dirs, config: &Config, prompt: Prompt) -> Result<Box<dyn Store>> {
    let store = open_anywhere(dirs, config, prompt)?;
    Ok(Box::new(home::HomeStore::new(store, dirs)))
}

/// Opens the configured store, even if it belongs to other directories. Only for sealing these.
pub fn open_anywhere(dirs: &Dirs, config: &Config, prompt: Prompt) -> Result<Box<dyn Store>> {
    (backend(config.store).open)(dirs, config, prompt)
}

/// Checks that the configured store is usable now without a prompt. Accesses no item.
pub fn probe(dirs: &Dirs, config: &Config) -> Result<()> {
    (backend(config.store).probe)(dirs, config)
}

/// The keys of this user.
///
/// # Errors
/// `not-set-up` if the store has no master key yet.
pub fn keys(store: &dyn KeyStore) -> Result<Keys> {
    store
        .master()?
        .as_ref()
        .map(Keys::from_master)
        .ok_or_else(not_set_up)
}

/// The keys of this user. Creates the master key if there is none.
pub fn keys_or_create(store: &dyn KeyStore) -> Result<Keys> {
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
    let backend = backend(kind);
    Error::new(backend.differs, what).cause(format!(
        "{} returns a different value for `{name}` than was stored",
        backend.noun
    ))
}

fn missing(name: &SecretName, kind: StoreKind) -> Error {
    Error::new(
        Code::SecretNotFound,
        format!("`secret:{name}` has no value"),
    )
    .cause(format!("{} has no `{name}`", backend(kind).noun))
    .hint(format!("run `mcpwrap secret set {name}` to store it"))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_kind_has_a_row() {
        for kind in StoreKind::value_variants() {
            assert_eq!(STORES.iter().filter(|row| row.kind == *kind).count(), 1);
        }
    }

    #[test]
    fn a_message_names_only_its_own_store() {
        let name = SecretName::new("github/token").unwrap();
        for store in STORES {
            let noun = store.noun;
            for error in [
                value_differs(store.kind, &name, "nothing was adopted"),
                missing(&name, store.kind),
            ] {
                let text = error.to_string();
                assert!(text.contains(noun), "{text}");
                let other = STORES.iter().filter(|other| other.kind != store.kind);
                for other in other {
                    assert!(!text.contains(other.noun), "{text}");
                }
            }
        }
    }
}
