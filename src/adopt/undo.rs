//! Restores adopted entries byte for byte.
//!
//! An entry is recognized by its own bytes: the file may have changed around it, a client may have
//! reformatted it. If the user changed the entry, only the members that adopt changed are restored.
//! Policies and secrets stay, because another file may use them.
//!
//! Invariants: only a sealed record is followed; a file is never readable by more users than when
//! it was adopted.

use std::collections::{BTreeMap, BTreeSet};

use super::journal::{self, JournalLine, JournalRecord, Pending};
use super::redact::RedactedPiece;
use super::replace::{self, ReplaceError};
use super::restore::RestoreJob;
use super::round::Selection;
use crate::audit::{Destination, Detail, Event, Log, NewRecord, Outcome, SecretUse};
use crate::client::edit;
use crate::dirs::Dirs;
use crate::error::{Error, Result};
use crate::ops::actor::Actor;
use crate::scan::clients::{self, ClientFile};
use crate::secret::{Fingerprint, Keys, Secret, SecretName};
use crate::store::Store;

/// The selected records that were adopted and not undone, the newest last, and the lines of the
/// journal that are refused.
///
/// # Errors
/// Those of the journal.
pub fn pending(dirs: &Dirs, selection: &Selection, keys: &Keys) -> Result<Pending> {
    let mut pending = journal::pending(dirs, keys)?;
    pending
        .records
        .retain(|record| is_selected(selection, record));
    Ok(pending)
}

/// The files of the records that exist.
///
/// # Errors
/// As [`clients::scan`].
pub fn files(dirs: &Dirs, records: &[JournalRecord]) -> Result<Vec<ClientFile>> {
    let own: BTreeSet<_> = records.iter().map(|record| record.file.clone()).collect();
    let there: Vec<_> = own.into_iter().filter(|file| file.exists()).collect();
    if there.is_empty() {
        return Ok(Vec::new());
    }
    Ok(clients::scan(dirs, &[], &there)?.found)
}

/// The mode in which a file is written: its own, without what it did not have when its entries
/// were adopted.
fn mode(file: &ClientFile, records: &[JournalRecord]) -> Result<u32, ReplaceError> {
    let (now, owner) = replace::mode_and_owner(&file.target)?;
    if records.iter().any(|record| record.owner.0 != owner.0) {
        return Err(ReplaceError::Owner);
    }
    Ok(records.iter().fold(now, |mode, record| mode & record.mode))
}

/// What to tell the user about a job before asking, in addition to the notes of its entries.
pub fn notes(
    file: &ClientFile,
    job: &RestoreJob,
    values: &BTreeMap<SecretName, String>,
    keys: &Keys,
) -> Vec<String> {
    let mut notes = job.notes.clone();
    let stored = job.records.iter().flat_map(|record| &record.secrets);
    let rotated: BTreeSet<&SecretName> = stored
        .filter(|(name, print)| {
            let now = values.get(*name);
            now.is_some_and(|text| fingerprint(keys, text) != **print)
        })
        .map(|(name, _)| name)
        .collect();
    for name in rotated {
        notes.push(format!(
            "`{name}` was rotated after it was adopted: the file gets the new value"
        ));
    }
    let now = replace::mode_and_owner(&file.target).map(|(mode, _)| mode);
    if let (Ok(now), Ok(mode)) = (now, mode(file, &job.records))
        && now != mode
    {
        notes.push(format!(
            "the mode of the file becomes {mode:04o}, as when it was adopted (now {now:04o})"
        ));
    }
    notes
}

/// What is needed to restore files.
pub struct Restoring<'a> {
    /// The values that the records need.
    pub values: &'a BTreeMap<SecretName, String>,
    pub keys: &'a Keys,
    pub log: &'a Log,
    pub actor: Actor,
}

/// Restores the entries of one file. Each secret that goes back into it is recorded first.
///
/// # Errors
/// The audit log or the journal cannot be written. The inner error says that the file was not
/// changed, which is recorded; it is `None` if the new text could not be built.
pub fn restore(
    dirs: &Dirs,
    file: &ClientFile,
    job: &RestoreJob,
    with: &Restoring<'_>,
) -> Result<Result<(), Option<Error>>> {
    let Restoring {
        keys, log, actor, ..
    } = with;
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
    let released: Vec<_> = job
        .records
        .iter()
        .flat_map(|record| releases(record, file, with))
        .collect();
    log.append(&[released, entries(Outcome::Ok)].concat())?;
    let text = file
        .document
        .as_ref()
        .ok()
        .and_then(|document| edit::apply(&document.text, &job.splices));
    let shown = dirs.tilde(&file.path);
    let done = text.ok_or(None).and_then(|text| {
        mode(file, &job.records)
            .and_then(|mode| {
                replace::replace(&file.target, &file.bytes, text.as_bytes(), Some(mode))
            })
            .map_err(|failed| Some(replace::not_written(&shown, &failed)))
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
    journal::append(dirs, keys, &lines)?;
    Ok(Ok(()))
}

/// A record of each secret that goes back into the file.
fn releases(record: &JournalRecord, file: &ClientFile, with: &Restoring<'_>) -> Vec<NewRecord> {
    let names = record.before.iter().flatten();
    let names: BTreeSet<_> = names.filter_map(RedactedPiece::secret).collect();
    let release = |name: &SecretName| {
        let value = with.values.get(name);
        let secret = SecretUse {
            name: name.clone().into(),
            variable: None,
            fingerprint: value.map(|text| fingerprint(with.keys, text)),
        };
        let shown = file.path.display().to_string();
        NewRecord::release(secret, Destination::Config(&shown), with.actor.detail())
            .server(&record.server)
    };
    names.into_iter().map(release).collect()
}

fn fingerprint(keys: &Keys, text: &str) -> Fingerprint {
    keys.fingerprint(&Secret::new(text.as_bytes().to_vec()))
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
    let names: BTreeSet<&SecretName> = pieces.filter_map(RedactedPiece::secret).collect();
    let mut values = BTreeMap::new();
    for name in names {
        if let Ok(item) = store.get(name)
            && let Ok(text) = str::from_utf8(item.value.expose())
        {
            values.insert(name.clone(), text.to_owned());
        }
    }
    values
}
