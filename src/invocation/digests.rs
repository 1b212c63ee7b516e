//! Digests of the files that this process has hashed. `adopt` seals thousands of policies with the same
//! few programs, of which one alone may have a hundred megabytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::package::file_digest;
use crate::sys::files::{STATE_BYTES, state};

/// A file that changes while it is hashed is hashed again this many times.
const ATTEMPTS: usize = 3;

/// What a file was when it was hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileContent {
    /// See [`state`].
    pub state: [u8; STATE_BYTES],
    /// SHA-256 of the content, in hex.
    pub digest: String,
}

static KNOWN: Mutex<BTreeMap<PathBuf, FileContent>> = Mutex::new(BTreeMap::new());

/// Hashes a file, unless this process has done so and the file has the same state.
///
/// # Errors
/// It cannot be read, or it changes all the time.
pub(super) fn content(real: &Path) -> io::Result<FileContent> {
    let now = state(real)?;
    if let Some(content) = known().get(real).filter(|content| content.state == now) {
        return Ok(content.clone());
    }
    let content = hashed(real)?;
    known().insert(real.to_owned(), content.clone());
    Ok(content)
}

fn known() -> MutexGuard<'static, BTreeMap<PathBuf, FileContent>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hashed(real: &Path) -> io::Result<FileContent> {
    for _ in 0..ATTEMPTS {
        // Pages that a program changed through a mapping are written back, so that the next
        // change through it gives the file another time.
        File::open(real)?.sync_all()?;
        let before = state(real)?;
        let digest = file_digest(real)?;
        if state(real)? == before {
            return Ok(FileContent {
                state: before,
                digest,
            });
        }
    }
    Err(io::Error::other("it changes while it is read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_is_hashed_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("program"), dir.path().join("other"));
        for (path, text) in [(&path, "one"), (&other, "two")] {
            crate::files::replace(path, text.as_bytes()).unwrap();
        }
        let first = content(&path).unwrap();
        assert_eq!(content(&path).unwrap(), first);
        assert_eq!(first.digest, file_digest(&path).unwrap());
        // Of the same size; its times differ, and its inode.
        std::fs::rename(&other, &path).unwrap();
        let second = content(&path).unwrap();
        assert_eq!(second.digest, file_digest(&path).unwrap());
        assert_ne!(first, second);
        std::fs::remove_file(&path).unwrap();
        assert!(content(&path).is_err());
    }
}
