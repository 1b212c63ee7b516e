//! The installations on this machine, and their removal.

use std::fs;
use std::time::SystemTime;

use super::staging::remove_interrupted;
use super::tree;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, io_text};

/// How many packages are installed.
pub fn installed_count(dirs: &Dirs) -> usize {
    let all = fs::read_dir(dirs.packages())
        .into_iter()
        .flatten()
        .flatten();
    all.filter(is_installation).count()
}

fn is_installation(entry: &fs::DirEntry) -> bool {
    entry.file_name().len() == 64 && entry.path().is_dir()
}

/// An installation on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledTree {
    /// The digest of its tree.
    pub name: String,
    pub files: usize,
    pub bytes: u64,
    /// When it was made.
    pub made: Option<SystemTime>,
}

/// All installations, the largest first. Of a local program only its list of files is there.
pub fn installed(dirs: &Dirs) -> Vec<InstalledTree> {
    let all = fs::read_dir(dirs.packages())
        .into_iter()
        .flatten()
        .flatten();
    let tree = |entry: fs::DirEntry| {
        let tree_dir = entry.path().join("tree");
        let (files, bytes) = tree::measure(&tree_dir);
        InstalledTree {
            name: entry.file_name().to_string_lossy().into_owned(),
            files,
            bytes,
            made: entry.metadata().and_then(|meta| meta.modified()).ok(),
        }
    };
    let mut found: Vec<_> = all.filter(is_installation).map(tree).collect();
    found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    found
}

/// Removes installations by name. A missing one is not an error.
///
/// # Errors
/// `package-failed`.
pub fn remove(dirs: &Dirs, names: &[String]) -> Result<()> {
    let root = dirs.packages();
    let failed = |cause: String| {
        Error::new(Code::PackageFailed, "cannot remove all unused packages").cause(cause)
    };
    if !root.is_dir() {
        return Ok(());
    }
    let _lock = files::lock(&root.join(".lock")).map_err(|problem| failed(problem.to_string()))?;
    remove_interrupted(&root);
    for name in names {
        tree::remove(&root.join(name)).map_err(|error| failed(io_text(&error)))?;
    }
    Ok(())
}
