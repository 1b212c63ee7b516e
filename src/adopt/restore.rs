//! Which bytes of which file an undo restores, and where.
//!
//! Invariants: an entry is looked for where adopt left it, then in all files; its meaning is
//! compared before it is replaced, so that the user's later changes are kept.

use std::collections::BTreeMap;

use super::journal::JournalRecord;
use super::redact::{Cut, RedactedPiece, fill};
use crate::client::document::Document;
use crate::client::edit::{self, Splice};
use crate::client::entry::{ServerEntry, entries};
use crate::client::regions::regions;
use crate::client::tree::{FileFormat, PathStep};
use crate::scan::clients::ClientFile;
use crate::secret::SecretName;

/// One file with the records to undo in it.
pub struct RestoreJob {
    pub found: usize,
    pub splices: Vec<Splice>,
    pub records: Vec<JournalRecord>,
}

/// What to restore in each file, and the records that cannot be undone.
pub fn jobs(
    found: &[ClientFile],
    records: Vec<JournalRecord>,
    values: &BTreeMap<SecretName, String>,
) -> (Vec<RestoreJob>, Vec<(JournalRecord, String)>) {
    let mut jobs: Vec<RestoreJob> = Vec::new();
    let mut left = Vec::new();
    let mut taken: Vec<(usize, Vec<PathStep>)> = Vec::new();
    // The newest first: an entry that was adopted twice is restored to its last state.
    for record in records.into_iter().rev() {
        let Some((n, document, entry)) = place(found, &record, &taken) else {
            left.push((
                record,
                "not found in any file: already restored or removed".to_owned(),
            ));
            continue;
        };
        taken.push((n, entry.path.clone()));
        match splices(document, &entry, &record, values) {
            Ok(splices) => {
                if let Some(job) = jobs.iter_mut().find(|job| job.found == n) {
                    job.splices.extend(splices);
                    job.records.push(record);
                } else {
                    jobs.push(RestoreJob {
                        found: n,
                        splices,
                        records: vec![record],
                    });
                }
            }
            Err(reason) => left.push((record, reason)),
        }
    }
    (jobs, left)
}

/// The current location of a record's entry: its own file and path first, then any.
fn place<'a>(
    found: &'a [ClientFile],
    record: &JournalRecord,
    taken: &[(usize, Vec<PathStep>)],
) -> Option<(usize, &'a Document, ServerEntry)> {
    let mut best: Option<(u8, usize, &Document, ServerEntry)> = None;
    for (n, file) in found.iter().enumerate() {
        let Ok(document) = &file.document else {
            continue;
        };
        for entry in entries(document) {
            let runs = entry.wrapped.as_deref() == Some(record.server.as_str());
            if !runs || taken.contains(&(n, entry.path.clone())) {
                continue;
            }
            let own_file = file.target == record.file || file.path == record.file;
            let rank = match (
                own_file,
                entry.path == record.path,
                entry.name == record.entry,
            ) {
                (true, true, _) => 0,
                (true, _, true) => 1,
                (true, _, _) => 2,
                (_, _, true) => 3,
                _ => 4,
            };
            if best.as_ref().is_none_or(|(known, ..)| rank < *known) {
                best = Some((rank, n, document, entry));
            }
        }
    }
    best.map(|(_, n, document, entry)| (n, document, entry))
}

/// The result of undoing a planned text, given each entry's path and its pieces before. None if the
/// regions do not match.
pub(super) fn after_undo<'a>(
    document: &Document,
    entries: impl Iterator<Item = (&'a [PathStep], &'a [Vec<RedactedPiece>])>,
    cuts: &[Cut],
) -> Option<String> {
    let value = |name: &SecretName| {
        cuts.iter()
            .find(|cut| cut.name == *name)
            .map(|cut| cut.text.clone())
    };
    let mut splices = Vec::new();
    for (path, before) in entries {
        let regions = regions(document, path);
        if regions.len() != before.len() {
            return None;
        }
        for (range, pieces) in regions.into_iter().zip(before) {
            splices.push(Splice {
                range,
                text: fill(pieces, &value)?,
            });
        }
    }
    edit::apply(&document.text, &splices)
}

fn splices(
    document: &Document,
    entry: &ServerEntry,
    record: &JournalRecord,
    values: &BTreeMap<SecretName, String>,
) -> Result<Vec<Splice>, String> {
    let value = |name: &SecretName| values.get(name).cloned();
    let gone = || "one of its secrets is no longer in the store".to_owned();
    let texts = |pieces: &[Vec<RedactedPiece>]| {
        pieces
            .iter()
            .map(|piece| fill(piece, &value))
            .collect::<Option<Vec<_>>>()
    };
    let before = texts(&record.before).ok_or_else(gone)?;
    let after = texts(&record.after).ok_or_else(gone)?;
    let now = regions(document, &entry.path);
    let with = |texts: &[String]| -> Vec<Splice> {
        now.iter()
            .zip(texts)
            .map(|(range, text)| Splice {
                range: range.clone(),
                text: text.clone(),
            })
            .collect()
    };
    if now.len() == before.len() {
        let unchanged = now
            .iter()
            .map(|range| document.at(range))
            .eq(after.iter().map(String::as_str));
        let means_the_same = || {
            let text = edit::apply(&document.text, &with(&after))?;
            let old = Document::read(document.format, text.clone().into_bytes()).ok()?;
            let (old_node, node) = (old.find(&entry.path)?, document.find(&entry.path)?);
            Some(node.same(&document.text, old_node, &text))
        };
        if unchanged || means_the_same() == Some(true) {
            return Ok(with(&before));
        }
    }
    members(document, entry, &before, &after)
        .ok_or_else(|| "changed since it was adopted; restore its command by hand".to_owned())
}

/// Restores only the members that adopt changed, for an entry that the user changed too.
fn members(
    document: &Document,
    entry: &ServerEntry,
    before: &[String],
    after: &[String],
) -> Option<Vec<Splice>> {
    let ([before], [after]) = (before, after) else {
        return None;
    };
    if document.format != FileFormat::Json {
        return None;
    }
    let before = Document::read(FileFormat::Json, before.clone().into_bytes()).ok()?;
    let after = Document::read(FileFormat::Json, after.clone().into_bytes()).ok()?;
    let now = document.find(&entry.path)?;
    let mut splices = Vec::new();
    for (n, member) in now.map().iter().enumerate() {
        let old = before.root.get(&member.key);
        let Some(adopted) = after.root.get(&member.key) else {
            continue;
        };
        if old.is_some_and(|old| old.same(&before.text, adopted, &after.text)) {
            continue;
        }
        let splice = if let Some(old) = old {
            Splice {
                range: member.node.span.clone(),
                text: before.at(&old.span).to_owned(),
            }
        } else {
            // A member that adopt added is removed, with the comma before it.
            let start = now.map().get(n.checked_sub(1)?)?.node.span.end;
            Splice {
                range: start..member.node.span.end,
                text: String::new(),
            }
        };
        splices.push(splice);
    }
    // A member that adopt changed must still exist to be restored.
    let all = before.root.map().iter().all(|member| {
        now.get(&member.key).is_some() || {
            after
                .root
                .get(&member.key)
                .is_some_and(|adopted| member.node.same(&before.text, adopted, &after.text))
        }
    });
    all.then_some(splices)
}
