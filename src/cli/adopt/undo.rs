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
use super::{Args, show, swap};
use crate::audit::{Detail, Entry as AuditEntry, Event, Log, Outcome};
use crate::cli::{Context, ask, print};
use crate::client::edit::{self, Splice};
use crate::client::entry::{Entry, entries};
use crate::client::regions::regions;
use crate::client::tree::{Document, Format};
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
fn fill(pieces: &[Piece], value: &dyn Fn(&SecretName) -> Option<String>) -> Option<String> {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => Some(text.clone()),
        Piece::Secret(name) => value(name),
        Piece::Escaped(name) => value(name).map(|text| escape(&text)),
    };
    pieces.iter().map(text).collect()
}

/// One file with the records that are undone in it.
struct Job {
    found: usize,
    splices: Vec<Splice>,
    records: Vec<Record>,
}

/// Undoes what the selectors name.
pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let by = super::approval(args, cx, &config, Event::Undo)?;
    let _turn = super::turn(cx, args.dry_run)?;
    let records: Vec<Record> = journal::pending(&cx.dirs)?
        .into_iter()
        .filter(|record| wanted(args, record))
        .collect();
    if records.is_empty() {
        print::line("nothing to undo: no entry of that kind was adopted");
        return Ok(0);
    }
    let files: Vec<_> = records
        .iter()
        .map(|record| record.file.clone())
        .filter(|file| file.exists())
        .collect();
    // An entry that is not in its file any more may stand in any other.
    let mut found = look::look(
        cx,
        &[],
        &files
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>(),
    )?
    .found;
    for more in look::look(cx, &[], &[])?.found {
        if !found.iter().any(|known| known.target == more.target) {
            found.push(more);
        }
    }
    let values = values(&records, &*store::open(&cx.dirs, &config, Prompt::Allowed)?);
    let (jobs, left) = jobs(&found, records, &values);
    let cuts: Vec<Cut> = values
        .iter()
        .map(|(name, text)| Cut {
            name: name.clone(),
            text: text.clone(),
        })
        .collect();
    for job in &jobs {
        if let Some(file) = found.get(job.found) {
            let new = file
                .document
                .as_ref()
                .ok()
                .and_then(|document| edit::apply(&document.text, &job.splices));
            show::diff(cx, file, new.as_deref().unwrap_or_default(), &cuts);
        }
    }
    for (record, reason) in &left {
        print::warning(&format!(
            "`{}` in {} not put back: {reason}",
            record.entry,
            cx.dirs.tilde(&record.file)
        ));
    }
    if args.dry_run || jobs.is_empty() {
        return Ok(if left.is_empty() { 0 } else { EXIT_NO });
    }
    let question = "put these entries back? their secrets stand in plain text again";
    if !args.yes && !ask::confirm(question)? {
        return Ok(EXIT_NO);
    }
    let keys = store::keys(&*store::open(&cx.dirs, &config, Prompt::Allowed)?)?;
    let log = Log::open(&cx.dirs, Some(&keys))?;
    let mut failed = !left.is_empty();
    for job in jobs {
        let Some(file) = found.get(job.found) else {
            continue;
        };
        failed |= !put_back(cx, file, &job, &log, by.name())?;
    }
    Ok(if failed { EXIT_NO } else { 0 })
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
    print::note(&format!(
        "the policies and secrets are kept; `mcpwrap revoke` and `mcpwrap secret rm` end them ({shown})"
    ));
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

/// Which bytes go where, file by file, and what cannot be put back.
fn jobs(
    found: &[Found],
    records: Vec<Record>,
    values: &BTreeMap<SecretName, String>,
) -> (Vec<Job>, Vec<(Record, String)>) {
    let mut jobs: Vec<Job> = Vec::new();
    let mut left = Vec::new();
    let mut taken: Vec<(usize, Vec<crate::client::tree::Step>)> = Vec::new();
    // The newest first: an entry that was adopted twice is put back as it was the last time.
    for record in records.into_iter().rev() {
        let Some((n, document, entry)) = place(found, &record, &taken) else {
            left.push((
                record,
                "no file has it as adopt wrote it: it was put back or removed already".to_owned(),
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
                    jobs.push(Job {
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

/// Where the entry of a record stands now: its own file and path first, then anywhere.
fn place<'a>(
    found: &'a [Found],
    record: &Record,
    taken: &[(usize, Vec<crate::client::tree::Step>)],
) -> Option<(usize, &'a Document, Entry)> {
    let mut best: Option<(u8, usize, &Document, Entry)> = None;
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

fn splices(
    document: &Document,
    entry: &Entry,
    record: &Record,
    values: &BTreeMap<SecretName, String>,
) -> std::result::Result<Vec<Splice>, String> {
    let value = |name: &SecretName| values.get(name).cloned();
    let gone = || "a secret of it is not in the store any more".to_owned();
    let texts = |pieces: &[Vec<Piece>]| {
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
    members(document, entry, &before, &after).ok_or_else(|| {
        "it was changed since it was adopted; change its command back by hand".to_owned()
    })
}

/// Only the members that adopt changed, for an entry that its user changed as well.
fn members(
    document: &Document,
    entry: &Entry,
    before: &[String],
    after: &[String],
) -> Option<Vec<Splice>> {
    let ([before], [after]) = (before, after) else {
        return None;
    };
    if document.format != Format::Json {
        return None;
    }
    let before = Document::read(Format::Json, before.clone().into_bytes()).ok()?;
    let after = Document::read(Format::Json, after.clone().into_bytes()).ok()?;
    let now = document.find(&entry.path)?;
    let mut splices = Vec::new();
    for (n, member) in now.map().iter().enumerate() {
        let old = before.root.get(&member.key);
        let Some(ours) = after.root.get(&member.key) else {
            continue;
        };
        if old.is_some_and(|old| old.same(&before.text, ours, &after.text)) {
            continue;
        }
        splices.push(match old {
            Some(old) => Splice {
                range: member.node.span.clone(),
                text: before.at(&old.span).to_owned(),
            },
            // A member that adopt added goes, with the comma before it.
            None => {
                let start = now.map().get(n.checked_sub(1)?)?.node.span.end;
                Splice {
                    range: start..member.node.span.end,
                    text: String::new(),
                }
            }
        });
    }
    // What adopt changed must be there to be put back.
    let all = before.root.map().iter().all(|member| {
        now.get(&member.key).is_some() || {
            after
                .root
                .get(&member.key)
                .is_some_and(|ours| member.node.same(&before.text, ours, &after.text))
        }
    });
    all.then_some(splices)
}
