//! Changes to secrets: storing, removing, moving to another store.
//!
//! Invariant: the audit record is written before the store is changed. If the change then fails, a
//! second record says so.

use super::actor::{self, Actor, keys_if_open};
use crate::audit::{Event, Log, NewRecord, Outcome, SecretUse};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::expiry::Expiry;
use crate::policy;
use crate::secret::{Fingerprint, Keys, ProfileName, Secret, SecretName, ServerName};
use crate::settings::AgentAct;
use crate::store::{self, Index, SecretItem, Store};

/// One secret to store.
#[derive(Debug)]
pub struct SecretChange {
    pub event: Event,
    pub name: SecretName,
    pub item: SecretItem,
}

/// The command that moves all secrets, tokens included.
pub const MOVE: &str = "secret move";

/// The actor who stores, removes or moves these secrets.
///
/// # Errors
/// `name-invalid` for the name of an OAuth token; `agent-refused` and `yes-refused`, which are recorded.
pub fn actor(
    dirs: &Dirs,
    config: &Config,
    command: &str,
    flag: Option<&str>,
    wanted: &[(Event, SecretName)],
) -> Result<Actor> {
    let mut names = wanted.iter().map(|(_, name)| name);
    if let Some(name) = names.find(|name| name.is_internal() && command != MOVE) {
        let hint = if name.as_str().starts_with("withdraw/") {
            "run `mcpwrap revoke SERVER` to withdraw the credentials of a server, or choose another name"
        } else {
            "run `mcpwrap login SERVER` or `mcpwrap logout SERVER`"
        };
        return Err(
            Error::new(Code::NameInvalid, format!("cannot change `{name}` by hand"))
                .cause("mcpwrap keeps what it gets by itself under this name")
                .hint(hint),
        );
    }
    let act = (command, Some(AgentAct::Secret));
    actor::actor(dirs, config, act, flag, |actor| {
        wanted
            .iter()
            .map(|(event, name)| entry(*event, Outcome::Refused, name, None, *actor))
            .collect()
    })
}

/// Refuses a value that cannot be masked.
///
/// # Errors
/// `secret-weak`.
pub fn check(name: &SecretName, value: &Secret, allow_weak: bool) -> Result<()> {
    let refused =
        |cause: &str| Error::new(Code::SecretWeak, format!("cannot store `{name}`")).cause(cause);
    if value.is_empty() {
        return Err(refused("the value is empty"));
    }
    if let Some(weakness) = value.weakness()
        && !allow_weak
    {
        let cause = format!(
            "the value {}: masking it would also replace unrelated text",
            weakness.text()
        );
        return Err(refused(&cause).hint("to store it unmasked, add `--allow-weak`"));
    }
    Ok(())
}

/// Writes the records, stores the secrets and adds them to the index. Returns a fingerprint for
/// each change. If the store fails, a second record says which were not stored.
///
/// # Errors
/// Those of the store and of the audit log.
pub fn record_and_store(
    dirs: &Dirs,
    store: &dyn Store,
    actor: Actor,
    changes: &[SecretChange],
) -> Result<Vec<Fingerprint>> {
    let keys = store::keys_or_create(store)?;
    let prints: Vec<_> = changes
        .iter()
        .map(|c| keys.fingerprint(&c.item.value))
        .collect();
    let log = Log::open(dirs, Some(&keys))?;
    let entries: Vec<_> = changes
        .iter()
        .zip(&prints)
        .map(|(change, print)| {
            entry(change.event, Outcome::Ok, &change.name, Some(print), actor)
                .profile(change.item.profile.as_ref())
        })
        .collect();
    log.append(&entries)?;
    let items: Vec<_> = changes.iter().map(|c| (&c.name, &c.item)).collect();
    let (done, answer) = store.put_all(&items);
    Index::update(dirs, |index| {
        for (change, print) in changes.iter().zip(&prints).take(done) {
            let SecretItem {
                profile, expires, ..
            } = &change.item;
            let weak = change.item.value.is_weak();
            index.note(&change.name, print.clone(), profile.clone(), *expires, weak);
        }
    })?;
    if let Err(error) = answer {
        let failed: Vec<_> = changes
            .iter()
            .skip(done)
            .map(|change| {
                entry(change.event, Outcome::Failed, &change.name, None, actor)
                    .reason(error.code.name())
            })
            .collect();
        log.append(&failed)?;
        return Err(error);
    }
    Ok(prints)
}

/// What the store said about a secret when a launch read it.
#[derive(Clone, Debug)]
pub struct Learnt {
    pub name: SecretName,
    pub fingerprint: Fingerprint,
    pub profile: Option<ProfileName>,
    pub expires: Option<Expiry>,
    pub weak: bool,
}

impl Learnt {
    pub fn new(name: &SecretName, item: &SecretItem, keys: &Keys) -> Self {
        Self {
            name: name.clone(),
            fingerprint: keys.fingerprint(&item.value),
            profile: item.profile.clone(),
            expires: item.expires,
            weak: item.value.is_weak(),
        }
    }

    fn is_in(&self, index: &Index) -> bool {
        index.secrets.get(&self.name).is_some_and(|row| {
            row.fingerprint == self.fingerprint
                && row.profile == self.profile
                && row.expires == self.expires
                && row.weak == self.weak
        })
    }
}

