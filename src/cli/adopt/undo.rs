//! `mcpwrap adopt --undo`: shows the entries to restore, asks, and restores them.

use std::collections::BTreeMap;

use super::{Args, diff, login};
use crate::adopt::journal::{self, Pending};
use crate::adopt::redact::Cut;
use crate::adopt::restore::{RestoreJob, jobs};
use crate::adopt::undo::{self, Restoring};
use crate::audit::{Event, Log};
use crate::cli::{Context, adopt_turn, ask, print};
use crate::client::edit;
use crate::config::Config;
use crate::error::{EXIT_NO, Result, printable};
use crate::scan::clients::ClientFile;
use crate::secret::{Keys, SecretName};
use crate::store::{self, Prompt};

/// Restores the selected entries.
pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let actor = super::consent(args, cx, &config, Event::Undo)?;
    let _lock = if args.dry_run {
        None
    } else {
        Some(adopt_turn::take(cx)?)
    };
    let nothing = || print::note("nothing to undo: no matching entry was adopted");
    if journal::is_empty(&cx.dirs) {
        nothing();
        return Ok(0);
    }
    let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    let keys = store::keys(&*store)?;
    let Pending {
        records, refused, ..
    } = undo::pending(&cx.dirs, &args.selection(), &keys)?;
    let refusal = journal::refusal(&cx.dirs, &refused);
    if records.is_empty() {
        if let Some(error) = refusal {
            return Err(error);
        }
        nothing();
        return Ok(0);
    }
    let found = undo::files(&cx.dirs, &records)?;
    let values = undo::values(&records, &*store);
    let (jobs, left) = jobs(&found, records, &values);
    show_plan(cx, &found, &jobs, &values, &keys);
    for (record, reason) in &left {
        let file = cx.dirs.tilde(&record.file);
        print::warning(&format!(
            "`{}` in {file} not restored: {reason}",
            record.entry
        ));
    }
    if let Some(error) = &refusal {
        print::error(error);
    }
    let mut failed = !left.is_empty() || refusal.is_some();
    if !args.dry_run && !jobs.is_empty() {
        let question = "restore these entries? their secrets will be in plaintext again";
        if !args.yes && !ask::confirm(question)? {
            return Ok(EXIT_NO);
        }
        let with = Restoring {
            values: &values,
            keys: &keys,
            log: &Log::open(&cx.dirs, Some(&keys))?,
            actor,
        };
        for job in &jobs {
            if let Some(file) = found.get(job.found) {
                failed |= !restore(cx, file, job, &with)?;
            }
        }
        let restored = jobs.iter().flat_map(|job| &job.records);
        login::note_kept(cx, &restored.map(|record| record.server.clone()).collect());
        print::note(
            "policies and secrets are kept; run `mcpwrap policy rm SERVER` and `mcpwrap secret rm NAME` to remove them",
        );
    }
    Ok(if failed { EXIT_NO } else { 0 })
}

fn show_plan(
    cx: &Context,
    found: &[ClientFile],
    jobs: &[RestoreJob],
    values: &BTreeMap<SecretName, String>,
    keys: &Keys,
) {
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
    for job in jobs {
        let Some(file) = found.get(job.found) else {
            continue;
        };
        // After the lines that change, and before the question.
        for note in undo::notes(file, job, values, keys) {
            let shown = cx.dirs.tilde(&file.path);
            print::warning(&printable(&format!("{shown}: {note}")));
        }
    }
}

fn restore(
    cx: &Context,
    file: &ClientFile,
    job: &RestoreJob,
    with: &Restoring<'_>,
) -> Result<bool> {
    if let Err(error) = undo::restore(&cx.dirs, file, job, with)? {
        if let Some(error) = error {
            print::error(&error);
        }
        return Ok(false);
    }
    let shown = cx.dirs.tilde(&file.path);
    for record in &job.records {
        print::line(&format!("restored: {} in {shown}", record.entry));
    }
    Ok(true)
}
