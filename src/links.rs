//! Files of the user that may be symlinks, because a dotfile manager keeps them elsewhere.
//!
//! Invariant: a link is followed only if nobody else can change where it leads: every link and every
//! directory on the way belongs to this user or to root, and others can write to none of them.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::files::{self, PendingFile, Problem};

/// As many links are followed; Linux follows as many.
const LINKS_MAX: usize = 40;
/// Others may add files to such a directory, but not replace those of this user.
const STICKY: u32 = 0o1000;

/// Reads a file that only its owner may change, through links that only this user may change.
pub fn read_private(path: &Path) -> Result<Vec<u8>, Problem> {
    files::read_private(&target(path)?)
}

/// Replaces the file that a path leads to, or creates it, atomically. A link stays a link.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    files::replace(&target_or_new(path)?, bytes)
}

/// [`replace`] of one of several files.
pub fn pending(path: &Path, bytes: &[u8]) -> Result<PendingFile, Problem> {
    PendingFile::write(target_or_new(path)?, bytes)
}

fn target_or_new(path: &Path) -> Result<PathBuf, Problem> {
    match target(path) {
        Err(Problem::Missing) if path.symlink_metadata().is_err() => Ok(path.to_path_buf()),
        other => other,
    }
}

/// The path without links.
///
/// # Errors
/// `NotPrivate` if somebody else could make it lead elsewhere; `Missing`.
pub fn target(path: &Path) -> Result<PathBuf, Problem> {
    let mut walk = LinkWalk::default();
    walk.push(&std::path::absolute(path)?);
    let mut links = 0;
    while let Some(name) = walk.left.pop() {
        if name == ".." {
            walk.at.pop();
            continue;
        }
        let next = walk.at.join(&name);
        let meta = next.symlink_metadata()?;
        if !meta.is_symlink() {
            walk.at = next;
            if meta.is_dir() && !walk.left.is_empty() {
                walk.dirs.push((walk.at.clone(), meta));
            }
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(io::Error::from_raw_os_error(nix::libc::ELOOP).into());
        }
        // Links of the system, such as macOS's `/var`, are not the user's choice.
        walk.is_own |= meta.uid() != 0 || is_root();
        check_owner(&next, &meta)?;
        let leads_to = std::fs::read_link(&next)?;
        walk.push(&leads_to);
    }
    if walk.is_own {
        for (dir, meta) in &walk.dirs {
            check(dir, meta)?;
        }
    }
    Ok(walk.at)
}

/// A path that is resolved step by step.
#[derive(Default)]
struct LinkWalk {
    at: PathBuf,
    /// The names that are left, the next one last.
    left: Vec<OsString>,
    /// The directories on the way.
    dirs: Vec<(PathBuf, std::fs::Metadata)>,
    /// Whether a link of the user is on the way.
    is_own: bool,
}

impl LinkWalk {
    /// Continues with a path: from the root if it is absolute, else from here.
    fn push(&mut self, path: &Path) {
        if path.is_absolute() || self.at.as_os_str().is_empty() {
            self.at = PathBuf::from("/");
        }
        let names = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        });
        let names: Vec<_> = names.collect();
        self.left.extend(names.into_iter().rev());
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn check_owner(path: &Path, meta: &std::fs::Metadata) -> Result<(), Problem> {
    let me = nix::unistd::geteuid().as_raw();
    if meta.uid() == me || meta.uid() == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(Problem::NotPrivate {
        fact: format!("`{shown}` on its way belongs to user {}", meta.uid()),
        fix: "link to a place that only you can change, or put the file itself here".to_owned(),
    })
}

fn check(dir: &Path, meta: &std::fs::Metadata) -> Result<(), Problem> {
    check_owner(dir, meta)?;
    if meta.mode() & 0o022 == 0 || meta.mode() & STICKY != 0 {
        return Ok(());
    }
    let shown = dir.display();
    Err(Problem::NotPrivate {
        fact: format!(
            "a link leads through `{shown}`, which other users can write to (mode {:04o})",
            meta.mode() & 0o7777
        ),
        fix: format!("run `chmod go-w {shown}`, then review the contents of the file"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn mode(path: &Path, mode: u32) {
        set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_link_is_followed_if_nobody_else_can_change_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let dots = home.join("dots/policies");
        create_dir_all(&dots).unwrap();
        create_dir_all(home.join("config")).unwrap();
        mode(&home.join("dots"), 0o755);
        mode(&dots, 0o700);
        files::replace(&dots.join("a.toml"), b"one").unwrap();
        // A file, relative, and a directory.
        let file = home.join("config/a.toml");
        symlink("../dots/policies/a.toml", &file).unwrap();
        symlink(&dots, home.join("config/policies")).unwrap();
        for path in [&file, &home.join("config/policies/a.toml")] {
            assert_eq!(target(path).unwrap(), dots.join("a.toml"));
            assert_eq!(read_private(path).unwrap(), b"one");
        }
        replace(&file, b"two").unwrap();
        assert!(file.is_symlink());
        assert_eq!(std::fs::read(dots.join("a.toml")).unwrap(), b"two");

        mode(&home.join("dots"), 0o777);
        let refused = read_private(&file).unwrap_err().to_string();
        assert!(refused.contains("dots`, which other users"), "{refused}");
        mode(&home.join("dots"), 0o1777);
        assert!(read_private(&file).is_ok());
        mode(&dots.join("a.toml"), 0o666);
        assert!(read_private(&file).is_err());
    }

    #[test]
    fn a_link_to_nothing_or_to_itself() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("link");
        symlink("nowhere", &link).unwrap();
        assert!(matches!(target(&link), Err(Problem::Missing)));
        // The link is not replaced by a file that the dotfile manager does not know.
        assert!(matches!(replace(&link, b"x"), Err(Problem::Missing)));
        let circle = home.path().join("circle");
        symlink("circle", &circle).unwrap();
        assert!(matches!(target(&circle), Err(Problem::Io(_))));
        let new = home.path().join("new");
        replace(&new, b"x").unwrap();
        assert_eq!(read_private(&new).unwrap(), b"x");
    }
}
