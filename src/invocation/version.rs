//! What a program says of its version, to show it when another one takes its place.

use std::path::Path;
use std::time::Duration;

use crate::package::program_name;
use crate::sys::bounded;

const LIMIT: Duration = Duration::from_secs(3);
/// A version is not longer (characters).
const LENGTH_MAX: usize = 60;

/// Programs that only print a line when asked for their version.
const ASKED: &[&str] = &[
    "node", "nodejs", "deno", "bun", "python", "python3", "pypy3", "uv", "docker", "podman",
    "ruby", "php",
];

/// The version of a program, if it is one that can be asked.
pub(super) fn of(word: &str, real: &Path, dir: &Path) -> Option<String> {
    let name = program_name(word);
    let known = ASKED.contains(&name.as_str()) || name.starts_with("python3.");
    if !known {
        return None;
    }
    let line = bounded::first_line(real, &["--version"], dir, LIMIT)?;
    let plain: String = line
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(LENGTH_MAX)
        .collect();
    (!plain.is_empty()).then_some(plain)
}
