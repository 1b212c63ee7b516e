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
        let taken = take_variables(&mut table, kind, variable);
        table.insert("type".to_owned(), self.kind.into());
        let definition = StoreDefinition::try_from(table).map_err(|why| self.refused(&why))?;
        (kind.check)(&definition).map_err(|why| {
            self.refused(&why)
                .hint(format!("this type needs: {}", kind.needs))
        })?;
        Ok(DefinedStore {
            definition,
            kind,
            taken,
        })
    }

    /// One `KEY=VALUE`.
    fn add(&self, table: &mut toml::Table, option: &str, pair: &str) -> Result<()> {
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
    fn program(&self, dirs: &Dirs, kind: &SourceType, path: &[PathBuf]) -> Result<Option<PathBuf>> {
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
            .cause(format!(
                "no program `{}` in your PATH",
                names.join("` or `")
            ))
            .hint("install it, or add `--program PATH`")
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
fn take_variables(
    table: &mut toml::Table,
    kind: &SourceType,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Vec<(&'static str, &'static str)> {
    let mut taken = Vec::new();
    for (setting, names) in kind.variables {
        let found = names
            .iter()
            .find_map(|name| Some((*name, variable(name).filter(|text| !text.is_empty())?)));
        let Some((name, text)) = found.filter(|_| !table.contains_key(*setting)) else {
            continue;
        };
        let value = Value::from(text);
        if !holds_secret(setting, &value) {
            table.insert((*setting).to_owned(), value);
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
        return table.insert(key.to_owned(), value).is_none().then_some(());
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

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "hvs.CAESIJfVq8kL2mP9xR4tW7yZ1bN3cD5eF6gH8jK0";

    const KIND: SourceType = SourceType {
        id: "test",
        about: "a store",
        example: "a/b",
        needs: "`address`",
        tested: "nothing",
        programs: &["none-such", "tool"],
        variables: &[("address", &["BAO_ADDR", "VAULT_ADDR"])],
        sign_in: |_| None,
        sign_in_hint: "",
        check: |_| Ok(()),
        check_place: |_, _| Ok(()),
        program: |_| None,
        shown: |_| Vec::new(),
        open: |_| Err(Error::new(Code::StoreAbsent, "none")),
    };

    fn table_of(set: &[&str], env: &[&str]) -> Result<toml::Table> {
        let name = StoreName::new("corp").unwrap();
        let own = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let (set, env) = (own(set), own(env));
        let settings = StoreSettings {
            name: &name,
            kind: "test",
            program: None,
            set: &set,
            env: &env,
        };
        let mut table = toml::Table::new();
        for pair in &set {
            settings.add(&mut table, "--set", pair)?;
        }
        for pair in &env {
            settings.add(&mut table, "--env", pair)?;
        }
        Ok(table)
    }

    #[test]
    fn settings_become_a_table() {
        let table = table_of(
            &[
                "address=https://bao.corp:8200",
                "auth.method=approle",
                "auth.role_id=675a50e7-cfe0-be76-e35f-49ec009731ea",
                "auth.secret_id=secret:vault/secret-id",
                "line=1",
                "project=0123",
                "interactive=true",
                "args=[\"read\", \"--\", \"{path}\"]",
                "note=[unclosed",
            ],
            &["OP_SERVICE_ACCOUNT_TOKEN=secret:op/token"],
        );
        let expected = "address = \"https://bao.corp:8200\"\nline = 1\nproject = \"0123\"\n\
            interactive = true\nargs = [\"read\", \"--\", \"{path}\"]\nnote = \"[unclosed\"\n\
            [auth]\nmethod = \"approle\"\nrole_id = \"675a50e7-cfe0-be76-e35f-49ec009731ea\"\n\
            secret_id = \"secret:vault/secret-id\"\n[env]\nOP_SERVICE_ACCOUNT_TOKEN = \"secret:op/token\"";
        let expected: toml::Table = toml::from_str(expected).unwrap();
        assert_eq!(table.unwrap(), expected);
    }

    #[test]
    fn what_looks_like_a_secret_is_refused_and_not_repeated() {
        let pair = |key: &str| format!("{key}={TOKEN}");
        let list = format!("args=[\"--token\", \"{TOKEN}\"]");
        for (set, env) in [
            (pair("auth.token"), None),
            (list, None),
            ("a=b".to_owned(), Some(pair("VAULT_TOKEN"))),
            (TOKEN.to_owned(), None),
            ("a=b".to_owned(), Some(TOKEN.to_owned())),
            (format!("={TOKEN}"), None),
        ] {
            let env: Vec<&str> = env.iter().map(String::as_str).collect();
            let error = table_of(&[&set], &env).unwrap_err();
            assert_eq!(error.code, Code::Usage, "{error}");
            assert!(!error.to_string().contains("CAESI"), "{error}");
        }
        for twice in [["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=1", "a.b=2"]] {
            let error = table_of(&twice, &[]).unwrap_err().to_string();
            assert!(error.contains("set twice"), "{error}");
        }
    }

    #[test]
    fn settings_of_the_terminal_are_taken_once() {
        let variable = |name: &str| match name {
            "VAULT_ADDR" => Some("https://vault.corp:8200".to_owned()),
            _ => None,
        };
        let mut table = toml::Table::new();
        let taken = take_variables(&mut table, &KIND, &variable);
        assert_eq!(taken, [("address", "VAULT_ADDR")]);
        assert_eq!(table["address"].as_str(), Some("https://vault.corp:8200"));
        assert_eq!(take_variables(&mut table, &KIND, &variable), []);
        let secret = |_: &str| Some(TOKEN.to_owned());
        assert_eq!(take_variables(&mut toml::Table::new(), &KIND, &secret), []);
    }

    #[test]
    fn the_program_is_found_and_its_link_kept() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (real, link) = (home.join("real"), home.join("link"));
        std::fs::create_dir(&real).unwrap();
        crate::files::replace(&real.join("tool-2"), b"#!/bin/sh\n").unwrap();
        let runs = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(real.join("tool-2"), runs).unwrap();
        symlink("tool-2", real.join("tool")).unwrap();
        symlink(&real, &link).unwrap();
        let name = StoreName::new("corp").unwrap();
        let dirs = Dirs::under(&home);
        let found = |program: Option<&str>| {
            let settings = StoreSettings {
                name: &name,
                kind: "test",
                program,
                set: &[],
                env: &[],
            };
            settings.program(&dirs, &KIND, std::slice::from_ref(&link))
        };
        let tool = real.join("tool");
        assert_eq!(found(None).unwrap(), Some(tool.clone()));
        assert_eq!(found(Some("tool")).unwrap(), Some(tool.clone()));
        let path = link.join("tool").display().to_string();
        assert_eq!(found(Some(&path)).unwrap(), Some(tool));
        for absent in [
            Some("none-such"),
            Some("/none/such"),
            Some(real.to_str().unwrap()),
        ] {
            assert_eq!(found(absent).unwrap_err().code, Code::StoreAbsent);
        }
    }
}
