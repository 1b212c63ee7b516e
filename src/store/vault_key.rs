//! The key of the vault file: its source and strength, creating, unlocking and locking it.
//!
//! The vault is encrypted to one X25519 identity. Its source is a key file, a systemd credential, or
//! `vault-identity.age`, which a passphrase (scrypt) decrypts into the kernel keyring.
//!
//! Invariant: a launch never hashes a passphrase; only `unlock` does.

use std::io::{Read as _, Write as _};
use std::iter;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret as _, SecretString};
use age::x25519::Identity;
use age::{DecryptError, Decryptor, Encryptor};
use zeroize::Zeroizing;

use super::kernel_key;
use crate::config::{Config, StoreKind};
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::{Secret, hex};

/// The name of the systemd credential that holds the key: `LoadCredentialEncrypted=mcpwrap-key:…`.
const CREDENTIAL: &str = "mcpwrap-key";
/// 2^18 (about 1 s), as the `age` program uses.
const SCRYPT_LOG_N: u8 = 18;
/// A higher work factor (more than about 16 s) is refused: mcpwrap did not create such a file.
const SCRYPT_LOG_N_MAX: u8 = 22;

/// The source of the vault file's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// `key_file` in `config.toml`.
    KeyFile(PathBuf),
    /// A file that systemd puts into `$CREDENTIALS_DIRECTORY`.
    Credential(PathBuf),
    /// The identity that a passphrase decrypts.
    Passphrase(PathBuf),
}

impl KeySource {
    /// The source that is in use.
    ///
    /// # Errors
    /// `store-absent` if there is none.
    pub fn find(dirs: &Dirs, config: &Config) -> Result<Self> {
        if let Some(path) = config.key_file(dirs) {
            return Ok(Self::KeyFile(path));
        }
        let credential = dirs::credentials_directory().map(|dir| dir.join(CREDENTIAL));
        if let Some(path) = credential.filter(|path| path.exists()) {
            return Ok(Self::Credential(path));
        }
        let path = dirs.vault_identity();
        if path.exists() {
            return Ok(Self::Passphrase(path));
        }
        Err(absent(dirs))
    }

    /// A short description of the source.
    pub fn describe(&self, dirs: &Dirs) -> String {
        match self {
            Self::KeyFile(path) => format!("key file `{}`", dirs.tilde(path)),
            Self::Credential(path) => format!("systemd credential `{}`", path.display()),
            Self::Passphrase(_) => {
                "passphrase, in the kernel keyring after `mcpwrap unlock`".into()
            }
        }
    }

    /// How well the source protects the key, in one sentence.
    pub const fn strength(&self) -> &'static str {
        match self {
            Self::KeyFile(_) => {
                "as strong as the protection of the key file: anyone who reads it, or a backup of it, \
                 together with the vault can read every secret"
            }
            Self::Credential(_) => {
                "as strong as systemd's protection of the credential: encrypted with the host's key or TPM \
                 at rest, readable by this service while it runs"
            }
            Self::Passphrase(_) => {
                "at rest as strong as the passphrase (scrypt, 2^18); while unlocked, every program \
                 of this user can read the key"
            }
        }
    }

    /// Whether the key is available without a prompt.
    pub fn is_unlocked(&self) -> Result<bool> {
        match self {
            Self::KeyFile(path) | Self::Credential(path) => Ok(path.exists()),
            Self::Passphrase(path) => Ok(kernel_key::get(&description(path))?.is_some()),
        }
    }

    /// The key itself.
    pub(super) fn identity(&self, dirs: &Dirs) -> Result<Identity> {
        match self {
            Self::KeyFile(path) => read_identity(path, &dirs.tilde(path), 0o077),
            // systemd gives the service's user access by an ACL, which shows as mode 0440.
            Self::Credential(path) => read_identity(path, &dirs.tilde(path), 0o007),
            Self::Passphrase(path) => {
                let key = kernel_key::get(&description(path))?.ok_or_else(|| {
                    Error::new(Code::StoreLocked, "the vault file is locked")
                        .of_store(StoreKind::File)
                        .cause(
                            "its passphrase was not entered since `mcpwrap lock` or the last boot",
                        )
                        .hint("run `mcpwrap unlock` to enter it")
                })?;
                parse_identity(key.expose()).ok_or_else(|| {
                    Error::new(Code::StoreLocked, "the vault file is locked")
                        .of_store(StoreKind::File)
                        .cause("the entry in the kernel keyring is not a vault key")
                        .hint("run `mcpwrap unlock` to replace it")
                })
            }
        }
    }
}

