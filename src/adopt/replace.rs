//! Replaces a client's file, if it is unchanged since it was read.
//!
//! Invariants: all or nothing. The new text is written beside the file and synced, the file is
//! compared with what was read, then both are exchanged in one step and the old one is compared
//! again. A client that wrote the file in between gets its text back. Mode and owner are kept. The
//! path is not resolved again: the target was resolved when it was read.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::error::{Code, Error};
use crate::files;
use crate::sys::files::exchange;

/// Why a file was not replaced. It is unchanged, or as its client wrote it in the meantime.
#[derive(Debug)]
pub(super) enum ReplaceError {
    /// Another program wrote it after it was read.
    Changed,
    ReadOnly,
    /// It belonged to another user when its entries were adopted.
    Owner,
    Io(io::Error),
}

impl ReplaceError {
    /// The reason, for the user.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Changed => "another program wrote it after mcpwrap read it".to_owned(),
            Self::ReadOnly => "the file is read-only".to_owned(),
            Self::Owner => "it had another owner when its entries were adopted".to_owned(),
            Self::Io(error) => files::io_text(error),
        }
    }
}

impl From<io::Error> for ReplaceError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Replaces a file that holds `old` by `new`. `mode`: its permission bits, if they change.
pub(super) fn replace(
    target: &Path,
    old: &[u8],
    new: &[u8],
    mode: Option<u32>,
) -> Result<(), ReplaceError> {
    let meta = target.metadata()?;
    if meta.mode() & 0o222 == 0 {
        return Err(ReplaceError::ReadOnly);
    }
    let dir = target.parent().unwrap_or(Path::new("/"));
    let (beside, file) = written_beside(target, new)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
        fchown(&file, Some(meta.uid()), Some(meta.gid()))?;
    }
    let mode = mode.unwrap_or(meta.mode() & 0o7777);
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.sync_all()?;
    drop(file);
    if std::fs::read(target)? != old {
        return Err(ReplaceError::Changed);
    }
    if exchange(&beside.0, target)? {
        let came_out = std::fs::read(&beside.0)?;
        if came_out != old {
            // The client wrote the file between the two comparisons: restore its text.
            exchange(&beside.0, target)?;
            return Err(ReplaceError::Changed);
        }
    } else {
        std::fs::rename(&beside.0, target)?;
    }
    // The old file holds secrets: it is removed.
    drop(beside);
    files::sync_dir(dir)?;
    if std::fs::read(target)? == new {
        Ok(())
    } else {
        Err(ReplaceError::Changed)
    }
}

/// A private file in the directory of `target` with this content, not yet synced.
fn written_beside(target: &Path, new: &[u8]) -> Result<(Beside, File), ReplaceError> {
    let dir = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = Beside(dir.join(format!(".{name}.{}", files::random_hex()?)));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside.0)?;
    file.write_all(new)?;
    Ok((beside, file))
}

/// Writes a file that does not exist, with the directories above it. It appears complete.
pub(super) fn create(target: &Path, new: &[u8]) -> Result<(), ReplaceError> {
    let dir = target.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir)?;
    let (beside, file) = written_beside(target, new)?;
    file.sync_all()?;
    drop(file);
    // A link is never made over a file.
    match std::fs::hard_link(&beside.0, target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(ReplaceError::Changed);
        }
        done => done?,
    }
    drop(beside);
    Ok(files::sync_dir(dir)?)
}

/// Whether the file exists and can be opened for writing, checked before any change.
pub(super) fn writable(target: &Path) -> Result<(), ReplaceError> {
    let meta = target.metadata()?;
    if meta.mode() & 0o222 == 0 {
        return Err(ReplaceError::ReadOnly);
    }
    OpenOptions::new()
        .write(true)
        .open(target)
        .map(|_: File| ())
        .map_err(ReplaceError::Io)
}

/// The permission bits of a file, and its user and group.
pub(super) fn mode_and_owner(target: &Path) -> Result<(u32, (u32, u32)), ReplaceError> {
    let meta = target.metadata()?;
    Ok((meta.mode() & 0o7777, (meta.uid(), meta.gid())))
}

/// The error for a client config that was not written.
pub(super) fn not_written(shown: &str, failed: &ReplaceError) -> Error {
    let what = format!("cannot write `{shown}`");
    let error = |code| Error::new(code, what.clone()).cause(failed.reason());
    match failed {
        ReplaceError::Changed => error(Code::ClientConfigChanged)
            .hint("close the client's settings and run `mcpwrap adopt` again; nothing was lost"),
        ReplaceError::ReadOnly => error(Code::FileUnusable).hint(format!(
            "run `chmod u+w {shown}`, then `mcpwrap adopt` again"
        )),
        ReplaceError::Owner => error(Code::FileUnusable).hint(format!(
            "if that is intended, restore the entries of `{shown}` by hand"
        )),
        ReplaceError::Io(_) => error(Code::FileUnusable),
    }
}

/// The file beside the target: the new one before the exchange, then the old one.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_that_was_read_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.json");
        files::replace(&path, b"old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            replace(&path, b"other", b"new", None),
            Err(ReplaceError::Changed)
        ));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        replace(&path, b"old", b"new", None).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(
            replace(&path, b"new", b"x", None),
            Err(ReplaceError::ReadOnly)
        ));
    }
}
