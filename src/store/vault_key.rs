//! The key of the vault file: where it is, how strong that is, making one, unlocking and locking.
//!
//! The vault is encrypted to one X25519 identity. *Always* exactly one of three keeps it: a key
//! file, a systemd credential, or `vault-identity.age`, which a passphrase (scrypt) opens into the
//! kernel keyring. *Never* hashes a password during a launch: that is what `unlock` is for.

use std::io::{Read as _, Write as _};
use std::iter;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret as _, SecretString};
use age::x25519::Identity;
use age::{DecryptError, Decryptor, Encryptor};
use zeroize::Zeroizing;

use super::kernel_key;
use crate::config::Config;
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::{Secret, hex};

/// The name of the systemd credential that holds the key: `LoadCredentialEncrypted=mcpwrap-key:…`.
const CREDENTIAL: &str = "mcpwrap-key";
/// 2^18, about a second: what the `age` program uses too.
const SCRYPT_LOG_N: u8 = 18;
/// Work beyond this is refused: such a file was not made by us (about 16 seconds).
const SCRYPT_LOG_N_MAX: u8 = 22;

/// Who keeps the key of the vault file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// `key_file` in `config.toml`.
    KeyFile(PathBuf),
    /// A file in `$CREDENTIALS_DIRECTORY`, put there by systemd.
    Credential(PathBuf),
    /// The identity that a passphrase opens.
    Passphrase(PathBuf),
}

impl KeySource {
    /// The source that is in use.
    ///
    /// # Errors
    /// `vault-absent` if there is none.
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

    /// What keeps the key, in a few words.
    pub fn describe(&self, dirs: &Dirs) -> String {
        match self {
            Self::KeyFile(path) => format!("key file `{}`", dirs.tilde(path)),
            Self::Credential(path) => format!("systemd credential `{}`", path.display()),
            Self::Passphrase(_) => {
                "passphrase, in the kernel keyring after `mcpwrap unlock`".into()
            }
        }
    }

    /// How much that protects against, in one sentence.
    pub const fn strength(&self) -> &'static str {
        match self {
            Self::KeyFile(_) => {
                "as strong as the key file is kept: whoever reads it, or a backup of it, together \
                 with the vault has every secret"
            }
            Self::Credential(_) => {
                "as strong as systemd keeps the credential: encrypted with the host's key or TPM \
                 at rest, readable by this service while it runs"
            }
            Self::Passphrase(_) => {
                "at rest as strong as the passphrase (scrypt, 2^18); while unlocked, every program \
                 of this user can read the key"
            }
        }
    }

    /// Whether the key can be had without asking anybody.
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
            // systemd shows a credential to the service's user by an ACL, as mode 0440.
            Self::Credential(path) => read_identity(path, &dirs.tilde(path), 0o007),
            Self::Passphrase(path) => {
                let key = kernel_key::get(&description(path))?.ok_or_else(|| {
                    Error::new(Code::VaultLocked, "the vault file is locked")
                        .cause("its passphrase was not entered since `mcpwrap lock` or the last reboot")
                        .hint("`mcpwrap unlock` asks for it")
                })?;
                parse_identity(key.expose()).ok_or_else(|| {
                    Error::new(Code::VaultLocked, "the vault file is locked")
                        .cause("the kernel keyring holds something else in the place of its key")
                        .hint("`mcpwrap unlock` puts the key there")
                })
            }
        }
    }
}

pub(super) fn absent(dirs: &Dirs) -> Error {
    let path = dirs.vault_file();
    Error::new(Code::VaultAbsent, "there is no vault file yet")
        .cause(format!(
            "`{}` does not exist, or nothing that could open it",
            dirs.tilde(&path)
        ))
        .hint("`mcpwrap init --store file` makes one")
}

/// Uses the key in a key file, or makes a new one there (0600). Says whether it is new.
pub fn prepare_key_file(dirs: &Dirs, path: &Path) -> Result<bool> {
    let shown = dirs.tilde(path);
    if path.symlink_metadata().is_ok() {
        return read_identity(path, &shown, 0o077).map(|_| false);
    }
    if dirs.vault_file().symlink_metadata().is_ok() {
        // A new key could not open it, and would stand where the right one belongs.
        return Err(Error::new(Code::VaultBroken, "no key file made")
            .cause(format!(
                "`{shown}` does not exist, and the vault file `{}` was encrypted for another key",
                dirs.tilde(&dirs.vault_file())
            ))
            .hint("put the key file back from where it is kept"));
    }
    let identity = Identity::generate();
    let public = identity.to_public();
    let text = Zeroizing::new(format!(
        "# The key of mcpwrap's vault file. Keep it out of backups that hold the vault.\n\
         # public key: {public}\n{}\n",
        identity.to_string().expose_secret()
    ));
    files::replace(path, text.as_bytes()).map_err(|problem| {
        problem.explain(Code::FileUnusable, "cannot write the key file", &shown)
    })?;
    Ok(true)
}

