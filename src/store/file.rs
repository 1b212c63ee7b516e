//! The `file` store: one encrypted file, for machines without a keychain.
//!
//! Invariants: the file is replaced atomically and under a lock, so that a reader sees the old secrets
//! or the new ones. No secret is written in plaintext, and no copy of the decrypted text stays in
//! memory.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::brief;
use super::vault::{Base64Value, Content, VaultItem};
use super::vault_key::{self, KeySource};
use super::{
    KeyStore, NewKey, Passphrase, Prompt, SecretBatch, SecretItem, SecretStore, Store,
    StoreBackend, StoreKey, Unlocked, missing, text_of,
};
use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::{Secret, SecretName};

/// Larger vaults are refused (bytes): a thousand secrets of 64 KiB.
const VAULT_BYTES_MAX: u64 = 96 << 20;

/// A larger vault is not rewritten for the head of the audit log alone (bytes).
const QUICK_BYTES_MAX: u64 = 1 << 20;

/// The vault file in the table of stores.
pub(super) const BACKEND: StoreBackend = StoreBackend {
    kind: StoreKind::File,
    noun: "the vault file",
    differs: Code::StoreBroken,
    is_outside: false,
    is_quick: true,
    open,
    probe,
    set_up,
    unlock,
    key,
    writes_quickly: |dirs| {
        std::fs::metadata(dirs.vault_file()).is_ok_and(|meta| meta.len() <= QUICK_BYTES_MAX)
    },
};

/// The opened vault file.
struct FileStore {
    path: PathBuf,
    shown: String,
    identity: age::x25519::Identity,
}

/// Opens the vault with the key that is available without a prompt.
fn open(dirs: &Dirs, config: &Config, _: Prompt) -> Result<Box<dyn Store>> {
    let source = KeySource::find(dirs, config)?;
    let path = dirs.vault_file();
    let shown = dirs.tilde(&path);
    Ok(Box::new(FileStore {
        path,
        shown,
        identity: source.identity(dirs)?,
    }))
}

/// Checks that the vault exists and its key is available without a prompt.
fn probe(dirs: &Dirs, config: &Config) -> Result<()> {
    open(dirs, config, Prompt::Never)?.names().map(drop)
}

/// Creates the key if it is missing, and the vault.
fn set_up(dirs: &Dirs, config: &mut Config, key: &mut NewKey<'_>) -> Result<()> {
    if let Some(path) = key.file {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        if vault_key::prepare_key_file(dirs, &path)? {
            (key.created)(&path);
        }
        config.key_file = Some(dirs.tilde(&path));
    }
    match KeySource::find(dirs, config) {
        Err(error) if error.code == Code::StoreAbsent => {
            vault_key::prepare_passphrase(dirs, &(key.passphrase)()?)?;
        }
        other => drop(other?),
    }
    create_vault(dirs, config)
}

fn unlock(dirs: &Dirs, config: &Config, passphrase: &mut Passphrase<'_>) -> Result<Unlocked> {
    let source = KeySource::find(dirs, config)?;
    if !matches!(source, KeySource::Passphrase(_)) {
        let key = source.describe(dirs);
        return Ok(Unlocked::Already(format!("the key is the {key}")));
    }
    if source.is_unlocked()? {
        return Ok(Unlocked::Already(
            "the vault file is already unlocked".to_owned(),
        ));
    }
    vault_key::unlock(dirs, &passphrase()?)?;
    Ok(Unlocked::Now)
}

fn key(dirs: &Dirs, config: &Config) -> Result<Option<StoreKey>> {
    let source = KeySource::find(dirs, config)?;
    Ok(Some(StoreKey {
        description: source.describe(dirs),
        strength: source.strength(),
        file: match source {
            KeySource::KeyFile(path) => Some(path),
            KeySource::Credential(_) | KeySource::Passphrase(_) => None,
        },
    }))
}

/// Creates an empty vault for the available key, unless there is a vault already.
pub fn create_vault(dirs: &Dirs, config: &Config) -> Result<()> {
    let source = KeySource::find(dirs, config)?;
    let path = dirs.vault_file();
    let shown = dirs.tilde(&path);
    let store = FileStore {
        path,
        shown,
        identity: source.identity(dirs)?,
    };
    let lock = store.lock()?;
    if store.path.symlink_metadata().is_ok() {
        return store.read(|_| Ok(()));
    }
    store.write(&Content::default(), 1024)?;
    drop(lock);
    Ok(())
}

impl FileStore {
    fn lock(&self) -> Result<std::fs::File> {
        files::lock(&self.path.with_extension("lock")).map_err(|problem| self.unwritten(problem))
    }

