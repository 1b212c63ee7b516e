//! The text inside the vault file: JSON, values in base64.
//!
//! *Never* copies a secret out of the decrypted text before it becomes a [`Secret`]: all of it
//! borrows, and the text is wiped by its owner. Nothing of files, keys or locks is here. The shape is
//! plain, so that `age -d` and a few lines of any language can rescue the secrets.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::SecretItem;
use crate::secret::{ProfileName, Secret, SecretName};

const VERSION: u32 = 1;

/// What is in the vault. Everything borrows from the decrypted text.
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
    expires: Option<Date>,
}

/// A value in base64, wiped when it is our own copy.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Base64Value<'a>(#[serde(borrow)] Cow<'a, str>);

impl Base64Value<'_> {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(Cow::Owned(STANDARD.encode(secret.expose())))
    }

    /// How much room it takes (bytes).
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
    /// `None` if it is not what this version of mcpwrap writes.
    pub(super) fn parse(plain: &'a [u8]) -> Option<Self> {
        let content: Self = serde_json::from_slice(plain).ok()?;
        (content.version == VERSION).then_some(content)
    }

    /// The whole text. `bytes_max`: no more than this, so that it never grows, which would leave a
    /// copy in memory.
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
