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
use super::{Prompt, SecretBatch, SecretItem, Store, missing, text_of};
use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::{Secret, SecretName};

/// Larger vaults are refused (bytes): a thousand secrets of 64 KiB.
const VAULT_BYTES_MAX: u64 = 96 << 20;

/// The opened vault file.
struct FileStore {
    path: PathBuf,
    shown: String,
    identity: age::x25519::Identity,
}

/// Opens the vault with the key that is available without a prompt.
pub(super) fn open(dirs: &Dirs, config: &Config, _: Prompt) -> Result<Box<dyn Store>> {
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
pub(super) fn probe(dirs: &Dirs, config: &Config) -> Result<()> {
    open(dirs, config, Prompt::Never)?.names().map(drop)
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

impl Store for FileStore {
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
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn vault(home: &std::path::Path) -> (Dirs, Config) {
        let dirs = Dirs::under(home);
        let config = Config {
            key_file: Some("~/key".into()),
            ..Config::default()
        };
        assert!(vault_key::prepare_key_file(&dirs, &home.join("key")).unwrap());
        create_vault(&dirs, &config).unwrap();
        (dirs, config)
    }

    fn item(value: &[u8]) -> SecretItem {
        SecretItem {
            value: Secret::new(value.to_vec()),
            profile: None,
            expires: None,
        }
    }

    #[test]
    fn the_key_must_match_the_vault() {
        let home = tempfile::tempdir().unwrap();
        let (dirs, config) = vault(home.path());
        let name: SecretName = "a/b".parse().unwrap();
        open(&dirs, &config, Prompt::Never)
            .unwrap()
            .put(&name, &item(b"value-one"))
            .unwrap();
        // A second setup changes nothing.
        assert!(!vault_key::prepare_key_file(&dirs, &home.path().join("key")).unwrap());
        create_vault(&dirs, &config).unwrap();
        let store = open(&dirs, &config, Prompt::Never).unwrap();
        assert_eq!(store.get(&name).unwrap(), item(b"value-one"));

        let other = Config {
            key_file: Some("~/other".into()),
            ..Config::default()
        };
        let missing = open(&dirs, &other, Prompt::Never).unwrap_err();
        assert_eq!(missing.code, Code::StoreBroken);
        let path = home.path().join("other");
        assert!(
            vault_key::prepare_key_file(&dirs, &path).is_err(),
            "a new key cannot fit"
        );
        vault_key::prepare_key_file(&Dirs::under(&home.path().join("else")), &path).unwrap();
        let store = open(&dirs, &other, Prompt::Never).unwrap();
        let error = store.get(&name).unwrap_err();
        assert_eq!(error.code, Code::StoreBroken);
        assert!(error.to_string().contains("another key"), "{error}");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let (dirs, config) = vault(home.path());
        let readable = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(home.path().join("key"), readable).unwrap();
        let error = open(&dirs, &config, Prompt::Never).unwrap_err();
        assert_eq!(error.code, Code::FileNotPrivate);
        assert!(error.to_string().contains("0640"), "{error}");
    }

    #[test]
    fn a_damaged_vault_is_an_error_and_is_not_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let (dirs, config) = vault(home.path());
        let name: SecretName = "a".parse().unwrap();
        open(&dirs, &config, Prompt::Never)
            .unwrap()
            .put(&name, &item(b"value-one"))
            .unwrap();
        let whole = std::fs::read(dirs.vault_file()).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for bytes in [
            &whole[..0],
            &whole[..whole.len() / 2],
            &whole[..whole.len() - 1],
            &flipped,
        ] {
            files::replace(&dirs.vault_file(), bytes).unwrap();
            let store = open(&dirs, &config, Prompt::Never).unwrap();
            assert_eq!(store.get(&name).unwrap_err().code, Code::StoreBroken);
            assert_eq!(
                store.put(&name, &item(b"x")).unwrap_err().code,
                Code::StoreBroken
            );
            assert!(create_vault(&dirs, &config).is_err());
            assert_eq!(std::fs::read(dirs.vault_file()).unwrap(), bytes);
        }
    }

    #[test]
    fn without_a_vault_the_hint_is_init() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let error = open(&dirs, &Config::default(), Prompt::Never).unwrap_err();
        assert_eq!(error.code, Code::StoreAbsent);
    }

    #[test]
    fn twenty_writers_lose_nothing() {
        let home = tempfile::tempdir().unwrap();
        let (dirs, config) = vault(home.path());
        std::thread::scope(|scope| {
            for n in 0..20 {
                let (dirs, config) = (&dirs, &config);
                scope.spawn(move || {
                    let name = SecretName::new(&format!("n{n}")).unwrap();
                    let store = open(dirs, config, Prompt::Never).unwrap();
                    store.put(&name, &item(b"value-one")).unwrap();
                });
            }
        });
        assert_eq!(
            open(&dirs, &config, Prompt::Never)
                .unwrap()
                .names()
                .unwrap()
                .len(),
            20
        );
    }

    #[test]
    fn a_passphrase_opens_the_vault_until_it_is_locked() {
        let home = tempfile::tempdir().unwrap();
        let (dirs, config) = (Dirs::under(home.path()), Config::default());
        let passphrase = Secret::new(b"correct horse".to_vec());
        if vault_key::prepare_passphrase(&dirs, &passphrase).is_err() {
            return; // A container without access to the kernel keyring: the error is tested elsewhere.
        }
        create_vault(&dirs, &config).unwrap();
        assert!(
            vault_key::prepare_passphrase(&dirs, &passphrase).is_err(),
            "not twice"
        );
        assert!(vault_key::lock(&dirs).unwrap());
        let locked = open(&dirs, &config, Prompt::Never).unwrap_err();
        assert_eq!(locked.code, Code::StoreLocked);
        let wrong = vault_key::unlock(&dirs, &Secret::new(b"wrong".to_vec())).unwrap_err();
        assert!(wrong.to_string().contains("wrong passphrase"), "{wrong}");
        vault_key::unlock(&dirs, &passphrase).unwrap();
        assert_eq!(
            open(&dirs, &config, Prompt::Never)
                .unwrap()
                .master()
                .unwrap(),
            None
        );
        assert!(vault_key::lock(&dirs).unwrap());
    }
}
