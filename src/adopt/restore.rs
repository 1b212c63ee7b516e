//! Which bytes of which file an undo restores, and where.
//!
//! Invariants: an entry is restored into the file that it was adopted in, and into no other: another
//! file may have other readers. Its meaning is compared before it is replaced, so that the user's
//! later changes are kept, or named before the user is asked.

use std::collections::BTreeMap;
use std::ops::Range;

use super::journal::JournalRecord;
use super::redact::{Cut, RedactedPiece, fill};
use crate::client::document::Document;
use crate::client::edit::{self, Splice};
use crate::client::entry::{ServerEntry, entries};
use crate::client::regions::regions;
use crate::client::tree::{FileFormat, Node, PathStep, TreeValue};
use crate::scan::clients::ClientFile;
use crate::secret::SecretName;

/// One file with the records to undo in it.
pub struct RestoreJob {
    pub found: usize,
    pub splices: Vec<Splice>,
    pub records: Vec<JournalRecord>,
    /// What the user must know before agreeing: later changes that are kept or lost.
    pub notes: Vec<String>,
}

/// What to restore in each file, and the records that cannot be undone.
pub fn jobs(
    found: &[ClientFile],
    records: Vec<JournalRecord>,
    values: &BTreeMap<SecretName, String>,
) -> (Vec<RestoreJob>, Vec<(JournalRecord, String)>) {
    let mut jobs: Vec<RestoreJob> = Vec::new();
    let mut left = Vec::new();
    let mut spots: Vec<RestoreTarget<'_>> = found
        .iter()
        .enumerate()
        .filter_map(RestoreTarget::read)
        .collect();
    // The newest first: an entry that was adopted twice is restored to its last state.
    for record in records.into_iter().rev() {
        let own = |spot: &&mut RestoreTarget<'_>| spot.file.target == record.file;
        let taken = spots
            .iter_mut()
            .find(own)
            .and_then(|spot| Some((spot.n, spot.document, spot.take(&record)?)));
        let Some((n, document, entry)) = taken else {
            left.push((
                record,
                "not found in this file: already restored, removed or moved to another file"
                    .to_owned(),
            ));
            continue;
        };
        match splices(document, &entry, &record, values) {
            Ok((splices, notes)) => {
                let at = jobs.iter().position(|job| job.found == n);
                let at = at.unwrap_or_else(|| {
                    jobs.push(RestoreJob {
                        found: n,
                        splices: Vec::new(),
                        records: Vec::new(),
                        notes: Vec::new(),
                    });
                    jobs.len() - 1
                });
                if let Some(job) = jobs.get_mut(at) {
                    job.splices.extend(splices);
                    job.notes.extend(notes);
                    job.records.push(record);
                }
            }
            Err(reason) => left.push((record, reason)),
        }
    }
    (jobs, left)
}

/// A readable file with its entries that no record has taken yet.
struct RestoreTarget<'a> {
    n: usize,
    file: &'a ClientFile,
    document: &'a Document,
    entries: Vec<ServerEntry>,
}

impl<'a> RestoreTarget<'a> {
    fn read((n, file): (usize, &'a ClientFile)) -> Option<Self> {
        let document = file.document.as_ref().ok()?;
        Some(Self {
            n,
            file,
            document,
            entries: entries(document),
        })
    }

    /// The entry of a record: at its own path first, then by its name, then any with its policy.
    fn take(&mut self, record: &JournalRecord) -> Option<ServerEntry> {
        let rank = |entry: &ServerEntry| {
            let runs = entry.wrapped.as_deref() == Some(record.server.as_str());
            let rank = match (entry.path == record.path, entry.name == record.entry) {
                (true, _) => 0,
                (_, true) => 1,
                _ => 2,
            };
            runs.then_some(rank)
        };
        let ranked = self.entries.iter().enumerate();
        let ranked = ranked.filter_map(|(at, entry)| Some((rank(entry)?, at)));
        let (_, at) = ranked.min()?;
        Some(self.entries.swap_remove(at))
    }
}

/// The result of undoing a planned text, given each entry's path and its pieces before. None if the
/// regions do not match.
pub(super) fn after_undo<'a>(
    document: &Document,
    entries: impl Iterator<Item = (&'a [PathStep], &'a [Vec<RedactedPiece>])>,
    cuts: &[Cut],
) -> Option<String> {
    let values: BTreeMap<_, _> = cuts.iter().map(|cut| (&cut.name, &cut.text)).collect();
    let value = |name: &SecretName| values.get(name).map(|text| (*text).clone());
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
) -> Result<(Vec<Splice>, Vec<String>), String> {
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
            return Ok((with(&before), Vec::new()));
        }
    }
    let name = &record.entry;
    let members = members(document, entry, &before, &after)
        .map(|(splices, lost)| (splices, lost, "only what adopt changed is restored"));
    let (splices, lost, what) = members
        .or_else(|| {
            let (splices, lost) = whole(document, entry, (&before, &after), &now)?;
            Some((splices, lost, "the whole entry is restored"))
        })
        .ok_or_else(|| "changed since it was adopted; restore its command by hand".to_owned())?;
    let mut notes = Vec::new();
    if !lost.is_empty() || what.starts_with("only") {
        notes.push(format!("`{name}` was changed after it was adopted: {what}"));
    }
    if !lost.is_empty() {
        let lost: Vec<_> = lost.iter().map(|key| format!("`{key}`")).collect();
        notes.push(format!(
            "`{name}`: later changes in {} are lost",
            lost.join(", ")
        ));
    }
    Ok((splices, notes))
}