/// Makes the identity that this passphrase opens, and leaves it unlocked.
///
/// # Errors
/// `vault-broken` if there is one already: it would make the vault unreadable.
pub fn prepare_passphrase(dirs: &Dirs, passphrase: &Secret) -> Result<()> {
    let path = dirs.vault_identity();
    let shown = dirs.tilde(&path);
    if path.symlink_metadata().is_ok() {
        return Err(Error::new(Code::VaultBroken, "no new passphrase set")
            .cause(format!(
                "`{shown}` exists already, and the vault file depends on it"
            ))
            .hint("`mcpwrap unlock` asks for the passphrase that it was made with"));
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
            "cannot write the vault's identity",
            &shown,
        )
    })
}

/// Opens the identity with the passphrase and puts it into the kernel keyring.
pub fn unlock(dirs: &Dirs, passphrase: &Secret) -> Result<()> {
    let path = dirs.vault_identity();
    let shown = dirs.tilde(&path);
    let sealed = files::read_private(&path).map_err(|problem| match problem {
        Problem::Missing => absent(dirs),
        other => other.explain(Code::VaultBroken, "the vault file stays locked", &shown),
    })?;
    let mut opener = age::scrypt::Identity::new(text_of(passphrase)?);
    opener.set_max_work_factor(SCRYPT_LOG_N_MAX);
    let identity = decrypt(&opener, &sealed).map_err(|error| match error {
        DecryptError::NoMatchingKeys
        | DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed => {
            Error::new(Code::VaultLocked, "the vault file stays locked")
                .cause("that is not its passphrase")
                .hint("`mcpwrap unlock` asks again")
        }
        other => broken(&shown, &other),
    })?;
    let identity = Secret::new(identity.to_vec());
    if parse_identity(identity.expose()).is_none() {
        return Err(broken(&shown, &DecryptError::UnknownFormat));
    }
    kernel_key::put(&description(&path), &identity)
}

/// Takes the key out of the kernel keyring. Says whether it was there.
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

/// Decrypts with one identity. No copy of the plaintext is left in memory.
pub(super) fn decrypt(
    identity: &impl age::Identity,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let decryptor = Decryptor::new_buffered(sealed)?;
    let mut reader = decryptor.decrypt(iter::once(identity as &dyn age::Identity))?;
    // The plaintext is shorter than the file, so that this never grows, which would leave a copy.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.read_to_end(&mut plain)?;
    Ok(plain)
}

/// A file of the vault that cannot be decrypted.
pub(super) fn broken(shown: &str, error: &DecryptError) -> Error {
    let fact = match error {
        DecryptError::NoMatchingKeys => "it was encrypted for another key",
        DecryptError::ExcessiveWork { .. } => "its scrypt work factor exceeds the limit",
        DecryptError::UnknownFormat | DecryptError::InvalidHeader => "it is not a vault of mcpwrap",
        _ => "it is damaged",
    };
    Error::new(Code::VaultBroken, "cannot open the vault file")
        .cause(format!("`{shown}`: {fact}"))
        .hint("put the file and its key back from a backup")
}

fn read_identity(path: &Path, shown: &str, forbidden: u32) -> Result<Identity> {
    let what = "cannot open the vault file";
    let explain = |problem: Problem| {
        let hint = "put the key file back from where it is kept";
        match problem {
            Problem::Missing => problem.explain(Code::VaultBroken, what, shown).hint(hint),
            other => other.explain(Code::VaultBroken, what, shown),
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
                "`{shown}`: other users can read the key: its mode is {mode:04o}"
            ))
            .hint(format!(
                "`chmod 600 {shown}`, and consider the key known to them"
            )));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(4096)
        .read_to_end(&mut bytes)
        .map_err(|error| explain(error.into()))?;
    parse_identity(&bytes).ok_or_else(|| {
        Error::new(Code::VaultBroken, what)
            .cause(format!(
                "`{shown}` holds no key (a line that starts with `AGE-SECRET-KEY-1`)"
            ))
            .hint("name another file in `key_file`, or a new one with `mcpwrap init`")
    })
}

/// The first line that is neither empty nor a comment, as in the files of `age-keygen`.
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
        Error::new(Code::SecretUnusable, "that passphrase cannot be used").cause("it is not UTF-8")
    })?;
    if text.is_empty() {
        return Err(
            Error::new(Code::SecretWeak, "that passphrase cannot be used").cause("it is empty"),
        );
    }
    Ok(SecretString::from(text))
}

/// The name in the kernel keyring: one for each vault, since tests and users have several.
fn description(identity: &Path) -> String {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(identity.as_os_str().as_encoded_bytes());
    format!("mcpwrap:vault:{}", hex(digest.get(..8).unwrap_or_default()))
}
