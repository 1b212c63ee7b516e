//! `mcpwrap add`: from the name of a server to entries in the configs of clients that start it.
//!
//! Invariants: no client's config is written before the server was tested; every step that is done is
//! not done again, so that the same command continues after any failure.

mod approve;
mod policy;
mod secrets;
mod targets;

use std::path::PathBuf;
use std::time::Duration;

use super::{Context, adopt_turn, ask, own_copy, print, reloads};
use crate::adopt::add::{AddPlace, AddTarget};
use crate::adopt::entry_context::EntryContext;
use crate::audit::{Event, Log, NewRecord, Outcome};
use crate::config::Config;
use crate::error::{Code, EXIT_NO, Error, Result, printable};
use crate::ops::actor::{Actor, actor};
use crate::ops::new_server;
use crate::policy::{Policy, summary};
use crate::secret::{Keys, ServerName};
use crate::settings::AgentAct;
use crate::store::{self, Prompt};
use crate::trial::{self, TrialOrder};
use crate::{adopt, program};

/// For the start, the handshake and the list of tools.
const TIMEOUT: Duration = Duration::from_mins(1);

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Server to add, from the catalog, or any name with a command or URL
    server: ServerName,
    /// Add it to this client's config (repeatable)
    #[arg(long, value_name = "ID")]
    client: Vec<String>,
    /// Add it to this file, even if git tracks it (repeatable)
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Address of a remote server, in place of a command
    #[arg(long, value_name = "URL", conflicts_with_all = ["command", "remote", "package"])]
    url: Option<String>,
    /// Header of a remote server, e.g. `X-Api-Key: {secret.API_KEY}`
    #[arg(long, value_name = "NAME: VALUE", value_parser = new_server::header, conflicts_with_all = ["command", "package"])]
    header: Vec<(String, String)>,
    /// Let mcpwrap log in with OAuth
    #[arg(long, conflicts_with_all = ["command", "package"])]
    oauth: bool,
    /// Use the remote server of the catalog
    #[arg(long, conflicts_with_all = ["command", "package"])]
    remote: bool,
    /// Use the package of the catalog
    #[arg(long, conflicts_with = "command")]
    package: bool,
    /// Print the address instead of opening a browser
    #[arg(long)]
    no_browser: bool,
    /// Show what would change, without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
    /// Program and arguments [default: from the catalog]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Args {
    /// With the clients that were chosen.
    fn for_clients(&self, targets: &[AddTarget]) -> Self {
        let ids = targets.iter().filter_map(|target| match target.place {
            AddPlace::Own(client) => Some(client.id.to_owned()),
            AddPlace::Named(_) => None,
        });
        Self {
            client: ids.collect(),
            ..self.clone()
        }
    }

    /// The command that continues after a failure.
    fn again(&self) -> String {
        let mut words = vec!["mcpwrap add".to_owned(), self.server.to_string()];
        let clients = self.client.iter();
        words.extend(clients.flat_map(|id| ["--client".to_owned(), id.clone()]));
        let configs = self.config.iter();
        words.extend(configs.flat_map(|path| {
            let path = summary::ascii(&path.to_string_lossy());
            ["--config".to_owned(), path]
        }));
        format!("`{}`", words.join(" "))
    }
}

/// The exit code is 1 if the server does not work, or a config was not written.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let actor = consent(args, cx, &config)?;
    let program = program::path(&cx.dirs)?;
    let planned = policy::plan(args, cx)?;
    policy::must_start(&planned.policy, &config)?;
    let targets = targets::choose(args, cx, &program)?;
    let args = &args.for_clients(&targets);
    let missing = secrets::named(cx, &planned.policy)?;
    show(cx, &planned, &targets, &missing);
    if args.dry_run {
        return Ok(0);
    }
    let is_there = targets.iter().all(|target| target.change.is_none());
    if is_there && missing.is_empty() && approve::is_done(cx, &planned.policy)? {
        print::note(&format!(
            "nothing to do: server `{}` was added before; run `mcpwrap test {}` to test it",
            args.server, args.server
        ));
        return Ok(0);
    }
    if actor.is_asked() && !ask::confirm(&question(&planned, &targets, missing.len()))? {
        print::note("nothing was changed");
        return Ok(EXIT_NO);
    }
    let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    let keys = store::keys_or_create(&*store)?;
    let policy = policy::write(args, cx, planned)?;
    let approved = secrets::ask(args, cx, &*store, actor, &policy)
        .and_then(|()| approve::approve(args, cx, &config, (actor, &keys), &policy));
    let policy = approved.map_err(|error| stopped(args, error))?;
    if !test(args, cx, &policy) {
        return Ok(EXIT_NO);
    }
    write(args, cx, (actor, &keys), &targets, &program)
}

