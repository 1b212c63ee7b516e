//! The stores of `config.toml` that adopted entries read from, and those that adopt adds.
//!
//! Invariant: a store that policies of the user may already mean by `op://…` stays the only one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::store_wish::AdoptWish;
use crate::config::{Config, StoreDefinition};
use crate::dirs::{self, Dirs};
use crate::ops::store_settings::StoreSettings;
use crate::reference::{Reference, StoreRef};
use crate::secret::{SecretName, StoreName};
use crate::store::types::NamedStore;

/// A store that adopt adds.
#[derive(Clone, Debug, PartialEq)]
pub struct NewStore {
    pub name: StoreName,
    pub definition: StoreDefinition,
}

/// The stores that policies can read from.
#[derive(Debug, Default)]
pub struct StorePlan {
    /// With the stores that are added.
    config: Config,
    pub new: Vec<NewStore>,
}

impl StorePlan {
    pub fn new(config: Config) -> Self {
        let new = Vec::new();
        Self { config, new }
    }

    /// The references of an entry to a store that fits: one of `config.toml`, or a new one. `logins`:
    /// the names of its secrets.
    ///
    /// # Errors
    /// Why no store fits.
    pub(super) fn references(
        &mut self,
        dirs: &Dirs,
        wish: &AdoptWish,
        logins: &BTreeMap<String, SecretName>,
    ) -> Result<BTreeMap<String, Reference>, String> {
        let fits = |(_, store): &(&StoreName, &StoreDefinition)| fits(store, wish, logins);
        let found = self.config.stores.iter().find(fits);
        let name = match found {
            Some((name, _)) => name.clone(),
            None => self.add(dirs, wish, logins)?,
        };
        let is_op = |store: &&StoreDefinition| store.kind == "op";
        let is_only = self.config.stores.values().filter(is_op).count() == 1;
        let mut references = BTreeMap::new();
        for (variable, place) in &wish.values {
            let text = match place.strip_prefix("op://") {
                Some(_) if is_only => place.clone(),
                Some(rest) => format!("{name}:{rest}"),
                None => format!("{name}:{place}"),
            };
            let reference = Reference::new(&text);
            let checked = reference.and_then(|reference| match &reference {
                Reference::Store(place) => NamedStore::of(&self.config, place).map(|_| reference),
                Reference::Local(_) | Reference::Mint(_) => Ok(reference),
            });
            let checked = checked.map_err(|error| {
                format!(
                    "`{variable}` has no reference that can be used: {}",
                    error.reasons()
                )
            })?;
            references.insert(variable.clone(), checked);
        }
        Ok(references)
    }

    fn add(
        &mut self,
        dirs: &Dirs,
        wish: &AdoptWish,
        logins: &BTreeMap<String, SecretName>,
    ) -> Result<StoreName, String> {
        let kind = wish.kind;
        let needed = |why: &str| {
            format!(
                "its values are in a store of the type `{kind}`, and mcpwrap has none that fits: {why}; run \
                 `mcpwrap store add`, then adopt it"
            )
        };
        if kind == "op" && self.config.stores.values().any(|store| store.kind == "op") {
            return Err(needed("`op://` would lead to two stores"));
        }
        let mut names =
            std::iter::once(kind.to_owned()).chain((2..100).map(|n| format!("{kind}-{n}")));
        let name = names.find_map(|text| {
            let name = StoreName::new(&text).ok()?;
            let is_taken = self.config.stores.contains_key(&name)
                || self.config.broken_stores.contains_key(&name);
            (!is_taken).then_some(name)
        });
        let name = name.ok_or_else(|| needed("too many stores"))?;
        let set: Vec<String> = wish
            .settings
            .iter()
            .map(|(setting, value)| format!("{setting}={value}"))
            .collect();
        let plain = wish
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let secret = logins
            .iter()
            .map(|(name, secret)| format!("{name}=secret:{secret}"));
        let settings = StoreSettings {
            name: &name,
            kind,
            program: None,
            set: &set,
            env: &plain.chain(secret).collect::<Vec<_>>(),
        };
        let path = dirs::search_path().unwrap_or_default();
        let path: Vec<PathBuf> = std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .collect();
        let variable = |name: &str| dirs::server_variable(name)?.into_string().ok();
        let defined = settings.define(dirs, &path, &variable);
        let definition = defined
            .map_err(|error| needed(&error.reasons()))?
            .definition;
        self.config.stores.insert(name.clone(), definition.clone());
        self.new.push(NewStore {
            name: name.clone(),
            definition,
        });
        Ok(name)
    }

    /// Keeps only the new stores that these references lead to.
    pub fn keep_only(&mut self, references: &[&StoreRef]) {
        let mut used = BTreeSet::new();
        for reference in references {
            let store = NamedStore::of(&self.config, reference);
            used.extend(store.ok().map(|store| store.name.clone()));
        }
        self.new.retain(|store| used.contains(&store.name));
    }
}

/// Whether a store has what an entry needs.
fn fits(store: &StoreDefinition, wish: &AdoptWish, logins: &BTreeMap<String, SecretName>) -> bool {
    let text = |table: Option<&toml::Table>, name: &str| {
        table.and_then(|table| Some(table.get(name)?.as_str()?.to_owned()))
    };
    let env = store.settings.get("env").and_then(toml::Value::as_table);
    let has_settings = wish
        .settings
        .iter()
        .all(|(name, value)| text(Some(&store.settings), name).as_ref() == Some(value));
    let has_env = wish
        .env
        .iter()
        .all(|(name, value)| text(env, name).as_ref() == Some(value));
    let has_logins = logins.iter().all(|(name, secret)| {
        text(env, name).is_some_and(|text| text.strip_prefix("secret:") == Some(secret.as_str()))
    });
    store.kind == wish.kind && has_settings && has_env && has_logins
}
