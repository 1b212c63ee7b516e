//! `mcpwrap adopt`: moves secrets out of client configs and makes their servers start through mcpwrap;
//! `--undo` restores the entries.

mod diff;
mod login;
mod pin;
mod resume;
mod show;
mod summary;
mod trials;
mod undo;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

use self::login::Logins;
use super::interrupts::Interrupts;
use super::{Context, adopt_turn, ask, own_copy, print};
use crate::adopt::apply::{self, AdoptStep};
use crate::adopt::approval::AdoptApproval;
use crate::adopt::compared;
use crate::adopt::plan::LoginChoice;
use crate::adopt::round::{Round, Selection};
use crate::audit::{Event, NewRecord, Outcome};
use crate::config::Config;
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::ops::actor::{Actor, actor};
use crate::policy::Policy;
use crate::secret::{Keys, ServerName};
use crate::settings::AgentAct;
use crate::store::{self, Prompt, Store};
use crate::{ops, parallel, policy, program};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Limit to this client's configs (repeatable)
    #[arg(long, value_name = "ID")]
    client: Vec<String>,
    /// Use this file, even if git tracks it (repeatable)
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Limit to entries with this name, with or without secrets (repeatable)
    #[arg(long, value_name = "NAME")]
    server: Vec<String>,
    /// Show the plan and the locations searched, without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
    /// Let mcpwrap log in with OAuth
    #[arg(long, conflicts_with = "undo")]
    oauth: bool,
    /// Do not install and pin packages
    #[arg(long, conflicts_with = "undo")]
    no_pin: bool,
    /// Do not offer to test the servers
    #[arg(long, conflicts_with = "undo")]
    no_test: bool,
    /// Restore adopted entries
    #[arg(long)]
    undo: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.undo {
        return undo::run(args, cx);
    }
    let dirs = &cx.dirs;
    let config = Config::load(dirs)?;
    let actor = consent(args, cx, &config, Event::Adopt)?;
    let program = program::path(dirs)?;
    let mut selection = args.selection();
    // Without a question the plan that is shown is carried out, under the lock. Otherwise it is made again.
    let is_at_once = args.yes && !args.dry_run && !args.oauth;
    let lock = is_at_once.then(|| adopt_turn::take(cx).ok()).flatten();
    let mut first = Round::new(dirs, &selection, None, &program)?;
    let mut opened = None;
    if !args.dry_run && !first.plan.files.is_empty() {
        let store = store::open(dirs, &config, Prompt::Allowed)?;
        let keys = store::keys_or_create(&*store)?;
        first = first.with_keys(dirs, keys.clone(), &program)?;
        if actor.is_asked() {
            compared::record(dirs, &keys, actor, &first)?;
        }
        opened = Some((store, keys));
    }
    if args.dry_run {
        show::places(cx, &first.files, !args.client.is_empty());
    }
    show::round(cx, &first);
    show::unknown(&first, &args.server);
    let Some((store, keys)) = opened else {
        drop(lock);
        return without_changes(args, cx, (&config, actor), &first);
    };
    if !args.yes && !ask::confirm(&question(cx, &first, args.no_pin))? {
        print::note("nothing was changed");
        return Ok(EXIT_NO);
    }
    let mut logins = login::all(args.yes, cx, &config, &first);
    if args.oauth {
        selection.logins = LoginChoice::Done(logins.done.clone());
    }
    let (round, lock) = if let Some(lock) = lock {
        (first, lock)
    } else {
        let lock = adopt_turn::take(cx);
        let again = lock.and_then(|lock| {
            Round::new(dirs, &selection, Some(keys.clone()), &program).map(|round| (lock, round))
        });
        let (lock, round) = again.inspect_err(|_| logins.print_unused(&BTreeSet::new()))?;
        logins.print_left(cx, &first);
        if !round.is_covered_by(&first, actor) {
            logins.print_unused(&BTreeSet::new());
            return Err(changed_since());
        }
        if round.plan.files.is_empty() {
            if args.oauth && first.logins().next().is_some() {
                logins.print_unused(&BTreeSet::new());
                print::note("nothing was changed");
            } else {
                print::note("nothing to do: another `mcpwrap adopt` ran first");
            }
            return Ok(exit_code(&round));
        }
        (round, lock)
    };
    logins.are_used();
    carry_out(args, cx, actor, (&*store, &keys), (&round, lock), &logins)
}

/// What else there is to say, and packages to pin, if no file changes or none is to change.
fn without_changes(
    args: &Args,
    cx: &Context,
    (config, actor): (&Config, Actor),
    round: &Round,
) -> Result<u8> {
    if !args.dry_run {
        own_copy::refresh(cx, config)?;
    }
    summary::copies(cx, round, &[]);
    summary::exposed(cx);
    let code = exit_code(round);
    if args.dry_run || args.no_pin {
        return Ok(code);
    }
    Ok(code.max(resume::pins(args, cx, config, actor, round)?))
}

