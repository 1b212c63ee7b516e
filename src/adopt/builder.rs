//! Makes the plan: for each file which entries change and how, which secrets and policies are
//! needed, and what cannot be adopted and why.
//!
//! Invariants: reads only; each change is proved before it is offered: the new text is parsed
//! again, all other entries keep their meaning, and undo gives the old bytes.

use std::collections::{HashMap, HashSet};

use super::comments;
use super::extract;
use super::extracted::Extracted;
use super::names::Names;
use super::plan::{AdoptPlan, EntryFilter, EntryPlan, FilePlan, Left};
use super::redact::{Cut, Cutter, RedactedPiece, cut};
use super::references::References;
use super::{bridge_command, directory, literals, remote, replace, restore, rewrite};
use crate::client::document::Document;
use crate::client::edit::{self, Splice};
use crate::client::entry::{ServerEntry, entries, places};
use crate::client::regions::regions;
use crate::client::tree::{Node, PathStep, line_of};
use crate::detect;
use crate::dirs;
use crate::scan::clients::ClientFile;
use crate::scan::history::SearchedSecret;
use crate::secret::ServerName;

/// A shorter value occurs in other words by chance (bytes).
const VALUE_BYTES_MIN: usize = 8;
/// After as many changes of one file that cannot be proved, its other entries are left too.
const UNPROVED_MAX: usize = 20;

/// Makes the plan. `program` is the absolute path of mcpwrap.
pub fn build(
    found: &[ClientFile],
    wanted: &EntryFilter,
    names: &mut Names,
    program: &str,
) -> AdoptPlan {
    let mut plan = AdoptPlan::default();
    for (n, file) in found.iter().enumerate() {
        let document = match &file.document {
            Ok(document) => document,
            Err(reason) => {
                plan.left.push(Left {
                    found: n,
                    entry: None,
                    reason: format!("skipped: {reason}"),
                    counts: true,
                });
                continue;
            }
        };
        let job = PlanBuilder {
            n,
            file,
            document,
            program,
        };
        job.plan(wanted, names, &mut plan);
    }
    plan
}

struct PlanBuilder<'a> {
    n: usize,
    file: &'a ClientFile,
    document: &'a Document,
    program: &'a str,
}

/// An entry with its change, before the file as a whole is proved.
struct ChangedEntry {
    entry: ServerEntry,
    server: ServerName,
    splices: Vec<Splice>,
    cuts: Vec<Cut>,
    notes: Vec<String>,
}

