//! The paths of all files, and all environment variables that mcpwrap reads for itself.
//!
//! Paths follow the XDG directories, also on macOS, or are all in `$MCPWRAP_HOME`.
//!
//! Invariants: nothing is created here (modules that write use `files`). Only `launch.rs` also reads
//! the environment, for what the server inherits.

mod terminal;
mod variable;

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

pub use self::terminal::{browser, columns, desktop_variables, editor, no_colour, pager};
use self::variable::variable;
pub use self::variable::{RESOLVER_OPTIONS, has_resolver_options};
use crate::error::{Code, Error, Result};

/// Puts everything (config.toml, policies/, state/, data/, run/) in one directory.
pub const MCPWRAP_HOME: &str = "MCPWRAP_HOME";
/// The level of the diagnostics in the log directory: error, warn, info, debug or trace.
pub const MCPWRAP_LOG: &str = "MCPWRAP_LOG";
/// Policies of the administrator. They take precedence over a user's policy and need no grant.
pub const MANAGED_POLICIES: &str = "/etc/mcpwrap/policies";
/// Settings of the administrator.
pub const MANAGED_CONFIG: &str = "/etc/mcpwrap/config.toml";
/// The stores of the administrator, one file each; they win over the user's.
pub const MANAGED_STORES: &str = "/etc/mcpwrap/stores";

/// The directories of this user.
#[derive(Clone, Debug)]
pub struct Dirs {
    home: PathBuf,
    config: PathBuf,
    state: PathBuf,
    data: PathBuf,
    runtime: Vec<PathBuf>,
}

impl Dirs {
    /// Reads `MCPWRAP_HOME`, `HOME` and the `XDG_*_HOME` variables. Without `HOME`, the home of the
    /// account is taken. Values that a snap or Flatpak sets for the programs inside it are ignored: they
    /// would give each client a home of its own.
    ///
    /// # Errors
    /// `home-unusable` if there is no home, or if it belongs to another user (as under `sudo` with the
    /// user's `HOME`).
    pub fn from_env() -> Result<Self> {
        let home = home();
        let own = variable(MCPWRAP_HOME).filter(|own| !own.is_empty());
        let own = own.map(PathBuf::from);
        if own.as_ref().is_some_and(|own| own.is_relative()) {
            // Another directory than the one that was meant would be used, and perhaps removed.
            return Err(
                Error::new(Code::HomeUnusable, "cannot determine mcpwrap's directories")
                    .cause("`MCPWRAP_HOME` is not an absolute path")
                    .hint("set `MCPWRAP_HOME` to a path that begins with `/`, or unset it"),
            );
        }
        let own = own.map(|own| (own, MCPWRAP_HOME));
        let Some((base, name)) = own.clone().or_else(|| home.clone()) else {
            return Err(
                Error::new(Code::HomeUnusable, "cannot determine mcpwrap's directories")
                    .cause("neither `HOME` nor `MCPWRAP_HOME` is set, and your account has no home")
                    .hint("set `HOME`, as your login shell does"),
            );
        };
        check_owner(&base, name)?;
        if let Some((own, _)) = own {
            let home = home.map_or_else(|| own.clone(), |(home, _)| home);
            return Ok(Self {
                home,
                ..Self::under(&own)
            });
        }
        let xdg = |name, default: &str| {
            absolute(variable(name))
                .filter(|value| !is_of_sandbox(value, &base))
                .unwrap_or_else(|| base.join(default))
                .join("mcpwrap")
        };
        let state = xdg("XDG_STATE_HOME", ".local/state");
        let mut runtime: Vec<_> = session_directories()
            .into_iter()
            .map(|dir| dir.join("mcpwrap"))
            .collect();
        runtime.push(state.join("run"));
        runtime.dedup();
        Ok(Self {
            config: xdg("XDG_CONFIG_HOME", ".config"),
            data: xdg("XDG_DATA_HOME", ".local/share"),
            home: base,
            state,
            runtime,
        })
    }

