//! What one server may have and run.
//!
//! A `Policy` has been read from one file that only its owner (or root) can change, has no unknown
//! field, and does not contradict itself: whoever holds one need not check it again. *Never* holds a
//! secret, only references. Whether the user approved of it is another question: see `grant`.

pub mod draft;
pub mod inherit;
pub mod load;
pub mod package;
pub mod schema;
pub mod summary;
pub mod template;
mod check;
mod command;
mod explain;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::secret::{ProfileName, SecretRef, ServerName};

pub use self::load::{list, load, names};
pub use self::package::Package;
pub use self::schema::{
    Delivery, Limits, OnFailure, Renew, Restart, SessionRules, StdoutRule, Stream, Unpinned,
};

/// Whose policy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// The user's own.
    User,
    /// The administrator's, in `/etc/mcpwrap/policies`. It needs no grant.
    Managed,
}

/// A policy as it stands in its file, with one profile merged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub server: ServerName,
    pub tier: Tier,
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, in hex. What a grant approves.
    pub digest: String,
    /// The file as it was read.
    pub text: String,
    pub description: Option<String>,
    /// Never empty.
    pub command: Vec<String>,
    pub argv_secrets: bool,
    /// Absolute, or with `~/` at its start.
    pub cwd: Option<String>,
    pub env: EnvRules,
    /// By the variable.
    pub secrets: BTreeMap<String, SecretBinding>,
    /// The profile that was merged in.
    pub profile: Option<ProfileName>,
    /// The profiles that the file has.
    pub profiles: Vec<ProfileName>,
    pub session: SessionRules,
    pub limits: Limits,
    /// What was installed, and is started in the command's place.
    pub package: Option<Package>,
    /// The line of `command` in the file, for messages.
    pub command_line: usize,
}

/// The environment besides the base list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EnvRules {
    pub pass: Vec<String>,
    /// Values are templates: see [`template`].
    pub set: BTreeMap<String, String>,
}

/// Where one variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretBinding {
    pub from: SecretRef,
    pub to: Delivery,
    pub optional: bool,
    /// The line of `from` in the file, for messages.
    #[serde(skip)]
    pub line: usize,
}

impl Policy {
    /// The file and the line, as in `github.toml:9`, for messages.
    pub fn place(&self, line: usize) -> String {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{file}:{line}")
    }
}
