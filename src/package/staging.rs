//! Where an installation is built before it is renamed.
//!
//! Invariant: each directory has a lock for as long as its process lives, so that the remains of a
//! killed one are told from the work of another.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::directory::lock;
use super::request::failed;
use super::tree;
use crate::error::Result;
use crate::files::{self, io_text};
use crate::secret::ServerName;

const PREFIX: &str = ".new-";
const LOCK: &str = ".lock";

/// A directory that is removed when dropped, unless its content was renamed.
pub(super) struct Staging {
    dir: PathBuf,
    _lock: File,
}

impl Staging {
    /// Makes one, and removes the remains of interrupted installations.
    pub(super) fn new(root: &Path, server: &ServerName) -> Result<Self> {
        // Until the new directory has its lock, it looks interrupted.
        let _root = lock(root, server)?;
        remove_interrupted(root);
        let name = files::random_hex().map_err(|error| failed(server).cause(io_text(&error)))?;
        let dir = root.join(format!("{PREFIX}{name}"));
        let unusable = |problem: files::Problem| failed(server).cause(problem);
        files::ensure_dir(&dir.join("tree")).map_err(unusable)?;
        // Clients report real paths, which are compared with this one.
        let dir = fs::canonicalize(&dir).unwrap_or(dir);
        let own = files::lock(&dir.join(LOCK)).map_err(unusable)?;
        Ok(Self { dir, _lock: own })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now, `remove_interrupted` tries again.
        drop(tree::remove(&self.dir));
    }
}

/// Removes the remains of interrupted installations. The caller has the lock of the root.
pub(super) fn remove_interrupted(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let lock = File::open(entry.path().join(LOCK));
        let in_use =
            lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
        if !in_use {
            // What cannot be removed now is tried again next time.
            drop(tree::remove(&entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_builds_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let server = ServerName::new("x").unwrap();
        let one = Staging::new(root.path(), &server).unwrap();
        let left = root.path().join(".new-left");
        fs::create_dir(&left).unwrap();
        let two = Staging::new(root.path(), &server).unwrap();
        assert!(one.dir().is_dir() && two.dir().is_dir() && !left.exists());
        let dir = one.dir().to_path_buf();
        drop(one);
        assert!(!dir.exists() && two.dir().is_dir());
    }
}
