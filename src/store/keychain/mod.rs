//! The `keychain` store on Linux: the Secret Service (gnome-keyring, `KWallet`, `KeePassXC`).
//!
//! One item per secret, with the attributes `service=mcpwrap` and `username=NAME`, so that
//! `secret-tool`, Seahorse and the `keyring` libraries see the same items. Values cross the bus
//! unencrypted (a plain session): whoever can listen there can also request them.
//! `docs/decisions.md` explains why no existing library is used.
//!
//! Invariants: the keychain is unlocked only by the user's answer to a prompt, and only if prompting is
//! allowed. Waiting never exceeds `ANSWER_MS` (for a prompt, a minute).

mod bus;
mod items;
mod error;

use std::cell::RefCell;
use std::time::Duration;

use self::bus::{Bus, Fault};
use self::error::KeychainError;
use self::items::{Link, SearchResult};
use super::{
    ANSWER_MS, KeyStore, NewKey, Passphrase, Prompt, SecretBatch, SecretItem, SecretStore, Store,
    StoreBackend, Unlocked, missing, text_of,
};
use crate::config::{Config, StoreKind};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName};

const SERVICE: &str = "mcpwrap";
/// The master key has its own service, so that it is not listed among the secrets.
const MASTER_SERVICE: &str = "mcpwrap-internal";
const MASTER_NAME: &str = "master-key";
const HEAD_NAME: &str = "audit-head";

