//! Acts on files that the standard library does not have, or not on each system.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD};

use crate::files::{PendingFile, Problem, sync_dir};
use crate::parallel;

/// Exchanges two files in one step. False where the system or the file system cannot do that.
///
/// # Errors
/// The system refused for another reason; both files are as they were.
#[cfg(target_os = "linux")]
pub fn exchange(a: &Path, b: &Path) -> io::Result<bool> {
    use rustix::fs::{RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
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

/// From this number of files on, one call for the file system is cheaper than one for each file. Such a call also
/// writes what other programs left to write.
const FILES_MIN: usize = 16;

/// Puts files into their places: all are on the disk before the first one replaces another.
///
/// # Errors
/// What failed, and for which file or directory.
pub fn place_all(files: &[PendingFile]) -> Result<(), (PathBuf, Problem)> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| (path, error.into())
    };
    let dirs: BTreeSet<_> = files.iter().map(PendingFile::dir).collect();
    let mut synced = files.len() >= FILES_MIN;
    if synced {
        for dir in &dirs {
            synced &= sync_file_system(dir).map_err(failed(dir))?;
        }
    }
    if !synced {
        parallel::for_each(files, |file| file.sync().map_err(failed(file.path())))?;
    }
    for file in files {
        file.place().map_err(failed(file.path()))?;
    }
    for dir in &dirs {
        sync_dir(dir).map_err(failed(dir))?;
    }
    Ok(())
}

/// Whether a directory is on a file system that keeps its files in memory. Never on macOS, which has
/// none.
pub fn is_in_memory(dir: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::statfs::{TMPFS_MAGIC, statfs};
        const RAMFS_MAGIC: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x8584_58f6);
        statfs(dir).is_ok_and(|stat| [TMPFS_MAGIC, RAMFS_MAGIC].contains(&stat.filesystem_type()))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = dir;
        false
    }
}

/// The numbers of one file state, eight bytes each.
pub const STATE_BYTES: usize = 7 * 8;

/// Whether the state of a link is that of the file it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    Follow,
    Keep,
}

/// The state of a file: kind and mode, size, inode, modification and change time. No program of the
/// user can set the change time, so a file with the same state was not written to.
///
/// # Errors
/// The file does not exist, or its directory cannot be searched.
pub fn state(path: &Path) -> io::Result<[u8; STATE_BYTES]> {
    state_at(CWD, path, Links::Follow)
}

/// [`state`] of a name relative to a directory.
pub fn state_at(
    dir: impl AsFd,
    name: impl rustix::path::Arg,
    links: Links,
) -> io::Result<[u8; STATE_BYTES]> {
    let flags = match links {
        Links::Follow => AtFlags::empty(),
        Links::Keep => AtFlags::SYMLINK_NOFOLLOW,
    };
    let stat = rustix::fs::statat(dir, name, flags)?;
    let mut state = [0; STATE_BYTES];
    let numbers = [
        i128::from(stat.st_mode),
        i128::from(stat.st_size),
        i128::from(stat.st_ino),
        i128::from(stat.st_mtime),
        i128::from(stat.st_mtime_nsec),
        i128::from(stat.st_ctime),
        i128::from(stat.st_ctime_nsec),
    ];
    for (place, number) in state.chunks_exact_mut(8).zip(numbers) {
        // Each has at most 64 bits, signed or not: the lower half holds all of it.
        let bytes = number.to_le_bytes();
        place.copy_from_slice(bytes.get(..8).unwrap_or_default());
    }
    Ok(state)
}

/// Whether a program gets capabilities from its file.
pub fn has_capabilities(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::getxattr(path, c"security.capability", &mut [0_u8; 64]).is_ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}
