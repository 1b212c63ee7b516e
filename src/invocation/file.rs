//! One file that a command runs, as it was when the user approved it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::digests::{self, FileContent};
use crate::dirs::Dirs;
use crate::package::file_digest;
use crate::secret::hex;
use crate::sys::files::state;

/// A file up to this size is hashed before each start (bytes): a shared mapping can change a file
/// after its state was taken.
const SMALL_BYTES_MAX: u64 = 64 << 10;
/// All files hashed before a start have at most this size together (bytes).
pub(super) const HASHED_BYTES_MAX: u64 = 256 << 10;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileRole {
    /// The program of the command, or the one that a wrapper in the command starts.
    Program,
    /// The program that its first line names.
    Interpreter,
    /// A file of code among the arguments.
    Script,
    /// The module after `-m`.
    Module,
    /// The settings of a Python environment.
    Environment,
}

impl FileRole {
    /// Whether PATH is searched for its name, if it has one.
    pub(super) const fn is_searched(self) -> bool {
        matches!(self, Self::Program | Self::Interpreter)
    }

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Interpreter => "runs with",
            Self::Script => "script",
            Self::Module => "module",
            Self::Environment => "settings",
        }
    }
}

/// One file that a command runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedFile {
    pub role: FileRole,
    /// The word for which PATH is searched, if it was found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The path as found, with links.
    pub found: PathBuf,
    /// The path without links.
    pub real: PathBuf,
    /// What the program said of its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether only root can change the file and all directories of both paths. Such a file may
    /// change: the system upgrades it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system: bool,
    /// SHA-256 of the content, in hex.
    pub digest: String,
    /// See [`crate::sys::files::state`], in hex.
    pub state: String,
}

/// How a file differs from the sealed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    Gone(String),
    /// The path now leads to another file.
    Moved(PathBuf),
    /// Another file of this name comes first on PATH.
    Shadowed(PathBuf),
    Content,
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(why) => write!(f, "cannot be read: {why}"),
            Self::Moved(to) => write!(f, "is now `{}`", to.display()),
            Self::Shadowed(by) => write!(f, "is now found at `{}`", by.display()),
            Self::Content => f.write_str("has other content"),
        }
    }
}

impl SealedFile {
    /// Records a file as it is now.
    ///
    /// # Errors
    /// It cannot be read, or it changes all the time.
    pub(super) fn new(role: FileRole, name: Option<String>, found: PathBuf) -> io::Result<Self> {
        let real = found.canonicalize()?;
        let FileContent { state, digest } = digests::content(&real)?;
        Ok(Self {
            role,
            name,
            system: is_of_system(&found, &real),
            version: None,
            digest,
            state: hex(&state),
            found,
            real,
        })
    }

    /// Compares the file with what was sealed. Returns the digest of what would run now. `left` is
    /// how much may still be hashed without a reason (bytes).
    ///
    /// # Errors
    /// The difference.
    pub(super) fn compare(&self, left: &mut u64) -> Result<String, FileChange> {
        let gone = |error: io::Error| FileChange::Gone(crate::files::io_text(&error));
        let real = self.found.canonicalize().map_err(gone)?;
        if real != self.real {
            return Err(FileChange::Moved(real));
        }
        let now = state(&real).map_err(gone)?;
        let same_state = hex(&now) == self.state;
        let size = real.metadata().map_err(gone)?.len();
        let small = size <= SMALL_BYTES_MAX && size <= *left;
        if same_state && (!small || self.system) {
            return Ok(self.digest.clone());
        }
        if small {
            *left -= size;
        }
        let digest = file_digest(&real).map_err(gone)?;
        let upgraded = self.system && is_of_system(&self.found, &real);
        if digest == self.digest || upgraded {
            Ok(digest)
        } else {
            Err(FileChange::Content)
        }
    }

    /// The form that a grant shows: `/usr/bin/node -> /opt/node/bin/node, v22.1.0`.
    pub fn shown(&self, dirs: &Dirs) -> String {
        let mut text = dirs.tilde(&self.found);
        if self.real != self.found {
            text.extend([" -> ", &dirs.tilde(&self.real)]);
        }
        if let Some(version) = &self.version {
            text.extend([", ", version]);
        }
        text.push_str(if self.system {
            ", kept by the system"
        } else {
            ", by its content"
        });
        text
    }
}

