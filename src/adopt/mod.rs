//! Moves secrets out of client configs, and restores them.
//!
//! Invariants: no byte outside the changed entries differs afterwards, and mcpwrap leaves no copy
//! of a secret. Only what was shown is carried out: the plan is made, or made again, under the lock, because
//! another adopt or a client may have changed the files.

pub mod approval;
mod bridge_words;
mod bridge_command;
mod client_login;
mod collect;
mod comments;
pub mod compared;
mod directory;
mod drafts;
mod extract;
mod extracted;
pub mod journal;
mod known_variables;
mod leftover;
mod literals;
pub mod names;
pub mod redact;
mod references;
mod remote;
mod replace;
pub mod restore;
mod rewrite;
mod shell_text;
pub mod token_store;
pub mod store_plan;
mod store_files;
mod store_values;
mod store_wish;
pub mod plan;
mod wishes;
mod wrappers;
mod proof;
mod builder;
pub mod round;
pub mod exposed;
pub mod apply;
pub mod undo;
pub mod added;
pub mod add;
pub mod entry_context;
#[cfg(test)]
mod extract_tests;
#[cfg(test)]
mod laws_tests;

use std::fs::File;

use crate::dirs::Dirs;
use crate::error::{Code, Result};
use crate::files;

/// Allows one adopt at a time: others wait until this is dropped. `waiting` is called first if this one has to wait.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn lock(dirs: &Dirs, waiting: impl FnOnce()) -> Result<File> {
    let path = dirs.state().join("adopt.lock");
    files::lock_or_wait(&path, waiting).map_err(|problem| {
        problem.explain(
            Code::FileUnusable,
            "cannot start `mcpwrap adopt`",
            &dirs.tilde(&path),
        )
    })
}
