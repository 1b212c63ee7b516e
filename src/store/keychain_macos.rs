//! The `keychain` store on macOS: the `keyring` crate over the login keychain.
//!
//! One generic password per secret, with service `mcpwrap` and account NAME, as Keychain Access and
//! `security find-generic-password` show it. Generic passwords have no free attributes, so profile and
//! expiry date are in a second one, with service `mcpwrap-attributes`. Compile-tested only.
//!
//! Invariant: waiting is bounded. macOS waits for its dialogs without a limit, so each request runs in
//! its own thread, which is abandoned after the time limit.

use std::collections::HashMap;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use keyring::{Entry, Error as Refusal};
use security_framework::os::macos::keychain::SecKeychain;
use serde::{Deserialize, Serialize};

use super::{
    ANSWER_MS, KeyStore, NewKey, Passphrase, Prompt, SecretItem, SecretStore, Store, StoreBackend,
    Unlocked, missing, text_of,
};
use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::expiry::Expiry;
use crate::secret::{ProfileName, Secret, SecretName};

const SERVICE: &str = "mcpwrap";
const ATTRIBUTES: &str = "mcpwrap-attributes";
const MASTER_SERVICE: &str = "mcpwrap-internal";
const MASTER_NAME: &str = "master-key";
const HEAD_NAME: &str = "audit-head";
/// How long a dialog of macOS may stay open (milliseconds).
const DIALOG_MS: u64 = 60_000;

// From SecBase.h.
const USER_CANCELED: i32 = -128;
const AUTH_FAILED: i32 = -25_293;
const INTERACTION_NOT_ALLOWED: i32 = -25_308;

/// The login keychain of this user.
struct MacKeychainStore {
    prompt: Prompt,
}

/// The restrictions of a secret.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<ProfileName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Expiry>,
}

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

fn open(_: &Dirs, _: &Config, prompt: Prompt) -> Result<Box<dyn Store>> {
    Ok(Box::new(MacKeychainStore { prompt }))
}

/// Checks that there is a login keychain. Accesses no item.
fn probe(_: &Dirs, _: &Config) -> Result<()> {
    SecKeychain::default().map(drop).map_err(|error| {
        Error::new(Code::StoreAbsent, "cannot use the keychain")
            .of_store(StoreKind::Keychain)
            .cause(error)
    })
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

impl MacKeychainStore {
    /// Runs `work` in its own thread and waits up to the limit.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T> {
        let prompt = self.prompt;
        let limit_ms = match prompt {
            Prompt::Never => ANSWER_MS,
            Prompt::Allowed => DIALOG_MS,
        };
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let quiet = match prompt {
                Prompt::Never => SecKeychain::disable_user_interaction().ok(),
                Prompt::Allowed => None,
            };
            let answer = work();
            drop(quiet);
            // After the time limit nothing receives the answer.
            drop(sender.send(answer));
        });
        match receiver.recv_timeout(Duration::from_millis(limit_ms)) {
            Ok(answer) => answer.map_err(|refusal| explain(&refusal)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(Error::new(Code::StoreTimeout, "cannot use the keychain")
                    .of_store(StoreKind::Keychain)
                    .cause(format!(
                        "the keychain did not answer within {} s",
                        limit_ms / 1000
                    ))
                    .hint("run the command again, and answer the dialog that macOS shows"))
            }
        }
    }

    fn read(&self, service: &'static str, name: &str) -> Result<Option<Secret>> {
        let name = name.to_owned();
        self.run(move || match Entry::new(service, &name)?.get_secret() {
            Ok(bytes) => Ok(Some(Secret::new(bytes))),
            Err(Refusal::NoEntry) => Ok(None),
            Err(refusal) => Err(refusal),
        })
    }

    fn write(&self, service: &'static str, name: &str, value: &Secret) -> Result<()> {
        let (name, value) = (name.to_owned(), value.clone());
        self.run(move || Entry::new(service, &name)?.set_secret(value.expose()))
    }

    /// Returns whether there was one.
    fn erase(&self, service: &'static str, name: &str) -> Result<bool> {
        let name = name.to_owned();
        self.run(
            move || match Entry::new(service, &name)?.delete_credential() {
                Ok(()) => Ok(true),
                Err(Refusal::NoEntry) => Ok(false),
                Err(refusal) => Err(refusal),
            },
        )
    }
}

