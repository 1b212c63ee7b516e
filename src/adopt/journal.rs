//! The undo journal: what adopt changed, with references instead of secrets.
//!
//! Invariants: append-only; a record is written and synced before the client's file, so that each
//! change can be undone, and a record of a change that did not happen is harmless, because undo
//! checks the entry first; the journal holds no secret.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::redact::RedactedPiece;
use crate::client::tree::PathStep;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::ServerName;

/// The largest journal that is read (bytes).
const BYTES_MAX: u64 = 64 << 20;

/// One line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JournalLine {
    Adopted(JournalRecord),
    Undone { id: String, at: jiff::Timestamp },
}

/// The change of one entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JournalRecord {
    pub id: String,
    pub at: jiff::Timestamp,
    pub file: PathBuf,
    pub client: Option<String>,
    /// The client's name of the entry.
    pub entry: String,
    /// The policy that it runs after the change.
    pub server: ServerName,
    pub path: Vec<PathStep>,
    /// The pieces of the file that held the entry, and those that replaced them.
    pub before: Vec<Vec<RedactedPiece>>,
    pub after: Vec<Vec<RedactedPiece>>,
}

pub fn path(dirs: &Dirs) -> PathBuf {
    dirs.state().join("undo.jsonl")
}

/// Adds lines and syncs them.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn append(dirs: &Dirs, lines: &[JournalLine]) -> Result<()> {
    let path = path(dirs);
    let failed = |problem: Problem| {
        problem.explain(
            Code::FileUnusable,
            "cannot write the undo journal",
            &dirs.tilde(&path),
        )
    };
    files::ensure_dir(dirs.state()).map_err(failed)?;
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line).expect("a line has plain fields only"));
        text.push('\n');
    }
    write(&path, &text).map_err(|error| failed(Problem::from(error)))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let torn = match files::read_private_up_to(path, BYTES_MAX) {
        Ok(bytes) => bytes.last().is_some_and(|last| *last != b'\n'),
        Err(_) => false,
    };
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    // A full disk may have left half a line: end it, so that the next line is readable.
    let text = if torn {
        format!("\n{text}")
    } else {
        text.to_owned()
    };
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    files::sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// The adopted entries that were not undone, the newest last. An unreadable line is skipped: it was
/// truncated before its change was made.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn pending(dirs: &Dirs) -> Result<Vec<JournalRecord>> {
    let path = path(dirs);
    let bytes = match files::read_private_up_to(&path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(Problem::Missing) => return Ok(Vec::new()),
        Err(problem) => {
            return Err(problem.explain(
                Code::FileUnusable,
                "cannot read the undo journal",
                &dirs.tilde(&path),
            ));
        }
    };
    let mut records: Vec<JournalRecord> = Vec::new();
    for line in bytes.split(|b| *b == b'\n') {
        match serde_json::from_slice(line) {
            Ok(JournalLine::Adopted(record)) => {
                // An entry that is adopted again was restored in between: an older record is
                // obsolete.
                records.retain(|old| old.file != record.file || old.path != record.path);
                records.push(record);
            }
            Ok(JournalLine::Undone { id, .. }) => records.retain(|record| record.id != id),
            Err(_) => {}
        }
    }
    Ok(records)
}

/// Creates the ID of a record.
///
/// # Errors
/// `file-unusable` without random numbers.
pub fn new_id() -> Result<String> {
    files::random_hex().map_err(|error| {
        Error::new(
            Code::FileUnusable,
            "cannot create an ID for the undo journal",
        )
        .cause(files::io_text(&error))
    })
}
