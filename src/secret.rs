//! Secrets, and the names of servers, profiles and secrets.
//!
//! Invariants: a value is never printed: `Secret` has no `Display`, and its `Debug` prints `…`.
//! `Secret::expose` is called only where a value must become bytes (launch, mask, stores); a test lists
//! the modules. Names are validated on creation: a `ServerName` is a valid file name, and a
//! `SecretName` is safe in a store, a log and a terminal.

use std::fmt;

pub use base16ct::lower::encode_string as hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// A value that must not be seen. Bytes in, bytes out; wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of the bytes. The caller wipes the buffer they were copied from.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The value itself. A test lists the modules that may call this.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether it contains a NUL byte, which an environment variable cannot contain.
    pub fn has_nul(&self) -> bool {
        self.0.contains(&0)
    }

    /// Whether it begins with this text, by which providers mark kinds of keys.
    pub fn starts_with(&self, text: &str) -> bool {
        self.0.starts_with(text.as_bytes())
    }

    /// Whether the value is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A short keyed hash that tells two values apart without showing either: the first 48 bits of
/// HMAC-SHA-256, as 12 hex digits. Guesses cannot be tested against it without the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of a value under a key (see `store::Keys`).
    pub fn new(key: &[u8], secret: &Secret) -> Self {
        let mac = hmac_sha256(key, secret.expose());
        Self(hex(mac.get(..6).unwrap_or_default()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// HMAC-SHA-256 (RFC 2104).
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The part of a secret that may be shown: its last four characters, if it has at least 16 bytes.
pub fn tail(secret: &str) -> Option<&str> {
    let (at, _) = secret.char_indices().rev().nth(3)?;
    secret.get(at..).filter(|_| secret.len() >= 16)
}

/// The keys that mcpwrap derives from the one master key in the store.
///
/// `seal` authenticates grants, `audit` chains the log, `fingerprint` tells values apart,
/// `mark` authenticates the mark of a run.
#[derive(Clone)]
pub struct Keys {
    pub seal: Zeroizing<[u8; 32]>,
    pub audit: Zeroizing<[u8; 32]>,
    pub fingerprint: Zeroizing<[u8; 32]>,
    pub mark: Zeroizing<[u8; 32]>,
}

impl Keys {
    /// Derives the keys: HMAC-SHA-256 of the purpose under the master key.
    pub fn from_master(master: &Secret) -> Self {
        let key = |purpose: &[u8]| Zeroizing::new(hmac_sha256(master.expose(), purpose));
        Self {
            seal: key(b"mcpwrap seal v1"),
            audit: key(b"mcpwrap audit v1"),
            fingerprint: key(b"mcpwrap fingerprint v1"),
            mark: key(b"mcpwrap mark v1"),
        }
    }

    /// The fingerprint of a value.
    pub fn fingerprint(&self, secret: &Secret) -> Fingerprint {
        Fingerprint::new(&*self.fingerprint, secret)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $noun:literal, $check:path, $rule:literal, $hint:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// # Errors
            /// `name-invalid` if the text is not a valid name of this kind.
            pub fn new(text: &str) -> Result<Self> {
                if $check(text) {
                    return Ok(Self(text.to_owned()));
                }
                let shown: String = text.chars().take(80).collect();
                Err(Error::new(Code::NameInvalid, format!(concat!("`{}` is not a ", $noun, " name"), shown))
                    .cause($rule)
                    .hint($hint))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }
    };
}

name_type!(
    /// The name of a server's policy: a plain file name.
    ServerName, "server", is_plain_name,
    "expected letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64 characters",
    "choose a server name of letters, digits, `-`, `_` and `.`"
);
name_type!(
    /// The name of a profile: dev, prod, …
    ProfileName, "profile", is_plain_name,
    "expected letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64 characters",
    "choose a profile name of letters, digits, `-`, `_` and `.`"
);
name_type!(
    /// The name of a secret in the store: plain names joined by `/`, e.g. `github/token`.
    SecretName, "secret", is_path_name,
    "expected letters, digits, `-`, `_` and `.`, in parts joined by `/`, at most 200 characters",
    "choose a secret name of letters, digits, `-`, `_` and `.`"
);

name_type!(
    /// The name of a store in `config.toml`.
    StoreName, "store", is_store_name,
    "expected lower-case letters, digits, `-` and `_`, starting with a letter, at most 32 characters; `secret` and `mint` are taken",
    "choose another name; `mcpwrap status` shows the local store, which `secret:` leads to"
);
name_type!(
    /// The name of a mint in a policy: of what makes short-lived credentials.
    MintName, "mint", is_mint_name,
    "expected lower-case letters, digits, `-` and `_`, starting with a letter, at most 32 characters",
    "choose a mint name of lower-case letters, digits, `-` and `_`"
);

impl SecretName {
    /// Whether mcpwrap itself uses it: for the tokens of `mcpwrap login` (`oauth/…`), for registrations
    /// (`oauth-client/…`), for tokens to revoke (`oauth-revoke/…`), and for what withdraws credentials
    /// (`withdraw/…`). No policy may use it, and no command about secrets changes it.
    pub fn is_internal(&self) -> bool {
        let first = self.as_str().split('/').next();
        matches!(
            first,
            Some("oauth" | "oauth-client" | "oauth-revoke" | "withdraw")
        )
    }
}

fn is_plain_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 64
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn is_mint_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 32
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(b))
}

fn is_store_name(text: &str) -> bool {
    is_mint_name(text) && !matches!(text, "secret" | "mint")
}

fn is_path_name(text: &str) -> bool {
    text.len() <= 200 && text.split('/').all(is_plain_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let secret = Secret::new(b"hunter2hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn names() {
        for good in ["github", "a.b-c_d", "9to5"] {
            assert!(ServerName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "-x",
            "a b",
            "é",
            "a\nb",
            &"x".repeat(65),
        ] {
            assert!(ServerName::new(bad).is_err(), "{bad}");
        }
        assert!(SecretName::new("prod/github/token").is_ok());
        for bad in ["", "/a", "a/", "a//b", "a/../b"] {
            assert!(SecretName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fingerprints_depend_on_key_and_value() {
        let value = Secret::new(b"value-one".to_vec());
        let fingerprint = Fingerprint::new(b"key", &value);
        assert_eq!(fingerprint.to_string().len(), 12);
        assert_ne!(fingerprint, Fingerprint::new(b"other", &value));
        assert_ne!(
            fingerprint,
            Fingerprint::new(b"key", &Secret::new(b"value-two".to_vec()))
        );
    }
}
