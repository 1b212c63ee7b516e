//! Directories that belong to one run: a lock tells whether the run lives, also if it is killed.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::files::{self, Problem};

/// A directory without its name is taken for abandoned after this time: its run was killed between
/// two system calls.
const UNNAMED_LIMIT: Duration = Duration::from_mins(1);

/// Creates a directory (mode 0700) that belongs to this process while the returned file is open.
///
/// # Errors
/// It cannot be created.
pub fn create(parent: &Path, name: &str) -> Result<(PathBuf, File), Problem> {
    files::ensure_dir(parent)?;
    // It gets its name when the lock is held: before, it looks abandoned.
    let unnamed = parent.join(format!(".{name}"));
    DirBuilder::new().mode(0o700).create(&unnamed)?;
    let lock = File::open(&unnamed)?;
    lock.lock_shared()?;
    let path = parent.join(name);
    fs::rename(&unnamed, &path)?;
    Ok((path, lock))
}

/// The directories whose run has ended.
pub fn abandoned(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let is_abandoned = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let settled = !name.starts_with('.') || age(path).is_some_and(|age| age > UNNAMED_LIMIT);
        let unlocked = || {
            let dir = File::open(path);
            dir.is_ok_and(|dir| !matches!(dir.try_lock(), Err(TryLockError::WouldBlock)))
        };
        path.is_dir() && settled && unlocked()
    };
    entries
        .map(|entry| entry.path())
        .filter(is_abandoned)
        .collect()
}

/// How long ago a directory was changed.
pub fn age(path: &Path) -> Option<Duration> {
    let changed = path.symlink_metadata().ok()?.modified().ok()?;
    Some(
        SystemTime::now()
            .duration_since(changed)
            .unwrap_or_default(),
    )
}
