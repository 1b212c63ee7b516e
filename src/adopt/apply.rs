//! Carries a plan out: secrets, policies, grants, journal, record, file, in this order.
//!
//! Invariants: a secret is stored and read back before its plaintext is removed; a file is
//! unchanged if a step before it fails; a file that fails does not stop the others.

use std::collections::BTreeMap;

use super::approval::AdoptApproval;
use super::exposed;
use super::journal::{self, JournalLine, JournalRecord};
use super::names::{Names, NewSecret};
use super::plan::{EntryPlan, FilePlan};
use super::redact::{Cut, RedactedPiece};
use super::replace::{self, ReplaceError};
use super::round::Round;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::config::StoreKind;
use crate::dirs::Dirs;
use crate::error::{Error, Result};
use crate::invocation::{self, Terminal};
use crate::ops::actor::Actor;
use crate::ops::approve::approve_all;
use crate::ops::secrets::{SecretChange, record_and_store};
use crate::ops::stores;
use crate::parallel;
use crate::policy::draft;
use crate::scan::clients::ClientFile;
use crate::secret::{Fingerprint, Keys, Secret, SecretName, ServerName};
use crate::store::{self, SecretItem, Store};
use crate::weak::Weakness;

/// Progress, for the user.
#[derive(Debug)]
pub enum AdoptStep<'a> {
    /// This number of secrets goes into the store.
    Storing(usize, StoreKind),
    /// A stored secret cannot be masked, and why.
    Weak(&'a SecretName, Weakness),
    /// The `number`th of `count` files was changed.
    Adopted {
        number: usize,
        count: usize,
        file: &'a ClientFile,
        plan: &'a FilePlan,
    },
    /// A policy was not granted: its command cannot be resolved, unless its package is pinned.
    NotGranted(&'a ServerName, Error),
    /// A file was not changed.
    Failed(Error),
}

/// Carries a plan out, and returns which files were changed.
///
/// # Errors
/// A file is not writable, or a secret or policy cannot be stored: nothing was changed in any file.
pub fn apply(
    dirs: &Dirs,
    store: &dyn Store,
    keys: &Keys,
    actor: Actor,
    round: &Round,
    step: &mut dyn FnMut(AdoptStep<'_>),
) -> Result<Vec<usize>> {
    let plan = &round.plan;
    for file in &plan.files {
        let Some(ClientFile { target, .. }) = round.files.found.get(file.found) else {
            continue;
        };
        replace::writable(target)
            .map_err(|failed| replace::not_written(&dirs.tilde(target), &failed))?;
    }
    secrets(dirs, store, actor, &round.names, step)?;
    exposed::in_files(dirs, round)?;
    // Policies name them, and are resolved with them.
    for store in &round.names.stores.new {
        stores::change_with(dirs, keys, actor, &store.name, Some(&store.definition))?;
    }
    policies(dirs, keys, actor, &round.names, step)?;
    let log = Log::open(dirs, Some(keys))?;
    let mut done = Vec::new();
    for (n, file) in plan.files.iter().enumerate() {
        let Some(at) = round.files.found.get(file.found) else {
            continue;
        };
        match rewrite(dirs, at, file, (&log, keys), actor) {
            Ok(()) => {
                done.push(file.found);
                step(AdoptStep::Adopted {
                    number: n + 1,
                    count: plan.files.len(),
                    file: at,
                    plan: file,
                });
            }
            Err(error) => step(AdoptStep::Failed(error)),
        }
    }
    Ok(done)
}

fn secrets(
    dirs: &Dirs,
    store: &dyn Store,
    actor: Actor,
    names: &Names,
    step: &mut dyn FnMut(AdoptStep<'_>),
) -> Result<()> {
    let value = |text: &str| Secret::new(text.as_bytes().to_vec());
    let new = names.secrets().iter().filter(|secret| !secret.known);
    let changes: Vec<SecretChange> = new
        .map(|secret: &NewSecret| SecretChange {
            event: Event::SecretSet,
            name: secret.name.clone(),
            item: SecretItem::plain(value(&secret.text)),
        })
        .collect();
    if !changes.is_empty() {
        step(AdoptStep::Storing(changes.len(), store.kind()));
        record_and_store(dirs, store, actor, &changes)?;
    }
    let wanted: Vec<_> = names
        .secrets()
        .iter()
        .map(|secret| secret.name.clone())
        .collect();
    let stored = store.get_all(&wanted)?.items;
    for (secret, stored) in names.secrets().iter().zip(stored) {
        if stored?.value != value(&secret.text) {
            return Err(store::value_differs(
                store.kind(),
                &secret.name,
                "cannot adopt the entries",
            )
            .hint("run `mcpwrap status` to see which store is in use and whether it works"));
        }
        if let Some(weakness) = value(&secret.text).weakness() {
            step(AdoptStep::Weak(&secret.name, weakness));
        }
    }
    Ok(())
}

fn policies(
    dirs: &Dirs,
    keys: &Keys,
    actor: Actor,
    names: &Names,
    step: &mut dyn FnMut(AdoptStep<'_>),
) -> Result<()> {
    let new = names.policies.iter().filter(|new| !new.known);
    let new: Vec<_> = new.map(|new| &new.policy).collect();
    draft::write_new(dirs, &new)?;
    let new = names.policies.iter();
    let new: Vec<_> = new
        .filter(|new| new.approval == AdoptApproval::New)
        .collect();
    let terminal = Terminal::new(dirs);
    // What was shown is approved, whatever is in the file by now.
    let resolved = parallel::map(&new, |new| {
        invocation::resolve_for_grant(&new.policy, dirs, &terminal)
    });
    let mut approved = Vec::new();
    for (new, resolved) in new.iter().zip(resolved) {
        match resolved {
            Ok(resolved) => approved.push((new.policy.clone(), resolved)),
            Err(error) => step(AdoptStep::NotGranted(&new.server, error)),
        }
    }
    approve_all(dirs, &approved, keys, actor)
}

fn rewrite(
    dirs: &Dirs,
    at: &ClientFile,
    file: &FilePlan,
    (log, keys): (&Log, &Keys),
    actor: Actor,
) -> Result<()> {
    let not_written = |failed: ReplaceError| replace::not_written(&dirs.tilde(&at.path), &failed);
    let (mode, owner) = replace::mode_and_owner(&at.target).map_err(not_written)?;
    let mut lines = Vec::new();
    let cuts: BTreeMap<&SecretName, &Cut> = file.cuts.iter().map(|cut| (&cut.name, cut)).collect();
    for entry in &file.entries {
        lines.push(JournalLine::Adopted(Box::new(JournalRecord {
            id: journal::new_id()?,
            at: jiff::Timestamp::now(),
            file: at.target.clone(),
            mode,
            owner,
            client: at.client.map(|client| client.id.to_owned()),
            entry: entry.name.clone(),
            server: entry.server.clone(),
            path: entry.path.clone(),
            secrets: values(entry, &cuts, keys),
            before: entry.before.clone(),
            after: entry.after.clone(),
        })));
    }
    journal::append(dirs, keys, &lines)?;
    let records = |outcome: Outcome| -> Vec<NewRecord> {
        file.entries
            .iter()
            .map(|entry| {
                let detail = Detail {
                    file: Some(at.path.display().to_string()),
                    ..actor.detail()
                };
                NewRecord::new(Event::Adopt, outcome)
                    .server(&entry.server)
                    .detail(detail)
            })
            .collect()
    };
    log.append(&records(Outcome::Ok))?;
    if let Err(failed) = replace::replace(&at.target, &at.bytes, file.text.as_bytes(), None) {
        let error = not_written(failed);
        let failed: Vec<NewRecord> = records(Outcome::Failed)
            .into_iter()
            .map(|entry| entry.reason(error.code.name()))
            .collect();
        log.append(&failed)?;
        let undone: Vec<JournalLine> = lines
            .into_iter()
            .filter_map(|line| match line {
                JournalLine::Adopted(record) => Some(JournalLine::Undone {
                    id: record.id,
                    at: jiff::Timestamp::now(),
                }),
                JournalLine::Added(_) | JournalLine::Undone { .. } => None,
            })
            .collect();
        journal::append(dirs, keys, &undone)?;
        return Err(error);
    }
    Ok(())
}

/// The secrets that undo puts back into an entry, with the values that it holds now.
fn values(
    entry: &EntryPlan,
    cuts: &BTreeMap<&SecretName, &Cut>,
    keys: &Keys,
) -> BTreeMap<SecretName, Fingerprint> {
    let names = entry
        .before
        .iter()
        .flatten()
        .filter_map(RedactedPiece::secret);
    let value = |name: &SecretName| {
        let cut = cuts.get(name)?;
        let value = Secret::new(cut.text.as_bytes().to_vec());
        Some((name.clone(), keys.fingerprint(&value)))
    };
    names.filter_map(value).collect()
}
