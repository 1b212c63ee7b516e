//! `mcpwrap uninstall`: lists what mcpwrap keeps for this user, asks, restores the client configs, and
//! removes everything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Context, adopt_turn, ask, print};
use crate::adopt::added::{Removal, RemovalPlan, removal};
use crate::adopt::entry_context::EntryContext;
use crate::adopt::journal;
use crate::adopt::restore::{RestoreJob, jobs};
use crate::adopt::round::Selection;
use crate::adopt::undo::{self, Restoring};
use crate::audit::{Event, Log, NewRecord, Outcome};
use crate::config::Config;
use crate::error::{EXIT_NO, Result, printable};
use crate::ops::actor::{Actor, actor};
use crate::ops::revoke;
use crate::program;
use crate::scan::clients::ClientFile;
use crate::secret::Keys;
use crate::store::{self, Prompt, Store};
use crate::supervise::running::StopMethod;
use crate::uninstall::{self, Entry, Inventory};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what would be restored and removed, without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
    /// Remove everything even if entries or the store's items stay
    #[arg(long)]
    force: bool,
}

/// The exit code is 1 if something stays that mcpwrap made.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let dirs = &cx.dirs;
    let config = Config::load(dirs)?;
    let actor = if args.dry_run {
        Actor::unasked()
    } else {
        let flag = args.yes.then_some("--yes");
        actor(dirs, &config, ("uninstall", None), flag, |actor| {
            vec![NewRecord::new(Event::Undo, Outcome::Refused).detail(actor.detail())]
        })?
    };
    let store = match open(cx, &config) {
        Err(error) if args.force => {
            print::error(&error);
            None
        }
        other => other?,
    };
    let restore = Restore::plan(cx, store.as_ref())?;
    let opened = store.as_ref().map(|(store, _)| &**store);
    let inventory = uninstall::inventory(dirs, &config, opened, &restore.adopted)?;
    if inventory.is_empty() {
        print::note("nothing to remove: mcpwrap keeps nothing for this user");
        program_stays(cx);
        return Ok(0);
    }
    list(cx, &config, &inventory, &restore);
    if args.dry_run {
        return Ok(0);
    }
    if !args.yes {
        let text =
            "\nrestored secrets will be in plaintext again, and the audit log is removed too\n";
        ask::type_name(text, "uninstall")?;
    }
    if let Some((_, Some(keys))) = &store {
        restore.run(cx, keys, actor)?;
    }
    let stay = uninstall::wrapped(dirs, &restore.adopted)?;
    warn_of(cx, &stay);
    if !stay.is_empty() && !args.force {
        print::note(
            "nothing was removed; run `mcpwrap uninstall` again, or add `--force` to leave them",
        );
        return Ok(EXIT_NO);
    }
    if !stop(cx) && !args.force {
        print::note("nothing was removed; end these processes and run `mcpwrap uninstall` again");
        return Ok(EXIT_NO);
    }
    if let Some((store, _)) = &store {
        match uninstall::remove_secrets(dirs, &**store) {
            Ok(()) if store::backend(store.kind()).is_outside => {
                let noun = store::backend(store.kind()).noun;
                print::line(&format!("removed: secrets and keys in {noun}"));
            }
            Ok(()) => {}
            Err(error) if args.force => print::error(&error),
            Err(error) => {
                return Err(error.hint("run `mcpwrap uninstall` again; the files are still there"));
            }
        }
    }
    Ok(finish(cx, &inventory, !stay.is_empty()))
}

/// Names the entries that still start through mcpwrap.
fn warn_of(cx: &Context, stay: &[Entry]) {
    for Entry { file, name, server } in stay {
        print::warning(&format!(
            "`{}` in {} still starts through `mcpwrap run {}`: restore its command by hand",
            printable(name),
            cx.dirs.tilde(file),
            printable(server)
        ));
    }
}

/// A store, and its keys unless it has none.
type Opened = (Box<dyn Store>, Option<Keys>);

/// The store and its keys, if it was ever set up.
fn open(cx: &Context, config: &Config) -> Result<Option<Opened>> {
    let dirs = &cx.dirs;
    let is_set_up = [
        dirs.config_file(),
        dirs.home_file(),
        dirs.vault_file(),
        dirs.secrets_index(),
    ]
    .iter()
    .any(|path| path.exists());
    if !is_set_up {
        return Ok(None);
    }
    let store = store::open(dirs, config, Prompt::Allowed)?;
    let keys = match store.master()? {
        Some(_) => Some(store::keys(&*store)?),
        None => None,
    };
    Ok(Some((store, keys)))
}

/// The entries that can be restored.
struct Restore {
    found: Vec<ClientFile>,
    jobs: Vec<RestoreJob>,
    values: std::collections::BTreeMap<crate::secret::SecretName, String>,
    /// New entries, to be taken out.
    added: Vec<Removal>,
    /// All files with adopted or new entries.
    adopted: Vec<PathBuf>,
}

impl Restore {
    fn plan(cx: &Context, store: Option<&Opened>) -> Result<Self> {
        let mut plan = Self {
            found: Vec::new(),
            jobs: Vec::new(),
            values: std::collections::BTreeMap::default(),
            added: Vec::new(),
            adopted: Vec::new(),
        };
        let Some((store, Some(keys))) = store else {
            return Ok(plan);
        };
        let pending = undo::pending(&cx.dirs, &Selection::default(), keys)?;
        if let Some(error) = journal::refusal(&cx.dirs, &pending.refused) {
            print::error(&error);
        }
        let files = pending.records.iter().map(|one| one.file.clone());
        let files: BTreeSet<_> = files
            .chain(pending.added.iter().map(|one| one.file.clone()))
            .collect();
        plan.adopted = files.into_iter().collect();
        for record in pending.added {
            if let RemovalPlan::Out(removal) = removal(&cx.dirs, record)? {
                plan.added.push(*removal);
            }
        }
        plan.found = undo::files(&cx.dirs, &pending.records)?;
        plan.values = undo::values(&pending.records, &**store);
        plan.jobs = jobs(&plan.found, pending.records, &plan.values).0;
        for job in &plan.jobs {
            if let Some(file) = plan.found.get(job.found) {
                for note in undo::notes(file, job, &plan.values, keys) {
                    let shown = cx.dirs.tilde(&file.path);
                    print::warning(&format!("{shown}: {}", printable(&note)));
                }
            }
        }
        Ok(plan)
    }

