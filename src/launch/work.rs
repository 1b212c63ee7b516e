//! The private working directory of a run: empty at the start, so that no file of a project changes
//! what the server does.
//!
//! It is removed at the end if the server wrote nothing into it; otherwise it is kept for some days.
//! A lock on the directory tells whether its run is still alive: a killed run releases it too.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::audit::RunId;
use crate::dirs::Dirs;
use crate::files::{self, Problem};
use crate::secret::ServerName;

/// How long files that a server wrote are kept.
pub const KEPT_DAYS: u64 = 7;

/// The private working directory of one run.
#[derive(Debug)]
pub struct WorkDirectory {
    path: PathBuf,
    /// Held while the run lives.
    _lock: File,
}

impl WorkDirectory {
    /// Creates the directory of a run.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(dirs: &Dirs, server: &ServerName, run: &RunId) -> Result<Self, Problem> {
        let all = dirs.work();
        files::ensure_dir(&all)?;
        let path = all.join(format!("{server}-{run}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = File::open(&path)?;
        lock.lock_shared()?;
        Ok(Self { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory if it is empty. Returns its path if the server wrote into it.
    pub fn finish(self) -> Option<PathBuf> {
        match fs::remove_dir(&self.path) {
            Err(_) if self.path.exists() => Some(self.path),
            _ => None,
        }
    }
}

/// Removes the directories of ended runs that are empty, or older than [`KEPT_DAYS`].
pub fn sweep(dirs: &Dirs) {
    let limit = Duration::from_hours(24 * KEPT_DAYS);
    for entry in fs::read_dir(dirs.work()).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(lock) = File::open(&path) else {
            continue;
        };
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            continue;
        }
        let written = entry.metadata().and_then(|meta| meta.modified());
        let age = written.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
        if fs::remove_dir(&path).is_err() && age.is_ok_and(|age| age > limit) {
            drop(fs::remove_dir_all(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_wrote_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let server = ServerName::new("github").unwrap();
        let create = || WorkDirectory::create(&dirs, &server, &RunId::random().unwrap()).unwrap();
        let (empty, used, running) = (create(), create(), create());
        let (gone, kept) = (empty.path().to_path_buf(), used.path().to_path_buf());
        files::replace(&kept.join("report.txt"), b"x").unwrap();
        assert_eq!(empty.finish(), None);
        assert_eq!(used.finish(), Some(kept.clone()));
        assert!(!gone.exists() && kept.exists());

        // A killed run leaves an empty directory.
        let dead = dirs.work().join("github-dead");
        fs::create_dir(&dead).unwrap();
        sweep(&dirs);
        assert!(!dead.exists() && kept.exists() && running.path().exists());
        let old = SystemTime::now() - Duration::from_hours(24 * 8);
        File::open(&kept).unwrap().set_modified(old).unwrap();
        sweep(&dirs);
        assert!(!kept.exists());
    }
}
