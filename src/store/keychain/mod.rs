//! The `keychain` store: a credential store of `keyring-core`, the Secret Service on Linux and the login
//! keychain on macOS.
//!
//! One item per secret, with the service `mcpwrap` and the user name NAME, so that `secret-tool`, Seahorse,
//! Keychain Access and the `keyring` libraries see the same items. Profile and expiry are attributes.
//!
//! Invariants: the keychain is unlocked only by the user's answer to a prompt, and only if prompting is
//! allowed. Waiting never exceeds `ANSWER_MS` (for a prompt, a minute). What differs between the systems is
//! in one file for each: which store, how to prompt, what its failures mean.

mod batch;
#[cfg(any(target_os = "macos", test))]
mod beside;
#[cfg(any(target_os = "macos", test))]
mod bounded;
#[cfg(target_os = "linux")]
pub mod secret_service;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod platform;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod platform;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error as CoreError};

use self::batch::{CredentialBatch, CredentialName, StoredCredential, WantedCredential};
use super::{
    KeyStore, NewKey, Passphrase, Prompt, SecretBatch, SecretItem, SecretStore, Store,
    StoreBackend, Unlocked, missing, text_of,
};
use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::secret::{ProfileName, Secret, SecretName};

const SERVICE: &str = "mcpwrap";
/// The keys have their own service, so that they are not listed among the secrets.
const KEY_SERVICE: &str = "mcpwrap-internal";
const MASTER: CredentialName<'_> = (KEY_SERVICE, "master-key");
const HEAD: CredentialName<'_> = (KEY_SERVICE, "audit-head");

/// The keychain in the table of stores.
pub(super) const BACKEND: StoreBackend = StoreBackend {
    kind: StoreKind::Keychain,
    noun: "the keychain",
    differs: Code::StoreFailed,
    is_outside: true,
    // It may take seconds.
    is_quick: false,
    open,
    probe,
    set_up,
    unlock,
    key: |_, _| Ok(None),
    writes_quickly: |_| false,
};

/// A credential store, and what `keyring-core` lacks.
struct OpenedKeychain {
    store: Arc<CredentialStore>,
    batch: Box<dyn CredentialBatch>,
}

/// The keychain of this session.
struct KeychainStore {
    store: Arc<CredentialStore>,
    batch: Box<dyn CredentialBatch>,
}

/// Connects. The first request is sent later.
fn open(_: &Dirs, _: &Config, prompt: Prompt) -> Result<Box<dyn Store>> {
    let OpenedKeychain { store, batch } = platform::open(prompt).map_err(|e| explain(&e))?;
    Ok(Box::new(KeychainStore { store, batch }))
}

/// The keychain as a credential store of `keyring-core`.
///
/// # Errors
/// Those of the store, which is not used yet.
pub fn credential_store(prompt: Prompt) -> Result<Arc<CredentialStore>> {
    let opened = platform::open(prompt).map_err(|error| explain(&error))?;
    Ok(opened.store)
}

/// Checks that the keychain can be used now. Accesses no item.
fn probe(_: &Dirs, _: &Config) -> Result<()> {
    platform::probe().map_err(|error| explain(&error))
}

/// There is nothing to create.
fn set_up(_: &Dirs, _: &mut Config, key: &mut NewKey<'_>) -> Result<()> {
    if key.file.is_some() || key.is_piped {
        return Err(Error::new(Code::Usage, "the keychain needs no key")
            .hint("`--key-file` and `--from-stdin` belong to `--store file`"));
    }
    Ok(())
}

fn unlock(_: &Dirs, _: &Config, _: &mut Passphrase<'_>) -> Result<Unlocked> {
    Err(Error::new(Code::Usage, "nothing to unlock")
        .cause("the store is the keychain, which your desktop unlocks at login"))
}

/// The message for a failure.
fn explain(error: &CoreError) -> Error {
    platform::explain(error).of_store(StoreKind::Keychain)
}

impl KeychainStore {
    /// The message for a failure of one credential.
    fn failed(&self, (_, user): CredentialName<'_>, error: &CoreError) -> Error {
        let CoreError::Ambiguous(found) = error else {
            return explain(error);
        };
        let n = found.len();
        Error::new(
            Code::SecretAmbiguous,
            format!("`secret:{user}` is not unique"),
        )
        .of_store(StoreKind::Keychain)
        .cause(format!(
            "the keychain has {n} items with `service=mcpwrap` and this name"
        ))
        .hint(format!(
            "delete the wrong one in {}, or run `mcpwrap secret rm {user}` to delete all",
            self.batch.manager()
        ))
    }