impl SecretStore for MacKeychainStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Keychain
    }

    fn get(&self, name: &SecretName) -> Result<SecretItem> {
        let value = self
            .read(SERVICE, name.as_str())?
            .ok_or_else(|| missing(name, StoreKind::Keychain))?;
        let attributes = match self.read(ATTRIBUTES, name.as_str())? {
            None => ItemAttributes::default(),
            // An invalid item is an error, not ignored: it could be a restriction.
            Some(text) => serde_json::from_slice(text.expose()).map_err(|_| {
                Error::new(Code::StoreFailed, "cannot use the keychain")
                    .of_store(StoreKind::Keychain)
                    .cause(format!(
                        "mcpwrap did not write the item `{name}` of the service `{ATTRIBUTES}`"
                    ))
            })?,
        };
        Ok(SecretItem {
            value,
            profile: attributes.profile,
            expires: attributes.expires,
        })
    }

    fn put(&self, name: &SecretName, item: &SecretItem) -> Result<()> {
        let attributes = ItemAttributes {
            profile: item.profile.clone(),
            expires: item.expires,
        };
        let plain = item.profile.is_none() && item.expires.is_none();
        if !plain {
            // Written before the value, so that a new value never exists without its restrictions.
            let text = serde_json::to_vec(&attributes).expect("attributes are always valid JSON");
            self.write(ATTRIBUTES, name.as_str(), &Secret::new(text))?;
        }
        self.write(SERVICE, name.as_str(), &item.value)?;
        if plain {
            self.erase(ATTRIBUTES, name.as_str())?;
        }
        Ok(())
    }

    fn remove(&self, name: &SecretName) -> Result<()> {
        let was_there = self.erase(SERVICE, name.as_str())?;
        self.erase(ATTRIBUTES, name.as_str())?;
        if was_there {
            Ok(())
        } else {
            Err(missing(name, StoreKind::Keychain))
        }
    }

    fn names(&self) -> Result<Vec<SecretName>> {
        let mut names = self.run(|| {
            Entry::store_status()
                .as_ref()
                .map_err(|_| Refusal::NoDefaultStore)?;
            let found = keyring_core::Entry::search(&HashMap::from([("service", SERVICE)]))?;
            let names = found.iter().filter_map(keyring_core::Entry::get_specifiers);
            Ok(names
                .filter_map(|(_, name)| SecretName::new(&name).ok())
                .collect::<Vec<_>>())
        })?;
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn clear(&self) -> Result<()> {
        for name in self.names()? {
            self.erase(SERVICE, name.as_str())?;
            self.erase(ATTRIBUTES, name.as_str())?;
        }
        for name in [MASTER_NAME, HEAD_NAME] {
            self.erase(MASTER_SERVICE, name)?;
        }
        Ok(())
    }
}

impl KeyStore for MacKeychainStore {
    fn master(&self) -> Result<Option<Secret>> {
        self.read(MASTER_SERVICE, MASTER_NAME)
    }

    fn set_master(&self, master: &Secret) -> Result<()> {
        self.write(MASTER_SERVICE, MASTER_NAME, master)
    }

    fn audit_head(&self) -> Result<Option<String>> {
        Ok(self.read(MASTER_SERVICE, HEAD_NAME)?.as_ref().map(text_of))
    }

    fn set_audit_head(&self, head: &str) -> Result<()> {
        self.write(MASTER_SERVICE, HEAD_NAME, &Secret::new(head.into()))
    }
}

impl Store for MacKeychainStore {}

fn explain(refusal: &Refusal) -> Error {
    let what = "cannot use the keychain";
    let status = match refusal {
        Refusal::PlatformFailure(inner) | Refusal::NoStorageAccess(inner) => inner
            .downcast_ref::<security_framework::base::Error>()
            .map(|error| error.code()),
        _ => None,
    };
    match (status, refusal) {
        (Some(INTERACTION_NOT_ALLOWED), _) => {
            Error::new(Code::StoreLocked, "the keychain is locked")
                .of_store(StoreKind::Keychain)
                .cause("the login keychain is locked, and prompting is disabled here")
                .hint("run `security unlock-keychain` to unlock it")
        }
        (Some(USER_CANCELED | AUTH_FAILED), _) => {
            Error::new(Code::StoreDenied, "the keychain was not unlocked")
                .of_store(StoreKind::Keychain)
                .cause("its dialog was dismissed, or the password was wrong")
                .hint("run the command again, and allow `mcpwrap` to use the item")
        }
        (_, Refusal::NoStorageAccess(inner)) => Error::new(Code::StoreAbsent, what)
            .of_store(StoreKind::Keychain)
            .cause(inner),
        (_, Refusal::NoDefaultStore) => Error::new(Code::StoreAbsent, what)
            .of_store(StoreKind::Keychain)
            .cause("no login keychain"),
        (_, Refusal::PlatformFailure(inner)) => Error::new(Code::StoreFailed, what)
            .of_store(StoreKind::Keychain)
            .cause(inner),
        // The other variants may contain the value itself.
        _ => Error::new(Code::StoreFailed, what)
            .of_store(StoreKind::Keychain)
            .cause("unknown item format"),
    }
}