/// Whether a file can be trusted by its path: only root can change it, and mcpwrap is not root, for
/// whom that says nothing.
fn is_of_system(found: &Path, real: &Path) -> bool {
    !nix::unistd::geteuid().is_root() && only_root_changes(found, real)
}

/// Whether only root can change the files, the links and all directories of both paths. The write
/// bit of the group is also set if an access list lets anybody write.
pub(super) fn only_root_changes(found: &Path, real: &Path) -> bool {
    let roots = |path: &Path| {
        path.symlink_metadata()
            .is_ok_and(|meta| meta.uid() == 0 && (meta.is_symlink() || meta.mode() & 0o022 == 0))
    };
    let mut link = found.to_path_buf();
    // As many links as the kernel follows.
    for _ in 0..40 {
        if !link.ancestors().all(roots) {
            return false;
        }
        let Ok(target) = link.read_link() else {
            break;
        };
        let dir = link.parent().unwrap_or(Path::new("/"));
        let Ok(dir) = dir.canonicalize() else {
            return false;
        };
        link = dir.join(target);
        // `..` in a target is not a directory of the path.
        let (Some(parent), Some(name)) = (link.parent(), link.file_name()) else {
            break;
        };
        match parent.canonicalize() {
            Ok(parent) => link = parent.join(name),
            Err(_) => return false,
        }
    }
    real.ancestors().all(roots)
}

/// The first bytes of a file.
pub(super) fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(256).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    use crate::files::replace;

    #[test]
    fn every_difference_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let (program, link) = (dir.join("program"), dir.join("link"));
        replace(&program, b"one").unwrap();
        symlink(&program, &link).unwrap();
        let sealed = SealedFile::new(FileRole::Program, None, link.clone()).unwrap();
        assert_eq!((&sealed.found, &sealed.real), (&link, &program));
        let compare = || sealed.compare(&mut HASHED_BYTES_MAX.clone());
        assert_eq!(compare(), Ok(sealed.digest.clone()));

        // The same bytes in another file are the same program.
        replace(&program, b"one").unwrap();
        assert_eq!(compare(), Ok(sealed.digest.clone()));
        replace(&program, b"two").unwrap();
        assert_eq!(compare(), Err(FileChange::Content));
        replace(&dir.join("other"), b"one").unwrap();
        std::fs::remove_file(&link).unwrap();
        symlink(dir.join("other"), &link).unwrap();
        assert_eq!(compare(), Err(FileChange::Moved(dir.join("other"))));
        std::fs::remove_file(&link).unwrap();
        assert!(matches!(compare(), Err(FileChange::Gone(_))));
    }

    #[test]
    fn a_large_file_is_compared_by_its_state() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("large");
        replace(&path, &vec![b'x'; 100 << 10]).unwrap();
        let mut sealed = SealedFile::new(FileRole::Program, None, path.clone()).unwrap();
        sealed.digest = "not looked at".to_owned();
        let mut left = HASHED_BYTES_MAX;
        assert_eq!(sealed.compare(&mut left), Ok(sealed.digest.clone()));
        assert_eq!(left, HASHED_BYTES_MAX);
        replace(&path, &vec![b'x'; 100 << 10]).unwrap();
        assert_eq!(sealed.compare(&mut left), Err(FileChange::Content));
        // A small file is hashed, up to a limit for all of them.
        replace(&path, b"small").unwrap();
        let sealed = SealedFile::new(FileRole::Script, None, path).unwrap();
        let mut left = 8;
        assert_eq!(sealed.compare(&mut left), Ok(sealed.digest.clone()));
        assert_eq!(left, 3);
        assert_eq!(sealed.compare(&mut left), Ok(sealed.digest.clone()));
        assert_eq!(left, 3);
    }

    #[test]
    fn what_only_root_changes() {
        let system = |path: &str| {
            let path = Path::new(path);
            path.canonicalize()
                .is_ok_and(|real| only_root_changes(path, &real))
        };
        assert!(system("/bin/sh") && system("/usr/bin/env"));
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("sh");
        symlink("/bin/sh", &link).unwrap();
        // The directory above it is writable by all.
        assert!(!system(link.to_str().unwrap()));
    }
}
