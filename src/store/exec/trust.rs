//! Whether the program of a store can be trusted by its path. What a grant seals about the program is checked
//! elsewhere.

use std::path::Path;

use crate::error::{Code, Error};
use crate::secret::StoreName;
use crate::sys::trusted;

/// # Errors
/// `store-absent` if it does not exist, else `store-program-refused`.
pub fn check(store: &StoreName, place: &str, program: &Path) -> Result<(), Error> {
    trusted::verify(program).map_err(|found| {
        let (code, other) = if found.is_missing {
            let hint = format!("install the program, or correct `program` of {place}");
            (Code::StoreAbsent, hint)
        } else {
            let hint = format!("correct `program` of {place}");
            (Code::StoreProgramRefused, hint)
        };
        Error::new(code, format!("cannot use store `{store}`"))
            .of_store(store)
            .cause(found.cause)
            .hint(found.fix.unwrap_or(other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

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
