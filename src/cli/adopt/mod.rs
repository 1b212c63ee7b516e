//! `mcpwrap adopt`: takes the secrets out of the clients' files and makes their servers start through
//! mcpwrap; `--undo` puts the entries back.
//!
//! *Always* shows the plan first. *Always* plans again when it is its turn, because another adopt or
//! a client may have been quicker. Nothing outside of the changed entries differs afterwards by one
//! byte, and no copy of a secret is left by mcpwrap.

mod carry_out;
mod comments;
mod diff;
mod git;
mod history;
mod journal;
#[cfg(test)]
mod laws_tests;
pub(in crate::cli) mod leftovers;
mod lift;
#[cfg(test)]
mod lift_tests;
mod lifted;
pub(in crate::cli) mod look;
mod names;
mod pieces;
mod plan;
mod restore;
mod show;
mod summary;
mod swap;
mod undo;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

use self::look::Looked;
use self::names::Names;
use self::pieces::Cut;
use self::plan::{Plan, Wanted};
use super::{Context, ask, pin, print};
use crate::audit::{Detail, Entry, Event, Log, Outcome};
use crate::config::Config;
use crate::dirs;
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::files::{self, io_text};
use crate::grant::By;
use crate::secret::{Keys, ServerName};
use crate::store::{self, Index, Prompt};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the files of this client; may be given more than once
    #[arg(long, value_name = "ID")]
    client: Vec<String>,
    /// This file, whatever client reads it; also one that git tracks
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Only entries of this name, also those without a secret
    #[arg(long, value_name = "NAME")]
    server: Vec<String>,
    /// Show what would be done and where it was looked, change nothing
    #[arg(long)]
    dry_run: bool,
    /// Ask nothing; for scripts that set up machines
    #[arg(long)]
    yes: bool,
    /// Leave what the servers start as it is: do not install and pin it
    #[arg(long, conflicts_with = "undo")]
    no_pin: bool,
    /// Put entries back as they were
    #[arg(long)]
    undo: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.undo {
        return undo::run(args, cx);
    }
    let config = Config::load(&cx.dirs)?;
    let by = approval(args, cx, &config, Event::Adopt)?;
    let program = program()?;
    let mut first = Round::plan(args, cx, None, &program)?;
    let mut opened = None;
    if !args.dry_run && !first.plan.files.is_empty() {
        // With the keys, what is shown has the names that it will get.
        let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
        let keys = store::keys_or_create(&*store)?;
        first = Round::plan(args, cx, Some(keys.clone()), &program)?;
        opened = Some((store, keys));
    }
    if args.dry_run {
        show::places(cx, &first.looked);
    }
    first.show(cx);
    let Some((store, keys)) = opened else {
        first.copies(cx, &[]);
        return Ok(first.answer());
    };
    if !args.yes && !ask::confirm(&first.question(args.no_pin))? {
        print::line("nothing was changed");
        return Ok(EXIT_NO);
    }
    let _turn = turn(cx, false)?;
    let round = Round::plan(args, cx, Some(keys.clone()), &program)?;
    if !round.fits(&first, by) {
        return Err(Error::new(
            Code::ClientConfigChanged,
            "nothing was changed: it is not what was shown any more",
        )
        .cause("a client or another `mcpwrap adopt` changed a file meanwhile")
        .hint("run `mcpwrap adopt` again"));
    }
    if round.plan.files.is_empty() {
        print::line("nothing to do any more: another `mcpwrap adopt` was quicker");
        return Ok(round.answer());
    }
    let done = carry_out::carry_out(
        cx,
        &*store,
        &keys,
        by,
        &round.looked.found,
        &round.plan,
        &round.names,
    )?;
    if !args.no_pin {
        pin::adopted(cx, &config, &round.servers(&done), by, &keys)?;
    }
    Ok(round.summary(cx, &done))
}

/// One look and the plan that follows from it.
struct Round {
    looked: Looked,
    plan: Plan,
    names: Names,
}

impl Round {
    fn plan(args: &Args, cx: &Context, keys: Option<Keys>, program: &str) -> Result<Self> {
        let looked = look::look(cx, &args.client, &args.config)?;
        let mut names = Names::new(&cx.dirs, &Index::load(&cx.dirs)?, keys);
        let wanted = Wanted {
            servers: args.server.clone(),
        };
        let plan = plan::plan(&looked.found, &wanted, &mut names, program);
        let servers = plan
            .files
            .iter()
            .flat_map(|file| file.entries.iter().map(|entry| entry.server.clone()))
            .collect();
        names.keep_only(&servers, &carry_out::named(&plan));
        Ok(Self {
            looked,
            plan,
            names,
        })
    }