pub(super) fn absent(dirs: &Dirs) -> Error {
    let path = dirs.vault_file();
    Error::new(Code::StoreAbsent, "cannot open the vault file")
        .of_store(StoreKind::File)
        .cause(format!("`{}` or its key does not exist", dirs.tilde(&path)))
        .hint("run `mcpwrap init --store file` to create it")
}

/// Uses the key in a key file, or creates the file (mode 0600). Returns whether it is new.
pub fn prepare_key_file(dirs: &Dirs, path: &Path) -> Result<bool> {
    let shown = dirs.tilde(path);
    if path.symlink_metadata().is_ok() {
        return read_identity(path, &shown, 0o077).map(|_| false);
    }
    if dirs.vault_file().symlink_metadata().is_ok() {
        // A new key could not open the vault, and would take the place of the right one.
        return Err(Error::new(Code::StoreBroken, "cannot create a key file")
            .of_store(StoreKind::File)
            .cause(format!(
                "`{shown}` does not exist, and the vault file `{}` was encrypted for another key",
                dirs.tilde(&dirs.vault_file())
            ))
            .hint("restore the key file from a backup"));
    }
    let identity = Identity::generate();
    let public = identity.to_public();
    let text = Zeroizing::new(format!(
        "# The key of mcpwrap's vault file. Keep it out of backups that contain the vault.\n\
         # public key: {public}\n{}\n",
        identity.to_string().expose_secret()
    ));
    files::replace(path, text.as_bytes()).map_err(|problem| {
        problem.explain(Code::FileUnusable, "cannot write the key file", &shown)
    })?;
    Ok(true)
}

/// Creates the identity that this passphrase decrypts, and leaves it unlocked.
///
/// # Errors
/// `store-broken` if there is one already: a new one would make the vault unreadable.
pub fn prepare_passphrase(dirs: &Dirs, passphrase: &Secret) -> Result<()> {
    let path = dirs.vault_identity();
    let shown = dirs.tilde(&path);
    if path.symlink_metadata().is_ok() {
        return Err(Error::new(Code::StoreBroken, "cannot set a new passphrase")
            .of_store(StoreKind::File)
            .cause(format!(
                "`{shown}` already exists, and the vault file needs it"
            ))
            .hint("run `mcpwrap unlock` with the passphrase it was created with"));
    }
    let identity = Identity::generate().to_string();
    let mut recipient = age::scrypt::Recipient::new(text_of(passphrase)?);
    recipient.set_work_factor(SCRYPT_LOG_N);
    let sealed = encrypt(&recipient, identity.expose_secret().as_bytes());
    kernel_key::put(
        &description(&path),
        &Secret::new(identity.expose_secret().into()),
    )?;
    files::replace(&path, &sealed).map_err(|problem| {
        problem.explain(
            Code::FileUnusable,
            "cannot write the key of the vault file",
            &shown,
        )
    })
}

/// Decrypts the identity with the passphrase and stores it in the kernel keyring.
pub fn unlock(dirs: &Dirs, passphrase: &Secret) -> Result<()> {
    let path = dirs.vault_identity();
    let shown = dirs.tilde(&path);
    let sealed = files::read_private(&path).map_err(|problem| match problem {
        Problem::Missing => absent(dirs),
        other => other.explain(Code::StoreBroken, "cannot unlock the vault file", &shown),
    })?;
    let mut opener = age::scrypt::Identity::new(text_of(passphrase)?);
    opener.set_max_work_factor(SCRYPT_LOG_N_MAX);
    let identity = decrypt(&opener, &sealed).map_err(|error| match error {
        DecryptError::NoMatchingKeys
        | DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed => {
            Error::new(Code::StoreLocked, "cannot unlock the vault file")
                .of_store(StoreKind::File)
                .cause("wrong passphrase")
                .hint("run `mcpwrap unlock` to try again")
        }
        other => broken(&shown, &other),
    })?;
    let identity = Secret::new(identity.to_vec());
    if parse_identity(identity.expose()).is_none() {
        return Err(broken(&shown, &DecryptError::UnknownFormat));
    }
    kernel_key::put(&description(&path), &identity)
}

