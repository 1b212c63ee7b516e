//! Version managers: small programs that choose another one by the current directory.
//!
//! What they choose is resolved once, when the user approves, so that no file of a project chooses
//! the program later. Sources: the manuals of asdf, mise, pyenv, rbenv, nodenv, goenv, jenv and volta.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::package::lookup;
use crate::sys::bounded;

/// How long a version manager may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// A version manager with the directory of its shims, as the end of a path.
const MANAGERS: &[(&str, &[&str])] = &[
    ("asdf", &[".asdf/shims", "asdf/shims"]),
    ("mise", &["mise/shims", "rtx/shims"]),
    ("pyenv", &[".pyenv/shims", "pyenv/shims"]),
    ("rbenv", &[".rbenv/shims", "rbenv/shims"]),
    ("nodenv", &[".nodenv/shims", "nodenv/shims"]),
    ("goenv", &[".goenv/shims", "goenv/shims"]),
    ("jenv", &[".jenv/shims", "jenv/shims"]),
    ("volta", &[".volta/bin", "Volta/bin"]),
];

/// A shim with its manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shim {
    pub(super) manager: &'static str,
    root: PathBuf,
}

/// Whether a program is the shim of a version manager.
pub(super) fn of(found: &Path) -> Option<Shim> {
    let dir = found.parent()?;
    let (manager, _) = MANAGERS
        .iter()
        .find(|(_, ends)| ends.iter().any(|end| dir.ends_with(end)))?;
    // volta keeps itself beside its shims.
    if found.file_name()? == *manager {
        return None;
    }
    let root = dir.parent()?.to_path_buf();
    Some(Shim { manager, root })
}

impl Shim {
    /// The program that the shim would start in a directory.
    pub(super) fn target(&self, name: &str, dir: &Path, path: &[PathBuf]) -> Option<PathBuf> {
        let own = ["bin", "libexec"].map(|dir| self.root.join(dir).join(self.manager));
        let own = own
            .into_iter()
            .find(|path| lookup::executable(path) == Some(true));
        let manager = lookup::search(self.manager, path).ok().or(own)?;
        let line = bounded::first_line(&manager, &["which", name], dir, LIMIT)?;
        let target = PathBuf::from(line);
        let usable = target.is_absolute()
            && lookup::executable(&target) == Some(true)
            && of(&target).is_none();
        usable.then_some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shims_are_known_by_their_directory() {
        let manager = |path: &str| of(Path::new(path)).map(|shim| shim.manager);
        for (path, expected) in [
            ("/home/ana/.asdf/shims/node", Some("asdf")),
            ("/home/ana/.local/share/mise/shims/node", Some("mise")),
            ("/home/ana/.pyenv/shims/python3", Some("pyenv")),
            ("/home/ana/.volta/bin/node", Some("volta")),
            ("/home/ana/.volta/bin/volta", None),
            ("/home/ana/.nvm/versions/node/v22.1.0/bin/node", None),
            ("/usr/bin/node", None),
            ("/home/ana/shims/node", None),
        ] {
            assert_eq!(manager(path), expected, "{path}");
        }
    }
}
