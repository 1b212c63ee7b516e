//! The states of all installed files, for the check before each start.
//!
//! A state is what `lstat` reports: kind and mode, size, inode, modification and change time. No
//! program of the user can set the change time, so a file with the same state was not written to.
//! The digest of the list is in the policy, and so under the grant. If the list does not match,
//! contents are compared.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use super::tree;
use crate::sys::files::{Links, STATE_BYTES, state_at};

/// The first bytes of a list, which change with its version.
const HEAD: &[u8] = b"states 2\n";
/// A thread is started for this many files; one file takes about 1 µs.
const SHARE_MIN: usize = 1024;
/// More threads only wait for each other.
const THREADS_MAX: usize = 4;

/// Makes the list of the files named by absolute paths and all files of the trees below `base`: for
/// each the length of its name, the name, and its state.
pub(super) fn make(base: &Path, absolute: &[&Path], below: &[&str]) -> io::Result<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = absolute
        .iter()
        .map(|path| path.as_os_str().as_bytes().to_vec())
        .collect();
    for name in below {
        names.push(name.as_bytes().to_vec());
        if base.join(name).is_dir() {
            for (path, _) in tree::entries(&base.join(name))? {
                let path = Path::new(name).join(path);
                names.push(path.into_os_string().into_encoded_bytes());
            }
        }
    }
    let dir = rustix::fs::openat(CWD, base, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())?;
    let mut list = HEAD.to_vec();
    for name in names {
        let length = u16::try_from(name.len()).map_err(io::Error::other)?;
        list.extend_from_slice(&length.to_le_bytes());
        list.extend_from_slice(&name);
        list.extend_from_slice(&state(&dir, &name)?);
    }
    Ok(list)
}

/// The first file whose state is not as listed, if there is one.
pub(super) fn first_moved(base: &Path, list: &[u8]) -> Option<String> {
    let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let opened = rustix::fs::openat(CWD, base, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty());
    let (Ok(dir), Some(entries)) = (opened, entries(list)) else {
        return Some(base.display().to_string());
    };
    let moved = |share: &[(&[u8], &[u8])]| {
        let differs =
            |(name, listed): &&(&[u8], &[u8])| !state(&dir, name).is_ok_and(|now| now == **listed);
        share.iter().find(differs).map(|(name, _)| shown(name))
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = entries
        .len()
        .div_ceil(threads.min(THREADS_MAX))
        .max(SHARE_MIN);
    std::thread::scope(|scope| {
        let mut shares = entries.chunks(share);
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> = shares.map(|share| scope.spawn(|| moved(share))).collect();
        let first = moved(own);
        others.into_iter().fold(first, |first, other| {
            first.or(other
                .join()
                .expect("reading the states of files does not panic"))
        })
    })
}

/// The names and states of a list; none if it is not a valid list.
fn entries(list: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut rest = list.strip_prefix(HEAD)?;
    let mut entries = Vec::with_capacity(rest.len() / 128);
    while !rest.is_empty() {
        let (length, more) = rest.split_first_chunk::<2>()?;
        let (name, more) = more.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (state, more) = more.split_at_checked(STATE_BYTES)?;
        entries.push((name, state));
        rest = more;
    }
    Some(entries)
}

/// The state of a file below `dir`, or of the file that an absolute name leads to: an interpreter may
/// be named by a link.
fn state(dir: &rustix::fd::OwnedFd, name: &[u8]) -> io::Result<[u8; STATE_BYTES]> {
    let links = if name.starts_with(b"/") {
        Links::Follow
    } else {
        Links::Keep
    };
    state_at(dir, name, links)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use crate::files::replace;

    #[test]
    fn every_change_of_a_file_is_detected() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        let program = base.join("program");
        replace(&program, b"node").unwrap();
        replace(&base.join("lock"), b"{}").unwrap();
        let one = base.join("tree/a/one.js");
        let fresh = || {
            replace(&one, b"1").unwrap();
            make(base, &[&program], &["lock", "tree"]).unwrap()
        };
        let moved = |list: &[u8]| first_moved(base, list).unwrap_or_default();
        assert_eq!(moved(&fresh()), "");

        let list = fresh();
        // In place, with the same size and the old time restored.
        let before = fs::metadata(&one).unwrap().modified().unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(&one).unwrap();
        io::Write::write_all(&mut file, b"2").unwrap();
        file.set_modified(before).unwrap();
        assert_eq!(moved(&list), "tree/a/one.js");

        let list = fresh();
        replace(&base.join("tree/a/two.js"), b"").unwrap();
        assert_eq!(moved(&list), "tree/a");
        let list = fresh();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(moved(&list), program.display().to_string());
        let list = fresh();
        fs::remove_file(&one).unwrap();
        assert!(moved(&list).starts_with("tree/a"));
        let list = fresh();
        replace(&base.join("lock"), b"[]").unwrap();
        assert_eq!(moved(&list), "lock");

        // A truncated list or one of another version does not match.
        let list = fresh();
        assert!(!moved(&list[..list.len() - 1]).is_empty());
        assert!(!moved(b"").is_empty() && !moved(b"1,2 tree\n").is_empty());
    }

    #[test]
    fn many_files_are_compared_in_threads() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        for n in 0..5 * SHARE_MIN {
            let path = base.join(format!("tree/{}/{n}", n % 7));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create_new(path).unwrap();
        }
        let list = make(base, &[], &["tree"]).unwrap();
        assert_eq!(first_moved(base, &list), None);
        // In the part of any thread.
        for n in [0, 3 * SHARE_MIN, 5 * SHARE_MIN - 1] {
            let list = make(base, &[], &["tree"]).unwrap();
            let name = format!("tree/{}/{n}", n % 7);
            fs::set_permissions(base.join(&name), Permissions::from_mode(0o700)).unwrap();
            assert_eq!(first_moved(base, &list), Some(name));
        }
        assert!(first_moved(&base.join("gone"), &list).is_some());
    }
}