/// Removes the key from the kernel keyring. Returns whether it was there.
pub fn lock(dirs: &Dirs) -> Result<bool> {
    kernel_key::remove(&description(&dirs.vault_identity()))
}

/// Encrypts to one recipient.
pub(super) fn encrypt(recipient: &impl age::Recipient, plain: &[u8]) -> Vec<u8> {
    let encryptor = Encryptor::with_recipients(iter::once(recipient as &dyn age::Recipient))
        .expect("one recipient of our own making is always accepted");
    let mut sealed = Vec::with_capacity(plain.len() + 1024);
    encryptor
        .wrap_output(&mut sealed)
        .and_then(|mut writer| {
            writer.write_all(plain)?;
            writer.finish()
        })
        .expect("writing to memory does not fail");
    sealed
}

/// Decrypts with one identity. Leaves no copy of the plaintext in memory.
pub(super) fn decrypt(
    identity: &impl age::Identity,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let decryptor = Decryptor::new_buffered(sealed)?;
    let mut reader = decryptor.decrypt(iter::once(identity as &dyn age::Identity))?;
    // The plaintext is shorter than the file, so the buffer never grows, which would leave a copy.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.read_to_end(&mut plain)?;
    Ok(plain)
}

/// The error for a file of the vault that cannot be decrypted.
pub(super) fn broken(shown: &str, error: &DecryptError) -> Error {
    let fact = match error {
        DecryptError::NoMatchingKeys => "encrypted for another key",
        DecryptError::ExcessiveWork { .. } => "its scrypt work factor exceeds the limit",
        DecryptError::UnknownFormat | DecryptError::InvalidHeader => "not a vault file of mcpwrap",
        _ => "damaged",
    };
    Error::new(Code::StoreBroken, "cannot open the vault file")
        .of_store(StoreKind::File)
        .cause(format!("`{shown}`: {fact}"))
        .hint("restore the file and its key from a backup")
}

fn read_identity(path: &Path, shown: &str, forbidden: u32) -> Result<Identity> {
    let what = "cannot open the vault file";
    let explain = |problem: Problem| {
        let hint = "restore the key file from a backup";
        match problem {
            Problem::Missing => problem.explain(Code::StoreBroken, what, shown).hint(hint),
            other => other.explain(Code::StoreBroken, what, shown),
        }
    };
    let file = files::open_private(path).map_err(explain)?;
    let mode = file
        .metadata()
        .map_err(|error| explain(error.into()))?
        .mode()
        & 0o7777;
    if mode & forbidden != 0 {
        return Err(Error::new(Code::FileNotPrivate, what)
            .cause(format!(
                "`{shown}`: readable by other users (mode {mode:04o})"
            ))
            .hint(format!(
                "run `chmod 600 {shown}`, and assume that they know the key"
            )));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(4096)
        .read_to_end(&mut bytes)
        .map_err(|error| explain(error.into()))?;
    parse_identity(&bytes).ok_or_else(|| {
        Error::new(Code::StoreBroken, what)
            .of_store(StoreKind::File)
            .cause(format!(
                "`{shown}`: no key found (a line that starts with `AGE-SECRET-KEY-1`)"
            ))
            .hint("set `key_file` to another file, or run `mcpwrap init` to create one")
    })
}

/// Parses the first line that is neither empty nor a comment, as in files of `age-keygen`.
fn parse_identity(bytes: &[u8]) -> Option<Identity> {
    let text = std::str::from_utf8(bytes).ok()?;
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    line?.parse().ok()
}

fn text_of(passphrase: &Secret) -> Result<SecretString> {
    let text = std::str::from_utf8(passphrase.expose()).map_err(|_| {
        Error::new(Code::SecretUnusable, "cannot use this passphrase").cause("not UTF-8")
    })?;
    if text.is_empty() {
        return Err(Error::new(Code::SecretWeak, "cannot use this passphrase").cause("empty"));
    }
    Ok(SecretString::from(text))
}

/// The name in the kernel keyring, one per vault, because tests and users have several.
fn description(identity: &Path) -> String {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(identity.as_os_str().as_encoded_bytes());
    format!("mcpwrap:vault:{}", hex(digest.get(..8).unwrap_or_default()))
}
