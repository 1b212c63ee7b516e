//! The states of all installed files, for the check before each start.
//!
//! A state is what `lstat` says: kind and mode, size, inode, times of the content and of the inode.
//! Nothing that runs as the user can set the last one, so a file whose state is the same was not
//! written to since. *Always* bound by the digest of the list itself, which is in the policy and so
//! under the grant. A list that does not fit proves nothing bad: then the contents are compared.

use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::tree;

/// Makes the list: the files named by absolute paths, and all of the trees below `base`.
pub(super) fn make(base: &Path, absolute: &[&Path], below: &[&str]) -> io::Result<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = absolute
        .iter()
        .map(|path| path.as_os_str().as_bytes().to_vec())
        .collect();
    for name in below {
        names.push(name.as_bytes().to_vec());
        if base.join(name).is_dir() {
            for (path, _) in tree::entries(&base.join(name))? {
                names.push(
                    Path::new(name)
                        .join(path)
                        .into_os_string()
                        .as_bytes()
                        .to_vec(),
                );
            }
        }
    }
    let dir = rustix::fs::openat(CWD, base, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())?;
    let mut list = Vec::new();
    for name in names {
        if name.contains(&b'\n') {
            return Err(io::Error::other("a file name with a line break"));
        }
        list.extend_from_slice(state(&dir, &name)?.as_bytes());
        list.push(b' ');
        list.extend_from_slice(&name);
        list.push(b'\n');
    }
    Ok(list)
}

/// The first file whose state is not as listed, if there is one.
pub(super) fn first_moved(base: &Path, list: &[u8]) -> Option<String> {
    let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let opened = rustix::fs::openat(CWD, base, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty());
    let Ok(dir) = opened else {
        return Some(base.display().to_string());
    };
    for line in list.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let mut parts = line.splitn(2, |b| *b == b' ');
        let (listed, name) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let now = state(&dir, name).unwrap_or_default();
        if now.as_bytes() != listed {
            return Some(shown(name));
        }
    }
    None
}

fn state(dir: &rustix::fd::OwnedFd, name: &[u8]) -> io::Result<String> {
    // An interpreter may be named by a link: what counts is the file behind it.
    let follow = if name.starts_with(b"/") {
        AtFlags::empty()
    } else {
        AtFlags::SYMLINK_NOFOLLOW
    };
    let stat = rustix::fs::statat(dir, name, follow)?;
    let mut text = String::with_capacity(80);
    let numbers = [
        i128::from(stat.st_mode),
        i128::from(stat.st_size),
        i128::from(stat.st_ino),
        i128::from(stat.st_mtime),
        i128::from(stat.st_mtime_nsec),
        i128::from(stat.st_ctime),
        i128::from(stat.st_ctime_nsec),
    ];
    for (n, number) in numbers.into_iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        write!(text, "{comma}{number:x}").map_err(io::Error::other)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use crate::files::replace;

    #[test]
    fn whatever_is_done_to_a_file_is_noticed() {
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
        // In place, with the same size and the old time put back.
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
        assert!(first_moved(&base.join("gone"), &list).is_some());
    }
}