/// The keychain of this session. Reconnects when the keychain program was replaced.
struct SecretServiceStore {
    link: RefCell<Link>,
    prompt: Prompt,
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

/// Connects. The first request is sent later.
fn open(_: &Dirs, _: &Config, prompt: Prompt) -> Result<Box<dyn Store>> {
    let link = connect(Duration::from_millis(ANSWER_MS)).map_err(|fault| explain(fault.into()))?;
    Ok(Box::new(SecretServiceStore {
        link: RefCell::new(link),
        prompt,
    }))
}

/// Checks that the keychain exists and is unlocked. Accesses no item.
fn probe(_: &Dirs, _: &Config) -> Result<()> {
    let link = connect(Duration::from_millis(ANSWER_MS)).map_err(|fault| explain(fault.into()))?;
    match link.default_is_locked() {
        Ok(Some(false)) => Ok(()),
        Ok(Some(true)) => Err(explain(KeychainError::Locked)),
        Ok(None) => Err(explain(KeychainError::NoCollection)),
        Err(fault) => Err(explain(fault.into())),
    }
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

fn connect(budget: Duration) -> Result<Link, Fault> {
    Bus::connect(&bus::addresses(), budget).map(Link::new)
}

impl SecretServiceStore {
    /// Runs `work`, and repeats it once with a new connection if the keychain program exited.
    fn run<T>(&self, work: impl Fn(&Link) -> Result<T, KeychainError>) -> Result<T> {
        let first = work(&self.link.borrow());
        let answer = match first {
            Err(KeychainError::Fault(Fault::Gone(_))) => {
                let left = self.link.borrow().left();
                connect(left).map_err(KeychainError::from).and_then(|link| {
                    let answer = work(&link);
                    *self.link.borrow_mut() = link;
                    answer
                })
            }
            other => other,
        };
        answer.map_err(explain)
    }

    /// Unlocks locked items, if prompting is allowed.
    fn unlock(&self, link: &Link, locked: &[dbus::Path<'static>]) -> Result<(), KeychainError> {
        match self.prompt {
            Prompt::Never => Err(KeychainError::Locked),
            Prompt::Allowed => match link.unlock(locked) {
                // What this prompt was for may have been unlocked by the prompt of another program.
                Err(KeychainError::Dismissed) if link.are_unlocked(locked)? => Ok(()),
                answer => answer,
            },
        }
    }

    /// The unlocked item of a name, or `None` if there is none.
    fn find(
        &self,
        link: &Link,
        service: &str,
        name: &str,
    ) -> Result<Option<SearchResult>, KeychainError> {
        let mut found = link.search(&[(service, name)])?;
        let Some(one) = found.pop().filter(|one| !one.is_empty()) else {
            return match link.default_is_locked()? {
                // Some keychains do not list their items while they are locked.
                Some(true) => {
                    self.unlock(link, &[items::default_collection()])?;
                    Ok(link
                        .search(&[(service, name)])?
                        .pop()
                        .filter(|one| !one.is_empty()))
                }
                _ => Ok(None),
            };
        };
        if one.locked.is_empty() {
            return Ok(Some(one));
        }
        self.unlock(link, &one.locked)?;
        Ok(link.search(&[(service, name)])?.pop())
    }

    fn write(&self, service: &str, name: &str, label: &str, item: &SecretItem) -> Result<()> {
        self.run(|link| {
            let found = self.find(link, service, name)?;
            let paths = found.map(|one| one.unlocked).unwrap_or_default();
            match paths.as_slice() {
                [] => match link.create(service, name, label, item) {
                    Err(KeychainError::Locked) => {
                        self.unlock(link, &[items::default_collection()])?;
                        link.create(service, name, label, item)
                    }
                    other => other,
                },
                [path] => link.replace(path, service, name, item),
                several => Err(KeychainError::Ambiguous(name.to_owned(), several.len())),
            }
        })
    }

    /// Several items by name, in two round trips. Locked ones are unlocked first, if allowed.
    fn fetch(&self, wanted: &[(&str, &str)]) -> Result<Vec<Result<Option<SecretItem>>>> {
        self.run(|link| {
            let mut found = link.search(wanted)?;
            let locked: Vec<_> = found.iter().flat_map(|one| one.locked.clone()).collect();
            if !locked.is_empty() {
                self.unlock(link, &locked)?;
                found = link.search(wanted)?;
            } else if found.iter().any(SearchResult::is_empty)
                && link.default_is_locked()? == Some(true)
            {
                self.unlock(link, &[items::default_collection()])?;
                found = link.search(wanted)?;
            }
            let paths: Vec<_> = found.iter().map(|one| one.unlocked.as_slice()).collect();
            let single = paths.iter().filter_map(|one| match one {
                [path] => Some(path.clone()),
                _ => None,
            });
            let mut values = link.read(&single.collect::<Vec<_>>())?.into_iter();
            let pairs = wanted.iter().zip(&paths);
            Ok(pairs
                .map(|((_, name), paths)| match paths.len() {
                    0 => Ok(None),
                    1 => Ok(values.next()),
                    n => Err(explain(KeychainError::Ambiguous((*name).to_owned(), n))),
                })
                .collect())
        })
    }
}

impl SecretStore for SecretServiceStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Keychain
    }

    fn get(&self, name: &SecretName) -> Result<SecretItem> {
        let mut items = self.fetch(&[(SERVICE, name.as_str())])?;
        items
            .pop()
            .transpose()?
            .flatten()
            .ok_or_else(|| missing(name, StoreKind::Keychain))
    }

    fn put(&self, name: &SecretName, item: &SecretItem) -> Result<()> {
        self.write(SERVICE, name.as_str(), &format!("mcpwrap: {name}"), item)
    }

    fn remove(&self, name: &SecretName) -> Result<()> {
        let removed = self.run(|link| {
            let found = self.find(link, SERVICE, name.as_str())?;
            found.map(|one| link.delete(&one.unlocked)).transpose()
        })?;
        removed.ok_or_else(|| missing(name, StoreKind::Keychain))
    }

    fn names(&self) -> Result<Vec<SecretName>> {
        self.run(|link| {
            let mut names: Vec<_> = link
                .names(SERVICE)?
                .iter()
                .filter_map(|name| SecretName::new(name).ok())
                .collect();
            names.sort();
            names.dedup();
            Ok(names)
        })
    }

    fn clear(&self) -> Result<()> {
        self.run(|link| {
            for service in [SERVICE, MASTER_SERVICE] {
                for name in link.names(service)? {
                    if let Some(found) = self.find(link, service, &name)? {
                        link.delete(&found.unlocked)?;
                    }
                }
            }
            Ok(())
        })
    }
}

impl KeyStore for SecretServiceStore {
    fn master(&self) -> Result<Option<Secret>> {
        let mut items = self.fetch(&[(MASTER_SERVICE, MASTER_NAME)])?;
        Ok(items.pop().transpose()?.flatten().map(|item| item.value))
    }

