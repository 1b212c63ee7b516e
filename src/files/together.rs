//! Files that are replaced together, so that the disk is asked once for all of them.

use std::io;
use std::path::{Path, PathBuf};

use super::{Problem, Temporary, ensure_dir, parent};

/// A file whose new content is written beside the old one, but not synced. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct PendingFile {
    temporary: Temporary,
    path: PathBuf,
}

impl PendingFile {
    /// Writes the new content (mode 0600) beside `path`.
    ///
    /// # Errors
    /// The directory is not private, or the content cannot be written.
    pub fn write(path: PathBuf, bytes: &[u8]) -> Result<Self, Problem> {
        let dir = parent(&path);
        ensure_dir(&dir)?;
        let temporary = Temporary::new(&dir, &path)?;
        temporary.write_unsynced(bytes, 0o600)?;
        Ok(Self { temporary, path })
    }

    /// The file that is going to be replaced.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of both.
    pub fn dir(&self) -> PathBuf {
        parent(&self.path)
    }

    /// Syncs the new content.
    ///
    /// # Errors
    /// The disk failed.
    pub fn sync(&self) -> io::Result<()> {
        std::fs::File::open(&self.temporary.0)?.sync_all()
    }

    /// Puts the new file in the place of the old one. The content is synced before; afterwards the caller
    /// syncs the directory.
    ///
    /// # Errors
    /// The old one stays.
    pub fn place(&self) -> io::Result<()> {
        std::fs::rename(&self.temporary.0, &self.path)
    }
}
