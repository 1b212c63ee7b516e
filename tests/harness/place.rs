//! Where the programs of tests lie: a grant leaves temporary directories out of PATH.

use std::path::PathBuf;

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