/// Restores the whole entry at its first piece, for an entry that its client wrote again in another
/// form, e.g. without tables that had become empty. Also returns the fields of later changes, which
/// are lost. None if the result is not the entry as it was, beside others as they are.
fn whole(
    document: &Document,
    entry: &ServerEntry,
    (before, after): (&[String], &[String]),
    now: &[Range<usize>],
) -> Option<(Vec<Splice>, Vec<String>)> {
    let (first, rest) = now.split_first()?;
    let splice = |range: &Range<usize>, text: String| Splice {
        range: range.clone(),
        text,
    };
    let with = |texts: &[String]| -> Option<(Vec<Splice>, Document)> {
        let mut splices = vec![splice(first, texts.join("\n\n"))];
        splices.extend(rest.iter().map(|range| splice(range, String::new())));
        let text = edit::apply(&document.text, &splices)?;
        let new = Document::read(document.format, text.into_bytes()).ok()?;
        Some((splices, new))
    };
    let (splices, restored) = with(before)?;
    // In the form that adopt wrote, to compare it with the entry as it is now.
    let (_, adopted) = with(after)?;
    let others = |document: &Document| -> Vec<ServerEntry> {
        let mut all = entries(document);
        all.retain(|one| one.path != entry.path);
        all
    };
    let same_others = others(document)
        .iter()
        .map(|one| (&one.path, &one.words, &one.wrapped))
        .map(|(path, words, wrapped)| (path.clone(), texts(words), wrapped.clone()))
        .eq(others(&restored)
            .iter()
            .map(|one| (one.path.clone(), texts(&one.words), one.wrapped.clone())));
    let is_free = entries(&restored)
        .iter()
        .any(|one| one.path == entry.path && one.wrapped.is_none());
    if !same_others || !is_free {
        return None;
    }
    let (now, adopted_node) = (document.find(&entry.path)?, adopted.find(&entry.path)?);
    let changed = |key: &String| {
        let is = now.get(key).filter(|node| !is_empty(node));
        let was = adopted_node.get(key).filter(|node| !is_empty(node));
        match (is, was) {
            (Some(is), Some(was)) => !is.same(&document.text, was, &adopted.text),
            (None, None) => false,
            _ => true,
        }
    };
    let keys = now.map().iter().chain(adopted_node.map());
    let keys: std::collections::BTreeSet<&String> = keys.map(|member| &member.key).collect();
    let lost = keys
        .into_iter()
        .filter(|key| changed(key))
        .cloned()
        .collect();
    Some((splices, lost))
}

fn texts(words: &[crate::client::entry::SpannedText]) -> Vec<String> {
    words.iter().map(|word| word.text.clone()).collect()
}

/// A table or list without content, which some clients do not write.
fn is_empty(node: &Node) -> bool {
    match &node.value {
        TreeValue::Map(members) => members.as_slice().is_empty(),
        TreeValue::List(items) => items.is_empty(),
        TreeValue::Text(_) | TreeValue::Other => false,
    }
}

/// Restores only the members that adopt changed, for an entry that the user changed too. Also
/// returns those of them that the user changed.
fn members(
    document: &Document,
    entry: &ServerEntry,
    before: &[String],
    after: &[String],
) -> Option<(Vec<Splice>, Vec<String>)> {
    let ([before], [after]) = (before, after) else {
        return None;
    };
    if document.format != FileFormat::Json {
        return None;
    }
    let before = Document::read(FileFormat::Json, before.clone().into_bytes()).ok()?;
    let after = Document::read(FileFormat::Json, after.clone().into_bytes()).ok()?;
    let now = document.find(&entry.path)?;
    let (mut splices, mut lost) = (Vec::new(), Vec::new());
    for (n, member) in now.map().iter().enumerate() {
        let old = before.root.get(&member.key);
        let Some(adopted) = after.root.get(&member.key) else {
            continue;
        };
        if old.is_some_and(|old| old.same(&before.text, adopted, &after.text)) {
            continue;
        }
        if !adopted.same(&after.text, &member.node, &document.text) {
            lost.push(member.key.clone());
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
    all.then_some((splices, lost))
}
