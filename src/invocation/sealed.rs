//! What a grant seals about a command, and what it shows of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file::{FileRole, SealedFile};
use super::shown_store::ShownStore;
use crate::dirs::Dirs;
use crate::secret::StoreName;
use crate::sys::user;

/// What a command means on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invocation {
    /// The working directory; `None` for the client's, or a private one for each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// The server's PATH: absolute directories, links resolved.
    pub path: Vec<PathBuf>,
    /// Variables of the user's terminal and account that the server gets, e.g. HOME.
    pub env: BTreeMap<String, String>,
    /// The files that run, the program first. Empty if a pinned package runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SealedFile>,
    /// The stores that the policy reads from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<SealedStore>,
}

/// A store as it was when the user approved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedStore {
    pub name: StoreName,
    /// SHA-256 of its definition, in hex.
    pub definition: String,
    /// Its program, and what runs that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SealedFile>,
}

/// An invocation with what the user should know about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    pub invocation: Invocation,
    /// Entries of PATH that the server does not get, with the reason.
    pub dropped: Vec<(PathBuf, &'static str)>,
    /// What decides what runs although it is not sealed.
    pub uncovered: Vec<&'static str>,
    /// The stores that the policy reads from.
    pub stores: Vec<ShownStore>,
}

impl Invocation {
    /// The program, unless a pinned package runs.
    pub fn program(&self) -> Option<&SealedFile> {
        self.files.first()
    }

    /// The files of code: scripts and modules, or the program if there are none.
    pub fn code(&self) -> Vec<PathBuf> {
        let of = |roles: &[FileRole]| -> Vec<PathBuf> {
            let files = self.files.iter().filter(|file| roles.contains(&file.role));
            files.map(|file| file.real.clone()).collect()
        };
        let scripts = of(&[FileRole::Script, FileRole::Module]);
        if scripts.is_empty() {
            of(&[FileRole::Program])
        } else {
            scripts
        }
    }

    /// The variables that the server gets.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let own = self
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let path = ("PATH".into(), self.search_path().into());
        own.chain([path]).collect()
    }

    /// PATH in the form of the variable.
    pub fn search_path(&self) -> String {
        let entries: Vec<_> = self
            .path
            .iter()
            .map(|dir| dir.display().to_string())
            .collect();
        entries.join(":")
    }

    /// What a user sees of it: a name and a fact.
    pub fn rows(&self, dirs: &Dirs) -> Vec<(&'static str, String)> {
        let home = user::account().map(|account| account.home);
        let Self {
            // The summary of the policy shows the working directory.
            directory: _,
            path,
            env,
            files,
            // Shown with their definitions: see `Resolved::stores`.
            stores: _,
        } = self;
        let mut rows: Vec<_> = files
            .iter()
            .map(|file| (file.role.name(), file.shown(dirs)))
            .collect();
        if !path.is_empty() {
            rows.push(("path", self.search_path()));
        }
        for (name, value) in env {
            // Its own home is what a user expects.
            let expected = name == "HOME" && home.as_deref() == Some(Path::new(value));
            if !expected && !QUIET.contains(&name.as_str()) {
                rows.push(("variable", format!("{name} = {value}")));
            }
        }
        rows
    }
}

impl Resolved {
    /// What a grant shows: a name and a fact.
    pub fn rows(&self, dirs: &Dirs) -> Vec<(&'static str, String)> {
        let mut rows = self.invocation.rows(dirs);
        rows.extend(self.stores.iter().flat_map(ShownStore::rows));
        for (path, why) in &self.dropped {
            rows.push(("path", format!("without `{}`: {why}", path.display())));
        }
        rows.extend(
            self.uncovered
                .iter()
                .map(|what| ("note", (*what).to_owned())),
        );
        rows
    }
}

/// Sealed variables that say who the user is, which a grant does not show.
const QUIET: &[&str] = &["USER", "LOGNAME", "SHELL"];
