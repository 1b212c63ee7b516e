//! Restores adopted entries byte for byte.
//!
//! An entry is recognized by its own bytes: the file may have changed around it, a client may have
//! reformatted it, the user may have moved it. If the user changed the entry, only the members that
//! adopt changed are restored. Policies and secrets stay, because another file may use them.

use std::collections::{BTreeMap, BTreeSet};

use super::journal::{self, JournalLine, JournalRecord};
use super::redact::RedactedPiece;
use super::replace;
use super::restore::RestoreJob;
use super::round::Selection;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::client::edit;
use crate::dirs::Dirs;
use crate::error::{Error, Result};
use crate::ops::actor::Actor;
use crate::scan::clients::{self, ClientFile};
use crate::secret::SecretName;
use crate::store::Store;

/// The selected records that were adopted and not undone, the newest last.
///
/// # Errors
/// Those of the journal.
pub fn pending(dirs: &Dirs, selection: &Selection) -> Result<Vec<JournalRecord>> {
    let pending = journal::pending(dirs)?.into_iter();
    Ok(pending
        .filter(|record| is_selected(selection, record))
        .collect())
}

/// The files of the records, then all others: an entry that is no longer in its file may be in any
/// of them.
///
/// # Errors
/// As [`clients::scan`].
pub fn files(dirs: &Dirs, records: &[JournalRecord]) -> Result<Vec<ClientFile>> {
    let own: BTreeSet<_> = records.iter().map(|record| record.file.clone()).collect();
    let there: Vec<_> = own.into_iter().filter(|file| file.exists()).collect();
    let mut found = clients::scan(dirs, &[], &there)?.found;
    for more in clients::scan(dirs, &[], &[])?.found {
        if !found.iter().any(|known| known.target == more.target) {
            found.push(more);
        }
    }
    Ok(found)
}

/// Restores the entries of one file.
///
/// # Errors
/// The audit log or the journal cannot be written. The inner error says that the file was not
/// changed, which is recorded; it is `None` if the new text could not be built.
pub fn restore(
    dirs: &Dirs,
    file: &ClientFile,
    job: &RestoreJob,
    log: &Log,
    actor: Actor,
) -> Result<Result<(), Option<Error>>> {
    let entry = |record: &JournalRecord, outcome| {
        let detail = Detail {
            file: Some(file.path.display().to_string()),
            ..actor.detail()
        };
        NewRecord::new(Event::Undo, outcome)
            .server(&record.server)
            .detail(detail)
    };
    let entries = |outcome| {
        job.records
            .iter()
            .map(|record| entry(record, outcome))
            .collect::<Vec<_>>()
    };
    log.append(&entries(Outcome::Ok))?;
    let text = file
        .document
        .as_ref()
        .ok()
        .and_then(|document| edit::apply(&document.text, &job.splices));
    let done = text.ok_or(None).and_then(|text| {
        replace::replace(&file.target, &file.bytes, text.as_bytes())
            .map_err(|failed| Some(replace::not_written(&dirs.tilde(&file.path), &failed)))
    });
    if let Err(error) = done {
        log.append(&entries(Outcome::Failed))?;
        return Ok(Err(error));
    }
    let now = jiff::Timestamp::now();
    let lines: Vec<JournalLine> = job
        .records
        .iter()
        .map(|record| JournalLine::Undone {
            id: record.id.clone(),
            at: now,
        })
        .collect();
    journal::append(dirs, &lines)?;
    Ok(Ok(()))
}

fn is_selected(selection: &Selection, record: &JournalRecord) -> bool {
    let file = |path: &std::path::PathBuf| {
        path.canonicalize()
            .ok()
            .or_else(|| std::path::absolute(path).ok())
            .is_some_and(|path| {
                path == record.file || record.file.canonicalize().is_ok_and(|file| file == path)
            })
    };
    let client = |id: &String| record.client.as_ref() == Some(id);
    let named = (selection.configs.is_empty() && selection.clients.is_empty())
        || selection.configs.iter().any(file)
        || selection.clients.iter().any(client);
    let server = |name: &String| *name == record.entry || name == record.server.as_str();
    named && (selection.servers.is_empty() || selection.servers.iter().any(server))
}

/// The values that the records need and the store has.
pub fn values(records: &[JournalRecord], store: &dyn Store) -> BTreeMap<SecretName, String> {
    let pieces = records
        .iter()
        .flat_map(|record| record.before.iter().chain(&record.after).flatten());
    let names: BTreeSet<SecretName> = pieces
        .filter_map(|piece| match piece {
            RedactedPiece::Secret(name) | RedactedPiece::Escaped(name) => Some(name.clone()),
            RedactedPiece::Text(_) => None,
        })
        .collect();
    let mut values = BTreeMap::new();
    for name in names {
        if let Ok(item) = store.get(&name)
            && let Ok(text) = str::from_utf8(item.value.expose())
        {
            values.insert(name, text.to_owned());
        }
    }
    values
}
