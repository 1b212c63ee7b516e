//! Where an interpreter finds the code that an argument names.

use std::fs;
use std::path::{Path, PathBuf};

use super::file::head;
use super::interpreter::is_script;
use crate::package::lookup::executable;

/// Endings that an interpreter adds to a path without one.
const ENDINGS: &[&str] = &["js", "mjs", "cjs", "ts", "py"];
/// What an interpreter runs of a directory.
const IN_DIRECTORY: &[&str] = &["package.json", "index.js", "index.ts", "__main__.py"];

/// Whether a file that may be data is code: by its ending, or as the system would start it.
fn is_code(path: &Path) -> bool {
    let is_started =
        || executable(path) == Some(true) && head(path).is_ok_and(|head| is_program(&head));
    path.to_str().is_some_and(is_script) || is_started()
}

/// Whether a file begins like one that the system starts: an interpreter's line, ELF, Mach-O.
fn is_program(head: &[u8]) -> bool {
    const STARTS: &[&[u8]] = &[b"#!", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"];
    STARTS.iter().any(|start| head.starts_with(start))
}

/// The files behind a path: itself, with an ending added, or those of a directory. A path that is not known
/// to be code has only itself.
pub(super) fn files_of(path: &Path, is_known: bool) -> Vec<PathBuf> {
    if path.is_file() {
        let is_sealed = is_known || is_code(path);
        return is_sealed.then(|| path.to_path_buf()).into_iter().collect();
    }
    if !is_known {
        return Vec::new();
    }
    if path.is_dir() {
        let files = IN_DIRECTORY.iter().map(|name| path.join(name));
        return files.filter(|file| file.is_file()).collect();
    }
    let with_ending = |ending: &&str| {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    };
    let found = ENDINGS.iter().map(with_ending).find(|file| file.is_file());
    found.into_iter().collect()
}

/// The file of a Python module. It is searched in the working directory, then where the interpreter
/// `program` has its packages, then in the user's packages. Source: `site` of Python.
pub(super) fn find(
    name: &str,
    directory: Option<&Path>,
    program: Option<&Path>,
    home: &Path,
) -> Option<PathBuf> {
    let own = program.and_then(|path| Some(path.parent()?.parent()?.to_path_buf()));
    let real = program
        .and_then(|path| path.canonicalize().ok())
        .and_then(|path| Some(path.parent()?.parent()?.to_path_buf()));
    let prefixes = [
        own,
        Some(home.join(".local")),
        real,
        Some("/usr/local".into()),
    ];
    let libraries = prefixes
        .into_iter()
        .flatten()
        .flat_map(|prefix| libraries(&prefix));
    let direct = directory.map(Path::to_path_buf).into_iter();
    let mut places: Vec<_> = direct.chain(libraries).collect();
    let named: Vec<_> = places.iter().flat_map(|place| linked(place)).collect();
    places.extend(named);
    places.iter().find_map(|place| in_place(place, name))
}

fn in_place(place: &Path, name: &str) -> Option<PathBuf> {
    let path = name
        .split('.')
        .fold(place.to_path_buf(), |path, part| path.join(part));
    let mut file = path.clone().into_os_string();
    file.push(".py");
    [
        path.join("__main__.py"),
        file.into(),
        path.join("__init__.py"),
    ]
    .into_iter()
    .find(|file| file.is_file())
}

/// The directories of packages below a prefix.
fn libraries(prefix: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(prefix.join("lib"))
        .into_iter()
        .flatten()
        .flatten();
    versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .flat_map(|entry| {
            let dir = entry.path();
            [dir.join("site-packages"), dir.join("dist-packages"), dir]
        })
        .filter(|dir| dir.is_dir())
        .collect()
}

/// The directories that `.pth` files add, as an editable installation writes them.
fn linked(place: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(place).into_iter().flatten().flatten();
    files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "pth"))
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().map(PathBuf::from).collect::<Vec<_>>())
        .filter(|path| path.is_absolute() && path.is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::replace;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn modules_are_found_where_python_looks() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let packages = base.join("venv/lib/python3.13/site-packages");
        let write = |path: &str| {
            let path = base.join(path);
            replace(&path, b"").unwrap();
            path
        };
        let python = write("venv/bin/python");
        let installed = write("venv/lib/python3.13/site-packages/server/__main__.py");
        let of_project = write("project/own.py");
        let linked = write("elsewhere/src/linked/cli.py");
        let link = format!("import x\n{}\n", base.join("elsewhere/src").display());
        replace(&packages.join("__editable__.pth"), link.as_bytes()).unwrap();
        let find = |name: &str, dir: Option<&str>| {
            let dir = dir.map(|dir| base.join(dir));
            find(name, dir.as_deref(), Some(&python), &base)
        };
        assert_eq!(find("server", None), Some(installed));
        assert_eq!(find("own", None), None);
        assert_eq!(find("own", Some("project")), Some(of_project));
        assert_eq!(find("linked.cli", None), Some(linked));
    }

    #[test]
    fn a_path_may_lack_its_ending_or_be_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        replace(&base.join("server.js"), b"").unwrap();
        replace(&base.join("app/package.json"), b"{}").unwrap();
        replace(&base.join("app/index.js"), b"").unwrap();
        assert_eq!(
            files_of(&base.join("server.js"), true),
            [base.join("server.js")]
        );
        assert_eq!(
            files_of(&base.join("server"), true),
            [base.join("server.js")]
        );
        assert_eq!(
            files_of(&base.join("app"), true),
            [base.join("app/package.json"), base.join("app/index.js")]
        );
        assert!(files_of(&base.join("absent.py"), true).is_empty());
        let might_be = |name: &str, head: &[u8], mode: u32| {
            let file = base.join(name);
            replace(&file, head).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            files_of(&file, false) == [file]
        };
        assert!(might_be("run.py", b"", 0o644));
        assert!(might_be("run", b"#!/bin/sh\n", 0o755) && might_be("elf", b"\x7fELF", 0o755));
        assert!(!might_be("data", b"SQLite format 3", 0o777) && !might_be("doc", b"#!", 0o644));
        assert!(files_of(&base.join("app"), false).is_empty());
    }
}
