//! Proves the changes of one file before they are offered.
//!
//! Invariants: the new text is parsed again, all other entries keep their meaning, each changed one
//! starts its server through mcpwrap, and undo gives the old bytes.

use std::collections::{HashMap, HashSet};

use super::plan::{EntryPlan, FilePlan};
use super::redact::{Cut, Cutter};
use super::restore;
use crate::client::document::Document;
use crate::client::edit::{self, Splice};
use crate::client::entry::{ServerEntry, entries};
use crate::client::regions::regions;
use crate::client::tree::PathStep;
use crate::secret::ServerName;

/// An entry with its change, before the file as a whole is proved.
pub(super) struct ChangedEntry {
    pub(super) entry: ServerEntry,
    pub(super) server: ServerName,
    pub(super) splices: Vec<Splice>,
    pub(super) cuts: Vec<Cut>,
    pub(super) notes: Vec<String>,
}

/// The changed file; or the number of the change that cannot be made, and why.
pub(super) fn prove(
    found: usize,
    document: &Document,
    changed: &[ChangedEntry],
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
