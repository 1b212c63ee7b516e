//! Replaces a client's file, if it is still what was read.
//!
//! *Always* all of it or nothing: the new text is written beside the file and synced, the file is
//! compared with what was read, then both are exchanged in one step and what came out is compared
//! again. A client that saved in between gets its file back. Mode and owner stay. *Never* follows
//! the path anew: the target was resolved when it was read.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::error::{Code, Error};
use crate::files;
use crate::sys::files::exchange;

/// Why a file was not replaced. It is as it was, or as its client wrote it meanwhile.
#[derive(Debug)]
pub(super) enum ReplaceError {
    /// Another program saved it since it was read.
    Changed,
    ReadOnly,
    Io(io::Error),
}

impl ReplaceError {
    /// The fact, for the user.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Changed => "another program saved it since it was read".to_owned(),
            Self::ReadOnly => "the file is read-only".to_owned(),
            Self::Io(error) => files::io_text(error),
        }
    }
}

impl From<io::Error> for ReplaceError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Puts `new` in the place of a file that holds `old`.
pub(super) fn replace(target: &Path, old: &[u8], new: &[u8]) -> Result<(), ReplaceError> {
    let meta = target.metadata()?;
    if meta.mode() & 0o222 == 0 {
        return Err(ReplaceError::ReadOnly);
    }
    let dir = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = Beside(dir.join(format!(".{name}.{}", files::random_hex()?)));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside.0)?;
    file.write_all(new)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
        fchown(&file, Some(meta.uid()), Some(meta.gid()))?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    file.sync_all()?;
    drop(file);
    if std::fs::read(target)? != old {
        return Err(ReplaceError::Changed);
    }
    if exchange(&beside.0, target)? {
        let came_out = std::fs::read(&beside.0)?;
        if came_out != old {
            // The client saved between the two looks: its text goes back.
            exchange(&beside.0, target)?;
            return Err(ReplaceError::Changed);
        }
    } else {
        std::fs::rename(&beside.0, target)?;
    }
    // What came out held secrets: nothing of it stays on the disk under a name.
    drop(beside);
    files::sync_dir(dir)?;
    if std::fs::read(target)? == new {
        Ok(())
    } else {
        Err(ReplaceError::Changed)
    }
}

/// Whether the file is there and can be opened for writing, before anything else is done.
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

/// Why a client's file was not written, for the user.
pub(super) fn not_written(shown: &str, failed: &ReplaceError) -> Error {
    let what = format!("cannot write `{shown}`");
    let error = |code| Error::new(code, what.clone()).cause(failed.reason());
    match failed {
        ReplaceError::Changed => error(Code::ClientConfigChanged)
            .hint("nothing was lost; close the client's settings and run `mcpwrap adopt` again"),
        ReplaceError::ReadOnly => error(Code::FileUnusable).hint(format!(
            "`chmod u+w {shown}`, then run `mcpwrap adopt` again"
        )),
        ReplaceError::Io(_) => error(Code::FileUnusable),
    }
}

/// The new file until it is in its place; then the old one.
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
    fn only_what_was_read_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.json");
        files::replace(&path, b"old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            replace(&path, b"other", b"new"),
            Err(ReplaceError::Changed)
        ));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        replace(&path, b"old", b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(
            replace(&path, b"new", b"x"),
            Err(ReplaceError::ReadOnly)
        ));
    }
}