    fn set_master(&self, master: &Secret) -> Result<()> {
        let item = SecretItem {
            value: master.clone(),
            profile: None,
            expires: None,
        };
        self.write(
            MASTER_SERVICE,
            MASTER_NAME,
            "mcpwrap: key of grants and audit log",
            &item,
        )
    }

    fn audit_head(&self) -> Result<Option<String>> {
        let mut items = self.fetch(&[(MASTER_SERVICE, HEAD_NAME)])?;
        let kept = items.pop().transpose()?.flatten();
        Ok(kept.map(|item| text_of(&item.value)))
    }

    fn set_audit_head(&self, head: &str) -> Result<()> {
        let item = SecretItem {
            value: Secret::new(head.into()),
            profile: None,
            expires: None,
        };
        let label = "mcpwrap: head of the audit log";
        self.write(MASTER_SERVICE, HEAD_NAME, label, &item)
    }
}

impl Store for SecretServiceStore {
    fn get_all(&self, names: &[SecretName]) -> Result<SecretBatch> {
        let mut wanted = vec![(MASTER_SERVICE, MASTER_NAME)];
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

/// The message for each kind of failure.
fn explain(trouble: KeychainError) -> Error {
    described(trouble).of_store(StoreKind::Keychain)
}

fn described(trouble: KeychainError) -> Error {
    let what = "cannot use the keychain";
    let vault = "without a desktop, run `mcpwrap init --store file` to use the vault file";
    match trouble {
        KeychainError::Locked => Error::new(Code::StoreLocked, "the keychain is locked")
            .cause("the login keyring is locked, and prompting is disabled here")
            .hint("log in on the desktop once, or with gnome-keyring: `gnome-keyring-daemon --replace --unlock`"),
        KeychainError::Dismissed => Error::new(Code::StoreDenied, "the keychain was not unlocked")
            .cause("its prompt was dismissed, or there is no display")
            .hint("log in on the desktop once, or with gnome-keyring: `gnome-keyring-daemon --replace --unlock`"),
        KeychainError::Unanswered => Error::new(Code::StoreTimeout, "the keychain was not unlocked")
            .cause(format!("its prompt was not answered within {} s", items::PROMPT_S))
            .hint("run the command again, and answer the prompt that the desktop shows"),
        KeychainError::NoCollection => Error::new(Code::StoreAbsent, what)
            .cause("no default collection to store secrets in")
            .hint("log in on the desktop once, or create one in Seahorse")
            .hint(vault),
        KeychainError::Ambiguous(name, n) => {
            Error::new(Code::SecretAmbiguous, format!("`secret:{name}` is not unique"))
                .cause(format!("the keychain has {n} items with `service=mcpwrap` and this name"))
                .hint(format!(
                    "delete the wrong one in Seahorse, or run `mcpwrap secret rm {name}` to delete all"
                ))
        }
        KeychainError::Malformed(fact) => Error::new(Code::StoreFailed, what)
            .cause(fact)
            .hint("delete the item in Seahorse, then run `mcpwrap secret set NAME` to store it again"),
        KeychainError::Fault(Fault::Absent(fact)) => {
            Error::new(Code::StoreAbsent, what).cause(fact).hint(vault)
        }
        KeychainError::Fault(Fault::Hanging(who)) => Error::new(Code::StoreTimeout, what)
            .cause(format!("{who} did not answer within {} s", ANSWER_MS / 1000))
            .hint("run `busctl --user status org.freedesktop.secrets` to see which program hangs"),
        KeychainError::Fault(Fault::Gone(fact)) => Error::new(Code::StoreFailed, what)
            .cause(format!("{fact}, again after a reconnect"))
            .hint("run the command again; `mcpwrap status` shows whether the keychain works"),
        KeychainError::Fault(Fault::Refused(name, text)) => {
            let denied = name.ends_with(".AccessDenied");
            let code = if denied { Code::StoreDenied } else { Code::StoreFailed };
            Error::new(code, what).cause(format!("the keychain answered `{name}`: {text}"))
        }
    }
}
