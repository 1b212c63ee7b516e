//! Stores other than the local one: who uses them, adding and removing them.
//!
//! Invariant: the audit record is written before `config.toml` is changed. If the change then fails, a
//! second record says so.

use std::collections::{BTreeMap, BTreeSet};

use super::actor::{self, Actor};
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::config::{Config, StoreDefinition};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::policy::{self, Policy};
use crate::reference::{Reference, SecretLabel, StoreRef};
use crate::secret::{Keys, SecretName, ServerName, StoreName};
use crate::store::types::NamedStore;
use crate::store::{self, Prompt};

/// The actor who changes a store.
///
/// # Errors
/// `agent-refused` and `yes-refused`, which are recorded.
pub fn actor(
    dirs: &Dirs,
    config: &Config,
    command: &str,
    flag: Option<&str>,
    name: &StoreName,
) -> Result<Actor> {
    actor::actor(dirs, config, (command, None), flag, |actor| {
        vec![record(Outcome::Refused, *actor, name.to_string())]
    })
}

/// Refuses to change a store of the administrator.
///
/// # Errors
/// `file-not-private`.
pub fn must_be_own(config: &Config, name: &StoreName) -> Result<()> {
    if !config.managed_stores.contains(name) {
        return Ok(());
    }
    let what = format!("cannot change store `{name}`");
    Err(Error::new(Code::FileNotPrivate, what)
        .of_store(name)
        .cause(format!(
            "your administrator defines it in `{}`, which overrides your own",
            crate::dirs::MANAGED_STORES
        ))
        .hint("choose another name, or ask your administrator"))
}

/// Adds, replaces or removes a store, and records it.
///
/// # Errors
/// Those of the local store, of the audit log and of `config.toml`.
pub fn change(
    dirs: &Dirs,
    config: &Config,
    actor: Actor,
    name: &StoreName,
    definition: Option<&StoreDefinition>,
) -> Result<()> {
    let store = store::open(dirs, config, Prompt::Allowed)?;
    change_with(
        dirs,
        &store::keys_or_create(&*store)?,
        actor,
        name,
        definition,
    )
}

/// [`change`] with the keys of an open local store.
///
/// # Errors
/// Those of the audit log and of `config.toml`.
pub fn change_with(
    dirs: &Dirs,
    keys: &Keys,
    actor: Actor,
    name: &StoreName,
    definition: Option<&StoreDefinition>,
) -> Result<()> {
    let log = Log::open(dirs, Some(keys))?;
    let note = match definition {
        Some(definition) => format!("{name}: {}", definition.kind),
        None => format!("{name}: removed"),
    };
    log.append(&[record(Outcome::Ok, actor, note.clone())])?;
    let done = Config::save_store(dirs, name, definition);
    if let Err(error) = &done {
        let failed = record(Outcome::Failed, actor, note);
        log.append(&[failed.reason(error.code.name())])?;
    }
    done
}

fn record(outcome: Outcome, actor: Actor, note: String) -> NewRecord {
    let detail = Detail {
        note: Some(note),
        ..actor.detail()
    };
    NewRecord::new(Event::Config, outcome)
        .reason("store")
        .detail(detail)
}

/// The servers whose policies read from a store, in any profile.
pub fn users(dirs: &Dirs, config: &Config, name: &StoreName) -> Vec<ServerName> {
    let is_op = |definition: &StoreDefinition| definition.kind == "op";
    let only_op = config.stores.get(name).is_some_and(is_op)
        && config.stores.values().filter(|one| is_op(one)).count() == 1;
    let is_it = |reference: &StoreRef| match &reference.store {
        Some(store) => store == name,
        None => only_op,
    };
    let uses = |policy: &Policy| {
        policy.store_references().any(is_it) || policy.mint_stores().any(|store| store == name)
    };
    policies(dirs, &uses)
}

/// The servers whose policies have values of the local store, in any profile.
pub fn users_of_local(dirs: &Dirs) -> Vec<ServerName> {
    policies(dirs, &|policy| {
        let mut references = policy.references.iter();
        references.any(|from| matches!(from, Reference::Local(_)))
    })
}

/// A value of another store that policies refer to.
#[derive(Debug)]
pub struct ReferencedValue {
    /// The servers that use it.
    pub servers: BTreeSet<ServerName>,
    /// Why it leads to no store.
    pub broken: Option<Error>,
}

/// The values of other stores that policies refer to, in any profile.
pub fn references(dirs: &Dirs, config: &Config) -> BTreeMap<SecretLabel, ReferencedValue> {
    let mut found: BTreeMap<SecretLabel, ReferencedValue> = BTreeMap::new();
    for (server, policy) in policy::list(dirs) {
        let Ok(policy) = policy else { continue };
        for reference in policy.store_references() {
            let label = Reference::Store(reference.clone()).label();
            let value = found.entry(label).or_insert_with(|| ReferencedValue {
                servers: BTreeSet::new(),
                broken: NamedStore::of(config, reference).err(),
            });
            value.servers.insert(server.clone());
        }
    }
    found
}

fn policies(dirs: &Dirs, uses: &dyn Fn(&Policy) -> bool) -> Vec<ServerName> {
    let all = policy::list(dirs).into_iter();
    let using = all.filter(|(_, policy)| policy.as_ref().is_ok_and(uses));
    using.map(|(server, _)| server).collect()
}

/// The secrets of the local store that only this store needs.
pub fn own_secrets(dirs: &Dirs, config: &Config, name: &StoreName) -> BTreeSet<SecretName> {
    let Some(definition) = config.stores.get(name) else {
        return BTreeSet::new();
    };
    let others = config.stores.iter().filter(|(other, _)| *other != name);
    let others: BTreeSet<_> = others.flat_map(|(_, other)| other.secrets()).collect();
    let mut own = definition.secrets();
    own.retain(|secret| !others.contains(secret) && super::secrets::users(dirs, secret).is_empty());
    own
}
