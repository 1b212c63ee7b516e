//! The program itself, as `mcpwrap status` shows it.

use serde::Serialize;

use crate::dirs::Dirs;
use crate::error::Result;
use crate::program::{self, CopyState};

/// `docs/secrets.md` describes the JSON.
#[derive(Serialize)]
pub(super) struct ProgramStatus {
    /// What `adopt` writes into client configs.
    path: String,
    /// The path of the copy, for people.
    #[serde(skip)]
    shown: String,
    /// How the copy, if there is one, relates to this program.
    copy: Option<CopyState>,
    /// Whether no library is loaded into this program.
    #[serde(rename = "static")]
    is_static: bool,
}

pub(super) fn status(dirs: &Dirs) -> Result<ProgramStatus> {
    Ok(ProgramStatus {
        path: program::path(dirs)?,
        shown: dirs.tilde(&dirs.program_copy()),
        copy: program::compare(dirs)?,
        is_static: program::IS_STATIC,
    })
}

pub(super) fn lines(status: &ProgramStatus) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if !status.is_static {
        lines.push(("", program::DYNAMIC.to_owned()));
    }
    let update = "run `mcpwrap adopt` to update it";
    let relation = match status.copy {
        None => return lines,
        Some(CopyState::Same) => "this program".to_owned(),
        Some(CopyState::Older) => format!("older than this program: {update}"),
        Some(CopyState::Newer) => "newer than this program".to_owned(),
        Some(CopyState::Different) => format!("differs from this program: {update}"),
    };
    lines.push(("copy", format!("{}, {relation}", status.shown)));
    lines
}