fn changed_since() -> Error {
    Error::new(
        Code::ClientConfigChanged,
        "aborted: the files changed after the plan was shown",
    )
    .cause("a client or another `mcpwrap adopt` changed a file; nothing was changed here")
    .hint("run `mcpwrap adopt` again")
}

/// Applies the plan, says what the user must do, and pins the packages.
fn carry_out(
    args: &Args,
    cx: &Context,
    actor: Actor,
    (store, keys): (&dyn Store, &Keys),
    (round, lock): (&Round, File),
    logins: &Logins,
) -> Result<u8> {
    // From here on, what was begun is finished: Ctrl-C takes effect between the packages.
    let interrupts = Interrupts::collect();
    own_copy::make(cx, keys)?;
    let mut unresolved = Vec::new();
    let done = apply::apply(
        &cx.dirs,
        store,
        keys,
        actor,
        round,
        &mut |step| match step {
            AdoptStep::NotGranted(server, error) => unresolved.push((server.clone(), error)),
            step => show::step(cx, &step),
        },
    )?;
    // Released before registries are asked: undo or another adopt can run at the same time.
    drop(lock);
    let mut code = summary::print(cx, round, &done);
    let changed = round.servers(&done);
    logins.print_unused(&changed);
    if login::clear_tokens(cx, (store, keys), actor, round, &changed)? {
        code = code.max(EXIT_NO);
    }
    let mut told = BTreeSet::new();
    if !args.no_pin {
        let mut servers = round.servers(&done);
        servers.retain(|server| round.withheld().all(|(other, _)| other != server));
        servers.extend(resume::unpinned(cx, round));
        let pins = pin::adopted(cx, &servers, actor, keys, &interrupts)?;
        if pins.is_interrupted {
            code = code.max(EXIT_NO);
        }
        told = pins.told;
    }
    // As they are now: pinning changes them, and one that was not written was reported before.
    let names: Vec<&ServerName> = changed.iter().collect();
    let policies = parallel::map(&names, |server| policy::load(&cx.dirs, server, None).ok());
    let policies: Vec<Policy> = policies.into_iter().flatten().collect();
    summary::unpinned(&policies, &told);
    show::needs(cx, &policies);
    if show::not_granted(cx, unresolved) {
        code = code.max(EXIT_NO);
    }
    // From here on Ctrl-C ends the tests, too.
    let is_interrupted = interrupts.any();
    drop(interrupts);
    if !is_interrupted && !trials::adopted(args, cx, &policies)? {
        code = code.max(EXIT_NO);
    }
    Ok(code)
}

impl Args {
    fn selection(&self) -> Selection {
        Selection {
            clients: self.client.clone(),
            configs: self.config.clone(),
            servers: self.server.clone(),
            logins: if self.oauth {
                LoginChoice::OfMcpwrap
            } else {
                LoginChoice::OfClient
            },
        }
    }
}

fn question(cx: &Context, round: &Round, no_pin: bool) -> String {
    let withheld = round.withheld().count();
    let policies = round.names.policies.iter();
    let policies = policies.filter(|new| !matches!(new.approval, AdoptApproval::Withheld(_)));
    let packages = policies.filter(|new| !no_pin && ops::pin::is_wanted(&new.policy));
    let mut packages = packages.count();
    if !no_pin {
        packages += resume::unpinned(cx, round).len();
    }
    let pins = match packages {
        0 => String::new(),
        count => format!(", install and pin {}", print::count(count, "package")),
    };
    let logins = match round.logins().count() {
        0 => String::new(),
        count => format!("log in to {}, ", print::count(count, "server")),
    };
    let stores = match round.names.stores.new.len() {
        0 => String::new(),
        count => format!("add {}, ", print::count(count, "store")),
    };
    format!(
        "\n{logins}{stores}store {}, write and grant {}, change {}{pins}. proceed?",
        print::count(round.names.secrets().len(), "secret"),
        print::count(round.names.policies.len() - withheld, "policy"),
        print::count(round.plan.files.len(), "file")
    )
}

fn exit_code(round: &Round) -> u8 {
    if round.is_incomplete() { EXIT_NO } else { 0 }
}

/// Who adopts or restores. A refusal is recorded.
fn consent(args: &Args, cx: &Context, config: &Config, event: Event) -> Result<Actor> {
    if args.dry_run {
        return Ok(Actor::unasked());
    }
    let flag = args.yes.then_some("--yes");
    let act = match event {
        Event::Undo => ("adopt --undo", Some(AgentAct::Undo)),
        _ => ("adopt", Some(AgentAct::Adopt)),
    };
    actor(&cx.dirs, config, act, flag, |actor| {
        vec![NewRecord::new(event, Outcome::Refused).detail(actor.detail())]
    })
}
