//! Reads, replaces and locks files that only this user may change.
//!
//! Errors are `Problem`s without a code, because only the caller knows what the file is for.
//!
//! Invariants: checks apply to the open file, never to its path. Symlinks, FIFOs and devices are
//! refused. A file is replaced atomically: the new one is written beside the old one, synced and
//! renamed, and the directory is synced.

mod together;

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

pub use self::together::PendingFile;
use crate::error::{Code, Error};

/// The maximum size of a file that mcpwrap reads for itself (bytes).
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file cannot be used.
#[derive(Debug)]
pub enum Problem {
    Missing,
    /// What is wrong with its type, owner or mode, and how to fix it.
    NotPrivate {
        fact: String,
        fix: String,
    },
    TooLarge {
        bytes: u64,
        bytes_max: u64,
    },
    Io(io::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("does not exist"),
            Self::NotPrivate { fact, fix: _ } => f.write_str(fact),
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "{bytes} bytes, more than the limit of {bytes_max}")
            }
            Self::Io(error) => write!(f, "{}", io_text(error)),
        }
    }
}

impl Problem {
    /// The error for the user. `what`: what was not done; `path`: as shown in messages. A file that
    /// other users can change has its own code and a hint that fixes it.
    pub fn explain(self, code: Code, what: impl Into<String>, path: &str) -> Error {
        let fact = self.to_string();
        match self {
            Self::NotPrivate { fix, .. } => Error::new(Code::FileNotPrivate, what)
                .cause(format!("`{path}`: {fact}"))
                .hint(fix),
            other => {
                let hint = match &other {
                    Self::Io(error) => io_hint(error),
                    _ => None,
                };
                Error::new(code, what)
                    .cause(format!("`{path}`: {fact}"))
                    .hint_if(hint)
            }
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Io(error),
        }
    }
}

/// The text of an I/O error in lower case.
pub fn io_text(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(
        || error.to_string(),
        |errno| nix::errno::Errno::from_raw(errno).desc().to_lowercase(),
    )
}

/// A hint for an I/O error that is a resource limit of this process.
pub fn io_hint(error: &io::Error) -> Option<&'static str> {
    use nix::errno::Errno;
    match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE | Errno::ENFILE => {
            Some("raise the limit of open files: `ulimit -n 64` is enough")
        }
        Errno::EAGAIN | Errno::ENOMEM => {
            Some("raise the limits of processes and memory (`ulimit -u`, `ulimit -v`)")
        }
        _ => None,
    }
}

/// Reads a whole file that only its owner may change. The owner is this user, or root.
pub fn read_private(path: &Path) -> Result<Vec<u8>, Problem> {
    read_private_up_to(path, FILE_BYTES_MAX)
}

/// [`read_private`] with another limit (bytes).
pub fn read_private_up_to(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    read_up_to(open_private(path)?, bytes_max)
}

fn read_up_to(file: File, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    let size = file.metadata()?.len().min(bytes_max);
    // One byte more than the size, so that the end is found without growing the buffer.
    let mut bytes = Vec::with_capacity(usize::try_from(size + 1).unwrap_or_default());
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Problem::TooLarge {
            bytes: bytes.len() as u64,
            bytes_max,
        });
    }
    Ok(bytes)
}

/// Reads a whole file of the administrator: only root may own or change the file and all directories
/// of its path, including symlinks. `Missing` if one of them does not exist.
pub fn read_managed(path: &Path) -> Result<Vec<u8>, Problem> {
    let dir = parent(path);
    let real = std::fs::canonicalize(&dir)?;
    for step in dir.ancestors().chain(real.ancestors()) {
        check_managed(step, &std::fs::symlink_metadata(step)?)?;
    }
    let file = open_private(path)?;
    check_managed(path, &file.metadata()?)?;
    read_up_to(file, FILE_BYTES_MAX)
}

fn check_managed(path: &Path, meta: &std::fs::Metadata) -> Result<(), Problem> {
    // The mode of a symlink is meaningless.
    let open = !meta.is_symlink() && meta.mode() & 0o022 != 0;
    if meta.uid() == 0 && !open {
        return Ok(());
    }
    let shown = path.display();
    let fact = format!(
        "`{shown}` must be writable by root only, but has owner {} and mode {:04o}",
        meta.uid(),
        meta.mode() & 0o7777,
    );
    Err(Problem::NotPrivate {
        fact,
        fix: format!("ask your administrator to run `chown root {shown} && chmod go-w {shown}`"),
    })
}

/// Opens a file that only its owner may change, for reading.
pub fn open_private(path: &Path) -> Result<File, Problem> {
    open_checked(path, OpenOptions::new().read(true))
}

/// Opens a file of mcpwrap for reading and appending; creates it (mode 0600) if it does not exist.
pub fn open_append(path: &Path) -> Result<File, Problem> {
    open_checked(
        path,
        OpenOptions::new().read(true).append(true).create(true),
    )
}

/// [`open_append`] for an existing file.
pub fn open_append_only(path: &Path) -> Result<File, Problem> {
    open_checked(path, OpenOptions::new().read(true).append(true))
}

/// Opens a file of mcpwrap for writing in place; creates it (mode 0600) if it does not exist.
pub fn open_write(path: &Path) -> Result<File, Problem> {
    open_checked(path, OpenOptions::new().read(true).write(true).create(true))
}