    fn run(&self, cx: &Context, keys: &Keys, actor: Actor) -> Result<()> {
        let _lock = adopt_turn::take(cx)?;
        let with = Restoring {
            values: &self.values,
            keys,
            log: &Log::open(&cx.dirs, Some(keys))?,
            actor,
        };
        for job in &self.jobs {
            let Some(file) = self.found.get(job.found) else {
                continue;
            };
            match undo::restore(&cx.dirs, file, job, &with)? {
                Ok(()) => {
                    let shown = cx.dirs.tilde(&file.path);
                    for record in &job.records {
                        print::line(&format!(
                            "restored: {} in {shown}",
                            printable(&record.entry)
                        ));
                    }
                }
                Err(Some(error)) => print::error(&error),
                Err(None) => {}
            }
        }
        self.take_out(cx, keys, actor)
    }

    /// Takes the new entries out.
    fn take_out(&self, cx: &Context, keys: &Keys, actor: Actor) -> Result<()> {
        let from = EntryContext {
            dirs: &cx.dirs,
            log: &Log::open(&cx.dirs, Some(keys))?,
            keys,
            actor,
        };
        // Those of one file one after the other: each is read again.
        for one in &self.added {
            let RemovalPlan::Out(one) = removal(&cx.dirs, one.record.clone())? else {
                continue;
            };
            match from.remove(&one)? {
                Ok(()) => print::line(&format!(
                    "removed: {} from {}",
                    printable(&one.record.entry),
                    cx.dirs.tilde(&one.file.path)
                )),
                Err(error) => print::error(&error),
            }
        }
        Ok(())
    }
}

fn list(cx: &Context, config: &Config, inventory: &Inventory, restore: &Restore) {
    let dirs = &cx.dirs;
    let mut out = print::Lines::default();
    let restored: BTreeSet<(PathBuf, String)> = restore
        .jobs
        .iter()
        .flat_map(|job| &job.records)
        .map(|record| (record.file.clone(), record.entry.clone()))
        .chain(
            restore
                .added
                .iter()
                .map(|one| (one.record.file.clone(), one.record.entry.clone())),
        )
        .collect();
    if !inventory.entries.is_empty() {
        out.line("to restore in client configs:");
    }
    for entry in &inventory.entries {
        let known = restored.contains(&(entry.file.clone(), entry.name.clone()));
        let note = if known {
            ""
        } else {
            " (not adopted, or moved: by hand)"
        };
        let file = dirs.tilde(&entry.file);
        out.line(&format!("  {} in {file}{note}", printable(&entry.name)));
    }
    out.line("to remove:");
    let mut count = |number: usize, noun: &str, place: &str| {
        if number > 0 {
            out.line(&format!("  {}{place}", print::count(number, noun)));
        }
    };
    let store = format!(" in {}", store::backend(config.store).noun);
    count(inventory.secrets.len(), "secret", &store);
    count(inventory.policies.len(), "policy", "");
    count(inventory.packages, "installed package", "");
    for path in inventory.policies.iter().chain(&inventory.paths) {
        out.line(&format!("  {}", dirs.tilde(path)));
    }
    out.print();
}

/// Revokes every server. Returns whether all processes are gone.
fn stop(cx: &Context) -> bool {
    let done = revoke::revoke(&cx.dirs, None, Some("mcpwrap is being removed"));
    let stopped = done.ended.iter().filter(|one| one.processes > 0).count();
    if stopped > 0 {
        print::line(&format!("stopped: {}", print::count(stopped, "server")));
    }
    let mut gone = done.strays.is_empty();
    for one in &done.ended {
        if one.method == StopMethod::Survived {
            gone = false;
            print::warning(&format!("server `{}` is still running", one.running.server));
        }
    }
    for stray in &done.strays {
        print::warning(&format!(
            "server `{}`: process {} is still running",
            stray.server, stray.pid
        ));
    }
    gone
}

fn finish(cx: &Context, inventory: &Inventory, entries_stay: bool) -> u8 {
    let failed = uninstall::remove_files(&cx.dirs, inventory);
    let mut code = if entries_stay { EXIT_NO } else { 0 };
    for (path, why) in &failed {
        code = EXIT_NO;
        print::warning(&format!("`{}` stays: {why}", cx.dirs.tilde(path)));
    }
    if failed.is_empty() {
        print::line("removed: policies, packages, state and settings");
    }
    for path in uninstall::left(&cx.dirs) {
        print::note(&format!(
            "`{}` stays: mcpwrap did not make it",
            cx.dirs.tilde(&path)
        ));
    }
    if let Some(key) = &inventory.key_file {
        print::note(&format!(
            "the vault's key `{}` stays; remove it if nothing else uses it",
            cx.dirs.tilde(key)
        ));
    }
    program_stays(cx);
    code
}

/// A program cannot know how it was installed.
fn program_stays(cx: &Context) {
    match program::path(&cx.dirs) {
        Ok(path) if Path::new(&path) != cx.dirs.program_copy() => print::note(&format!(
            "the program `{path}` stays; remove it the way you installed it"
        )),
        _ => {}
    }
}
