//! Where the programs of tests lie: a grant leaves temporary directories out of PATH.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Writes a program. Another process does it: a file that this one writes is open in what other tests start at
/// the same moment, and cannot be run meanwhile ("text file busy").
pub(crate) fn write_program(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    assert!(writer.wait().unwrap().success());
}

/// Copies a program, with a text behind its end. Another process writes it, as [`write_program`] has it.
pub(crate) fn copy_program(from: &Path, more: &str, to: &Path) {
    let mut copy = Command::new("/bin/sh");
    copy.args(["-c", "cp -- \"$0\" \"$1\" && printf %s \"$2\" >> \"$1\""]);
    assert!(copy.args([from, to]).arg(more).status().unwrap().success());
}
