//! A store with its checked settings, its secrets, and the environment of its program.
//!
//! Invariant: the environment of the program comes from the definition, the preset, the approved network
//! settings and the account. Nothing in it is the client's.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::settings::ExecSettings;
use crate::config::stores::secret_of;
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName, StoreName};
use crate::store::source::{PROGRAM_PATH, StoreSetup};
use crate::store::waits::StoreWaits;
use crate::sys::user;

/// Programs say what failed in English.
const LANG: &str = "C.UTF-8";

/// The variables that a program gets because of its type.
#[derive(Clone, Copy, Debug)]
pub struct TypeVariables {
    /// Always, unless `env` sets them.
    pub variables: &'static [(&'static str, &'static str)],
    /// Settings that the program takes as variables: their names and those of the variables.
    pub exported: &'static [(&'static str, &'static str)],
    /// What keeps it from asking the user; left out where it may ask.
    pub silent: &'static [(&'static str, &'static str)],
}

/// A store that is ready to be asked.
pub struct OpenedStore {
    pub name: StoreName,
    /// Where it is defined, for users.
    pub place: String,
    pub program: PathBuf,
    /// One run of this store at a time, by this lock.
    pub lock: PathBuf,
    /// Taken before `lock` by what may show a dialog: one at a time on this machine.
    pub dialogs: PathBuf,
    /// Whether its own dialogs may appear.
    pub is_interactive: bool,
    /// Where the session notes what it waits for.
    pub waits: Option<Arc<StoreWaits>>,
    pub home: PathBuf,
    table: toml::Table,
    secrets: BTreeMap<SecretName, Secret>,
    environment: BTreeMap<String, Secret>,
}

impl std::fmt::Debug for OpenedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedStore")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl OpenedStore {
    /// # Errors
    /// `store-unknown`: the definition was not checked.
    pub fn new(given: TypeVariables, setup: &StoreSetup<'_>) -> Result<Self> {
        let table = setup.definition.settings.clone();
        let program = ExecSettings(&table).program().ok_or_else(|| {
            let what = format!("cannot use store `{}`", setup.name);
            let error = Error::new(Code::StoreUnknown, what).of_store(setup.name);
            error.cause("`program` is missing")
        })?;
        let mut opened = Self {
            name: setup.name.clone(),
            place: setup.definition.place(setup.name),
            program,
            lock: setup
                .dirs
                .runtime()
                .join("stores")
                .join(format!("{}.lock", setup.name)),
            dialogs: setup.dirs.runtime().join("stores/dialog"),
            is_interactive: setup.is_interactive || setup.definition.interactive,
            waits: setup.waits.cloned(),
            home: setup.dirs.home().to_path_buf(),
            table,
            secrets: setup.secrets.clone(),
            environment: BTreeMap::new(),
        };
        opened.environment = opened.environment(given, &setup.network.variables);
        Ok(opened)
    }

    /// Whether a session waits while its program may ask the user.
    pub const fn asks_user(&self) -> bool {
        self.is_interactive && self.waits.is_some()
    }

    pub const fn settings(&self) -> ExecSettings<'_> {
        ExecSettings(&self.table)
    }

    /// The value of a setting that is a reference to the local store.
    pub fn secret(&self, setting: &str) -> Option<&Secret> {
        let name = secret_of(self.settings().text(setting)?)?;
        self.secrets.get(&name)
    }

    /// The variables of the program.
    pub fn variables(&self) -> Vec<(&OsStr, &OsStr)> {
        let all = self.environment.iter();
        all.map(|(name, value)| (OsStr::new(name), OsStr::from_bytes(value.expose())))
            .collect()
    }

    /// A variable of the program, if it is text.
    pub fn variable(&self, name: &str) -> Option<&str> {
        str::from_utf8(self.environment.get(name)?.expose()).ok()
    }

    fn environment(
        &self,
        given: TypeVariables,
        network: &[(String, Secret)],
    ) -> BTreeMap<String, Secret> {
        let text = |text: &str| Secret::new(text.as_bytes().to_vec());
        let mut all = BTreeMap::new();
        let mut set = |name: &str, value: Secret| drop(all.insert(name.to_owned(), value));
        set("PATH", text(PROGRAM_PATH));
        set("LANG", text(LANG));
        set(
            "HOME",
            Secret::new(self.home.as_os_str().as_bytes().to_vec()),
        );
        if let Some(name) = user::name() {
            set("USER", text(&name));
            set("LOGNAME", text(&name));
        }
        for (name, value) in network {
            set(name, value.clone());
        }
        let silent = given.silent.iter();
        let silent = silent.filter(|_| !self.is_interactive);
        for (name, value) in given.variables.iter().chain(silent) {
            set(name, text(value));
        }
        for (setting, name) in given.exported {
            if let Some(value) = self.settings().text(setting) {
                set(name, text(value));
            }
        }
        for (name, value) in self.settings().environment() {
            match secret_of(value) {
                // The launch stops if a secret of a definition has no value.
                Some(from) => {
                    if let Some(secret) = self.secrets.get(&from) {
                        set(name, secret.clone());
                    }
                }
                None => set(name, text(value)),
            }
        }
        all
    }

    /// A setting as an option with its value, if it is set.
    pub fn option(&self, setting: &str, option: &str) -> Vec<OsString> {
        let found = self.settings().text(setting).into_iter();
        found
            .flat_map(|text| [OsString::from(option), OsString::from(text)])
            .collect()
    }
}
