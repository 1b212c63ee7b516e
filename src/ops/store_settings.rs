//! The definition of a store, from the arguments of `store add`.
//!
//! Invariant: an argument that looks like a secret is refused without being repeated, because other
//! programs of the machine and the history of the shell see arguments.

use std::path::{Path, PathBuf};

use toml::Value;

use crate::config::StoreDefinition;
use crate::config::stores::secret_of;
use crate::detect::{self, ValueSite};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::package::lookup;
use crate::secret::StoreName;
use crate::store::source::SourceType;
use crate::store::types;

/// What the user gave.
#[derive(Debug)]
pub struct StoreSettings<'a> {
    pub name: &'a StoreName,
    pub kind: &'a str,
    pub program: Option<&'a str>,
    /// Each `KEY=VALUE`; a key may have dots.
    pub set: &'a [String],
    /// Each `NAME=secret:NAME`.
    pub env: &'a [String],
}

/// A definition that was checked.
#[derive(Debug)]
pub struct DefinedStore {
    pub definition: StoreDefinition,
    pub kind: &'static SourceType,
    /// The settings that come from a variable of the terminal, each with that variable.
    pub taken: Vec<(&'static str, &'static str)>,
}

impl StoreSettings<'_> {
    /// Puts the definition together and checks it. `path`: where programs are searched; `variable`:
    /// the variables of the terminal.
    ///
    /// # Errors
    /// `usage`; `store-unknown` for a type that does not exist; `store-absent` if its program is not
    /// found.
    pub fn define(
        &self,
        dirs: &Dirs,
        path: &[PathBuf],
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<DefinedStore> {
        let kind = types::named(self.name, self.kind)?;
        let mut table = toml::Table::new();
        for (option, pairs) in [("--set", self.set), ("--env", self.env)] {
            for pair in pairs {
                self.add(&mut table, option, pair)?;
            }
        }
        if table.contains_key("type") || table.contains_key("program") {
            return Err(self
                .refused("`--set` takes neither `type` nor `program`")
                .hint("use `--type` and `--program`"));
        }
        if let Some(program) = self.program(dirs, kind, path)? {
            let text = program.into_os_string().into_string();
            let text = text.map_err(|_| self.refused("the path of its program is not UTF-8"))?;
            table.insert("program".to_owned(), text.into());
        }
        table.insert("type".to_owned(), self.kind.into());
        let own = table.clone();
        let taken = take_variables(&mut table, kind, variable);
        let (definition, taken) = match self.checked(table, kind) {
            Ok(definition) => (definition, taken),
            // What the terminal has may contradict what the user gave.
            Err(error) => (self.checked(own, kind).map_err(|_| error)?, Vec::new()),
        };
        Ok(DefinedStore {
            definition,
            kind,
            taken,
        })
    }

    fn checked(&self, table: toml::Table, kind: &SourceType) -> Result<StoreDefinition> {
        let definition = StoreDefinition::try_from(table).map_err(|why| {
            self.refused(&why)
                .hint("correct it after `--set`; docs/stores.md says what each setting takes")
        })?;
        (kind.check)(&definition).map_err(|why| {
            self.refused(&why)
                .hint(format!("this type needs: {}", kind.needs))
        })?;
        match types::internal_secret(&definition) {
            Some(why) => Err(self.refused(&why)),
            None => Ok(definition),
        }
    }

    /// One `KEY=VALUE`.
    pub(super) fn add(&self, table: &mut toml::Table, option: &str, pair: &str) -> Result<()> {
        let is_env = option == "--env";
        let found = pair.split_once('=');
        let found =
            found.filter(|(key, _)| key.split('.').all(is_key) && !(is_env && key.contains('.')));
        let Some((key, text)) = found else {
            let form = if is_env {
                "NAME=secret:NAME"
            } else {
                "KEY=VALUE"
            };
            return Err(self.refused(&format!("expected `{form}` after `{option}`")));
        };
        let value = if is_env { text.into() } else { value_of(text) };
        let last = key.rsplit('.').next().unwrap_or(key);
        if holds_secret(last, &value) {
            let what =
                format!("`{option} {key}=…` looks like a secret, and arguments are not private");
            if matches!(&value, Value::String(text) if text.contains("://")) {
                return Err(self.refused(&what).hint(
                    "write the address without user and password; docs/stores.md has where each type takes them",
                ));
            }
            return Err(self.refused(&what).hint(format!(
                "run `mcpwrap secret set {}/{}`, and write `{option} {key}=secret:{}/{}`",
                self.name,
                slug(last),
                self.name,
                slug(last)
            )));
        }
        let place = if is_env {
            format!("env.{key}")
        } else {
            key.to_owned()
        };
        insert(table, &place, value)
            .ok_or_else(|| self.refused(&format!("`{place}` is set twice, or below a setting")))
    }

    /// The absolute path of the program. A link is kept, because package managers move what it leads to;
    /// the directories before it are not links.
    pub(super) fn program(
        &self,
        dirs: &Dirs,
        kind: &SourceType,
        path: &[PathBuf],
    ) -> Result<Option<PathBuf>> {
        let found = match self.program {
            Some(text) if text.contains('/') => {
                let file = dirs.expand(text);
                let is_program = lookup::executable(&file) == Some(true);
                is_program.then_some(file)
            }
            Some(text) => lookup::search(text, path).ok(),
            None if kind.programs.is_empty() => return Ok(None),
            None => kind
                .programs
                .iter()
                .find_map(|name| lookup::search(name, path).ok()),
        };
        let found = found.and_then(|file| without_links(&file));
        let names: Vec<_> = match self.program {
            Some(text) => vec![text],
            None => kind.programs.to_vec(),
        };
        let absent = || {
            Error::new(
                Code::StoreAbsent,
                format!("cannot add store `{}`", self.name),
            )
            .of_store(self.name)
            .cause(match self.program {
                Some(text) if text.contains('/') => {
                    format!("`{text}` does not exist, or is no program that can be executed")
                }
                _ => format!("no program `{}` in your PATH", names.join("` or `")),
            })
            .hint(match self.program {
                Some(text) if text.contains('/') => "correct the path after `--program`",
                _ => "install it, or add `--program PATH`",
            })
        };
        found.map(Some).ok_or_else(absent)
    }

    fn refused(&self, why: &str) -> Error {
        Error::new(Code::Usage, format!("cannot add store `{}`", self.name))
            .of_store(self.name)
            .cause(why)
    }
}