/// Writes into the index what another program changed in the store, so that every command knows the
/// value that is in use. `before` is the index from before the store was read: a row that was changed
/// since then is newer than what was read.
///
/// # Errors
/// `file-unusable`.
pub fn learn(dirs: &Dirs, before: &Index, learnt: &[Learnt]) -> Result<()> {
    if learnt.iter().all(|one| one.is_in(before)) {
        return Ok(());
    }
    Index::update(dirs, |index| {
        for one in learnt {
            let row = index.secrets.get(&one.name);
            if row != before.secrets.get(&one.name) || one.is_in(index) {
                continue;
            }
            match index.secrets.get_mut(&one.name) {
                // The same value with other properties keeps its age.
                Some(row) if row.fingerprint == one.fingerprint => {
                    row.profile.clone_from(&one.profile);
                    row.expires = one.expires;
                    row.weak = one.weak;
                }
                _ => index.note(
                    &one.name,
                    one.fingerprint.clone(),
                    one.profile.clone(),
                    one.expires,
                    one.weak,
                ),
            }
        }
    })
}

/// A record about one secret.
pub fn entry(
    event: Event,
    outcome: Outcome,
    name: &SecretName,
    fingerprint: Option<&Fingerprint>,
    actor: Actor,
) -> NewRecord {
    let secret = SecretUse {
        name: name.clone().into(),
        variable: None,
        fingerprint: fingerprint.cloned(),
    };
    NewRecord::new(event, outcome)
        .secret(secret)
        .detail(actor.detail())
}

/// Whether there is something to remove: an item, or only its line in the index.
///
/// # Errors
/// `secret-not-found` if neither the store nor the index has it, those of the index.
pub fn must_exist(dirs: &Dirs, store: &dyn Store, name: &SecretName) -> Result<()> {
    match store.get(name) {
        Err(error) if error.code == Code::SecretNotFound => {
            let index = Index::load(dirs)?;
            index.secrets.get(name).map(drop).ok_or(error)
        }
        // One that cannot be read can still be removed.
        _ => Ok(()),
    }
}

/// Removes a secret: writes the record, then removes the item and the line of the index.
///
/// # Errors
/// `secret-not-found` if neither the store nor the index has it, those of the store and the log.
pub fn remove(
    dirs: &Dirs,
    config: &Config,
    store: &dyn Store,
    actor: Actor,
    name: &SecretName,
) -> Result<()> {
    let old = Index::load(dirs)?.secrets.remove(name);
    let exists = match store.get(name) {
        Err(error) if error.code == Code::SecretNotFound => {
            if old.is_none() {
                return Err(error);
            }
            false
        }
        // Duplicates are removed together, and an unreadable item can still be removed.
        _ => true,
    };
    let keys = keys_if_open(dirs, config);
    let log = Log::open(dirs, keys.as_ref())?;
    let print = old.as_ref().map(|entry| &entry.fingerprint);
    log.append(&[entry(Event::SecretRm, Outcome::Ok, name, print, actor)])?;
    if exists && let Err(error) = store.remove(name) {
        let failed = entry(Event::SecretRm, Outcome::Failed, name, None, actor);
        log.append(&[failed.reason(error.code.name())])?;
        return Err(error);
    }
    Index::update(dirs, |index| drop(index.secrets.remove(name)))
}

/// Moves all secrets, with the master key, to the store that `next` names, and saves `next`.
///
/// All secrets are read back from the new store before any is removed from the old one, and
/// `config.toml` names the new store in between: if this is interrupted, all secrets are in the
/// store in use.
///
/// # Errors
/// Those of the stores, of the audit log and of the configuration file.
pub fn move_all(
    dirs: &Dirs,
    old: &dyn Store,
    new: &dyn Store,
    next: &Config,
    names: &[SecretName],
    actor: Actor,
) -> Result<()> {
    if let Some(master) = old.master()? {
        new.set_master(&master)?;
    }
    let keys = store::keys_or_create(new)?;
    let moved = |name| entry(Event::SecretSet, Outcome::Ok, name, None, actor).reason("moved");
    Log::open(dirs, Some(&keys))?.append(&names.iter().map(moved).collect::<Vec<_>>())?;
    copy(old, new, names)?;
    next.save(dirs)?;
    for name in names {
        old.remove(name)?;
    }
    // Running supervisors read the index again.
    Index::update(dirs, |_| ())
}

fn copy(old: &dyn Store, new: &dyn Store, names: &[SecretName]) -> Result<()> {
    for (name, item) in names.iter().zip(old.get_all(names)?.items) {
        let item = item?;
        new.put(name, &item)?;
        if new.get(name)? != item {
            return Err(
                store::value_differs(new.kind(), name, format!("cannot move `{name}`"))
                    .hint("the secrets are still in the old store, which stays in use"),
            );
        }
    }
    Ok(())
}

/// The servers whose policies name a secret, in any profile.
pub fn users(dirs: &Dirs, name: &SecretName) -> Vec<ServerName> {
    SecretUsers::load(dirs).of(name)
}

/// The policies, to look for the servers of several secrets.
#[derive(Debug)]
pub struct SecretUsers(Vec<(ServerName, String)>);

impl SecretUsers {
    pub fn load(dirs: &Dirs) -> Self {
        let policies = policy::list(dirs).into_iter();
        let valid = policies.filter_map(|(server, policy)| Some((server, policy.ok()?.text)));
        Self(valid.collect())
    }

    pub fn of(&self, name: &SecretName) -> Vec<ServerName> {
        let quoted = [format!("\"secret:{name}\""), format!("'secret:{name}'")];
        let is_user = |text: &String| quoted.iter().any(|quoted| text.contains(quoted));
        let found = self.0.iter().filter(|(_, text)| is_user(text));
        found.map(|(server, _)| server.clone()).collect()
    }
}
