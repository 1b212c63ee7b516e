//! The types of stores that `config.toml` can name.
//!
//! A new type is one file, and one line in the list of its module.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::source::{SecretSource, SourceType, StoreSetup};
use super::{SecretItem, exec, vault_server};
use crate::config::{Config, StoreDefinition};
use crate::error::{Code, Error, Result};
use crate::reference::{StorePlace, StoreRef};
use crate::secret::{Secret, SecretName, StoreName, hex};
use crate::suggest::nearest;

/// The type with this `id`.
pub fn of(id: &str) -> Option<&'static SourceType> {
    all().find(|kind| kind.id == id)
}

/// The type with this `id`, for the store of this name.
///
/// # Errors
/// `store-unknown` with the nearest type.
pub fn named(name: &StoreName, id: &str) -> Result<&'static SourceType> {
    of(id).ok_or_else(|| {
        let known: Vec<_> = all().map(|kind| kind.id).collect();
        let error = unknown(name).cause(format!("no store has the type `{id}`"));
        match nearest(id, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("known types: {}", known.join(", "))),
        }
    })
}

/// All types, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static SourceType> {
    exec::TYPES.iter().chain(vault_server::TYPES)
}

/// The error of a name that `config.toml` does not have.
pub fn unknown_name(config: &Config, name: &StoreName) -> Error {
    let known: Vec<_> = config.stores.keys().map(StoreName::as_str).collect();
    let error = unknown(name).cause(format!("`config.toml` has no `[stores.{name}]`"));
    match nearest(name.as_str(), known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!(
            "run `mcpwrap store list` to see the stores, or `mcpwrap store add {name} --type TYPE` to add it"
        )),
    }
}

/// A store of this machine, with its type.
#[derive(Clone, Copy, Debug)]
pub struct NamedStore<'a> {
    pub name: &'a StoreName,
    pub definition: &'a StoreDefinition,
    pub kind: &'static SourceType,
}

impl<'a> NamedStore<'a> {
    /// The store of this name, with checked settings.
    ///
    /// # Errors
    /// `store-unknown`.
    pub fn find(config: &'a Config, name: &StoreName) -> Result<Self> {
        let Some((name, definition)) = config.stores.get_key_value(name) else {
            let broken = config.broken_stores.get(name);
            return Err(broken.map_or_else(|| unknown_name(config, name), Error::clone));
        };
        Self::new(name, definition)
    }

    /// Looks up the type, and checks the settings.
    ///
    /// # Errors
    /// `store-unknown`.
    pub fn new(name: &'a StoreName, definition: &'a StoreDefinition) -> Result<Self> {
        let kind = named(name, &definition.kind)?;
        let place = definition.place(name);
        (kind.check)(definition).map_err(|why| {
            unknown(name)
                .cause(format!("{place}: {why}"))
                .hint("fix it there; docs/stores.md has an example of each type")
        })?;
        if let Some(why) = internal_secret(definition) {
            return Err(unknown(name).cause(why).hint(format!("fix {place}")));
        }
        Ok(Self {
            name,
            definition,
            kind,
        })
    }

    /// The store that a reference leads to; for `op://…` the only one of that type.
    ///
    /// # Errors
    /// `store-unknown`; `reference-invalid` for a place that no such store has.
    pub fn of(config: &'a Config, reference: &StoreRef) -> Result<Self> {
        let store = match &reference.store {
            Some(name) => Self::find(config, name)?,
            None => Self::only_op(config)?,
        };
        (store.kind.check_place)(store.definition, &reference.place).map_err(|why| {
            let what = format!("`{reference}` is not a reference to store `{}`", store.name);
            Error::new(Code::ReferenceInvalid, what)
                .of_store(store.name)
                .cause(why)
                .hint(if store.keeps_values() {
                    format!("write for example `{}:{}`", store.name, store.kind.example)
                } else {
                    "docs/stores.md has an example of `[mint.NAME]`".to_owned()
                })
        })?;
        Ok(store)
    }

