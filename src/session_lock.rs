//! The lock of all sessions: from `mcpwrap lock --sessions` until `mcpwrap unlock`, no server runs.
//!
//! It is a file, which sessions watch. Invariant: what cannot be looked at counts as locked.

use std::io;
use std::path::PathBuf;

use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::secret::ServerName;

/// The path of the file, for those that watch it.
pub fn path(dirs: &Dirs) -> PathBuf {
    dirs.state().join("sessions.locked")
}

/// Whether the sessions are locked.
pub fn is_locked(dirs: &Dirs) -> bool {
    let found = path(dirs).symlink_metadata();
    !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Whether a server may run.
///
/// # Errors
/// `sessions-locked`.
pub fn check(dirs: &Dirs, server: &ServerName) -> Result<()> {
    if !is_locked(dirs) {
        return Ok(());
    }
    Err(
        Error::new(Code::SessionsLocked, "`mcpwrap lock --sessions` was run")
            .not_started(server)
            .hint("run `mcpwrap unlock` to let the servers run again"),
    )
}

/// Locks the sessions: from now on no server starts, and those that run end when they look.
///
/// # Errors
/// `file-unusable`.
pub fn lock(dirs: &Dirs) -> Result<()> {
    files::replace(&path(dirs), b"").map_err(|problem| {
        let shown = dirs.tilde(&path(dirs));
        problem.explain(Code::FileUnusable, "cannot lock the sessions", &shown)
    })
}

/// Lets the servers run again. Returns whether they were locked.
///
/// # Errors
/// `file-unusable`.
pub fn unlock(dirs: &Dirs) -> Result<bool> {
    let was_locked = is_locked(dirs);
    files::remove(&path(dirs)).map_err(|problem| {
        let shown = dirs.tilde(&path(dirs));
        problem.explain(Code::FileUnusable, "the sessions are still locked", &shown)
    })?;
    Ok(was_locked)
}
