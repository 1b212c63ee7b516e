//! What a process that was killed in the middle of a write left beside a file.
//!
//! Invariants: only what has the name of a temporary file of this very file is removed, and only while its lock is held:
//! nobody else is writing it then.

use std::fs::File;
use std::path::Path;

/// Removes the temporary files of `path` that `files::replace` left. `_lock`: held by the caller.
pub(super) fn remove(path: &Path, _lock: &File) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && rest.is_some_and(is_random) {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

/// Whether this is what `files::random_hex` makes.
fn is_random(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    text.len() == 16 && text.bytes().all(is_digit)
}
