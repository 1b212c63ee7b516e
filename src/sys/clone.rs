//! Files that share their blocks on the disk until one of them is written.

use std::fs::File;
use std::io;
use std::path::Path;

/// Creates a file with the bytes of another one, without copying them.
///
/// # Errors
/// The kernel's: most file systems cannot do it.
#[cfg(target_os = "linux")]
pub fn clone_file(from: &File, new: &Path) -> io::Result<()> {
    let file = File::create_new(new)?;
    Ok(rustix::fs::ioctl_ficlone(&file, from)?)
}

/// Creates a file with the bytes of another one, without copying them.
///
/// # Errors
/// The kernel's: only APFS can do it.
#[cfg(target_os = "macos")]
pub fn clone_file(from: &File, new: &Path) -> io::Result<()> {
    let flags = rustix::fs::CloneFlags::empty();
    Ok(rustix::fs::fclonefileat(from, rustix::fs::CWD, new, flags)?)
}
