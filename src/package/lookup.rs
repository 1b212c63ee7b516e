//! Finds the program that a word names.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Why a word names no program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// Nothing of this name is in any directory of PATH.
    Nowhere,
    /// This file is no program: it cannot be executed.
    NotExecutable(PathBuf),
}

/// Searches the directories for a program, as `execvp` does.
pub fn search(name: &str, path: &[PathBuf]) -> Result<PathBuf, NotFound> {
    let mut found_but = None;
    for file in path.iter().map(|dir| dir.join(name)) {
        match executable(&file) {
            Some(true) => return Ok(file),
            Some(false) => drop(found_but.get_or_insert(file)),
            None => {}
        }
    }
    Err(found_but.map_or(NotFound::Nowhere, NotFound::NotExecutable))
}

/// Whether a file can be executed; `None` if there is no such file.
pub fn executable(path: &Path) -> Option<bool> {
    let meta = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(meta.permissions().mode() & 0o111 != 0)
}
