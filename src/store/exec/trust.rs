//! Whether the program of a store can be trusted by its path.
//!
//! Invariant: only root and this user can replace the program: they alone may write to it, to what its path leads
//! through, and to all directories above. What a grant seals about the program is checked elsewhere.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Code, Error};
use crate::files::io_text;
use crate::secret::StoreName;
use crate::sys::user;

/// The most links that a path may lead through.
const LINKS_MAX: usize = 16;
/// Directories where anybody can create files.
const TEMPORARY: &[&str] = &[
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/private/tmp",
    "/private/var/tmp",
];

/// # Errors
/// `store-absent` if it does not exist, else `store-program-refused`.
pub fn check(store: &StoreName, place: &str, program: &Path) -> Result<(), Error> {
    let refuse = |code, cause: String, hint: String| {
        let what = format!("cannot use store `{store}`");
        Err(Error::new(code, what)
            .of_store(store)
            .cause(cause)
            .hint(hint))
    };
    let mut at = program.to_path_buf();
    for _ in 0..LINKS_MAX {
        let shown = at.display().to_string();
        for step in at.ancestors() {
            let meta = match std::fs::symlink_metadata(step) {
                Ok(meta) => meta,
                Err(error) => {
                    let cause = format!("`{}`: {}", step.display(), io_text(&error));
                    let hint = format!("install the program, or correct `program` of {place}");
                    return refuse(Code::StoreAbsent, cause, hint);
                }
            };
            if TEMPORARY
                .iter()
                .any(|temporary| step == Path::new(temporary))
            {
                let hint = "move it to a directory that only you can change".to_owned();
                let cause = format!("`{shown}` is in a temporary directory");
                return refuse(Code::StoreProgramRefused, cause, hint);
            }
            if let Some((fact, fix)) = writable(step, &meta) {
                let cause = format!("others can replace `{shown}`\n`{}` {fact}", step.display());
                return refuse(Code::StoreProgramRefused, cause, fix);
            }
        }
        if let Ok(target) = std::fs::read_link(&at) {
            at = leads_to(&at, &target);
        } else {
            let meta = std::fs::metadata(&at).ok();
            if meta.is_some_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0) {
                return Ok(());
            }
            let cause = format!("`{shown}` is not a regular file that can be executed");
            let hint = format!("correct `program` of {place}");
            return refuse(Code::StoreProgramRefused, cause, hint);
        }
    }
    let cause = format!("`{}` leads through too many links", program.display());
    let hint = "name the program itself".to_owned();
    refuse(Code::StoreProgramRefused, cause, hint)
}

/// Where a link leads, with the links of its directories resolved.
fn leads_to(link: &Path, target: &Path) -> PathBuf {
    let base = link.parent().unwrap_or(Path::new("/"));
    let path = base.join(target);
    match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(dir)), Some(name)) => dir.join(name),
        _ => path,
    }
}

/// Why somebody else can change a file or directory, and the command that changes that.
fn writable(path: &Path, meta: &Metadata) -> Option<(String, String)> {
    let (owner, me, shown) = (meta.uid(), user::id(), path.display());
    if owner != 0 && owner != me {
        let fact = format!("belongs to user {owner}");
        return Some((
            fact,
            format!("run `sudo chown root {shown}`, then review its contents"),
        ));
    }
    // The mode of a symlink means nothing.
    if !meta.is_symlink() && meta.mode() & 0o022 != 0 {
        let fact = format!("has the mode {:04o}", meta.mode() & 0o7777);
        return Some((
            fact,
            format!("run `chmod go-w {shown}`, then review its contents"),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    /// A directory that is not temporary.
    fn place() -> tempfile::TempDir {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        tempfile::tempdir_in(here).unwrap()
    }

    fn refusal(path: &Path) -> (Code, String) {
        let error = check(&StoreName::new("s").unwrap(), "its definition", path).unwrap_err();
        (error.code, error.to_string())
    }

    fn program(dir: &Path, mode: u32) -> PathBuf {
        let path = dir.join("program");
        crate::files::replace(&path, b"#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn only_what_nobody_else_can_replace_is_run() {
        let dir = place();
        let path = program(dir.path(), 0o755);
        let name = StoreName::new("s").unwrap();
        check(&name, "its definition", &path).unwrap();
        check(&name, "its definition", Path::new("/bin/sh")).unwrap();
        let link = dir.path().join("link");
        symlink("program", &link).unwrap();
        check(&name, "its definition", &link).unwrap();

        for (mode, expected) in [(0o775, "chmod go-w"), (0o757, "0757"), (0o644, "executed")] {
            program(dir.path(), mode);
            for path in [&path, &link] {
                let (code, text) = refusal(path);
                assert_eq!(code, Code::StoreProgramRefused);
                assert!(text.contains(expected), "{text}");
            }
        }
        program(dir.path(), 0o755);
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(refusal(&path).1.contains("0777"));
    }

    #[test]
    fn temporary_missing_and_endless() {
        let temporary = tempfile::tempdir_in("/tmp").unwrap();
        let path = program(temporary.path(), 0o755);
        assert!(refusal(&path).1.contains("temporary"));
        let dir = place();
        let outside = dir.path().join("link");
        symlink(&path, &outside).unwrap();
        assert!(refusal(&outside).1.contains("temporary"));

        assert_eq!(refusal(&dir.path().join("none")).0, Code::StoreAbsent);
        assert!(refusal(dir.path()).1.contains("regular file"));
        let own = dir.path().join("own");
        symlink("own", &own).unwrap();
        assert!(refusal(&own).1.contains("too many links"));
    }
}
