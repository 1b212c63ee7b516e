//! Whether git tracks a file, read from the repository's index without starting git.
//!
//! In doubt the answer is yes: an index that cannot be parsed may contain the file.

use std::path::{Path, PathBuf};

/// Whether the index of the repository around a file contains it.
pub fn tracks(path: &Path) -> bool {
    path.ancestors().skip(1).any(|dir| {
        let Some(index) = index_of(dir) else {
            return false;
        };
        let Ok(relative) = path.strip_prefix(dir) else {
            return false;
        };
        std::fs::read(index)
            .is_ok_and(|bytes| names(&bytes, relative.as_os_str().as_encoded_bytes()))
    })
}

/// The index of the repository whose root is this directory. `.git` is a directory, or a file that
/// names one (a worktree, a submodule).
fn index_of(dir: &Path) -> Option<PathBuf> {
    let git = dir.join(".git");
    let meta = git.metadata().ok()?;
    if meta.is_dir() {
        return Some(git.join("index"));
    }
    let text = std::fs::read_to_string(&git).ok()?;
    Some(
        dir.join(text.strip_prefix("gitdir: ")?.trim())
            .join("index"),
    )
}

/// Whether an index contains a path. Versions 2 and 3 have full paths; version 4 shortens them.
fn names(index: &[u8], path: &[u8]) -> bool {
    let number = |at: usize| {
        let bytes = index.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    if !index.starts_with(b"DIRC") {
        return false;
    }
    let (Some(version @ (2 | 3)), Some(count)) = (number(4), number(8)) else {
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        return memchr::memmem::find(index, name).is_some();
    };
    let mut at = 12;
    for _ in 0..count {
        let Some(flags) = index.get(at + 60..at + 62) else {
            return true;
        };
        let extended = version == 3 && flags.first().is_some_and(|b| b & 0x40 != 0);
        let start = at + if extended { 64 } else { 62 };
        let rest = index.get(start..).unwrap_or_default();
        let Some(length) = memchr::memchr(0, rest) else {
            return true;
        };
        if rest.get(..length) == Some(path) {
            return true;
        }
        // An entry ends with 1 to 8 NUL bytes, at a multiple of eight.
        at += (start - at + length + 8) & !7;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_an_index() {
        let mut index = b"DIRC\0\0\0\x02\0\0\0\x02".to_vec();
        for name in ["a/.mcp.json", "b"] {
            let start = index.len();
            index.extend([0; 62]);
            index.extend(name.as_bytes());
            index.resize(start + ((62 + name.len() + 8) & !7), 0);
        }
        assert!(names(&index, b"a/.mcp.json") && names(&index, b"b"));
        assert!(!names(&index, b".mcp.json") && !names(&index, b"a"));
        assert!(names(&index[..40], b"x"), "a torn index may name anything");
        assert!(!names(b"", b"x"));
    }
}