fn open_checked(path: &Path, options: &mut OpenOptions) -> Result<File, Problem> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match options.mode(0o600).custom_flags(flags.bits()).open(path) {
        Err(error) => match error.raw_os_error() {
            // What Linux and macOS return for O_NOFOLLOW on a symlink.
            Some(nix::libc::ELOOP) => return Err(not_a_file(path, "a symlink")),
            Some(nix::libc::EISDIR | nix::libc::ENXIO) => {
                return Err(not_a_file(path, "a directory, FIFO or device"));
            }
            _ => return Err(error.into()),
        },
        Ok(file) => file,
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(not_a_file(path, "a directory, FIFO or device"));
    }
    check_private(path, &meta)?;
    Ok(file)
}

fn not_a_file(path: &Path, kind: &str) -> Problem {
    Problem::NotPrivate {
        fact: format!("expected a regular file, found {kind}"),
        fix: format!("put a regular file at `{}`", path.display()),
    }
}

/// Checks that the owner is this user or root, and that only the owner may change it.
fn check_private(path: &Path, meta: &std::fs::Metadata) -> Result<(), Problem> {
    let me = nix::unistd::geteuid().as_raw();
    let shown = path.display();
    if meta.uid() != me && meta.uid() != 0 {
        return Err(Problem::NotPrivate {
            fact: format!("owned by user {}, running as user {me}", meta.uid()),
            fix: format!("run `sudo chown {me} {shown}`, then review its contents"),
        });
    }
    if meta.mode() & 0o022 != 0 {
        return Err(Problem::NotPrivate {
            fact: format!(
                "writable by other users (mode {:04o})",
                meta.mode() & 0o7777
            ),
            fix: format!("run `chmod go-w {shown}`, then review its contents"),
        });
    }
    Ok(())
}

/// Creates a directory (mode 0700) with its parents, or checks an existing one.
pub fn ensure_dir(path: &Path) -> Result<(), Problem> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    check_dir(path)
}

/// Checks that only its owner may change a directory.
pub fn check_dir(path: &Path) -> Result<(), Problem> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_dir() {
        return Err(Problem::NotPrivate {
            fact: "not a directory".to_owned(),
            fix: format!("move `{}` away", path.display()),
        });
    }
    check_private(path, &meta)
}

/// Replaces or creates a file (mode 0600) atomically.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    replace_if(path, bytes, || Some(())).map(drop)
}

/// [`replace`] of a file of mcpwrap itself, with the error for the user. `shown`: the path in messages.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn replace_own(path: &Path, shown: &str, text: &str) -> Result<(), Error> {
    let what = || format!("cannot write `{shown}`");
    replace(path, text.as_bytes())
        .map_err(|problem| problem.explain(Code::FileUnusable, what(), shown))
}

/// Replaces or creates a program (mode 0700) atomically. A process that runs the old one keeps it.
pub fn replace_program(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    replace_with(path, (bytes, 0o700), || Some(())).map(drop)
}

/// [`replace`], if `guard` returns something when the new file is ready; it is dropped afterwards.
pub fn replace_if<T>(
    path: &Path,
    bytes: &[u8],
    guard: impl FnOnce() -> Option<T>,
) -> Result<bool, Problem> {
    replace_with(path, (bytes, 0o600), guard)
}

fn replace_with<T>(
    path: &Path,
    (bytes, mode): (&[u8], u32),
    guard: impl FnOnce() -> Option<T>,
) -> Result<bool, Problem> {
    let dir = parent(path);
    ensure_dir(&dir)?;
    let temporary = Temporary::new(&dir, path)?;
    temporary.write(bytes, mode)?;
    let Some(guarded) = guard() else {
        return Ok(false);
    };
    std::fs::rename(&temporary.0, path)?;
    drop(guarded);
    sync_dir(&dir)?;
    Ok(true)
}

/// Creates a file (mode 0600) atomically; fails if the name is taken.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let dir = parent(path);
    ensure_dir(&dir)?;
    let temporary = Temporary::new(&dir, path)?;
    temporary.write(bytes, 0o600)?;
    // Unlike a rename, a link fails if the name is taken.
    std::fs::hard_link(&temporary.0, path)?;
    drop(temporary);
    sync_dir(&dir)?;
    Ok(())
}

/// Removes a file and syncs its directory. A missing file is not an error.
pub fn remove(path: &Path) -> Result<(), Problem> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(sync_dir(&parent(path))?),
    }
}

/// Waits for an exclusive lock, which is held until the file is dropped.
pub fn lock(path: &Path) -> Result<File, Problem> {
    lock_or_wait(path, || ())
}

/// The same; `waiting` is called first if it is not free.
pub fn lock_or_wait(path: &Path, waiting: impl FnOnce()) -> Result<File, Problem> {
    ensure_dir(&parent(path))?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
        .open(path)?;
    if file.try_lock().is_err() {
        waiting();
        file.lock()?;
    }
    Ok(file)
}

/// Syncs the entries of a directory.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn parent(path: &Path) -> PathBuf {
    path.parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// A temporary file beside the target, removed on drop if it was not renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Temporary {
    fn new(dir: &Path, target: &Path) -> io::Result<Self> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self(dir.join(format!(".{name}.{}", random_hex()?))))
    }

    fn write(&self, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.write_unsynced(bytes, mode)?.sync_all()
    }

    fn write_unsynced(&self, bytes: &[u8], mode: u32) -> io::Result<File> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&self.0)?;
        file.write_all(bytes)?;
        Ok(file)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        drop(std::fs::remove_file(&self.0));
    }
}

/// 16 random hex digits.
pub fn random_hex() -> io::Result<String> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(crate::secret::hex(&bytes))
}

#[cfg(test)]
mod tests;
