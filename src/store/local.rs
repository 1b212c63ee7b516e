//! The local store: where the user's secrets and mcpwrap's own keys are kept, and what the kinds of local
//! stores differ in.
//!
//! Invariant: what depends on the kind is in its [`StoreBackend`], so that a new kind is one file and one line.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Prompt, SecretBatch, SecretItem};
use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Result};
use crate::secret::{Secret, SecretName};

/// The secrets of the user.
pub trait SecretStore {
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

    /// The names of all secrets, sorted. The keys are not among them.
    fn names(&self) -> Result<Vec<SecretName>>;

    /// Removes what this store keeps outside of mcpwrap's own directories, keys included.
    fn clear(&self) -> Result<()> {
        Ok(())
    }
}

/// The keys of mcpwrap itself.
pub trait KeyStore {
    /// The key from which [`Keys`](crate::secret::Keys) are derived; `None` before the first setup.
    fn master(&self) -> Result<Option<Secret>>;

    fn set_master(&self, master: &Secret) -> Result<()>;

    /// The head of the audit log when it was last stored here. Not a secret, but it reveals that the
    /// log was truncated.
    fn audit_head(&self) -> Result<Option<String>>;

    fn set_audit_head(&self, head: &str) -> Result<()>;
}

/// A local store: secrets and keys. The same contract test runs on each kind.
pub trait Store: SecretStore + KeyStore + Send {
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

/// One kind of local store: how to reach it, and what differs from the others.
#[derive(Debug)]
pub struct StoreBackend {
    pub kind: StoreKind,
    /// The name in messages.
    pub noun: &'static str,
    /// The code of the error when it returns a different value than was stored.
    pub(super) differs: Code,
    /// Whether the secrets are outside of mcpwrap's own directories.
    pub is_outside: bool,
    /// Whether it can be read while a client waits for a refusal.
    pub is_quick: bool,
    pub(super) open: fn(&Dirs, &Config, Prompt) -> Result<Box<dyn Store>>,
    pub(super) probe: fn(&Dirs, &Config) -> Result<()>,
    /// Creates what the store needs, and adds to the configuration what leads to it.
    pub(super) set_up: fn(&Dirs, &mut Config, &mut NewKey<'_>) -> Result<()>,
    /// Makes the store usable without a prompt. The closure asks for the passphrase.
    pub(super) unlock: fn(&Dirs, &Config, &mut Passphrase<'_>) -> Result<Unlocked>,
    /// The key that mcpwrap must have to read the store, if there is one.
    pub(super) key: fn(&Dirs, &Config) -> Result<Option<StoreKey>>,
    /// Whether a few bytes can be written within milliseconds and without a prompt.
    pub(super) writes_quickly: fn(&Dirs) -> bool,
}

/// Asks the user for a passphrase.
pub type Passphrase<'a> = dyn FnMut() -> Result<Secret> + 'a;

/// How a store is to be created.
pub struct NewKey<'a> {
    /// The key file, created if missing. Without one, a passphrase is used.
    pub file: Option<&'a Path>,
    /// Whether a script provides the passphrase (`--from-stdin`).
    pub is_piped: bool,
    /// Asks for a new passphrase.
    pub passphrase: &'a mut Passphrase<'a>,
    /// Called with the path of a key file that was created.
    pub created: &'a mut dyn FnMut(&Path),
}

impl fmt::Debug for NewKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// The result of unlocking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlocked {
    Now,
    /// There was nothing to unlock, for this reason.
    Already(String),
}

/// The key of a store, as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreKey {
    pub description: String,
    /// How well it is protected, in one sentence.
    pub strength: &'static str,
    /// The file of the user that contains it.
    pub file: Option<PathBuf>,
}
