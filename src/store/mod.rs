//! What keeps the secrets: the keychain, or one encrypted file.
//!
//! *Always* the one store that `config.toml` names: when it cannot be used, that is an error with
//! its own code, *never* a silent look into another store. *Always* bounded: a store that hangs
//! gives an answer after [`ANSWER_MS`] of waiting. *Never* shows a value. Values are bytes: 64 KiB,
//! `=`, quotes, newlines and bytes that are no text survive. The index beside the store holds names,
//! dates and fingerprints, so that listing touches no item.

mod file;
mod index;
mod kernel_key;
#[cfg(target_os = "linux")]
mod keychain;
#[cfg(target_os = "macos")]
#[path = "keychain_macos.rs"]
mod keychain;
mod vault;
mod vault_key;

pub use file::create_vault;
pub use index::Index;
pub use vault_key::{KeySource, lock, prepare_key_file, prepare_passphrase, unlock};

use std::fmt;

use jiff::civil::Date;

use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::secret::{Keys, ProfileName, Secret, SecretName};

/// How long a store may keep us waiting in all, between `open` and the last answer (milliseconds).
/// Below the 8 s within which a client gets its answer. A prompt has its own limit.
pub const ANSWER_MS: u64 = 6_000;

/// One secret with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretItem {
    pub value: Secret,
    /// The only profile whose runs may have it; without one, every run may.
    pub profile: Option<ProfileName>,
    pub expires: Option<Date>,
}

/// Whether the keychain may ask the user to unlock it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A locked keychain is an error at once.
    Never,
    /// The user is there to answer, and has a minute.
    Allowed,
}

/// The master key and several secrets, read in one go.
#[derive(Debug)]
pub struct SecretBatch {
    pub master: Option<Secret>,
    /// In the order of the names asked for. An error is about that one secret: it is missing, or
    /// there are two.
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

/// Something that keeps secrets. The same contract for each of them is under test.
pub trait Store: Send {
    fn kind(&self) -> StoreKind;

    /// Its word in `config.toml`.
    fn id(&self) -> &'static str {
        self.kind().id()
    }

    /// # Errors
    /// `secret-not-found`, `secret-ambiguous`, or what is wrong with the store.
    fn get(&self, name: &SecretName) -> Result<SecretItem>;

    /// Adds a secret, or replaces its value and all that belongs to it.
    fn put(&self, name: &SecretName, item: &SecretItem) -> Result<()>;

    /// Removes a secret, and every double of it.
    ///
    /// # Errors
    /// `secret-not-found` if there is none.
    fn remove(&self, name: &SecretName) -> Result<()>;

    /// The names of all secrets, sorted. The master key is not among them.
    fn names(&self) -> Result<Vec<SecretName>>;

    /// The key from which [`Keys`] are derived; `None` before the first set-up.
    fn master(&self) -> Result<Option<Secret>>;

    fn set_master(&self, master: &Secret) -> Result<()>;

    /// The last record of the audit log, when it was last written down here: no secret, but a cut
    /// of the log shows against it.
    fn audit_head(&self) -> Result<Option<String>>;

    fn set_audit_head(&self, head: &str) -> Result<()>;

    /// The master key and these secrets, with as few questions to the store as it allows.
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

/// Every store. Adding one is one line here and one file.
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

/// Opens the store that the configuration names.
pub fn open(dirs: &Dirs, config: &Config, prompt: Prompt) -> Result<Box<dyn Store>> {
    (kind_of(config).open)(dirs, config, prompt)
}

/// Whether that store could be used now without asking anybody, and if not, why. Touches no item.
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

/// The keys of this user, from a new master key if there is none yet.
pub fn keys_or_create(store: &dyn Store) -> Result<Keys> {
    if let Some(master) = store.master()? {
        return Ok(Keys::from_master(&master));
    }
    let mut bytes = vec![0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(Code::FileUnusable, "cannot create key")
            .cause(format!("no random bytes: {error}"))
    })?;
    let master = Secret::new(bytes);
    store.set_master(&master)?;
    // Read again: another process may have been first, and its key is the one that counts.
    keys(store)
}

fn not_set_up() -> Error {
    Error::new(Code::NotSetUp, "mcpwrap is not set up for this user")
        .cause("the store has no master key, which seals grants and the audit log")
        .hint("run `mcpwrap init` to create it")
}

/// What was kept as text and is no secret.
fn text_of(kept: &Secret) -> String {
    String::from_utf8_lossy(kept.expose()).into_owned()
}

/// A store that gave back something else than was put into it, so `what` was not done.
pub fn unfaithful(kind: StoreKind, name: &SecretName, what: impl Into<String>) -> Error {
    let code = match kind {
        StoreKind::Keychain => Code::KeychainFailed,
        StoreKind::File => Code::VaultBroken,
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
    fn a_message_names_the_store_that_it_is_about() {
        let name = SecretName::new("github/token").unwrap();
        for store in STORES {
            let noun = store.kind.noun();
            for error in [
                unfaithful(store.kind, &name, "nothing was adopted"),
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
