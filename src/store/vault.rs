//! The text inside the vault file: JSON with values in base64.
//!
//! The format is simple, so that `age -d` and a few lines of any language can recover the secrets.
//!
//! Invariant: no secret is copied from the decrypted text before it becomes a [`Secret`]: everything
//! borrows from the text, and its owner wipes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::SecretItem;
use crate::expiry::Expiry;
use crate::secret::{ProfileName, Secret, SecretName};

const VERSION: u32 = 1;

/// The content of the vault. Everything borrows from the decrypted text.
#[derive(Serialize, Deserialize)]
pub(super) struct Content<'a> {
    version: u32,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) master: Option<Base64Value<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) audit_head: Option<Base64Value<'a>>,
    #[serde(borrow)]
    pub(super) secrets: BTreeMap<SecretName, VaultItem<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct VaultItem<'a> {
    #[serde(borrow)]
    value: Base64Value<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<ProfileName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Expiry>,
}

/// A value in base64, wiped on drop if it is owned.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Base64Value<'a>(#[serde(borrow)] Cow<'a, str>);

impl Base64Value<'_> {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(Cow::Owned(STANDARD.encode(secret.expose())))
    }

    /// Its length (bytes).
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    /// `None` if it is not base64.
    pub(super) fn secret(&self) -> Option<Secret> {
        STANDARD.decode(self.0.as_bytes()).ok().map(Secret::new)
    }
}

impl Default for Content<'_> {
    fn default() -> Self {
        Self {
            version: VERSION,
            master: None,
            audit_head: None,
            secrets: BTreeMap::new(),
        }
    }
}

impl<'a> Content<'a> {
    /// `None` if this version of mcpwrap did not write it.
    pub(super) fn parse(plain: &'a [u8]) -> Option<Self> {
        let content: Self = serde_json::from_slice(plain).ok()?;
        (content.version == VERSION).then_some(content)
    }

    /// The complete text. `bytes_max`: its maximum length, so that the buffer never grows, which would
    /// leave a copy in memory.
    pub(super) fn text(&self, bytes_max: usize) -> Zeroizing<Vec<u8>> {
        let mut plain = Zeroizing::new(Vec::with_capacity(bytes_max));
        serde_json::to_writer(&mut *plain, self).expect("writing to memory does not fail");
        plain
    }
}

impl<'a> VaultItem<'a> {
    pub(super) fn new(value: Base64Value<'a>, item: &SecretItem) -> Self {
        Self {
            value,
            profile: item.profile.clone(),
            expires: item.expires,
        }
    }

    pub(super) fn item(&self) -> Option<SecretItem> {
        let value = self.value.secret()?;
        Some(SecretItem {
            value,
            profile: self.profile.clone(),
            expires: self.expires,
        })
    }
}

impl Drop for Base64Value<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}
