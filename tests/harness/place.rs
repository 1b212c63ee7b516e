//! Where the programs of tests lie: a grant leaves temporary directories out of PATH.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory that is not temporary, wherever the project was checked out.
pub(super) fn lasting() -> PathBuf {
    let home = std::env::home_dir().unwrap_or_default().join(".cache");
    let places = [
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        home,
        PathBuf::from("/var/cache"),
    ];
    let temporary = ["/tmp", "/var/tmp", "/dev/shm", "/private/tmp"];
    let is_lasting = |place: &PathBuf| {
        std::fs::create_dir_all(place).is_ok()
            && place
                .canonicalize()
                .is_ok_and(|real| !temporary.iter().any(|dir| real.starts_with(dir)))
    };
    places.into_iter().find(is_lasting).unwrap()
}

/// Copies a program, with a text behind its end. Another process writes it: a program that this one
/// writes is open in what other tests start at the same moment, and cannot be run ("text file busy").
pub(crate) fn copy_program(from: &Path, more: &str, to: &Path) {
    let mut copy = Command::new("/bin/sh");
    copy.args(["-c", "cp -- \"$0\" \"$1\" && printf %s \"$2\" >> \"$1\""]);
    assert!(copy.args([from, to]).arg(more).status().unwrap().success());
}