    /// Decrypts the vault and passes its content to `answer`; the text is wiped afterwards.
    fn read<T>(&self, answer: impl FnOnce(Content<'_>) -> Result<T>) -> Result<T> {
        let plain = self.decrypt()?;
        answer(self.parse(&plain)?)
    }

    fn decrypt(&self) -> Result<Zeroizing<Vec<u8>>> {
        let sealed =
            files::read_private_up_to(&self.path, VAULT_BYTES_MAX).map_err(
                |problem| match problem {
                    Problem::Missing => Error::new(Code::StoreAbsent, "cannot open the vault file")
                        .of_store(StoreKind::File)
                        .cause(format!("`{}` does not exist", self.shown))
                        .hint("run `mcpwrap init --store file` to create it"),
                    other => {
                        other.explain(Code::StoreBroken, "cannot open the vault file", &self.shown)
                    }
                },
            )?;
        vault_key::decrypt(&self.identity, &sealed)
            .map_err(|error| vault_key::broken(&self.shown, &error))
    }

    fn parse<'a>(&self, plain: &'a [u8]) -> Result<Content<'a>> {
        Content::parse(plain).ok_or_else(|| self.damaged())
    }

    fn damaged(&self) -> Error {
        Error::new(Code::StoreBroken, "cannot open the vault file")
            .of_store(StoreKind::File)
            .cause(format!(
                "`{}` was written by another version of mcpwrap",
                self.shown
            ))
            .hint("use that version, or restore the file from a backup")
    }

    /// `bytes_max`: the text is not longer than this.
    fn write(&self, content: &Content<'_>, bytes_max: usize) -> Result<()> {
        let plain = content.text(bytes_max);
        let sealed = vault_key::encrypt(&self.identity.to_public(), &plain);
        files::replace(&self.path, &sealed).map_err(|problem| self.unwritten(problem))
    }

    fn unwritten(&self, problem: Problem) -> Error {
        let what = "cannot change the vault file";
        problem.explain(Code::FileUnusable, what, &self.shown)
    }

    /// Reads, changes and writes the vault under its lock. `bytes_new`: the most that is added.
    fn change(
        &self,
        bytes_new: usize,
        change: impl FnOnce(&mut Content<'_>) -> Result<()>,
    ) -> Result<()> {
        let lock = self.lock()?;
        let plain = self.decrypt()?;
        let mut content = self.parse(&plain)?;
        change(&mut content)?;
        self.write(&content, plain.len() + bytes_new + 1024)?;
        drop(lock);
        Ok(())
    }

    fn item(&self, content: &Content<'_>, name: &SecretName) -> Result<SecretItem> {
        let sealed = content
            .secrets
            .get(name)
            .ok_or_else(|| missing(name, StoreKind::File))?;
        sealed.item().ok_or_else(|| self.damaged())
    }

    fn master_of(&self, content: &Content<'_>) -> Result<Option<Secret>> {
        let Some(value) = &content.master else {
            return Ok(None);
        };
        value.secret().map(Some).ok_or_else(|| self.damaged())
    }
}

impl SecretStore for FileStore {
    fn kind(&self) -> StoreKind {
        StoreKind::File
    }

    fn get(&self, name: &SecretName) -> Result<SecretItem> {
        self.read(|content| self.item(&content, name))
    }

    fn put(&self, name: &SecretName, item: &SecretItem) -> Result<()> {
        self.put_all(&[(name, item)]).1
    }

    fn put_all(&self, items: &[(&SecretName, &SecretItem)]) -> (usize, Result<()>) {
        let values = items.iter().map(|(_, item)| Base64Value::new(&item.value));
        let values: Vec<_> = values.collect();
        // 512: the name and the fields around a value.
        let size = |value: &Base64Value<'_>| value.size() + 512;
        let size = values.iter().map(size).sum();
        let done = self.change(size, |content| {
            for ((name, item), value) in items.iter().zip(values) {
                content
                    .secrets
                    .insert((*name).clone(), VaultItem::new(value, item));
            }
            Ok(())
        });
        (if done.is_ok() { items.len() } else { 0 }, done)
    }

    fn remove(&self, name: &SecretName) -> Result<()> {
        self.change(0, |content| {
            content
                .secrets
                .remove(name)
                .map(drop)
                .ok_or_else(|| missing(name, StoreKind::File))
        })
    }

    fn names(&self) -> Result<Vec<SecretName>> {
        self.read(|content| Ok(content.secrets.keys().cloned().collect()))
    }
}

impl KeyStore for FileStore {
    fn master(&self) -> Result<Option<Secret>> {
        self.read(|content| self.master_of(&content))
    }

    fn set_master(&self, master: &Secret) -> Result<()> {
        let value = Base64Value::new(master);
        self.change(value.size(), |content| {
            content.master = Some(value);
            Ok(())
        })
    }

    fn audit_head(&self) -> Result<Option<String>> {
        self.read(|content| {
            let kept = content.audit_head.as_ref().and_then(Base64Value::secret);
            Ok(kept.as_ref().map(text_of))
        })
    }

    fn set_audit_head(&self, head: &str) -> Result<()> {
        let next = || {
            let plain = self.decrypt()?;
            let mut content = self.parse(&plain)?;
            let value = Base64Value::new(&Secret::new(head.into()));
            let bytes_max = plain.len() + value.size() + 1024;
            content.audit_head = Some(value);
            let text = content.text(bytes_max);
            Ok(vault_key::encrypt(&self.identity.to_public(), &text))
        };
        let busy = || Problem::Io(std::io::Error::other("another process uses it"));
        brief::replace(&self.path, next)?
            .and_then(|done| if done { Ok(()) } else { Err(busy()) })
            .map_err(|problem| self.unwritten(problem))
    }
}

impl Store for FileStore {
    fn get_all(&self, names: &[SecretName]) -> Result<SecretBatch> {
        self.read(|content| {
            let items = names.iter().map(|name| self.item(&content, name)).collect();
            Ok(SecretBatch {
                master: self.master_of(&content)?,
                items,
            })
        })
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