    fn only_op(config: &'a Config) -> Result<Self> {
        if let Some(error) = config.broken_stores.values().next() {
            // It may be a store of this type.
            return Err(error.clone());
        }
        let mut found = config.stores.iter().filter(|(_, store)| store.kind == "op");
        match (found.next(), found.next()) {
            (Some((name, definition)), None) => Self::new(name, definition),
            (None, _) => Err(Error::new(Code::StoreUnknown, "`op://` leads to no store")
                .cause("`config.toml` has no store of the type `op`")
                .hint(
                    "run `mcpwrap store add op --type op --set account=ACCOUNT` to add 1Password",
                )),
            (Some(_), Some(_)) => Err(Error::new(
                Code::StoreUnknown,
                "`op://` leads to several stores",
            )
            .cause("`config.toml` has more than one store of the type `op`")
            .hint("write the name of the store: `NAME:VAULT/ITEM/FIELD`")),
        }
    }

    /// What a policy writes to use it.
    pub fn usage(&self) -> String {
        let Self { name, kind, .. } = self;
        if self.keeps_values() {
            return format!("references look like `{name}:{}`", kind.example);
        }
        format!(
            "policies use it in `[mint.NAME]`, with `store = \"{name}\"` and a `path` such as `{}`",
            kind.example
        )
    }

    /// Whether references lead to values in it; otherwise it only makes credentials.
    fn keeps_values(&self) -> bool {
        let place = StorePlace::new(self.kind.example);
        place.is_ok_and(|place| (self.kind.check_place)(self.definition, &place).is_ok())
    }

    /// SHA-256 of its definition, in hex.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.definition.sealed_text(self.name)))
    }

    /// Whether its program, if it has one, can be trusted by its path.
    ///
    /// # Errors
    /// `store-absent`, `store-program-refused`.
    pub fn check_program(&self) -> Result<()> {
        let program = (self.kind.program)(self.definition);
        program.map_or(Ok(()), |program| {
            exec::check_program(self.name, &self.definition.place(self.name), &program)
        })
    }

    /// # Errors
    /// `store-…`.
    pub fn open(&self, setup: &StoreSetup<'_>) -> Result<Box<dyn SecretSource>> {
        (self.kind.open)(setup)
    }
}

/// Why a definition gets no secret that mcpwrap keeps for itself; `None` if it names none.
pub fn internal_secret(definition: &StoreDefinition) -> Option<String> {
    let secrets = definition.secrets();
    let found = secrets.iter().find(|secret| secret.is_internal())?;
    Some(format!(
        "`secret:{found}` holds what mcpwrap gets by itself"
    ))
}

/// The values of the local store, by name.
pub type LocalValues = BTreeMap<SecretName, Result<SecretItem>>;

/// What the definition of a store needs from the local one.
///
/// # Errors
/// The error of the first secret that cannot be read.
pub fn own_secrets(
    store: &NamedStore<'_>,
    local: &LocalValues,
) -> Result<BTreeMap<SecretName, Secret>> {
    let mut secrets = BTreeMap::new();
    for name in store.definition.secrets() {
        match local.get(&name) {
            Some(Ok(item)) => drop(secrets.insert(name, item.value.clone())),
            Some(Err(error)) => {
                let what = format!("cannot use store `{}`", store.name);
                let error = error.clone();
                let code = error.code;
                return Err(Error::new(code, what).of_store(store.name).caused_by(error));
            }
            None => return Err(incomplete(store)),
        }
    }
    Ok(secrets)
}

fn incomplete(store: &NamedStore<'_>) -> Error {
    let what = format!("store `{}` has not all that it needs", store.name);
    Error::new(Code::SecretNotFound, what).of_store(store.name)
}

fn unknown(name: &StoreName) -> Error {
    Error::new(Code::StoreUnknown, format!("cannot use store `{name}`")).of_store(name)
}
