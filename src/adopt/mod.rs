//! Takes secrets out of clients' files, and puts them back.
//!
//! Invariants: nothing outside of the changed entries differs afterwards by one byte, and no copy of a
//! secret is left by mcpwrap. What is carried out is what was shown: a plan is made again when it is
//! its turn, because another adopt or a client may have been quicker.

mod comments;
mod extract;
mod extracted;
pub mod journal;
pub mod names;
pub mod redact;
mod remote;
mod replace;
pub mod restore;
pub mod plan;
mod builder;
pub mod round;
pub mod apply;
pub mod undo;
#[cfg(test)]
mod extract_tests;
#[cfg(test)]
mod laws_tests;

use std::fs::File;
use std::path::PathBuf;

use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::files::{self, io_text};

/// One adopt at a time: the others wait until this is dropped.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn lock(dirs: &Dirs) -> Result<File> {
    let path = dirs.state().join("adopt.lock");
    files::lock(&path).map_err(|problem| {
        problem.explain(
            Code::FileUnusable,
            "cannot start `mcpwrap adopt`",
            &dirs.tilde(&path),
        )
    })
}

/// Our own absolute path, as clients should start it: a link on the search path stays a link, so that
/// an update does not leave entries behind.
///
/// # Errors
/// `file-unusable` if the path cannot be told or is not UTF-8.
pub fn program() -> Result<String> {
    let unusable = |cause: String| {
        Error::new(Code::FileUnusable, "cannot determine the path of mcpwrap").cause(cause)
    };
    let real = std::env::current_exe().map_err(|error| unusable(io_text(&error)))?;
    let same = |path: &PathBuf| {
        path.canonicalize()
            .is_ok_and(|target| real.canonicalize().is_ok_and(|own| own == target))
    };
    let search = dirs::search_path().unwrap_or_default();
    let on_path = std::env::split_paths(&search)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("mcpwrap"))
        .find(same);
    let path = on_path.unwrap_or(real);
    path.into_os_string()
        .into_string()
        .map_err(|_| unusable("not UTF-8".to_owned()))
}
