//! The lock file that mcpwrap writes when pip is used instead of uv.

use super::advisory::LockedPackages;

/// The first line of such a lock file.
pub const HEAD: &str = "# mcpwrap pip lock 1";

/// The packages of such a lock file; none if it is uv's.
pub fn locked(text: &str) -> Option<LockedPackages> {
    let mut locked = LockedPackages::new();
    for line in text
        .strip_prefix(HEAD)?
        .lines()
        .filter(|line| !line.is_empty())
    {
        let (name, rest) = line.split_once("==")?;
        let (version, rest) = rest.split_once(" --hash=")?;
        let (hash, file) = rest.split_once(" # ")?;
        let versions = locked.entry(name.to_owned()).or_default();
        versions.insert(version.to_owned(), format!("{file} {hash}"));
    }
    Some(locked)
}
