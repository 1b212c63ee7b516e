//! `mcpwrap pin`: resolves and installs the package that a policy runs, and grants the pinned policy.

mod installed;
mod outdated;

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::installing::Installing;
use super::interrupts::Interrupts;
use super::{Context, ask, pin_report, print};
use crate::config::{Config, MinAge};
use crate::error::{Code, EXIT_ERROR, Error, Result};
use crate::ops;
use crate::ops::actor::{Actor, actor};
use crate::ops::approve;
use crate::ops::pin::{Installation, PinCandidate, PinOptions, Pinned};
use crate::ops::pin_several::{self, PinEvent, stop_if};
use crate::ops::question;
use crate::package::AdvisoryFile;
use crate::policy::{self, Policy};
use crate::secret::{Keys, ServerName};
use crate::settings::AgentAct;

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Servers to pin
    #[arg(required_unless_present_any = ["outdated", "prune", "list"])]
    server: Vec<ServerName>,
    /// Version to install, or `latest` (images: digest or tag)
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Use only packages published before this date
    #[arg(long, value_name = "DATE", value_parser = date)]
    before: Option<jiff::civil::Date>,
    /// Use only versions published this long ago, e.g. `3d`
    #[arg(long, value_name = "AGE", value_parser = age, conflicts_with = "before")]
    min_age: Option<MinAge>,
    /// Allow install scripts and builds from source
    #[arg(long)]
    allow_scripts: bool,
    /// Install again what seems intact
    #[arg(long)]
    repair: bool,
    /// Show what would be pinned or removed, and change nothing
    #[arg(long, conflicts_with_all = ["outdated", "list", "yes"])]
    dry_run: bool,
    /// Show the changes of all files since the last pin
    #[arg(long, requires = "dry_run")]
    diff: bool,
    /// Look up advisories in these OSV records, not at registries
    #[arg(long, value_name = "FILE", conflicts_with = "mode")]
    advisories: Option<PathBuf>,
    /// List pinned packages with a newer version
    #[arg(long, group = "mode", conflicts_with_all = ["to", "before", "allow_scripts", "repair"])]
    outdated: bool,
    /// List what is installed: size, age, and which servers use it
    #[arg(long, group = "mode", conflicts_with_all = ["server", "to", "before", "min_age", "allow_scripts", "repair"])]
    list: bool,
    /// Remove unused installations
    #[arg(long, group = "mode", conflicts_with_all = ["server", "to", "before", "min_age", "allow_scripts", "repair"])]
    prune: bool,
    /// With `--outdated` or `--list`, print JSON
    #[arg(long, conflicts_with_all = ["prune", "to", "before", "allow_scripts", "repair", "dry_run", "yes"])]
    json: bool,
    /// Skip confirmation (for scripts)
    #[arg(long, conflicts_with = "mode")]
    yes: bool,
}

fn date(text: &str) -> Result<jiff::civil::Date> {
    text.parse().map_err(|_| {
        Error::new(Code::Usage, "invalid date for `--before`")
            .cause("expected YYYY-MM-DD")
            .hint("use a date, e.g. `--before 2026-01-31`")
    })
}

fn age(text: &str) -> Result<MinAge> {
    text.parse().map_err(|why: &str| {
        Error::new(Code::Usage, "invalid age for `--min-age`")
            .cause(why)
            .hint("use an age, e.g. `--min-age 3d`")
    })
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.outdated {
        return outdated::run(args, cx);
    }
    if args.list {
        return installed::list(args.json, cx);
    }
    if args.prune {
        return installed::prune(args.dry_run, cx);
    }
    if args.json {
        return Err(
            Error::new(Code::Usage, "`--json` needs `--outdated` or `--list`")
                .hint("run `mcpwrap pin --list --json`"),
        );
    }
    if args.to.is_some() && args.server.len() > 1 {
        return Err(Error::new(Code::Usage, "`--to` takes one server")
            .hint("run `mcpwrap pin SERVER --to VERSION` for each"));
    }
    pin(args, cx)
}

