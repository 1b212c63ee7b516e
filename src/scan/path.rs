//! How paths are shown, and why a file was not read: words shared by several scans.

use std::io;
use std::path::Path;

use crate::files::io_text;

/// Why a directory, a pipe or a device is not read.
pub const NOT_REGULAR: &str = "not a regular file";

/// Why a file was not read, for an error of the system.
pub fn unreadable(error: &io::Error) -> String {
    format!("cannot read: {}", io_text(error))
}

/// A path as the user typed it, without `./`.
pub fn shown(path: &Path) -> String {
    let path = path.strip_prefix(".").unwrap_or(path);
    path.display().to_string()
}
