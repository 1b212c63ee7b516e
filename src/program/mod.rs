//! The path of mcpwrap that client configs name, and the copy of it that outlives caches.
//!
//! `npx`, `uvx` and others run programs from directories that they or the system empty. So the path
//! is one that a package manager or the administrator keeps in place, or else that of a copy.
//!
//! Invariants: a copy of a newer version is never replaced by an older one. It is replaced as a whole,
//! so that sessions that run the old one keep it.

mod lasting;
mod record;

use std::path::PathBuf;

use self::record::CopyRecord;
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem, io_text};
use crate::secret::Keys;
use crate::sys::spawn;

pub use crate::sys::loader::IS_STATIC;
/// What it means if this is no static program.
pub const DYNAMIC: &str = "not a static program: `LD_PRELOAD` and `LD_AUDIT` can load code into it; \
                           use a released one, or build it in the repository";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The absolute path of mcpwrap, as clients should start it. A link on the search path stays a link,
/// so that entries still work after an update. A copy may not exist yet: see [`copy`].
///
/// # Errors
/// `file-unusable` if the path is unknown or not UTF-8.
pub fn path(dirs: &Dirs) -> Result<String> {
    let path = lasting_path(dirs)?.unwrap_or_else(|| dirs.program_copy());
    path.into_os_string()
        .into_string()
        .map_err(|_| unknown("not UTF-8".to_owned()))
}

/// The path of the running program, if it was installed to stay there.
fn lasting_path(dirs: &Dirs) -> Result<Option<PathBuf>> {
    let real = std::env::current_exe().map_err(|error| unknown(io_text(&error)))?;
    let own = real.canonicalize();
    let is_own = |path: &PathBuf| {
        let found = path.canonicalize();
        found.is_ok_and(|found| own.as_ref().is_ok_and(|own| *own == found))
    };
    let search = dirs::search_path().unwrap_or_default();
    let mut on_path = std::env::split_paths(&search)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("mcpwrap"));
    let found = on_path.find(|path| is_own(path) && lasting::is_lasting(dirs, path));
    Ok(found.or_else(|| lasting::is_of_system(dirs, &real).then_some(real)))
}

/// What was done with the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyChange {
    /// The same program, already sealed, or none is needed.
    None,
    Created,
    Updated,
    /// It did not have the content that was sealed.
    Restored,
    /// It is of this newer version.
    Kept(String),
}

/// Makes or updates the copy, if clients are to start it.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn copy(dirs: &Dirs, keys: &Keys) -> Result<CopyChange> {
    if lasting_path(dirs)?.is_some() {
        return Ok(CopyChange::None);
    }
    let path = dirs.program_copy();
    let shown = dirs.tilde(&path);
    let failed =
        |problem: Problem| problem.explain(Code::FileUnusable, "cannot copy mcpwrap", &shown);
    let own = own_bytes()?;
    let found = read(&path).map_err(failed)?;
    let record = record::read(dirs).filter(|record| record.is_sealed(keys));
    let change = decide(found.as_deref(), &own, record.as_ref());
    if matches!(change, CopyChange::Kept(_)) {
        return Ok(change);
    }
    if change != CopyChange::None {
        files::replace_program(&path, &own).map_err(failed)?;
    }
    if !record.is_some_and(|record| record.is(VERSION, &own)) {
        record::write(dirs, &CopyRecord::new(VERSION, &own, keys))?;
    }
    Ok(change)
}

/// `record` has a good seal. Without one, nothing says that the copy is newer.
fn decide(found: Option<&[u8]>, own: &[u8], record: Option<&CopyRecord>) -> CopyChange {
    match (found, record) {
        (None, _) => CopyChange::Created,
        (Some(found), _) if found == own => CopyChange::None,
        (Some(found), Some(record)) if !record.is_of(found) => CopyChange::Restored,
        (Some(_), Some(record)) if record.is_newer_than(VERSION) => {
            CopyChange::Kept(record.version().to_owned())
        }
        (Some(_), _) => CopyChange::Updated,
    }
}

/// How the copy relates to the running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyState {
    Same,
    Older,
    Newer,
    /// Of the same version, or of an unknown one.
    Different,
}

/// Compares the copy, if there is one, with the running program. Does not verify the seal, which
/// needs the store.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn compare(dirs: &Dirs) -> Result<Option<CopyState>> {
    let path = dirs.program_copy();
    let shown = dirs.tilde(&path);
    let found = read(&path).map_err(|problem| {
        problem.explain(
            Code::FileUnusable,
            "cannot read the copy of mcpwrap",
            &shown,
        )
    })?;
    let Some(found) = found else { return Ok(None) };
    if found == own_bytes()? {
        return Ok(Some(CopyState::Same));
    }
    let record = record::read(dirs).filter(|record| record.is_of(&found));
    Ok(Some(match record {
        Some(record) if record.is_newer_than(VERSION) => CopyState::Newer,
        Some(record) if record.is_older_than(VERSION) => CopyState::Older,
        _ => CopyState::Different,
    }))
}

fn read(path: &std::path::Path) -> Result<Option<Vec<u8>>, Problem> {
    match files::read_private_up_to(path, record::BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Problem::Missing) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// The running program, even if its file was replaced.
fn own_bytes() -> Result<Vec<u8>> {
    let read = || std::fs::read(spawn::own_program()?);
    read().map_err(|error| {
        Error::new(Code::FileUnusable, "cannot read the running program").cause(io_text(&error))
    })
}

fn unknown(cause: String) -> Error {
    Error::new(Code::FileUnusable, "cannot determine the path of mcpwrap").cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn an_older_copy_is_updated_and_a_newer_one_stays() {
        let keys = Keys::from_master(&Secret::new(b"master".to_vec()));
        let record = |version: &str| CopyRecord::new(version, b"other", &keys);
        let (own, other): (&[u8], &[u8]) = (b"own", b"other");
        let (old, same, new) = (record("0.0.1"), record(VERSION), record("999.0.0"));
        let newer = CopyChange::Kept("999.0.0".to_owned());
        for (found, record, expected) in [
            (None, None, CopyChange::Created),
            (None, Some(&new), CopyChange::Created),
            (Some(own), None, CopyChange::None),
            (Some(other), None, CopyChange::Updated),
            (Some(other), Some(&old), CopyChange::Updated),
            (Some(other), Some(&same), CopyChange::Updated),
            (Some(other), Some(&new), newer),
            (Some(&b"forged"[..]), Some(&new), CopyChange::Restored),
        ] {
            assert_eq!(decide(found, own, record), expected, "{found:?} {record:?}");
        }
    }
}
