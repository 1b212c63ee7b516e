//! The variables that say who the user is and where the user's files are.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dirs::{self, Dirs};
use crate::sys::user;

/// Directories of the user's terminal that a server gets. Source: the XDG Base Directory
/// Specification.
const DIRECTORIES: &[&str] = &[
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

/// Directories of an application in a sandbox, which set these variables for themselves.
const SANDBOXES: &[&str] = &["snap", ".var/app"];

/// The variables of the account.
pub(super) fn variables(dirs: &Dirs) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: &str| drop(env.insert(name.to_owned(), value.to_owned()));
    let account = user::account();
    match account.as_ref().and_then(|account| account.home.to_str()) {
        Some(home) => set("HOME", home),
        None => set("HOME", &dirs.home().to_string_lossy()),
    }
    if let Some(account) = &account {
        set("USER", &account.name);
        set("LOGNAME", &account.name);
        set("SHELL", &account.shell);
    }
    env
}

/// The variables of the terminal, which replace those of the account.
pub(super) fn of_terminal() -> BTreeMap<String, String> {
    let home = user::account().map(|account| account.home);
    let of_sandbox = |value: &str| {
        let home = home.as_deref().unwrap_or(Path::new("/"));
        SANDBOXES
            .iter()
            .any(|dir| Path::new(value).starts_with(home.join(dir)))
    };
    DIRECTORIES
        .iter()
        .filter_map(|name| {
            let value = dirs::server_variable(name)?.into_string().ok()?;
            let kept = value.starts_with('/') && !of_sandbox(&value);
            kept.then(|| ((*name).to_owned(), value))
        })
        .collect()
}