    /// Everything in one directory, as with `MCPWRAP_HOME`.
    pub fn under(own: &Path) -> Self {
        Self {
            home: own.to_path_buf(),
            config: own.to_path_buf(),
            state: own.join("state"),
            data: own.join("data"),
            runtime: vec![own.join("run")],
        }
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The accepted findings of `mcpwrap check`, with reasons.
    pub fn check_list(&self) -> PathBuf {
        self.config.join("check.toml")
    }

    /// `config.toml`: the store and the defaults.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// One policy per server, `SERVER.toml`.
    pub fn policies(&self) -> PathBuf {
        self.config.join("policies")
    }

    /// The vault file of the `file` store.
    pub fn vault_file(&self) -> PathBuf {
        self.data.join("vault.age")
    }

    /// The vault's identity, encrypted with the user's passphrase.
    pub fn vault_identity(&self) -> PathBuf {
        self.data.join("vault-identity.age")
    }

    /// Files that mcpwrap changes by itself.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The audit log, one file per day.
    pub fn audit(&self) -> PathBuf {
        self.state.join("audit")
    }

    /// The approved network settings, and copies of the certificate files that they name.
    pub fn network(&self) -> PathBuf {
        self.state.join("network")
    }

    /// The private working directories of servers.
    pub fn work(&self) -> PathBuf {
        self.state.join("work")
    }

    /// One sealed grant per server.
    pub fn grants(&self) -> PathBuf {
        self.state.join("grants")
    }

    /// The identity of these directories, sealed with the master key of their store.
    pub fn home_file(&self) -> PathBuf {
        self.state.join("home.toml")
    }

    /// Sealed settings that widen what is allowed.
    pub fn settings(&self) -> PathBuf {
        self.state.join("settings.toml")
    }

    /// Names, profiles, dates and fingerprints of the secrets, without values.
    pub fn secrets_index(&self) -> PathBuf {
        self.state.join("secrets.toml")
    }

    /// Which runs have short-lived credentials that can be withdrawn.
    pub fn withdraw_index(&self) -> PathBuf {
        self.state.join("withdraw.toml")
    }

    /// Which credentials look as if a service had refused them.
    pub fn suspects(&self) -> PathBuf {
        self.state.join("suspects.toml")
    }

    /// Facts about OAuth tokens. Beside the index of secrets, because sessions watch both.
    pub fn oauth_index(&self) -> PathBuf {
        self.state.join("oauth.toml")
    }

    /// Approvals of logins, and the locks of tokens; no secret.
    pub fn oauth(&self) -> PathBuf {
        self.state.join("oauth")
    }

    /// Diagnostic logs.
    pub fn log(&self) -> PathBuf {
        self.state.join("log")
    }

    /// Pinned servers, installed from their lock files.
    pub fn packages(&self) -> PathBuf {
        self.data.join("packages")
    }

    /// The copy of mcpwrap that client configs name if the program itself may be removed at any time.
    pub fn program_copy(&self) -> PathBuf {
        self.data.join("bin/mcpwrap")
    }

    /// The version and digest of that copy, sealed.
    pub fn program_record(&self) -> PathBuf {
        self.state.join("program.toml")
    }

    /// Where a supervisor creates its control socket and other files of the session.
    pub fn runtime(&self) -> &Path {
        self.runtime.first().map_or(&self.state, PathBuf::as_path)
    }

    /// All directories where a supervisor of this user may have created its socket: clients start
    /// mcpwrap with and without `XDG_RUNTIME_DIR`.
    pub fn runtimes(&self) -> &[PathBuf] {
        &self.runtime
    }

    /// A path for messages, with `~` for the home directory.
    pub fn tilde(&self, path: &Path) -> String {
        path.strip_prefix(&self.home).map_or_else(
            |_| path.display().to_string(),
            |rest| format!("~/{}", rest.display()),
        )
    }

    /// The opposite of [`Self::tilde`], for paths in policies.
    pub fn expand(&self, text: &str) -> PathBuf {
        match text.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None if text == "~" => self.home.clone(),
            None => PathBuf::from(text),
        }
    }
}

