//! One copy on the disk of the files that several installations have, where the file system can.
//!
//! Btrfs, XFS and APFS share the blocks of a cloned file until one of the two is written. Each tree
//! keeps files of its own, so what is checked at each start is the same as without sharing. Hard links
//! would change the times of other trees with each installation and removal.
//!
//! Invariant: a file is replaced only by a clone of one with the same bytes.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::tree::{NodeKind, entries};
use crate::sys::clone::clone_file;

/// Smaller files take less than a block (bytes).
const FILE_BYTES_MIN: u64 = 4096;
const BLOCK: usize = 64 << 10;

/// Lets the files of a new tree share the blocks of equal files in the trees below `root`; returns how
/// many bytes. Without support, or after an error, the rest of the files stay as they are.
pub(super) fn share(root: &Path, tree: &Path) -> u64 {
    let others = others(root);
    let Ok(entries) = entries(tree) else {
        return 0;
    };
    let mut shared = 0;
    for (path, _) in entries.iter().filter(|(_, kind)| *kind == NodeKind::File) {
        let file = tree.join(path);
        let Ok(meta) = file.symlink_metadata() else {
            continue;
        };
        if meta.len() < FILE_BYTES_MIN {
            continue;
        }
        let is_same = |other: &PathBuf| {
            let there = other.symlink_metadata();
            there.is_ok_and(|there| there.is_file() && there.len() == meta.len())
                && equal(other, &file).unwrap_or(false)
        };
        let candidates = others.iter().map(|other| other.join(path));
        let Some(other) = candidates.into_iter().find(is_same) else {
            continue;
        };
        match clone(&other, &file, &meta) {
            Ok(()) => shared += meta.len(),
            // The same for all files of this file system.
            Err(_) => return shared,
        }
    }
    shared
}

/// The trees that are in place.
fn others(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let named = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let trees = named.map(|entry| entry.path().join("tree"));
    trees.filter(|tree| tree.is_dir()).collect()
}

fn equal(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut left, mut right) = (vec![0; BLOCK], vec![0; BLOCK]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        let (Some(left), Some(right)) = (left.get(..count), right.get_mut(..count)) else {
            return Ok(false);
        };
        match other.read_exact(right) {
            Ok(()) if left == right => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Replaces a file by a clone of another one, with its own mode.
fn clone(from: &Path, file: &Path, meta: &fs::Metadata) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".mcpwrap-clone");
    let new = file.with_file_name(name);
    let made = File::open(from)
        .and_then(|from| clone_file(&from, &new))
        .and_then(|()| fs::set_permissions(&new, meta.permissions()))
        // The other file may have been removed or replaced since it was compared.
        .and_then(|()| {
            if equal(&new, file)? {
                fs::rename(&new, file)
            } else {
                Err(io::ErrorKind::InvalidData.into())
            }
        });
    if made.is_err() {
        crate::sys::ignore(fs::remove_file(&new));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a file system that cannot share, nothing changes.
    #[test]
    fn only_equal_files_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (root, new) = (dir.path().join("packages"), dir.path().join("new"));
        let big = "x".repeat(10_000);
        let other = format!("{}y", "x".repeat(9_999));
        let trees = [
            (root.join("one/tree"), [("same", &big), ("differs", &big)]),
            (
                root.join(".new-1/tree"),
                [("same", &other), ("differs", &other)],
            ),
            (new.clone(), [("same", &big), ("differs", &other)]),
        ];
        for (tree, files) in &trees {
            fs::create_dir_all(tree).unwrap();
            for (name, text) in files {
                crate::files::replace(&tree.join(name), text.as_bytes()).unwrap();
            }
        }
        let shared = share(&root, &new);
        assert!([0, 10_000].contains(&shared), "{shared}");
        assert_eq!(fs::read_to_string(new.join("same")).unwrap(), big);
        assert_eq!(fs::read_to_string(new.join("differs")).unwrap(), other);
        assert_eq!(fs::read_dir(&new).unwrap().count(), 2);
        assert_eq!(others(&root), [root.join("one/tree")]);
        assert!(!equal(&new.join("same"), &new.join("differs")).unwrap());
        assert!(equal(&new.join("same"), &root.join("one/tree/same")).unwrap());
    }
}
