//! Takes an entry that `add` wrote out of its file again.
//!
//! Invariant: an entry that was edited stays.

use std::path::Path;

use super::journal::{AddedRecord, FileBefore};
use super::replace::ReplaceError;
use crate::client::insert::empty_text;
use crate::client::insertion::StayReason;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::files;
use crate::scan::clients::{self, ClientFile};

/// Removes a file that holds nothing but what `add` wrote.
pub(super) fn delete(file: &ClientFile) -> std::result::Result<(), ReplaceError> {
    if std::fs::read(&file.target)? != file.bytes {
        return Err(ReplaceError::Changed);
    }
    std::fs::remove_file(&file.target)?;
    files::sync_dir(file.target.parent().unwrap_or(Path::new("/")))?;
    Ok(())
}

/// An entry that can be taken out of its file.
#[derive(Debug)]
pub struct Removal {
    pub record: AddedRecord,
    pub file: ClientFile,
    /// The text without it; `None` if the file goes.
    pub(super) text: Option<String>,
}

/// What happens to an entry that `add` wrote.
#[derive(Debug)]
pub enum RemovalPlan {
    Out(Box<Removal>),
    /// It is gone with its file, or the user removed it.
    Gone(AddedRecord),
    Stays(AddedRecord, String),
}

/// Plans to take the entry of a record out of its file.
///
/// # Errors
/// As [`clients::scan`].
pub fn removal(dirs: &Dirs, record: AddedRecord) -> Result<RemovalPlan> {
    if record.file.symlink_metadata().is_err() {
        return Ok(RemovalPlan::Gone(record));
    }
    let scanned = clients::scan(dirs, &[], std::slice::from_ref(&record.file))?;
    let Some(file) = scanned.found.into_iter().next() else {
        return Ok(RemovalPlan::Gone(record));
    };
    let document = match &file.document {
        Ok(document) => document,
        Err(why) => {
            let why = why.clone();
            return Ok(RemovalPlan::Stays(record, why));
        }
    };
    let without = match record.insertion.undone(document) {
        Ok(text) => text,
        Err(StayReason::Gone) => return Ok(RemovalPlan::Gone(record)),
        Err(why) => return Ok(RemovalPlan::Stays(record, why.text().to_owned())),
    };
    let is_empty = without == empty_text(document.format);
    let text = match &record.before {
        FileBefore::Absent if is_empty => None,
        FileBefore::Blank(text) if is_empty => Some(text.clone()),
        _ => Some(without),
    };
    Ok(RemovalPlan::Out(Box::new(Removal { record, file, text })))
}