    /// Several items by name. `None`: there is none.
    fn fetch(&self, wanted: &[CredentialName<'_>]) -> Result<Vec<Result<Option<SecretItem>>>> {
        // Keys are not restricted.
        let all = wanted.iter().copied().map(|name| WantedCredential {
            name,
            with_attributes: name.0 == SERVICE,
        });
        let all: Vec<_> = all.collect();
        let found = self.batch.read_all(&all).map_err(|e| explain(&e))?;
        let item = |(found, name): (_, &CredentialName<'_>)| match found {
            Ok(stored) => self.item(stored).map(Some),
            Err(CoreError::NoEntry) => Ok(None),
            Err(error) => Err(self.failed(*name, &error)),
        };
        Ok(found.into_iter().zip(wanted).map(item).collect())
    }

    fn fetch_one(&self, name: CredentialName<'_>) -> Result<Option<SecretItem>> {
        self.fetch(&[name])?.pop().transpose().map(Option::flatten)
    }

    /// An invalid attribute is an error, not ignored: it could be a restriction. An empty one was removed,
    /// in a keychain where attributes can only be added.
    fn item(&self, stored: StoredCredential) -> Result<SecretItem> {
        let StoredCredential { value, attributes } = stored;
        let get = |key: &str| attributes.get(key).filter(|text| !text.is_empty());
        let odd = |key: &str| {
            Error::new(Code::StoreFailed, "cannot use the keychain")
                .of_store(StoreKind::Keychain)
                .cause(format!(
                    "the attribute `{key}` of the item was changed by another program"
                ))
                .hint(format!(
                    "delete the item in {}, then run `mcpwrap secret set NAME` to store it again",
                    self.batch.manager()
                ))
        };
        let profile = get("profile").map(|text| ProfileName::new(text));
        let expires = get("expires").map(|text| text.parse());
        Ok(SecretItem {
            value: Secret::new(value),
            profile: profile.transpose().map_err(|_| odd("profile"))?,
            expires: expires.transpose().map_err(|_| odd("expires"))?,
        })
    }

    fn write(&self, name: CredentialName<'_>, label: &str, item: &SecretItem) -> Result<()> {
        let profile = item.profile.as_ref().map(ToString::to_string);
        let expires = item.expires.as_ref().map(ToString::to_string);
        let changes = [
            ("profile", profile.as_deref()),
            ("expires", expires.as_deref()),
        ];
        let value = item.value.expose();
        let written = self.batch.write(name, label, value, &changes);
        written.map_err(|error| self.failed(name, &error))
    }

    fn write_plain(&self, name: CredentialName<'_>, label: &str, value: &Secret) -> Result<()> {
        let value = value.clone();
        let (profile, expires) = (None, None);
        self.write(
            name,
            label,
            &SecretItem {
                value,
                profile,
                expires,
            },
        )
    }

    /// The entries of a service, each found by itself.
    fn entries(&self, service: &str) -> Result<Vec<Entry>> {
        let found = self.store.search(&HashMap::from([("service", service)]));
        found.map_err(|error| explain(&error))
    }
}

/// Deletes a credential and its duplicates. Returns whether there was one.
fn delete(entry: &Entry) -> Result<bool, CoreError> {
    match entry.delete_credential() {
        Ok(()) => Ok(true),
        Err(CoreError::NoEntry) => Ok(false),
        Err(CoreError::Ambiguous(all)) => {
            for one in all {
                one.delete_credential()?;
            }
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

impl SecretStore for KeychainStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Keychain
    }

    fn get(&self, name: &SecretName) -> Result<SecretItem> {
        let item = self.fetch_one((SERVICE, name.as_str()))?;
        item.ok_or_else(|| missing(name, StoreKind::Keychain))
    }

    fn put(&self, name: &SecretName, item: &SecretItem) -> Result<()> {
        let label = format!("mcpwrap: {name}");
        self.write((SERVICE, name.as_str()), &label, item)
    }

    fn remove(&self, name: &SecretName) -> Result<()> {
        let removed = self
            .store
            .build(SERVICE, name.as_str(), None)
            .and_then(|entry| delete(&entry))
            .and_then(|removed| {
                self.batch.forget((SERVICE, name.as_str()))?;
                Ok(removed)
            });
        if removed.map_err(|error| explain(&error))? {
            Ok(())
        } else {
            Err(missing(name, StoreKind::Keychain))
        }
    }

    fn names(&self) -> Result<Vec<SecretName>> {
        let entries = self.entries(SERVICE)?;
        let mut names: Vec<_> = entries
            .iter()
            .filter_map(|entry| SecretName::new(&entry.get_specifiers()?.1).ok())
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn clear(&self) -> Result<()> {
        for service in [SERVICE, KEY_SERVICE] {
            for entry in self.entries(service)? {
                let user = entry.get_specifiers().map(|(_, user)| user);
                let done = delete(&entry).and_then(|_| match &user {
                    Some(user) => self.batch.forget((service, user)),
                    None => Ok(()),
                });
                done.map_err(|error| explain(&error))?;
            }
        }
        Ok(())
    }
}

impl KeyStore for KeychainStore {
    fn master(&self) -> Result<Option<Secret>> {
        Ok(self.fetch_one(MASTER)?.map(|item| item.value))
    }

    fn set_master(&self, master: &Secret) -> Result<()> {
        self.write_plain(MASTER, "mcpwrap: key of grants and audit log", master)
    }

    fn audit_head(&self) -> Result<Option<String>> {
        Ok(self.fetch_one(HEAD)?.map(|item| text_of(&item.value)))
    }

    fn set_audit_head(&self, head: &str) -> Result<()> {
        let head = Secret::new(head.into());
        self.write_plain(HEAD, "mcpwrap: head of the audit log", &head)
    }
}

impl Store for KeychainStore {
    fn get_all(&self, names: &[SecretName]) -> Result<SecretBatch> {
        let mut wanted = vec![MASTER];
        wanted.extend(names.iter().map(|name| (SERVICE, name.as_str())));
        let mut items = self.fetch(&wanted)?.into_iter();
        let master = items.next().transpose()?.flatten().map(|item| item.value);
        let items = items
            .zip(names)
            .map(|(item, name)| item?.ok_or_else(|| missing(name, StoreKind::Keychain)))
            .collect();
        Ok(SecretBatch { master, items })
    }
}
