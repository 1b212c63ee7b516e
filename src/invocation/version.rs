//! What a program says of its version, to show it when another one takes its place.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::file::SealedFile;
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

/// What programs said to this process, by their digests.
static KNOWN: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());

/// The version of a program, if it is one that can be asked. It is asked once.
pub(super) fn of(word: &str, file: &SealedFile, dir: &Path) -> Option<String> {
    let name = program_name(word);
    if !ASKED.contains(&name.as_str()) && !name.starts_with("python3.") {
        return None;
    }
    if let Some(version) = known().get(&file.digest) {
        return version.clone();
    }
    let version = asked(&file.real, dir);
    known().insert(file.digest.clone(), version.clone());
    version
}

fn known() -> MutexGuard<'static, BTreeMap<String, Option<String>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn asked(real: &Path, dir: &Path) -> Option<String> {
    let line = bounded::first_line(real, &["--version"], dir, LIMIT)?;
    let plain: String = line
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(LENGTH_MAX)
        .collect();
    (!plain.is_empty()).then_some(plain)
}
