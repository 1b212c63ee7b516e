//! The settings of a store that is read by a program.
//!
//! Invariants: a message names a setting and never repeats its text, which may be a value that was pasted in the
//! wrong place. A variable whose name looks like a credential is only taken from the local store.

use std::path::PathBuf;

use toml::Value;

use crate::config::StoreDefinition;
use crate::config::stores::secret_of;

/// The settings every such store has.
const COMMON: &[&str] = &["program", "env"];
/// Ends of names of variables that hold credentials.
const CREDENTIALS: &[&str] = &[
    "TOKEN",
    "KEY",
    "SECRET",
    "PASSWORD",
    "PASSPHRASE",
    "SESSION",
    "CREDENTIALS",
];

/// A setting of a preset.
#[derive(Debug)]
pub struct ExecSetting {
    pub name: &'static str,
    pub kind: SettingKind,
    pub is_required: bool,
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// A text that is not empty and does not begin with `-`.
    Text,
    /// An absolute path.
    Path,
    /// `secret:NAME`.
    Secret,
    /// Checked by the preset.
    Other,
}

/// A setting that is a text.
pub const fn text(name: &'static str, is_required: bool) -> ExecSetting {
    ExecSetting {
        name,
        kind: SettingKind::Text,
        is_required,
    }
}

/// A setting that is an absolute path.
pub const fn path(name: &'static str, is_required: bool) -> ExecSetting {
    ExecSetting {
        name,
        kind: SettingKind::Path,
        is_required,
    }
}

/// The settings of a definition.
#[derive(Clone, Copy, Debug)]
pub struct ExecSettings<'a>(pub &'a toml::Table);

impl<'a> ExecSettings<'a> {
    pub fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    pub fn count(self, name: &str) -> Option<usize> {
        usize::try_from(self.0.get(name)?.as_integer()?).ok()
    }

    /// The elements of a list that are texts.
    pub fn texts(self, name: &str) -> impl Iterator<Item = &'a str> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The elements of a list that are numbers.
    pub fn numbers(self, name: &str) -> impl Iterator<Item = i64> {
        let list = self.0.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_integer)
    }

    pub fn program(self) -> Option<PathBuf> {
        self.text("program").map(PathBuf::from)
    }

    /// The variables, each a text or a reference.
    pub fn environment(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let table = self.0.get("env").and_then(Value::as_table);
        let set = table.into_iter().flatten();
        set.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    pub fn sets(self, names: &[&str]) -> bool {
        self.environment().any(|(name, _)| names.contains(&name))
    }
}

/// Checks a definition: its settings beside the common ones, and variables that do not begin with what is refused.
///
/// # Errors
/// Which setting is wrong.
pub fn check(
    settings: &[ExecSetting],
    refused: &[&str],
    definition: &StoreDefinition,
) -> Result<(), String> {
    let table = &definition.settings;
    for name in table.keys() {
        let known = settings.iter().any(|setting| setting.name == name);
        if !known && !COMMON.contains(&name.as_str()) {
            let all = settings.iter().map(|setting| setting.name);
            let all: Vec<_> = COMMON.iter().copied().chain(all).collect();
            return Err(format!(
                "unknown setting `{name}`; expected {}",
                all.join(", ")
            ));
        }
    }
    let program = ExecSetting {
        name: "program",
        kind: SettingKind::Path,
        is_required: true,
    };
    for setting in std::iter::once(&program).chain(settings) {
        match table.get(setting.name) {
            None if setting.is_required => {
                return Err(format!("`{}` is missing", setting.name));
            }
            None => {}
            Some(value) => check_setting(setting, value)?,
        }
    }
    check_environment(refused, table)
}

fn check_setting(setting: &ExecSetting, value: &Value) -> Result<(), String> {
    let text = value.as_str();
    let (fits, expected) = match setting.kind {
        SettingKind::Text => (
            text.is_some_and(is_word),
            "a text that does not begin with `-`",
        ),
        SettingKind::Path => (text.is_some_and(is_absolute), "an absolute path"),
        SettingKind::Secret => (
            text.is_some_and(|text| secret_of(text).is_some()),
            "`secret:NAME`, a value of the local store",
        ),
        SettingKind::Other => (true, ""),
    };
    if fits {
        return Ok(());
    }
    Err(format!("expected {expected} for `{}`", setting.name))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_control)
}

fn is_absolute(text: &str) -> bool {
    text.starts_with('/')
        && !text.contains(char::is_control)
        && !text.split('/').any(|part| matches!(part, "." | ".."))
}

fn check_environment(refused: &[&str], table: &toml::Table) -> Result<(), String> {
    let Some(set) = table.get("env") else {
        return Ok(());
    };
    let set = set
        .as_table()
        .ok_or("expected a table such as `{ NAME = \"text\" }` for `env`")?;
    for (name, value) in set {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err("`env` has a name that no variable can have".to_owned());
        }
        if let Some(start) = refused.iter().find(|start| name.starts_with(**start)) {
            return Err(format!(
                "`env` may not set `{start}…`, which belongs to one login in one terminal"
            ));
        }
        let text = value
            .as_str()
            .filter(|text| !text.contains('\0'))
            .ok_or_else(|| format!("expected a text for `env.{name}`"))?;
        let is_reference = text.starts_with("secret:");
        if is_reference && secret_of(text).is_none() {
            return Err(format!("expected `secret:NAME` for `env.{name}`"));
        }
        let upper = name.to_ascii_uppercase();
        if !is_reference && CREDENTIALS.iter().any(|end| upper.ends_with(end)) {
            return Err(format!(
                "expected `secret:NAME` for `env.{name}`: a credential is kept in the local store"
            ));
        }
    }
    Ok(())
}