/// Takes settings over from the terminal that the user did not give.
pub(super) fn take_variables(
    table: &mut toml::Table,
    kind: &SourceType,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<(&'static str, &'static str)> {
    let mut taken = Vec::new();
    for (setting, names) in kind.variables {
        let found = names
            .iter()
            .find_map(|name| Some((*name, variable(name).filter(|text| !text.is_empty())?)));
        let Some((name, text)) = found else {
            continue;
        };
        let value = Value::from(text);
        if !holds_secret(setting, &value) && insert(table, setting, value).is_some() {
            taken.push((*setting, name));
        }
    }
    taken
}

/// The path with the links of its directories resolved.
fn without_links(file: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(file).ok()?;
    let directory = file.parent()?.canonicalize().ok()?;
    Some(directory.join(file.file_name()?))
}

fn is_key(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !part.is_empty() && part.len() <= 64 && part.chars().all(allowed)
}

/// A list, a table, a number, a truth value or a quoted text as in TOML; anything else is a text.
fn value_of(text: &str) -> Value {
    let is_number =
        text.bytes().all(|b| b.is_ascii_digit()) && !(text.len() > 1 && text.starts_with('0'));
    if is_number || text.starts_with(['[', '{', '"', '\'']) || matches!(text, "true" | "false") {
        let read = toml::from_str::<toml::Table>(&format!("value = {text}"));
        if let Some(value) = read.ok().and_then(|mut table| table.remove("value")) {
            return value;
        }
    }
    text.into()
}

/// Inserts a value below a key with dots; `None` if there is something already.
fn insert(table: &mut toml::Table, key: &str, value: Value) -> Option<()> {
    let Some((first, rest)) = key.split_once('.') else {
        if table.contains_key(key) {
            return None;
        }
        table.insert(key.to_owned(), value);
        return Some(());
    };
    let below = table
        .entry(first)
        .or_insert_with(|| Value::Table(toml::Table::new()));
    insert(below.as_table_mut()?, rest, value)
}

/// Whether a value looks like a secret, in any of its parts.
fn holds_secret(name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) if secret_of(text).is_some() => false,
        Value::String(text) => {
            let verdict = detect::value(ValueSite::Env(name), text);
            !verdict.secrets().is_empty()
        }
        Value::Array(values) => values.iter().any(|value| holds_secret(name, value)),
        Value::Table(table) => table.iter().any(|(key, value)| holds_secret(key, value)),
        _ => false,
    }
}

/// A name for the local store: `op-service-account-token` from `OP_SERVICE_ACCOUNT_TOKEN`.
fn slug(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}
