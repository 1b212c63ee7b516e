//! The server's PATH: that of the terminal, without what others could use to choose programs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::package::lookup::executable;
use crate::policy::argument::{SHELLS, WRAPPERS};

/// Directories whose content others can create, or that do not last.
const TEMPORARY: &[&str] = &[
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/private/tmp",
    "/private/var/tmp",
];

/// Whether a program is a shell or a wrapper, which starts programs of any directory.
pub(super) fn starts_others(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| SHELLS.contains(&name) || WRAPPERS.contains(&name) || name == "sudo")
}

/// A search path with its entries made canonical.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SearchPath {
    pub(super) entries: Vec<PathBuf>,
    /// What was left out, with the reason.
    pub(super) dropped: Vec<(PathBuf, &'static str)>,
}

impl SearchPath {
    /// Makes the entries of `text` canonical. `temporary` is the directory of TMPDIR, if set.
    pub(super) fn new(text: &std::ffi::OsStr, temporary: Option<&Path>) -> Self {
        let mut path = Self::default();
        for entry in std::env::split_paths(text) {
            match usable(&entry, temporary) {
                Ok(real) if path.entries.contains(&real) => {}
                Ok(real) => path.entries.push(real),
                Err(why) => {
                    let dropped = (entry, why);
                    if !path.dropped.contains(&dropped) {
                        path.dropped.push(dropped);
                    }
                }
            }
        }
        path
    }

    /// Puts a directory in front, if it may be an entry.
    pub(super) fn put_first(&mut self, dir: &Path, temporary: Option<&Path>) {
        if let Ok(real) = usable(dir, temporary) {
            self.entries.retain(|entry| *entry != real);
            self.entries.insert(0, real);
        }
    }

    /// Why a program is not found here, for an error's cause.
    pub(super) fn absence(&self, program: &str) -> String {
        let has = |(dir, _): &&(PathBuf, _)| executable(&dir.join(program)) == Some(true);
        // A relative entry may mean another directory at the next start.
        let lasting = |(dir, _): &&(PathBuf, _)| dir.is_absolute();
        match self.dropped.iter().filter(lasting).find(has) {
            Some((dir, why)) => format!(
                "program `{program}` is only in `{}`, which is left out of PATH ({why})",
                dir.display()
            ),
            None => format!("program `{program}` not found"),
        }
    }
}

/// The canonical form of an entry, or why it is left out.
fn usable(entry: &Path, temporary: Option<&Path>) -> Result<PathBuf, &'static str> {
    if !entry.is_absolute() {
        return Err("relative");
    }
    let Ok(real) = entry.canonicalize() else {
        return Err("does not exist");
    };
    let Ok(meta) = real.metadata() else {
        return Err("does not exist");
    };
    if !meta.is_dir() {
        return Err("not a directory");
    }
    if real.to_str().is_none_or(|text| text.contains(':')) {
        return Err("its name cannot be part of PATH");
    }
    let own = temporary.and_then(|dir| dir.canonicalize().ok());
    let listed = TEMPORARY.iter().map(Path::new).chain(own.as_deref());
    if listed.into_iter().any(|dir| real.starts_with(dir)) {
        return Err("temporary");
    }
    if entry.ends_with("node_modules/.bin") || real.ends_with("node_modules/.bin") {
        return Err("programs of a project");
    }
    let open = real
        .ancestors()
        .filter_map(|dir| dir.metadata().ok())
        .any(|meta| meta.permissions().mode() & 0o1002 == 0o002);
    if open || meta.permissions().mode() & 0o002 != 0 {
        return Err("writable by other users");
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, create_dir_all, set_permissions};

    #[test]
    fn a_shell_says_nothing_about_other_programs() {
        for (program, expected) in [
            ("/usr/bin/env", true),
            ("/bin/bash", true),
            ("/usr/bin/npx", false),
            ("/opt/bash/node", false),
        ] {
            assert_eq!(starts_others(Path::new(program)), expected, "{program}");
        }
    }

    #[test]
    fn entries_that_others_choose_are_left_out() {
        // The usual temporary directory is left out itself, and the project may lie in it.
        let program = std::env::current_exe().unwrap();
        let home = std::env::home_dir().unwrap_or_default();
        let places = [program.parent().unwrap(), &home, Path::new("/var/cache")];
        let lasting = |place: &&&Path| !TEMPORARY.iter().any(|dir| place.starts_with(dir));
        let place = places.iter().find(lasting).unwrap();
        let base = tempfile::tempdir_in(place).unwrap();
        let base = base.path();
        let dir = |name: &str| {
            let dir = base.join(name);
            create_dir_all(&dir).unwrap();
            dir
        };
        let (good, open, project) = (dir("good"), dir("open"), dir("p/node_modules/.bin"));
        let (tmp, link) = (dir("tmp/bin"), base.join("link"));
        let tool = open.join("tool");
        crate::files::replace(&tool, b"").unwrap();
        set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        std::os::unix::fs::symlink(&good, &link).unwrap();
        crate::files::replace(&base.join("file"), b"").unwrap();
        let all = [
            "bin".into(),
            PathBuf::new(),
            link,
            good.clone(),
            base.join("absent"),
            base.join("file"),
            open,
            project,
            tmp,
            "/tmp".into(),
            "/usr/bin".into(),
        ];
        let text = std::env::join_paths(&all).unwrap();
        let path = SearchPath::new(&text, Some(&base.join("tmp")));
        let real = good.canonicalize().unwrap();
        assert_eq!(path.entries, [real.clone(), "/usr/bin".into()]);
        let why: Vec<_> = path.dropped.iter().map(|(_, why)| *why).collect();
        assert_eq!(
            why,
            [
                "relative",
                "relative",
                "does not exist",
                "not a directory",
                "writable by other users",
                "programs of a project",
                "temporary",
                "temporary"
            ]
        );
        let absence = path.absence("tool");
        assert_eq!(absence, "program `tool` not found");
        set_permissions(&tool, Permissions::from_mode(0o755)).unwrap();
        let absence = path.absence("tool");
        assert!(absence.ends_with("/open`, which is left out of PATH (writable by other users)"));
        let mut path = path;
        path.put_first(Path::new("/usr/bin"), None);
        path.put_first(Path::new("/tmp"), None);
        assert_eq!(path.entries, ["/usr/bin".into(), real]);
    }
}
