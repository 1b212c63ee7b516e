//! Whether a program stays where it is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::dirs::{self, Dirs};

/// Directories of caches, of one version, or of one project.
const PASSING: &[&str] = &[
    ".cache",
    "Caches",
    "Cellar",
    "_npx",
    "archive-v0",
    "node_modules",
];
/// Directories of the system that lose what nothing refers to, or everything.
const EMPTIED: &[&str] = &[
    "/nix/store",
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/private/tmp",
    "/private/var/tmp",
    "/var/folders",
    "/private/var/folders",
];
/// Where only the administrator installs programs.
const SYSTEM: &[&str] = &["/usr", "/opt", "/bin", "/Applications"];

/// Whether a file on the search path stays there until the user removes it.
pub(super) fn is_lasting(dirs: &Dirs, program: &Path) -> bool {
    let variables = ["TMPDIR", "XDG_CACHE_HOME"];
    let named = variables.map(|name| dirs::server_variable(name).map(PathBuf::from));
    let emptied = EMPTIED.iter().map(PathBuf::from);
    let emptied: Vec<_> = emptied.chain(named.into_iter().flatten()).collect();
    lasts(dirs.home(), &emptied, program)
}

/// Whether a program that is not on the search path stays where it is.
pub(super) fn is_of_system(dirs: &Dirs, program: &Path) -> bool {
    let mut system = SYSTEM.iter();
    system.any(|dir| program.starts_with(dir)) && is_lasting(dirs, program)
}

/// A home in such a directory is judged by what is below it: the copy would not last longer.
fn lasts(home: &Path, emptied: &[PathBuf], program: &Path) -> bool {
    let mut emptied = emptied.iter();
    if emptied.any(|dir| program.starts_with(dir) && !home.starts_with(dir)) {
        return false;
    }
    let below = program.strip_prefix(home).unwrap_or(program);
    let mut parts = below.iter();
    let is_passing = |part: &OsStr| PASSING.iter().any(|name| part == *name);
    if parts.any(is_passing) {
        return false;
    }
    // A virtual environment belongs to a project. cargo and others mark their caches.
    let dirs = program.ancestors().skip(1);
    let mut dirs = dirs.take_while(|dir| *dir != home);
    !dirs.any(|dir| dir.join("pyvenv.cfg").exists() || dir.join("CACHEDIR.TAG").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(program: &str) -> bool {
        let emptied: Vec<_> = EMPTIED.iter().map(PathBuf::from).collect();
        lasts(Path::new("/home/ana"), &emptied, Path::new(program))
    }

    #[test]
    fn places_of_package_managers_last() {
        for program in [
            "/usr/bin/mcpwrap",
            "/opt/homebrew/bin/mcpwrap",
            "/home/ana/.cargo/bin/mcpwrap",
            "/home/ana/.local/bin/mcpwrap",
            "/home/ana/.nix-profile/bin/mcpwrap",
        ] {
            assert!(judged(program), "{program}");
        }
    }

    #[test]
    fn caches_and_projects_do_not_last() {
        for program in [
            "/home/ana/.npm/_npx/1f/node_modules/@mcpwrap/linux-x64/bin/mcpwrap",
            "/home/ana/.cache/uv/archive-v0/x/bin/mcpwrap",
            "/data/uv/archive-v0/x/bin/mcpwrap",
            "/home/ana/.cache/pnpm/dlx/x/mcpwrap",
            "/home/ana/.local/share/pipx/.cache/x/bin/mcpwrap",
            "/home/ana/Library/Caches/x/mcpwrap",
            "/usr/lib/node_modules/mcpwrap-cli/bin/mcpwrap",
            "/opt/homebrew/Cellar/mcpwrap/0.1.0/bin/mcpwrap",
            "/nix/store/abc-mcpwrap/bin/mcpwrap",
            "/tmp/bunx-1000-mcpwrap/mcpwrap",
        ] {
            assert!(!judged(program), "{program}");
        }
    }

    #[test]
    fn a_home_in_a_temporary_directory_is_judged_by_what_is_below_it() {
        let (home, emptied) = (Path::new("/tmp/t/home"), [PathBuf::from("/tmp")]);
        let judged = |program: &str| lasts(home, &emptied, Path::new(program));
        assert!(judged("/tmp/t/home/.local/bin/mcpwrap"));
        assert!(!judged("/tmp/t/home/.cache/x/mcpwrap"));
    }

    #[test]
    fn marked_directories_do_not_last() {
        let place = tempfile::tempdir().unwrap();
        let emptied = [];
        let program = place.path().join("a/bin/mcpwrap");
        for mark in ["a/pyvenv.cfg", "a/bin/CACHEDIR.TAG"] {
            std::fs::create_dir_all(place.path().join("a/bin")).unwrap();
            assert!(lasts(Path::new("/home/ana"), &emptied, &program));
            let mark = place.path().join(mark);
            crate::files::create(&mark, b"").unwrap();
            assert!(!lasts(Path::new("/home/ana"), &emptied, &program));
            crate::files::remove(&mark).unwrap();
        }
    }
}
