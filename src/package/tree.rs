//! An installed tree of files: its digest, and how it is made read-only, synced and removed.
//!
//! The digest covers names, kinds, the execute bit, contents and link targets; not times, owners or
//! inodes, so that the same packages give the same digest on every machine. Links are not followed.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::parallel;
use crate::secret::hex;
use crate::sys::files::sync_file_system;

/// The kind of an entry in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeKind {
    Dir,
    File,
    Link,
}

/// Everything below a directory, by relative path, sorted by name.
pub(super) fn entries(root: &Path) -> io::Result<Vec<(PathBuf, NodeKind)>> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            let kind = entry.file_type()?;
            let kind = if kind.is_dir() {
                left.push(path.clone());
                NodeKind::Dir
            } else if kind.is_symlink() {
                NodeKind::Link
            } else if kind.is_file() {
                NodeKind::File
            } else {
                return Err(io::Error::other(format!(
                    "`{}` is not a regular file",
                    path.display()
                )));
            };
            found.push((path, kind));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.as_os_str().cmp(b.as_os_str()));
    Ok(found)
}

/// The number of files in a tree and their size (bytes).
pub(super) fn measure(root: &Path) -> (usize, u64) {
    let files: Vec<_> = entries(root).unwrap_or_default();
    let size = |path: &PathBuf| fs::symlink_metadata(root.join(path)).map_or(0, |meta| meta.len());
    let files: Vec<_> = files
        .iter()
        .filter(|(_, kind)| *kind == NodeKind::File)
        .collect();
    (files.len(), files.iter().map(|(path, _)| size(path)).sum())
}

/// The digest of a tree, in hex.
pub(super) fn digest(root: &Path) -> io::Result<String> {
    let entries = entries(root)?;
    let contents = parallel::map(&entries, |(path, kind)| content(&root.join(path), *kind));
    let mut all = Sha256::new();
    for ((path, _), content) in entries.iter().zip(contents) {
        let content = content?;
        // The length prevents a name from being read as the end of another entry.
        let name = path.as_os_str().as_bytes();
        all.update(format!("{content} {} ", name.len()).as_bytes());
        all.update(name);
    }
    Ok(hex(&all.finalize()))
}

/// What the digest covers of an entry besides its name.
fn content(full: &Path, kind: NodeKind) -> io::Result<String> {
    Ok(match kind {
        NodeKind::Dir => "dir".to_owned(),
        NodeKind::Link => {
            let target = fs::read_link(full)?;
            format!(
                "link {}",
                hex(&Sha256::digest(target.as_os_str().as_bytes()))
            )
        }
        NodeKind::File => {
            let runs = fs::symlink_metadata(full)?.permissions().mode() & 0o111 != 0;
            format!(
                "{} {}",
                if runs { "program" } else { "file" },
                file_digest(full)?
            )
        }
    })
}

/// The digest of one file's bytes, in hex. Follows links: an interpreter often is one.
pub fn file_digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    // One byte more than a small file, so that the second read finds its end.
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut buffer = vec![0; size.saturating_add(1).clamp(4096, 128 * 1024)];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// Removes everyone's write permission from the whole tree, including its root.
pub(super) fn freeze(root: &Path) -> io::Result<()> {
    // Innermost first: a directory must be writable while its entries change.
    for (path, kind) in entries(root)?
        .into_iter()
        .rev()
        .chain([(PathBuf::new(), NodeKind::Dir)])
    {
        let full = root.join(path);
        let now = fs::symlink_metadata(&full)?.permissions().mode() & 0o7777;
        let runs = kind == NodeKind::Dir || now & 0o111 != 0;
        let frozen = if runs { 0o555 } else { 0o444 };
        // An already frozen file keeps its times.
        if kind != NodeKind::Link && now != frozen {
            fs::set_permissions(&full, Permissions::from_mode(frozen))?;
        }
    }
    Ok(())
}

/// Syncs a tree to disk. One call for the whole file system is far cheaper than one per file.
pub(super) fn sync(root: &Path) -> io::Result<()> {
    if sync_file_system(root)? {
        return Ok(());
    }
    for (path, kind) in entries(root)? {
        if kind != NodeKind::Link {
            File::open(root.join(path))?.sync_all()?;
        }
    }
    File::open(root)?.sync_all()
}

/// Removes a tree, also a read-only one. A missing tree is not an error.
pub fn remove(root: &Path) -> io::Result<()> {
    match fs::symlink_metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(meta) if !meta.is_dir() => return fs::remove_file(root),
        Ok(_) => {}
    }
    let mut left = vec![root.to_path_buf()];
    while let Some(dir) = left.pop() {
        fs::set_permissions(&dir, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::replace;

    #[test]
    fn every_change_of_a_tree_changes_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tree");
        let file = |name: &str, text: &str| replace(&root.join(name), text.as_bytes()).unwrap();
        file("a/one.js", "1");
        file("b.js", "2");
        std::os::unix::fs::symlink("b.js", root.join("link")).unwrap();
        let first = digest(&root).unwrap();
        assert_eq!(digest(&root).unwrap(), first);

        let changes: [&dyn Fn(); 6] = [
            &|| file("b.js", "3"),
            &|| file("c.js", ""),
            &|| fs::rename(root.join("a/one.js"), root.join("a/two.js")).unwrap(),
            &|| fs::set_permissions(root.join("b.js"), Permissions::from_mode(0o755)).unwrap(),
            &|| fs::create_dir(root.join("empty")).unwrap(),
            &|| {
                fs::remove_file(root.join("link")).unwrap();
                std::os::unix::fs::symlink("c.js", root.join("link")).unwrap();
            },
        ];
        let mut last = first;
        for change in changes {
            change();
            let now = digest(&root).unwrap();
            assert_ne!(now, last);
            last = now;
        }
        freeze(&root).unwrap();
        assert_eq!(digest(&root).unwrap(), last);
        assert_eq!(
            fs::metadata(root.join("a")).unwrap().permissions().mode() & 0o777,
            0o555
        );
        assert_eq!(
            fs::metadata(root.join("c.js"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o444
        );
        sync(&root).unwrap();
        remove(&root).unwrap();
        assert!(!root.exists());
        remove(&root).unwrap();
    }
}