impl PlanBuilder<'_> {
    fn plan(&self, wanted: &EntryFilter, names: &mut Names, plan: &mut AdoptPlan) {
        let mut changed = Vec::new();
        let spots = places(self.document).into_iter();
        for (spot, needs_full_scan) in spots.zip(&self.file.needs_full_scan) {
            if !wanted.takes(&spot.name) {
                continue;
            }
            // Most entries do not change.
            if !needs_full_scan && wanted.servers.is_empty() {
                plan.without += 1;
                continue;
            }
            let spot_node = spot.node;
            let entry = spot.read();
            if entry.wrapped.is_some() {
                plan.adopted += 1;
                continue;
            }
            if let Some(why) = entry.unknown {
                plan.left.push(Left {
                    found: self.n,
                    entry: Some(entry.name.clone()),
                    reason: format!("not understood: {why}"),
                    counts: true,
                });
                continue;
            }
            let judged = detect::entry(&entry);
            let secret = extract::holds_secret(&judged);
            let node = spot_node;
            let is_asked = !wanted.servers.is_empty();
            let may_change = !entry.words.is_empty() || remote::refers(&entry, node, &judged);
            if !(secret || is_asked && may_change) {
                plan.without += 1;
                continue;
            }
            if self.file.tracked {
                let values = values(&entry, &judged).into_iter();
                plan.tracked.extend(values.map(|one| (self.n, one)));
            }
            let mut leave = |reason: String| {
                plan.left.push(Left {
                    found: self.n,
                    entry: Some(entry.name.clone()),
                    reason,
                    counts: true,
                });
            };
            if self.file.tracked {
                leave(format!(
                    "tracked by git, teammates may lack mcpwrap; pass `--config {}` to adopt it anyway",
                    self.file.path.display()
                ));
                continue;
            }
            if let Err(failed) = replace::writable(&self.file.target) {
                leave(failed.reason());
                continue;
            }
            if let Some(reason) = remote::reason(&entry, &judged) {
                leave(reason);
                continue;
            }
            match self.extract(&entry, node, &judged, names) {
                Err(reason) => leave(reason),
                Ok(extracted) => match self.change(&entry, &judged, extracted, names) {
                    Ok(one) => changed.push(one),
                    Err(reason) => leave(reason),
                },
            }
        }
        self.whole(changed, plan);
    }

    fn extract(
        &self,
        entry: &ServerEntry,
        node: &Node,
        judged: &[detect::Judged<'_>],
        names: &Names,
    ) -> Result<Extracted, String> {
        let references = References {
            fills_in: self.file.client.is_none_or(|client| client.fills_in),
            home: names.home(),
            project: directory::project(self.file, names.home(), entry),
            variable: &|name| dirs::server_variable(name)?.into_string().ok(),
        };
        if remote::is_remote(entry) {
            return remote::extract(node, judged, &references);
        }
        match bridge_command::extract(entry, judged, &references) {
            Some(extracted) => Ok(extracted),
            None => extract::extract(entry, judged, &references),
        }
    }

    fn change(
        &self,
        entry: &ServerEntry,
        judged: &[detect::Judged<'_>],
        mut extracted: Extracted,
        names: &mut Names,
    ) -> Result<ChangedEntry, String> {
        if extracted.remote.is_none() {
            extracted.cwd = directory::choose(self.file, names.home(), entry, &extracted.command)?;
            for (name, text) in literals::variables(self.document, entry)? {
                extracted.set.entry(name).or_insert(text);
            }
        }
        let planned = names.policy(&entry.name, &extracted)?;
        let mut splices = rewrite::splices(
            self.document,
            self.program,
            entry,
            &extracted,
            &planned.server,
        )?;
        let mut cuts = planned.cuts;
        self.as_written(entry, judged, &planned.server, &mut cuts, names);
        splices.extend(comments::named(self.document, entry, &splices, &cuts));
        Ok(ChangedEntry {
            entry: entry.clone(),
            server: planned.server,
            splices,
            cuts,
            notes: extracted.notes,
        })
    }

    /// Secret text of the entry that is not one of the values: a value with unusual escapes, a
    /// token in a comment. Undo needs it, and the journal must not contain it.
    fn as_written(
        &self,
        entry: &ServerEntry,
        judged: &[detect::Judged<'_>],
        server: &ServerName,
        cuts: &mut Vec<Cut>,
        names: &mut Names,
    ) {
        let mut extra = Vec::new();
        for value in judged
            .iter()
            .filter(|value| !value.verdict.secrets().is_empty())
        {
            let raw = self.document.at(&value.word.span);
            let cut_out = cut(raw, cuts)
                .iter()
                .any(|piece| !matches!(piece, RedactedPiece::Text(_)));
            if !cut_out {
                extra.push(raw.trim_matches(['"', '\'']).to_owned());
            }
        }
        for region in regions(self.document, &entry.path) {
            for piece in cut(self.document.at(&region), cuts) {
                let RedactedPiece::Text(text) = piece else {
                    continue;
                };
                extra.extend(detect::known_tokens(&text).into_iter().map(str::to_owned));
            }
        }
        for text in extra {
            if !cuts.iter().any(|cut| cut.text == text) {
                cuts.push(names.as_written(server, &text));
            }
        }
    }

    /// Combines the changes of a file and proves them; a change that fails is left out.
    fn whole(&self, mut changed: Vec<ChangedEntry>, plan: &mut AdoptPlan) {
        let mut unproved = 0;
        while !changed.is_empty() {
            if unproved == UNPROVED_MAX {
                for one in changed {
                    plan.left.push(Left {
                        found: self.n,
                        entry: Some(one.entry.name),
                        reason: format!(
                            "more than {UNPROVED_MAX} entries of this file cannot be edited safely"
                        ),
                        counts: true,
                    });
                }
                return;
            }
            match self.prove(&changed) {
                Ok(file) => {
                    self.report_remaining(&file, plan);
                    plan.files.push(file);
                    return;
                }
                Err((n, reason)) => {
                    unproved += 1;
                    let one = changed.remove(n.min(changed.len() - 1));
                    plan.left.push(Left {
                        found: self.n,
                        entry: Some(one.entry.name),
                        reason: reason.to_owned(),
                        counts: true,
                    });
                }
            }
        }
    }

    /// Reports the same values outside the entries, where they stay.
    fn report_remaining(&self, file: &FilePlan, plan: &mut AdoptPlan) {
        let places = Cutter::new(&file.cuts).places(&file.text, VALUE_BYTES_MIN);
        for (at, name) in places {
            let line = line_of(&file.text, at);
            let reason = format!(
                "line {line}, outside the adopted entries, also has the value of `{name}`: remove it by hand"
            );
            plan.left.push(Left {
                found: self.n,
                entry: None,
                reason,
                counts: true,
            });
        }
    }

    fn prove(&self, changed: &[ChangedEntry]) -> Result<FilePlan, (usize, &'static str)> {
        let splices: Vec<Splice> = changed.iter().flat_map(|one| one.splices.clone()).collect();
        let text = edit::apply(&self.document.text, &splices).ok_or((0, "its changes overlap"))?;
        let new = Document::read(self.document.format, text.clone().into_bytes())
            .map_err(|_| (0, "cannot edit its layout safely"))?;
        let now: HashMap<_, _> = entries(&new)
            .into_iter()
            .map(|entry| (key(&entry.path), entry.wrapped))
            .collect();
        let places: HashMap<_, _> = (changed.iter().enumerate())
            .map(|(n, one)| (key(&one.entry.path), n))
            .collect();
        for old in entries(self.document) {
            let same = new
                .find(&old.path)
                .zip(self.document.find(&old.path))
                .is_some_and(|(new_node, node)| {
                    node.same(&self.document.text, new_node, &new.text)
                });
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
                before: pieces(self.document, &one.entry.path),
                after: pieces(&new, &one.entry.path),
                notes: one.notes.clone(),
            })
            .collect();
        let pieces = entries
            .iter()
            .map(|entry| (entry.path.as_slice(), entry.before.as_slice()));
        let undone = restore::after_undo(&new, pieces, &cuts);
        if undone.as_deref() != Some(self.document.text.as_str()) {
            return Err((0, "cannot be restored byte for byte"));
        }
        Ok(FilePlan {
            found: self.n,
            text,
            entries,
            cuts,
        })
    }
}

/// The location of an entry, for a map.
fn key(path: &[PathStep]) -> String {
    serde_json::to_string(path).expect("a path has plain fields only")
}

/// The secret values of an entry, by its name.
fn values(entry: &ServerEntry, judged: &[detect::Judged<'_>]) -> Vec<SearchedSecret> {
    let parts = judged.iter().flat_map(|value| {
        let parts = value.verdict.secrets().iter();
        parts.filter_map(|part| value.word.text.get(part.range.clone()))
    });
    let searched = parts.map(|text| SearchedSecret {
        name: format!("a secret of `{}`", entry.name),
        text: text.to_owned(),
    });
    searched.collect()
}
