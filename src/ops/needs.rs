//! Variables of the user's terminal that a server may read and does not get.
//!
//! Without mcpwrap a server inherited all of them. One that is missing may be silent: another cluster,
//! another account, no screen. Nothing is changed here; the user sees what to write into the policy.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use crate::detect::{self, ValueSite};
use crate::dirs::{self, Dirs};
use crate::error::printable;
use crate::invocation::{self, Terminal};
use crate::package;
use crate::policy::{Policy, ambient, inherit};

/// Variables that every terminal has, and those of terminals and editors themselves.
const OF_TERMINALS: &[&str] = &[
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "HOSTNAME",
    "HOSTTYPE",
    "MAIL",
    "PAGER",
    "EDITOR",
    "VISUAL",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TERM_SESSION_ID",
    "COLORTERM",
    "VTE_VERSION",
    "WINDOWID",
    "COLUMNS",
    "LINES",
    "PS1",
    "PS2",
    "LS_COLORS",
    "XDG_DATA_DIRS",
    "XDG_CONFIG_DIRS",
    "XDG_SESSION_ID",
    "XDG_SEAT",
    "XDG_VTNR",
    "CI",
];
/// More variables than this are not listed.
const SHOWN_MAX: usize = 12;
/// A longer value is not shown (bytes).
const VALUE_BYTES_MAX: usize = 200;

/// What the user should know about the environment of a server that was just approved in this terminal.
pub fn notes(dirs: &Dirs, policy: &Policy, terminal: &Terminal) -> Vec<String> {
    proposals(policy, &missing(dirs, policy, terminal))
}

/// The names of the variables that the server reads and does not get.
pub fn names(dirs: &Dirs, policy: &Policy) -> Vec<String> {
    missing(dirs, policy, &Terminal::new(dirs))
        .into_keys()
        .collect()
}

/// Those of this terminal, with their values.
fn missing(dirs: &Dirs, policy: &Policy, terminal: &Terminal) -> BTreeMap<String, String> {
    let nothing = BTreeMap::new();
    if policy.remote.is_some() {
        return nothing;
    }
    // Most servers read none of the variables: their commands are not resolved.
    let resolved = LazyCell::new(|| invocation::resolve_for_grant(policy, dirs, terminal).ok());
    let launch = package::parse(&policy.command);
    if launch.registry == package::Registry::Image {
        // A container gets only what its command names.
        return nothing;
    }
    let gets = |name: &str| {
        policy.env.set.contains_key(name)
            || policy.secrets.contains_key(name)
            || launch.env.iter().any(|(own, _)| own == name)
            || policy.env.pass.iter().any(|own| own == name)
            || inherit::is_in_base(name)
    };
    let of_other = |name: &str| {
        inherit::never(name).is_some()
            || inherit::is_network(name)
            || (inherit::is_sealed(name) && !ambient::chooses(name))
            || OF_TERMINALS.contains(&name)
            || name.starts_with("MCPWRAP_")
    };
    let mut set: BTreeMap<String, String> = dirs::terminal_variables()
        .filter(|(name, _)| !gets(name) && !of_other(name))
        .collect();
    let names: Vec<String> = set.keys().cloned().collect();
    let words = words(policy, &launch);
    // The files of a launcher say nothing about what it downloads.
    let is_own = launch.registry == package::Registry::Local;
    let code = if is_own {
        match &*resolved {
            Some(resolved) => resolved.invocation.code(),
            None => return nothing,
        }
    } else {
        Vec::new()
    };
    let found = package::variables_read(policy, dirs, &code, &names);
    let read = |name: &String| {
        found.as_ref().is_some_and(|found| found.contains(name)) || ambient::usual(&words, name)
    };
    set.retain(|name, _| read(name));
    if set.is_empty() {
        return set;
    }
    let Some(resolved) = &*resolved else {
        return nothing;
    };
    set.retain(|name, _| !resolved.invocation.env.contains_key(name));
    set.into_iter().take(SHOWN_MAX).collect()
}

/// The words that a server is called by.
fn words(policy: &Policy, launch: &package::ParsedCommand) -> Vec<String> {
    let names = [
        Some(policy.server.as_str()),
        launch.package.as_deref(),
        Some(launch.launcher.as_str()),
    ];
    let names = names.into_iter().flatten();
    names
        .flat_map(|name| name.split(|c: char| !c.is_ascii_alphanumeric()))
        .map(str::to_ascii_lowercase)
        .collect()
}

/// What to write into the policy for each variable.
fn proposals(policy: &Policy, missing: &BTreeMap<String, String>) -> Vec<String> {
    let (mut pass, mut by_value, mut secret) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in missing {
        if ambient::is_harmless(name) {
            pass.push(format!("\"{name}\""));
        } else if !detect::value(ValueSite::Env(name), value)
            .secrets()
            .is_empty()
        {
            secret.push(format!("`{name}`"));
        } else if value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) {
            by_value.push(format!("{name} = \"…\""));
        } else {
            by_value.push(format!("{name} = {}", toml::Value::from(value.as_str())));
        }
    }
    let server = &policy.server;
    let mut notes = Vec::new();
    let it = "may read variables of your terminal that it does not get";
    if !by_value.is_empty() {
        notes.push(format!(
            "server `{server}` {it}; to give it these values, add to `set` in `[env]`: {}",
            printable(&by_value.join(", "))
        ));
    }
    if !pass.is_empty() {
        notes.push(format!(
            "server `{server}` {it}; to pass them on, add to `pass` in `[env]`: {}",
            pass.join(", ")
        ));
    }
    if !secret.is_empty() {
        notes.push(format!(
            "server `{server}` {it}, and their values look like secrets: {}; to give it one, store it with \
             `mcpwrap secret set` and add `[secrets.NAME]`",
            secret.join(", ")
        ));
    }
    notes
}
