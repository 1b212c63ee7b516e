//! What is to be pinned, and what a client has built for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{ParsedCommand, tree};
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::policy::Package;
use crate::secret::ServerName;

/// What is to be pinned.
#[derive(Clone, Copy, Debug)]
pub struct PinRequest<'a> {
    pub server: &'a ServerName,
    pub launch: &'a ParsedCommand,
    /// The version, if not the one of the command.
    pub to: Option<&'a str>,
    /// Only packages published before this day, `2025-09-30`.
    pub before: Option<&'a str>,
    /// Whether install scripts may run.
    pub scripts: bool,
    /// What the policy has now.
    pub known: Option<&'a Package>,
    /// Whether a registry that does not answer at once is given up: there is a way without it.
    pub hurry: bool,
}

/// What the user should see before agreeing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinReport {
    /// When this version was published.
    pub published: Option<String>,
    pub maintainers: Vec<String>,
    /// Whether the registry has a signed statement of where it was built.
    pub attested: Option<bool>,
    /// What the registry calls the latest version.
    pub latest: Option<String>,
    /// Packages that have install scripts.
    pub scripts: Vec<String>,
    pub packages: usize,
    pub files: usize,
    pub bytes: u64,
    pub changes: PackageChanges,
    /// Whether only packages of before some day were taken.
    pub dated: bool,
    /// What this pin does not cover, if there is something to say.
    pub limit: Option<&'static str>,
}

impl PinReport {
    /// Of an installation that is the same but for the times of its files.
    pub fn of_times() -> Self {
        Self {
            limit: Some("the times of its files moved, and not a byte of them changed"),
            ..Self::default()
        }
    }
}

/// What is different from the installation that the policy has now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageChanges {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    /// Name, version before, version now.
    pub changed: Vec<(String, String, String)>,
}

/// The packages of a lock file: name → version → what the registry says about the archive.
pub type LockedPackages = BTreeMap<String, BTreeMap<String, String>>;

/// What a client has put into a directory.
#[derive(Debug)]
pub struct Built {
    pub package: Package,
    pub report: PinReport,
    pub lock: Vec<u8>,
    pub locked: LockedPackages,
}

/// The error of a server that is not pinned, to which a cause is added.
pub fn failed(server: &ServerName) -> Error {
    Error::new(Code::PackageFailed, format!("server `{server}` not pinned"))
}

/// Writes a file for a client.
pub fn write(path: &Path, bytes: &[u8], server: &ServerName) -> Result<()> {
    crate::files::replace(path, bytes).map_err(|problem| failed(server).cause(problem))
}

/// Reads a file that a client wrote.
pub fn read(path: &Path, server: &ServerName) -> Result<String> {
    fs::read_to_string(path)
        .map_err(|error| failed(server).cause(format!("`{}`: {}", path.display(), io_text(&error))))
}

/// Files and bytes of a tree.
pub fn measure(root: &Path) -> (usize, u64) {
    let files: Vec<_> = tree::entries(root).unwrap_or_default();
    let size = |path: &PathBuf| fs::symlink_metadata(root.join(path)).map_or(0, |meta| meta.len());
    let files: Vec<_> = files
        .iter()
        .filter(|(_, kind)| *kind == tree::NodeKind::File)
        .collect();
    (files.len(), files.iter().map(|(path, _)| size(path)).sum())
}
