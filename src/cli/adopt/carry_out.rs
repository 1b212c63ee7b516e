//! Carries the plan out: secrets, policies, grants, journal, record, file, in this order.
//!
//! *Always* stores a secret and reads it back before its plaintext goes. *Always* leaves a file as
//! it was when a step before it fails. One file that fails does not stop the others.

use std::collections::BTreeSet;

use super::journal::{self, Line, Record};
use super::look::Found;
use super::names::Names;
use super::pieces::Piece;
use super::plan::{FilePlan, Plan};
use super::swap;
use crate::audit::{Detail, Entry, Event, Log, Outcome};
use crate::cli::grant::approve;
use crate::cli::secret::keep::{Change, keep};
use crate::cli::{Context, print};
use crate::dirs;
use crate::error::Result;
use crate::grant::{self, By};
use crate::policy::draft;
use crate::secret::{Keys, Secret};
use crate::store::{self, Item, Store};

/// Which files were changed.
pub(super) fn carry_out(
    cx: &Context,
    store: &dyn Store,
    keys: &Keys,
    by: By,
    found: &[Found],
    plan: &Plan,
    names: &Names,
) -> Result<Vec<usize>> {
    for file in &plan.files {
        let Some(Found { target, .. }) = found.get(file.found) else {
            continue;
        };
        swap::writable(target)
            .map_err(|failed| super::not_written(&cx.dirs.tilde(target), &failed))?;
    }
    secrets(cx, store, by, names)?;
    policies(cx, keys, by, names)?;
    let log = Log::open(&cx.dirs, Some(keys))?;
    let mut done = Vec::new();
    for (n, file) in plan.files.iter().enumerate() {
        let Some(at) = found.get(file.found) else {
            continue;
        };
        match rewrite(cx, at, file, &log, by) {
            Ok(()) => {
                done.push(file.found);
                let names: Vec<_> = file
                    .entries
                    .iter()
                    .map(|entry| entry.name.as_str())
                    .collect();
                print::line(&format!(
                    "[{}/{}] adopted in {}: {}",
                    n + 1,
                    plan.files.len(),
                    cx.dirs.tilde(&at.path),
                    crate::error::printable(&names.join(", "))
                ));
            }
            Err(error) => print::error(&error),
        }
    }
    Ok(done)
}

fn secrets(cx: &Context, store: &dyn Store, by: By, names: &Names) -> Result<()> {
    let value = |text: &str| Secret::new(text.as_bytes().to_vec());
    let new = names.secrets.iter().filter(|secret| !secret.known);
    let changes: Vec<Change> = new
        .map(|secret| Change {
            event: Event::SecretSet,
            name: secret.name.clone(),
            item: Item {
                value: value(&secret.text),
                profile: None,
                expires: None,
            },
        })
        .collect();
    if !changes.is_empty() {
        print::note(&format!(
            "storing {} in {}",
            count(changes.len(), "secret"),
            store.kind().noun()
        ));
        keep(&cx.dirs, store, by, &changes)?;
    }
    for secret in &names.secrets {
        if store.get(&secret.name)?.value != value(&secret.text) {
            return Err(
                store::unfaithful(store.kind(), &secret.name, "nothing was adopted")
                    .hint("`mcpwrap status` says which store it is and whether it works"),
            );
        }
        if value(&secret.text).is_weak() {
            print::warning(&format!(
                "`{}` is too short to be masked, or made of digits only: choose a longer one when you rotate it",
                secret.name
            ));
        }
    }
    Ok(())
}

/// "1 secret", "2 secrets".
fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn policies(cx: &Context, keys: &Keys, by: By, names: &Names) -> Result<()> {
    for new in &names.policies {
        if new.known {
            let policy = crate::policy::load(&cx.dirs, &new.server, None)?;
            if grant::find(&cx.dirs, &policy).is_err() {
                approve(&cx.dirs, &policy, keys, by)?;
            }
            continue;
        }
        draft::must_be_new(&cx.dirs, &new.server)?;
        draft::replace(&cx.dirs, &new.server, new.policy.text.as_bytes())?;
        let policy = crate::policy::load(&cx.dirs, &new.server, None)?;
        approve(&cx.dirs, &policy, keys, by)?;
    }
    Ok(())
}

fn rewrite(cx: &Context, at: &Found, file: &FilePlan, log: &Log, by: By) -> Result<()> {
    let mut lines = Vec::new();
    for entry in &file.entries {
        lines.push(Line::Adopted(Record {
            id: journal::new_id()?,
            at: jiff::Timestamp::now(),
            file: at.target.clone(),
            client: at.client.map(|client| client.id.to_owned()),
            entry: entry.name.clone(),
            server: entry.server.clone(),
            path: entry.path.clone(),
            before: entry.before.clone(),
            after: entry.after.clone(),
        }));
    }
    journal::append(&cx.dirs, &lines)?;
    let records = |outcome: Outcome| -> Vec<Entry> {
        file.entries
            .iter()
            .map(|entry| {
                let detail = Detail {
                    by: Some(by.name().to_owned()),
                    agent: dirs::agent_variable().map(str::to_owned),
                    file: Some(at.path.display().to_string()),
                    ..Detail::default()
                };
                Entry::new(Event::Adopt, outcome)
                    .server(&entry.server)
                    .detail(detail)
            })
            .collect()
    };
    log.append(&records(Outcome::Ok))?;
    if let Err(failed) = swap::swap(&at.target, &at.bytes, file.text.as_bytes()) {
        let error = super::not_written(&cx.dirs.tilde(&at.path), &failed);
        let failed: Vec<Entry> = records(Outcome::Failed)
            .into_iter()
            .map(|entry| entry.reason(error.code.name()))
            .collect();
        log.append(&failed)?;
        let undone: Vec<Line> = lines
            .into_iter()
            .filter_map(|line| match line {
                Line::Adopted(record) => Some(Line::Undone {
                    id: record.id,
                    at: jiff::Timestamp::now(),
                }),
                Line::Undone { .. } => None,
            })
            .collect();
        journal::append(&cx.dirs, &undone)?;
        return Err(error);
    }
    Ok(())
}

/// The secrets that the plan's files name.
pub(super) fn named(plan: &Plan) -> BTreeSet<crate::secret::SecretName> {
    let cuts = plan
        .files
        .iter()
        .flat_map(|file| file.cuts.iter().map(|cut| cut.name.clone()));
    let pieces = plan
        .files
        .iter()
        .flat_map(|file| &file.entries)
        .flat_map(|entry| entry.before.iter().flatten());
    let pieces = pieces.filter_map(|piece| match piece {
        Piece::Secret(name) | Piece::Escaped(name) => Some(name.clone()),
        Piece::Text(_) => None,
    });
    cuts.chain(pieces).collect()
}
