//! Which files differ between two installations, and how.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::tree::{NodeKind, entries};

/// Larger files are only named (bytes).
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// A file that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDifference {
    /// Relative to the tree.
    pub path: PathBuf,
    pub kind: DifferenceKind,
}

/// How a file differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// Only the old installation has it.
    Removed,
    /// Not text, or too large to compare by lines; `is_new` if only the new installation has it.
    Binary { is_new: bool },
    /// The changed lines as a unified diff, without its header. All lines of a new file.
    Lines { is_new: bool, text: String },
}

/// The differences from an old tree to a new one, by path. What Python compiled is left out: its source
/// is compared.
pub(super) fn between(old: &Path, new: &Path) -> io::Result<Vec<FileDifference>> {
    let (before, after) = (files(old)?, files(new)?);
    let removed = before.difference(&after).map(|path| FileDifference {
        path: path.clone(),
        kind: DifferenceKind::Removed,
    });
    let mut found: Vec<_> = removed.collect();
    for path in &after {
        let is_new = !before.contains(path);
        let was = if is_new {
            Vec::new()
        } else {
            content(&old.join(path))?
        };
        let now = content(&new.join(path))?;
        if !is_new && was == now {
            continue;
        }
        let kind = match lines(&was, &now) {
            Some(text) => DifferenceKind::Lines { is_new, text },
            None => DifferenceKind::Binary { is_new },
        };
        found.push(FileDifference {
            path: path.clone(),
            kind,
        });
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// The files and links of a tree.
fn files(root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let compared = entries(root)?.into_iter().filter(|(path, kind)| {
        let is_compiled = path.extension().is_some_and(|ending| ending == "pyc");
        *kind != NodeKind::Dir && !is_compiled
    });
    Ok(compared.map(|(path, _)| path).collect())
}

/// The bytes of a file; for a link, its target.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    if path.symlink_metadata()?.is_symlink() {
        let target = fs::read_link(path)?;
        return Ok(format!("link to {}\n", target.display()).into_bytes());
    }
    fs::read(path)
}

/// None if one of them is too large, or no text.
fn lines(old: &[u8], new: &[u8]) -> Option<String> {
    if old.len().max(new.len()) > TEXT_BYTES_MAX {
        return None;
    }
    let (old, new) = (
        std::str::from_utf8(old).ok()?,
        std::str::from_utf8(new).ok()?,
    );
    if old.contains('\0') || new.contains('\0') {
        return None;
    }
    let diff = TextDiff::from_lines(old, new);
    let text = diff.unified_diff().context_radius(CONTEXT).to_string();
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_difference_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        for (root, files) in [
            (
                &old,
                [
                    ("same.js", "a\n"),
                    ("gone.js", "b\n"),
                    ("x.js", "1\n2\n"),
                    ("n.node", "\0\0"),
                ],
            ),
            (
                &new,
                [
                    ("same.js", "a\n"),
                    ("new.js", "b\n"),
                    ("x.js", "1\n3\n"),
                    ("n.node", "\0\x01"),
                ],
            ),
        ] {
            fs::create_dir(root).unwrap();
            for (name, text) in files {
                crate::files::replace(&root.join(name), text.as_bytes()).unwrap();
            }
            crate::files::replace(&root.join("x.pyc"), root.as_os_str().as_encoded_bytes())
                .unwrap();
        }
        std::os::unix::fs::symlink("x.js", new.join("link")).unwrap();
        let found = between(&old, &new).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|one| (one.path.to_str().unwrap(), &one.kind))
            .collect();
        let text = |is_new, text: &str| DifferenceKind::Lines {
            is_new,
            text: text.to_owned(),
        };
        let expected = [
            ("gone.js", DifferenceKind::Removed),
            ("link", text(true, "@@ -0,0 +1 @@\n+link to x.js\n")),
            ("n.node", DifferenceKind::Binary { is_new: false }),
            ("new.js", text(true, "@@ -0,0 +1 @@\n+b\n")),
            ("x.js", text(false, "@@ -1,2 +1,2 @@\n 1\n-2\n+3\n")),
        ];
        let expected: Vec<_> = expected.iter().map(|(path, kind)| (*path, kind)).collect();
        assert_eq!(shown, expected);
    }
}
