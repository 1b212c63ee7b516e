//! Acts on files that the standard library does not have, or not on each system.

use std::fs::File;
use std::io;
use std::path::Path;

/// Exchanges two files in one step. False where the system or the file system cannot do that.
///
/// # Errors
/// The system refused for another reason; both files are as they were.
#[cfg(target_os = "linux")]
pub fn exchange(a: &Path, b: &Path) -> io::Result<bool> {
    use nix::errno::Errno;
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    match renameat2(AT_FDCWD, a, AT_FDCWD, b, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::ENOTSUP) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// See the version for Linux.
#[cfg(not(target_os = "linux"))]
pub fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Writes the whole file system of `dir` to its disk in one call, which is far cheaper than one
/// call per file. False where the system has no such call.
///
/// # Errors
/// The directory cannot be opened, or the disk failed.
pub fn sync_file_system(dir: &Path) -> io::Result<bool> {
    let dir = File::open(dir)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(dir)?;
    #[cfg(not(target_os = "linux"))]
    drop(dir);
    Ok(cfg!(target_os = "linux"))
}