/// What is true when the user says no after the policy was written.
fn stopped(args: &Args, error: Error) -> Error {
    if error.code != Code::Declined {
        return error;
    }
    let server = &args.server;
    Error::new(Code::Declined, format!("server `{server}` was not added"))
        .cause("its policy is written, and no client config was changed")
        .hint(format!(
            "run {} again to continue, or `mcpwrap policy rm {server}` to remove the policy",
            args.again()
        ))
}

/// Who adds or removes servers. A refusal is recorded.
fn consent(args: &Args, cx: &Context, config: &Config) -> Result<Actor> {
    if args.dry_run {
        return Ok(Actor::unasked());
    }
    let flag = args.yes.then_some("--yes");
    actor(
        &cx.dirs,
        config,
        ("add", Some(AgentAct::Add)),
        flag,
        |actor| {
            let record = NewRecord::new(Event::Adopt, Outcome::Refused).server(&args.server);
            vec![record.detail(actor.detail())]
        },
    )
}

/// What will be done.
fn show(
    cx: &Context,
    planned: &policy::PlannedPolicy,
    targets: &[AddTarget],
    missing: &[secrets::MissingSecret],
) {
    let mut out = print::Lines::default();
    planned.show(cx, &mut out);
    for secret in missing {
        out.line(&format!("secret `{}`: {}", secret.name, secret.about()));
    }
    for target in targets {
        targets::show(cx, &mut out, target);
    }
    out.print();
}

fn question(planned: &policy::PlannedPolicy, targets: &[AddTarget], missing: usize) -> String {
    let files = targets.iter().filter(|target| target.change.is_some());
    let mut acts = Vec::new();
    if planned.is_new {
        acts.push("write a policy".to_owned());
    }
    if missing > 0 {
        acts.push(format!("ask for {}", print::count(missing, "secret")));
    }
    acts.push("approve and test the server".to_owned());
    let files = files.count();
    if files > 0 {
        acts.push(format!("change {}", print::count(files, "file")));
    }
    format!("\n{}. proceed?", acts.join(", "))
}

/// Starts the server as a client does. Returns whether it listed its tools.
fn test(args: &Args, cx: &Context, policy: &Policy) -> bool {
    print::note(&format!("testing server `{}`", policy.server));
    let order = TrialOrder {
        server: policy.server.clone(),
        profile: None,
        timeout: TIMEOUT,
    };
    let trial = trial::of_policy(&cx.dirs, policy, &order);
    let Some(failure) = trial.failure else {
        print::line(&format!(
            "works: {}, {} in {} ms",
            policy.server,
            print::count(trial.tools.len(), "tool"),
            trial.total.as_millis()
        ));
        return true;
    };
    print::error(&failure);
    if !trial.last_lines.is_empty() {
        print::note("the last lines of its stderr:");
    }
    for line in &trial.last_lines {
        print::note(&format!("  {line}"));
    }
    print::note(&format!(
        "no client config was changed; the policy and the secrets stay. run {} to continue, or \
         `mcpwrap remove {}` to remove them",
        args.again(),
        args.server
    ));
    false
}

/// Writes the entries, with the configs as they are now.
fn write(
    args: &Args,
    cx: &Context,
    (actor, keys): (Actor, &Keys),
    shown: &[AddTarget],
    program: &str,
) -> Result<u8> {
    own_copy::make(cx, keys)?;
    let _lock = adopt_turn::take(cx)?;
    let to = EntryContext {
        dirs: &cx.dirs,
        log: &Log::open(&cx.dirs, Some(keys))?,
        keys,
        actor,
    };
    let mut code = 0;
    let mut changed = Vec::new();
    for target in shown {
        let one = adopt::add::target(&cx.dirs, &target.place, &args.server, program);
        let done = one.and_then(|target| to.write(&args.server, &target).map(|()| target));
        match done {
            Ok(target) => {
                let path = cx.dirs.tilde(&target.path);
                let verb = if target.change.is_some() {
                    changed.extend(target.client);
                    "added to"
                } else {
                    "already in"
                };
                let client = target.client.map(|client| format!("{}: ", client.name));
                let client = client.unwrap_or_default();
                print::line(&format!("{verb} {client}{}", printable(&path)));
            }
            Err(error) => {
                print::error(&error);
                code = EXIT_NO;
            }
        }
    }
    reloads::say(changed);
    print::line(&format!("to undo, run `mcpwrap remove {}`", args.server));
    Ok(code)
}

/// An error of a step, with the command that continues.
fn with_again(args: &Args, error: Error) -> Error {
    let then = if error.hints.is_empty() {
        "when that is solved, "
    } else {
        "then "
    };
    error.hint(format!("{then}run {} again to continue", args.again()))
}