/// The first of these variables that is set, not empty.
pub fn first_set(names: &[&'static str]) -> Option<&'static str> {
    names.iter().copied().find(|name| variable(name).is_some())
}

/// The value of `MCPWRAP_LOG`.
pub fn log_level() -> Option<String> {
    variable(MCPWRAP_LOG)?.into_string().ok()
}

/// The variables from which another process of this program finds the same directories and store.
pub fn own_variables() -> Vec<(&'static str, OsString)> {
    let names = [
        MCPWRAP_HOME,
        MCPWRAP_LOG,
        "HOME",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "DBUS_SESSION_BUS_ADDRESS",
        "CREDENTIALS_DIRECTORY",
    ];
    let set = names.into_iter();
    set.filter_map(|name| Some((name, variable(name)?)))
        .collect()
}

/// The search path for programs.
pub fn search_path() -> Option<OsString> {
    variable("PATH")
}

/// A variable of the user's terminal that decides how a server runs, if it is not empty.
pub fn server_variable(name: &str) -> Option<OsString> {
    variable(name)
}

/// The variables of the user's terminal that are text.
#[expect(
    clippy::disallowed_methods,
    reason = "only this module reads the variables of mcpwrap"
)]
pub fn terminal_variables() -> impl Iterator<Item = (String, String)> {
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(_, value)| !value.is_empty())
}

/// The directory in a variable that moves the files of an MCP client (e.g. `CODEX_HOME`).
pub fn client_directory(name: &str) -> Option<PathBuf> {
    absolute(variable(name))
}

/// The address of the session bus, if set.
#[cfg(target_os = "linux")]
pub fn session_bus() -> Option<OsString> {
    variable("DBUS_SESSION_BUS_ADDRESS")
}

/// The directories of this user's sockets: `XDG_RUNTIME_DIR`, then `/run/user/UID`. Clients start
/// servers with six variables, which include neither the bus address nor this directory.
pub fn session_directories() -> Vec<PathBuf> {
    let uid = nix::unistd::geteuid();
    let mut all: Vec<_> = absolute(variable("XDG_RUNTIME_DIR"))
        .into_iter()
        .chain(Some(PathBuf::from(format!("/run/user/{uid}"))))
        .filter(|dir| owner(dir) == Some(uid.as_raw()))
        .collect();
    all.dedup();
    all
}

/// The directory in which systemd puts the credentials of a service.
pub fn credentials_directory() -> Option<PathBuf> {
    absolute(variable("CREDENTIALS_DIRECTORY"))
}

fn absolute(value: Option<OsString>) -> Option<PathBuf> {
    value.map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The user's home, and the name of where it was found.
fn home() -> Option<(PathBuf, &'static str)> {
    let home = absolute(variable("HOME"));
    let inside = |home: &PathBuf| {
        let may_be = home.iter().any(|part| part == "snap" || part == ".var");
        may_be && account_home().is_some_and(|own| is_of_sandbox(home, &own))
    };
    match home.filter(|home| !inside(home)) {
        Some(home) => Some((home, "HOME")),
        None => account_home().map(|home| (home, "/etc/passwd")),
    }
}

/// Whether a path belongs to the programs of one snap or Flatpak.
fn is_of_sandbox(path: &Path, home: &Path) -> bool {
    path.starts_with(home.join("snap")) || path.starts_with(home.join(".var/app"))
}

/// The home of the account. A static program cannot use the directory services behind `getpwuid`.
#[cfg(target_os = "linux")]
fn account_home() -> Option<PathBuf> {
    let list = std::fs::read_to_string("/etc/passwd").ok()?;
    home_in(&list, nix::unistd::geteuid().as_raw())
}

#[cfg(target_os = "linux")]
fn home_in(list: &str, id: u32) -> Option<PathBuf> {
    let home = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let (number, home) = (fields.next()?, fields.nth(2)?);
        (number.parse() == Ok(id)).then(|| absolute(Some(home.into())))?
    };
    list.lines().find_map(home)
}

/// The home of the account.
#[cfg(target_os = "macos")]
fn account_home() -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok()??;
    Some(user.dir)
}

fn owner(path: &Path) -> Option<u32> {
    path.metadata()
        .ok()
        .filter(std::fs::Metadata::is_dir)
        .map(|meta| meta.uid())
}

fn check_owner(base: &Path, name: &str) -> Result<()> {
    let me = nix::unistd::geteuid().as_raw();
    match owner(base) {
        Some(uid) if uid != me => Err(Error::new(
            Code::HomeUnusable,
            format!("cannot use `{}`", base.display()),
        )
        .cause(format!(
            "`{name}` names a directory owned by user {uid}, running as user {me}"
        ))
        .hint("run mcpwrap as the user who owns the secrets, without `sudo`")),
        _ => Ok(()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
