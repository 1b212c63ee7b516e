//! Replaces the vault file and holds its lock only for the moment of the replacement.
//!
//! A supervisor does this while its server runs, and it may be stopped at any time. With the lock held
//! while the vault is read and written, no secret could be changed until it continues.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::files::{self, Problem};

/// How often the vault is read again when another process changed it or holds the lock.
const TRIES: u32 = 20;
/// A temporary file that is older belongs to a process that was killed.
const ABANDONED: Duration = Duration::from_mins(1);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Replaces the file by what `next` makes of its current content. `false` if other processes kept it
/// busy: then nothing was changed.
///
/// # Errors
/// Those of `next`; if the file cannot be written.
pub(super) fn replace(
    path: &Path,
    mut next: impl FnMut() -> Result<Vec<u8>>,
) -> Result<Result<bool, Problem>> {
    sweep(path);
    for _ in 0..TRIES {
        let before = identity(path);
        let bytes = next()?;
        let guard = || {
            let lock = files::open_append(&path.with_extension("lock")).ok()?;
            lock.try_lock().ok()?;
            (before.is_some() && identity(path) == before).then_some(lock)
        };
        match files::replace_if(path, &bytes, guard) {
            Ok(false) => std::thread::sleep(PAUSE),
            done => return Ok(done),
        }
    }
    Ok(Ok(false))
}

/// Removes what supervisors left that were killed while they wrote: old copies of the vault.
fn sweep(path: &Path) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_copy = entry.file_name().to_string_lossy().starts_with(&prefix);
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_copy && age().is_some_and(|age| age > ABANDONED) {
            // Another process may remove it at the same time.
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

/// What differs between two versions of the file. Each replacement has a new inode.
fn identity(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let meta = path.symlink_metadata().ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_in_between_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault");
        files::replace(&path, b"one").unwrap();
        let mut reads = 0;
        let replaced = replace(&path, || {
            reads += 1;
            let read = std::fs::read(&path).unwrap();
            if reads == 1 {
                files::replace(&path, b"two").unwrap();
            }
            Ok([&read[..], b" and more"].concat())
        });
        assert!(replaced.unwrap().unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two and more");
    }

    #[test]
    fn copies_that_killed_processes_left_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault");
        files::replace(&path, b"one").unwrap();
        let make = |name: &str, age| {
            let path = dir.path().join(name);
            files::replace(&path, b"copy").unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            let then = std::time::SystemTime::now() - Duration::from_secs(age);
            file.set_modified(then).unwrap();
            path
        };
        let old = make(".vault.0123456789abcdef", 61);
        let kept = [
            make(".vault.fedcba9876543210", 5),
            make("vault-identity", 61),
        ];
        assert!(replace(&path, || Ok(b"two".to_vec())).unwrap().unwrap());
        assert!(!old.exists() && kept.iter().all(|path| path.exists()));
    }

    #[test]
    fn a_lock_that_is_held_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault");
        files::replace(&path, b"one").unwrap();
        let _held = files::lock(&path.with_extension("lock")).unwrap();
        let replaced = replace(&path, || Ok(b"two".to_vec()));
        assert!(!replaced.unwrap().unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
    }
}