fn options<'a>(
    args: &'a Args,
    config: &Config,
    advisories: Option<&'a AdvisoryFile>,
) -> Result<PinOptions<'a>> {
    Ok(PinOptions {
        to: args.to.as_deref(),
        before: args.before,
        min_age: args.min_age,
        set_age: config.min_age(args.min_age)?,
        allow_scripts: args.allow_scripts,
        repair: args.repair,
        dry_run: args.dry_run,
        diff: args.diff,
        advisories,
        adopting: false,
    })
}

fn pin(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let advisories = args.advisories.as_deref().map(AdvisoryFile::read);
    let advisories = advisories.transpose()?;
    let options = options(args, &config, advisories.as_ref())?;
    let mut failures = Failures::new(args.server.len());
    let mut policies = Vec::new();
    for server in &args.server {
        let policy = policy::load(&cx.dirs, server, None);
        let policy = policy.and_then(|policy| ops::pin::allowed(&policy).map(|()| policy));
        policies.extend(failures.note(server, policy)?);
    }
    // Nothing is changed by looking.
    let flag = if args.dry_run {
        Some("--dry-run")
    } else {
        args.yes.then_some("--yes")
    };
    let act = ("pin", Some(AgentAct::Pin));
    let actor = actor(&cx.dirs, &config, act, flag, |actor| {
        approve::refusals(&policies, actor)
    })?;
    let Candidates { found, mut keys } =
        candidates(cx, &config, &policies, options, actor, &mut failures)?;
    for (policy, candidate) in policies.iter().zip(found) {
        let candidate = match candidate {
            None => continue,
            Some(PinCandidate::Unchanged(package)) => {
                say(&policy.server, &Pinned::Already(package));
                continue;
            }
            Some(PinCandidate::New(package, report)) if args.dry_run => {
                print::line(&format!("would pin: {}", policy.server));
                print::text(&pin_report::text(
                    &package,
                    &report,
                    policy.package.as_ref(),
                ));
                if args.diff {
                    print::text(&pin_report::differences(&report));
                }
                continue;
            }
            Some(new) => new,
        };
        let keys = match &mut keys {
            Some(keys) => keys,
            none => none.insert(approve::open_keys(&cx.dirs, &config)?),
        };
        let mut agree = |new: &Installation<'_>| {
            let facts = pin_report::text(new.package, new.report, new.before);
            if !actor.is_asked() {
                print::text(&facts);
                return Ok(());
            }
            agree(cx, new, &facts)
        };
        let done = ops::pin::finish(
            &cx.dirs,
            policy,
            candidate,
            options,
            (actor, keys),
            &mut agree,
        );
        if let Some(done) = failures.note(&policy.server, done)? {
            say(&policy.server, &done);
        }
    }
    Ok(failures.finish())
}

/// What there is to approve for each policy.
struct Candidates {
    found: Vec<Option<PinCandidate>>,
    /// None if there is nothing new.
    keys: Option<Keys>,
}

