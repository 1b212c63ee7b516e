//! One run of a store at a time on this machine: some programs write files of their own, and stores count what
//! they are asked.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::files::{self, Problem};

/// How often the lock is tried.
const ASK: Duration = Duration::from_millis(2);

/// Waits for an exclusive lock, which is held until the file is dropped; `None` if another process keeps it for
/// longer than `limit`.
///
/// # Errors
/// The file cannot be used.
pub fn take(path: &Path, limit: Duration) -> Result<Option<File>, Problem> {
    if let Some(dir) = path.parent() {
        files::ensure_dir(dir)?;
    }
    let file = files::open_write(path)?;
    let deadline = Instant::now() + limit;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(ASK),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stores/op.lock");
        let first = take(&path, Duration::ZERO).unwrap().unwrap();
        assert!(take(&path, Duration::from_millis(10)).unwrap().is_none());
        drop(first);
        assert!(take(&path, Duration::ZERO).unwrap().is_some());
    }
}
