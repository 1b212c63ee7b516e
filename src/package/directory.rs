//! The files of an installation: its directory, its lock file and its lists of file states.

use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::manifest;
use super::request::failed;
use crate::error::Result;
use crate::files;
use crate::policy::Package;
use crate::secret::{ServerName, hex};

/// The lock file beside a tree.
pub const LOCK: &str = "lock";

/// The name of a list of file states, after its digest: two policies may start the same tree with
/// different interpreters.
pub fn list_name(files: &str) -> String {
    format!("states-{}", files.get(..16).unwrap_or(files))
}

/// The limit of a lock file (bytes). Those of large servers have several hundred KiB.
pub const LOCK_BYTES_MAX: u64 = 32 << 20;

/// Allows one installation at a time: two would use the same names.
pub fn lock(root: &Path, server: &ServerName) -> Result<File> {
    files::lock(&root.join(".lock")).map_err(|problem| failed(server).cause(problem))
}

/// Where a package is installed.
pub fn directory(root: &Path, package: &Package) -> PathBuf {
    root.join(&package.tree)
}

/// Writes a private file.
pub fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    files::replace(path, bytes).map_err(|problem| std::io::Error::other(problem.to_string()))
}

/// Writes the list of the states of these files, and of the lock and the tree if there is one.
/// Returns its digest.
pub fn write_list(place: &Path, absolute: &[&Path], with_tree: bool) -> std::io::Result<String> {
    let below: &[&str] = if with_tree { &[LOCK, "tree"] } else { &[] };
    files::ensure_dir(place).map_err(|problem| std::io::Error::other(problem.to_string()))?;
    let list = manifest::make(place, absolute, below)?;
    let files = hex(&Sha256::digest(&list));
    write(&place.join(list_name(&files)), &list)?;
    Ok(files)
}
