//! `mcpwrap adopt --undo`: puts the entries back as they were, byte for byte.
//!
//! *Always* by the entry's own bytes, wherever it stands now: the file may have changed around it,
//! a client may have reformatted it, the user may have moved it. An entry that says something else
//! than adopt wrote gets back only what adopt changed. Policies and secrets stay: they do no harm,
//! and another file may use them.

use std::collections::{BTreeMap, BTreeSet};

use super::journal::{self, Line, Record};
use super::look::{self, Found};
use super::pieces::{Cut, Piece, escape};
use super::plan::EntryPlan;
use super::restore::{Job, jobs};
use super::{Args, diff, swap};
use crate::audit::{Detail, Entry as AuditEntry, Event, Log, Outcome};
use crate::cli::{Context, ask, print};
use crate::client::edit::{self, Splice};
use crate::client::regions::regions;
use crate::client::tree::Document;
use crate::config::Config;
use crate::dirs;
use crate::error::{EXIT_NO, Result};
use crate::secret::SecretName;
use crate::store::{self, Prompt, Store};

/// What undo would make of a text that was just planned. None if the regions do not fit.
pub(super) fn on_paper(document: &Document, entries: &[EntryPlan], cuts: &[Cut]) -> Option<String> {
    let value = |name: &SecretName| {
        cuts.iter()
            .find(|cut| cut.name == *name)
            .map(|cut| cut.text.clone())
    };
    let mut splices = Vec::new();
    for entry in entries {
        let regions = regions(document, &entry.path);
        if regions.len() != entry.before.len() {
            return None;
        }
        for (range, pieces) in regions.into_iter().zip(&entry.before) {
            splices.push(Splice {
                range,
                text: fill(pieces, &value)?,
            });
        }
    }
    edit::apply(&document.text, &splices)
}

/// The text of pieces, with the values put in.
pub(super) fn fill(
    pieces: &[Piece],
    value: &dyn Fn(&SecretName) -> Option<String>,
) -> Option<String> {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => Some(text.clone()),
        Piece::Secret(name) => value(name),
        Piece::Escaped(name) => value(name).map(|text| escape(&text)),
    };
    pieces.iter().map(text).collect()
}

/// Undoes what the selectors name.
pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let by = super::approval(args, cx, &config, Event::Undo)?;
    let _turn = super::turn(cx, args.dry_run)?;
    let pending = journal::pending(&cx.dirs)?.into_iter();
    let records: Vec<Record> = pending.filter(|record| wanted(args, record)).collect();
    if records.is_empty() {
        print::line("nothing to undo: no entry of that kind was adopted");
        return Ok(0);
    }
    let found = files(cx, &records)?;
    let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    let values = values(&records, &*store);
    let (jobs, left) = jobs(&found, records, &values);
    show_plan(cx, &found, &jobs, &values);
    for (record, reason) in &left {
        let file = cx.dirs.tilde(&record.file);
        print::warning(&format!(
            "`{}` in {file} not put back: {reason}",
            record.entry
        ));
    }
    let mut failed = !left.is_empty();
    if !args.dry_run && !jobs.is_empty() {
        let question = "put these entries back? their secrets stand in plain text again";
        if !args.yes && !ask::confirm(question)? {
            return Ok(EXIT_NO);
        }
        let log = Log::open(&cx.dirs, Some(&store::keys(&*store)?))?;
        for job in &jobs {
            if let Some(file) = found.get(job.found) {
                failed |= !put_back(cx, file, job, &log, by.name())?;
            }
        }
        print::note(
            "the policies and secrets are kept: `mcpwrap revoke` and `mcpwrap secret rm` end them",
        );
    }
    Ok(if failed { EXIT_NO } else { 0 })
}

/// The files of the records, and then all others: an entry that is not in its file any more may
/// stand in any of them.
fn files(cx: &Context, records: &[Record]) -> Result<Vec<Found>> {
    let own: BTreeSet<_> = records.iter().map(|record| record.file.clone()).collect();
    let there: Vec<_> = own.into_iter().filter(|file| file.exists()).collect();
    let mut found = look::look(cx, &[], &there)?.found;
    for more in look::look(cx, &[], &[])?.found {
        if !found.iter().any(|known| known.target == more.target) {
            found.push(more);
        }
    }
    Ok(found)
}

fn show_plan(cx: &Context, found: &[Found], jobs: &[Job], values: &BTreeMap<SecretName, String>) {
    let cut = |(name, text): (&SecretName, &String)| Cut {
        name: name.clone(),
        text: text.clone(),
    };
    let cuts: Vec<Cut> = values.iter().map(cut).collect();
    let mut out = print::Lines::default();
    for job in jobs {
        let Some(file) = found.get(job.found) else {
            continue;
        };
        let Ok(document) = &file.document else {
            continue;
        };
        let new = edit::apply(&document.text, &job.splices);
        diff::show(
            &mut out,
            cx,
            file,
            new.as_deref().unwrap_or_default(),
            &cuts,
            &[],
        );
    }
    out.print();
}

fn put_back(cx: &Context, file: &Found, job: &Job, log: &Log, by: &str) -> Result<bool> {
    let shown = cx.dirs.tilde(&file.path);
    let entry = |record: &Record, outcome| {
        let detail = Detail {
            by: Some(by.to_owned()),
            agent: dirs::agent_variable().map(str::to_owned),
            file: Some(file.path.display().to_string()),
            ..Detail::default()
        };
        AuditEntry::new(Event::Undo, outcome)
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
    let done =
        text.is_some_and(
            |text| match swap::swap(&file.target, &file.bytes, text.as_bytes()) {
                Ok(()) => true,
                Err(failed) => {
                    print::error(&super::not_written(&shown, &failed));
                    false
                }
            },
        );
    if !done {
        log.append(&entries(Outcome::Failed))?;
        return Ok(false);
    }
    let now = jiff::Timestamp::now();
    let lines: Vec<Line> = job
        .records
        .iter()
        .map(|record| Line::Undone {
            id: record.id.clone(),
            at: now,
        })
        .collect();
    journal::append(&cx.dirs, &lines)?;
    for record in &job.records {
        print::line(&format!("put back: {} in {shown}", record.entry));
    }
    Ok(true)
}

fn wanted(args: &Args, record: &Record) -> bool {
    let file = |path: &std::path::PathBuf| {
        path.canonicalize()
            .ok()
            .or_else(|| std::path::absolute(path).ok())
            .is_some_and(|path| {
                path == record.file || record.file.canonicalize().is_ok_and(|file| file == path)
            })
    };
    let client = |id: &String| record.client.as_ref() == Some(id);
    let named = (args.config.is_empty() && args.client.is_empty())
        || args.config.iter().any(file)
        || args.client.iter().any(client);
    let server = |name: &String| *name == record.entry || name == record.server.as_str();
    named && (args.server.is_empty() || args.server.iter().any(server))
}

/// The values that the records need, as far as the store has them.
fn values(records: &[Record], store: &dyn Store) -> BTreeMap<SecretName, String> {
    let pieces = records
        .iter()
        .flat_map(|record| record.before.iter().chain(&record.after).flatten());
    let names: BTreeSet<SecretName> = pieces
        .filter_map(|piece| match piece {
            Piece::Secret(name) | Piece::Escaped(name) => Some(name.clone()),
            Piece::Text(_) => None,
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
