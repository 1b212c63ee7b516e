//! Proves the changes of one file before they are offered.
//!
//! Invariants: the new text is parsed again, all other entries keep their meaning, each changed one
//! starts its server through mcpwrap, and undo gives the old bytes.

use std::collections::{HashMap, HashSet};

use super::plan::{EntryPlan, FilePlan, Left};
use super::redact::{Cut, Cutter};
use super::restore;
use crate::client::document::Document;
use crate::client::edit::{self, Splice};
use crate::client::entry::{ServerEntry, entries};
use crate::client::regions::regions;
use crate::client::tree::{PathStep, line_of};
use crate::secret::ServerName;

/// A shorter value occurs in other words by chance (bytes).
const VALUE_BYTES_MIN: usize = 8;
/// After as many changes of one file that cannot be proved, its other entries are left too.
const UNPROVED_MAX: usize = 20;

/// An entry with its change, before the file as a whole is proved.
pub(super) struct ChangedEntry {
    pub(super) entry: ServerEntry,
    pub(super) server: ServerName,
    pub(super) splices: Vec<Splice>,
    pub(super) cuts: Vec<Cut>,
    pub(super) notes: Vec<String>,
}

/// Combines the changes of a file and proves them; a change that fails is left out. Also returns
/// what is left in the file, and why.
pub(super) fn of_file(
    found: usize,
    document: &Document,
    changed: &[ChangedEntry],
) -> (Option<FilePlan>, Vec<Left>) {
    let mut wanted: Vec<&ChangedEntry> = changed.iter().collect();
    let mut left = Vec::new();
    let not_changed = |one: &ChangedEntry, reason: String| Left {
        found,
        entry: Some(one.entry.name.clone()),
        reason,
        counts: true,
    };
    while !wanted.is_empty() {
        if left.len() == UNPROVED_MAX {
            let reason =
                format!("more than {UNPROVED_MAX} entries of this file cannot be edited safely");
            left.extend(wanted.iter().map(|one| not_changed(one, reason.clone())));
            break;
        }
        match prove(found, document, &wanted) {
            Ok(file) => {
                left.extend(remaining(&file));
                return (Some(file), left);
            }
            Err((n, reason)) => {
                let one = wanted.remove(n.min(wanted.len() - 1));
                left.push(not_changed(one, reason.to_owned()));
            }
        }
    }
    (None, left)
}

/// The same values outside the entries, where they stay.
fn remaining(file: &FilePlan) -> impl Iterator<Item = Left> {
    let places = Cutter::new(&file.cuts).places(&file.text, VALUE_BYTES_MIN);
    places.into_iter().map(|(at, name)| {
        let line = line_of(&file.text, at);
        let reason = format!(
            "line {line}, outside the adopted entries, also has the value of `{name}`: remove it by hand"
        );
        Left {
            found: file.found,
            entry: None,
            reason,
            counts: true,
        }
    })
}

/// The changed file; or the number of the change that cannot be made, and why.
fn prove(
    found: usize,
    document: &Document,
    changed: &[&ChangedEntry],
) -> Result<FilePlan, (usize, &'static str)> {
    let splices: Vec<Splice> = changed.iter().flat_map(|one| one.splices.clone()).collect();
    let text = edit::apply(&document.text, &splices).ok_or((0, "its changes overlap"))?;
    let new = Document::read(document.format, text.clone().into_bytes())
        .map_err(|_| (0, "cannot edit its layout safely"))?;
    let now: HashMap<_, _> = entries(&new)
        .into_iter()
        .map(|entry| (key(&entry.path), entry.wrapped))
        .collect();
    let places: HashMap<_, _> = (changed.iter().enumerate())
        .map(|(n, one)| (key(&one.entry.path), n))
        .collect();
    for old in entries(document) {
        let same = new
            .find(&old.path)
            .zip(document.find(&old.path))
            .is_some_and(|(new_node, node)| node.same(&document.text, new_node, &new.text));
        let path = key(&old.path);
        match places.get(&path).copied() {
            None if !same => return Err((0, "a change to it would change another entry")),
            Some(n) => {
                let server = changed.get(n).map(|one| one.server.to_string());
                if now.get(&path).cloned().flatten() != server {
                    return Err((n, "cannot edit its layout safely"));
                }
            }
            None => {}
        }
    }
    let mut seen = HashSet::new();
    let cuts = changed.iter().flat_map(|one| &one.cuts);
    let cuts: Vec<Cut> = cuts.filter(|cut| seen.insert(&cut.text)).cloned().collect();
    let cutter = Cutter::new(&cuts);
    let pieces = |document: &Document, path: &[PathStep]| {
        regions(document, path)
            .iter()
            .map(|region| cutter.cut(document.at(region)))
            .collect::<Vec<_>>()
    };
    let entries: Vec<EntryPlan> = changed
        .iter()
        .map(|one| EntryPlan {
            name: one.entry.name.clone(),
            server: one.server.clone(),
            path: one.entry.path.clone(),
            before: pieces(document, &one.entry.path),
            after: pieces(&new, &one.entry.path),
            notes: one.notes.clone(),
        })
        .collect();
    let pieces = entries
        .iter()
        .map(|entry| (entry.path.as_slice(), entry.before.as_slice()));
    let undone = restore::after_undo(&new, pieces, &cuts);
    if undone.as_deref() != Some(document.text.as_str()) {
        return Err((0, "cannot be restored byte for byte"));
    }
    Ok(FilePlan {
        found,
        text,
        entries,
        cuts,
    })
}

/// The location of an entry, for a map.
fn key(path: &[PathStep]) -> String {
    serde_json::to_string(path).expect("a path has plain fields only")
}