/// Installs what is missing, several at once.
fn candidates(
    cx: &Context,
    config: &Config,
    policies: &[Policy],
    options: PinOptions<'_>,
    actor: Actor,
    failures: &mut Failures,
) -> Result<Candidates> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let mut places = Vec::new();
    for policy in policies {
        let present = ops::pin::present(&cx.dirs, policy, options);
        let present = failures.note(&policy.server, present)?;
        if matches!(present, Some(None)) {
            missing.push(policy.clone());
            places.push(found.len());
        }
        found.push(present.flatten());
    }
    let is_new = |one: &Option<PinCandidate>| matches!(one, Some(PinCandidate::New(..)));
    let changes = !missing.is_empty() || found.iter().any(is_new);
    // Fail before downloading anything if nobody can be asked, or the store does not open.
    if changes && actor.is_asked() {
        ask::must_be_possible()?;
    }
    let keys = changes
        .then(|| approve::open_keys(&cx.dirs, config))
        .transpose()?;
    let interrupts = Interrupts::collect();
    let mut installing = Installing::new(&missing);
    let mut failure = None;
    let mut installed = 0;
    pin_several::install_all(&cx.dirs, &missing, options, &mut |event| {
        match event {
            PinEvent::Tick(progress) => installing.tick(progress),
            PinEvent::Done(at, result) if !interrupts.any() => {
                installing.done(at);
                let (Some(policy), Some(place)) = (missing.get(at), places.get(at)) else {
                    return ControlFlow::Continue(());
                };
                let result = result.unwrap_or_else(|| Err(not_asked(&policy.server)));
                match (failures.note(&policy.server, result), found.get_mut(*place)) {
                    (Ok(new), Some(slot)) => {
                        installed += usize::from(new.is_some());
                        *slot = new;
                    }
                    (Err(error), _) => failure = Some(error),
                    (Ok(_), None) => {}
                }
            }
            PinEvent::Done(..) => {}
        }
        stop_if(failure.is_some() || interrupts.any())
    });
    drop(installing);
    if let Some(error) = failure {
        return Err(error);
    }
    if interrupts.any() {
        return Err(interrupted(installed));
    }
    Ok(Candidates { found, keys })
}

fn interrupted(installed: usize) -> Error {
    let error = Error::new(Code::Declined, "interrupted: no policy was changed");
    match installed {
        0 => error.hint("run the command again to continue"),
        _ => error
            .cause(format!(
                "{} installed so far",
                print::count(installed, "package")
            ))
            .hint("run the command again to continue, or `mcpwrap pin --prune` to remove them"),
    }
}

/// The error of a server whose registry did not answer for another one.
fn not_asked(server: &ServerName) -> Error {
    Error::new(Code::PackageFailed, format!("cannot pin server `{server}`"))
        .cause("its registry did not answer, see above")
        .hint(format!("run `mcpwrap pin {server}` to try again"))
}

/// What failed of several servers. The failure of the only one is the command's own.
struct Failures {
    of: usize,
    servers: Vec<ServerName>,
}

impl Failures {
    const fn new(of: usize) -> Self {
        Self {
            of,
            servers: Vec::new(),
        }
    }

    /// The value, or none after a failure that was printed.
    fn note<T>(&mut self, server: &ServerName, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.of == 1 => Err(error),
            Err(error) => {
                print::error(&error);
                self.servers.push(server.clone());
                Ok(None)
            }
        }
    }

    /// Names them at the end; the exit code.
    fn finish(self) -> u8 {
        if self.servers.is_empty() {
            return 0;
        }
        print::note(&format!(
            "{} of {} failed: {}",
            self.servers.len(),
            print::count(self.of, "server"),
            print::names(&self.servers)
        ));
        EXIT_ERROR
    }
}

/// Shows the new package and policy, and asks.
fn agree(cx: &Context, new: &Installation<'_>, facts: &str) -> Result<()> {
    let question = question::question(&cx.dirs, new.next, new.resolved, new.keys);
    let asked = ask::type_name(&format!("{facts}{question}"), new.next.server.as_str());
    asked.map_err(|error| match error.code {
        Code::Declined => error.hint("run `mcpwrap pin --prune` to remove the installation"),
        _ => error,
    })
}

fn say(server: &ServerName, done: &Pinned) {
    match done {
        Pinned::Already(package) => {
            print::line(&format!("already pinned: {server}, {package}"));
            print::note(&format!("run `mcpwrap pin {server} --to latest` to update"));
        }
        Pinned::Repaired(package) => print::line(&format!("installed: {server}, {package}")),
        Pinned::New { package, .. } => print::line(&format!("pinned: {server}, {package}")),
    }
}