    fn show(&self, cx: &Context) {
        show::plan(cx, &self.looked.found, &self.plan, &self.names);
        show::left(cx, &self.looked.found, &self.plan);
        if self.plan.files.is_empty() {
            print::line(&format!(
                "nothing to adopt: {} entries run through mcpwrap, {} have no secret",
                self.plan.adopted, self.plan.without
            ));
        }
    }

    fn question(&self, no_pin: bool) -> String {
        let policies = self.names.policies.iter().map(|new| &new.policy);
        let packages = policies.filter(|policy| !no_pin && pin::is_wanted(policy));
        let pins = match packages.count() {
            0 => String::new(),
            count => format!("; packages to install and pin: {count}"),
        };
        format!(
            "\nsecrets to store: {}; policies to write and grant: {}; files to change: {}{pins}. do it?",
            self.names.secrets.len(),
            self.names.policies.len(),
            self.plan.files.len()
        )
    }

    /// Whether this is what the user agreed to: nothing else, at most less of it.
    fn fits(&self, shown: &Self, by: By) -> bool {
        let texts = |round: &Self| -> Vec<(PathBuf, Vec<u8>)> {
            let file = |plan: &plan::FilePlan| {
                round
                    .looked
                    .found
                    .get(plan.found)
                    .map(|found| (found.target.clone(), found.bytes.clone()))
            };
            round.plan.files.iter().filter_map(file).collect()
        };
        let agreed = texts(shown);
        by == By::Yes || texts(self).iter().all(|file| agreed.contains(file))
    }

    fn answer(&self) -> u8 {
        if self.plan.left.iter().any(|left| left.counts) {
            EXIT_NO
        } else {
            0
        }
    }

    fn cuts(&self) -> Vec<Cut> {
        self.plan
            .files
            .iter()
            .flat_map(|file| file.cuts.clone())
            .collect()
    }

    /// The servers of the files that were changed.
    fn servers(&self, done: &[usize]) -> BTreeSet<ServerName> {
        let files = self.plan.files.iter();
        let changed = files.filter(|file| done.contains(&file.found));
        changed
            .flat_map(|file| file.entries.iter().map(|entry| entry.server.clone()))
            .collect()
    }
}

/// How the user agrees. A refused `--yes` is written down.
fn approval(args: &Args, cx: &Context, config: &Config, event: Event) -> Result<By> {
    if !args.yes {
        return Ok(By::Terminal);
    }
    let Err(refusal) = ask::yes_allowed(config, "--yes") else {
        return Ok(By::Yes);
    };
    let keys = store::open(&cx.dirs, config, Prompt::Never)
        .and_then(|store| store::keys(&*store))
        .ok();
    let detail = Detail {
        by: Some(By::Yes.name().to_owned()),
        agent: dirs::agent_variable().map(str::to_owned),
        ..Detail::default()
    };
    let entry = Entry::new(event, Outcome::Refused)
        .reason(refusal.code.name())
        .detail(detail);
    Log::open(&cx.dirs, keys.as_ref())?.append(&[entry])?;
    Err(refusal)
}

/// One adopt at a time: the others wait for their turn.
fn turn(cx: &Context, dry_run: bool) -> Result<Option<File>> {
    if dry_run {
        return Ok(None);
    }
    let path = cx.dirs.state().join("adopt.lock");
    let lock = files::lock(&path).map_err(|problem| {
        problem.explain(
            Code::FileUnusable,
            "adopt did not begin",
            &cx.dirs.tilde(&path),
        )
    })?;
    Ok(Some(lock))
}

/// Our own absolute path, as clients shall start us: a link on the search path stays a link, so that
/// an update does not leave entries behind.
fn program() -> Result<String> {
    let unusable = |cause: String| {
        Error::new(Code::FileUnusable, "mcpwrap does not know its own path").cause(cause)
    };
    let real = std::env::current_exe().map_err(|error| unusable(io_text(&error)))?;
    let same = |path: &PathBuf| {
        path.canonicalize()
            .is_ok_and(|target| real.canonicalize().is_ok_and(|own| own == target))
    };
    let search = dirs::search_path().unwrap_or_default();
    let on_path = std::env::split_paths(&search)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("mcpwrap"))
        .find(same);
    let path = on_path.unwrap_or(real);
    path.into_os_string()
        .into_string()
        .map_err(|_| unusable("it is not UTF-8".to_owned()))
}

/// Why a client's file was not written.
fn not_written(shown: &str, failed: &swap::Failed) -> Error {
    let what = format!("`{shown}` not written");
    let error = |code| Error::new(code, what.clone()).cause(failed.reason());
    match failed {
        swap::Failed::Changed => error(Code::ClientConfigChanged)
            .hint("nothing was lost; close the client's settings and run `mcpwrap adopt` again"),
        swap::Failed::ReadOnly => error(Code::FileUnusable).hint(format!(
            "`chmod u+w {shown}`, then run `mcpwrap adopt` again"
        )),
        swap::Failed::Io(_) => error(Code::FileUnusable),
    }
}
