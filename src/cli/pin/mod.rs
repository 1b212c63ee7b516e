//! `mcpwrap pin`: resolves what a policy's command starts, installs it, and puts it under the grant.
//!
//! *Always* shows what was installed, and what is different from before, and asks; the policy is
//! written only after that. *Never* half: the installation is complete before the policy names it,
//! and the policy is replaced as one file.

mod adopted;
mod outdated;
mod report;

use super::{Context, ask, grant as granting, print};
use crate::audit::{Detail, Entry, Event, Log, Outcome};
use crate::config::Config;
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::grant::{self, By};
use crate::package::{self, Depth, Report, Wish};
use crate::policy::{self, Package, Policy, Tier, draft};
use crate::secret::{Keys, ServerName};

pub use self::adopted::{adopted, is_wanted};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The servers whose packages are to be installed
    #[arg(required_unless_present_any = ["outdated", "prune"])]
    server: Vec<ServerName>,
    /// Install this version, or `latest`; for an image, this digest or tag
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Take only packages that were published before this day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    before: Option<jiff::civil::Date>,
    /// Let the packages run their install scripts, and build from source
    #[arg(long)]
    allow_scripts: bool,
    /// List the pinned packages of which there is a newer version
    #[arg(long, conflicts_with_all = ["to", "before", "allow_scripts", "prune"])]
    outdated: bool,
    /// Remove the installations that no policy uses
    #[arg(long, conflicts_with_all = ["server", "to", "before", "allow_scripts"])]
    prune: bool,
    /// With `--outdated`: as JSON
    #[arg(long, requires = "outdated")]
    json: bool,
    /// Ask nothing; for scripts that set up machines
    #[arg(long, conflicts_with_all = ["outdated", "prune"])]
    yes: bool,
}

fn day(text: &str) -> Result<jiff::civil::Date> {
    text.parse().map_err(|_| {
        Error::new(Code::Usage, "`--before` is not a day")
            .cause("a day of the calendar is written as year, month and day")
            .hint("write it like this: `--before 2026-01-31`")
    })
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.outdated {
        return outdated::run(&args.server, args.json, &cx.dirs);
    }
    if args.prune {
        return prune(&cx.dirs);
    }
    if args.to.is_some() && args.server.len() > 1 {
        return Err(Error::new(Code::Usage, "`--to` is for one server")
            .hint("run `mcpwrap pin SERVER --to VERSION` for each"));
    }
    let config = Config::load(&cx.dirs)?;
    let load = |server| policy::load(&cx.dirs, server, None);
    let policies = args.server.iter().map(load).collect::<Result<Vec<_>>>()?;
    if args.yes
        && let Err(error) = ask::yes_allowed(&config, "--yes")
    {
        granting::record_refusal(&cx.dirs, &config, &policies, &error)?;
        return Err(error);
    }
    let mut keys = None;
    for policy in &policies {
        let consent = if args.yes { Consent::Yes } else { Consent::Ask };
        pin(args, cx, &config, policy, consent, &mut keys)?;
    }
    Ok(0)
}

/// How the user agrees to what was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consent {
    /// It is shown, and they are asked.
    Ask,
    /// `--yes`: it is shown.
    Yes,
    /// They agreed to it as a part of `adopt`.
    Given(By),
}

impl Args {
    /// Nothing but the server.
    const fn for_adopt() -> Self {
        Self {
            server: Vec::new(),
            to: None,
            before: None,
            allow_scripts: false,
            outdated: false,
            prune: false,
            json: false,
            yes: false,
        }
    }
}

/// Pins one server; says so if there is nothing to do.
fn pin(
    args: &Args,
    cx: &Context,
    config: &Config,
    policy: &Policy,
    consent: Consent,
    keys: &mut Option<Keys>,
) -> Result<()> {
    let server = &policy.server;
    if policy.tier == Tier::Managed {
        return Err(managed(policy));
    }
    let known = policy.package.as_ref();
    let anew = args.to.is_some() || args.before.is_some() || args.allow_scripts;
    let intact = package::verify(policy, &cx.dirs, Depth::Full).is_ok();
    let again = if anew || !intact {
        None
    } else {
        package::seen_again(policy, &cx.dirs)?
    };
    if let Some(known) = known.filter(|_| !anew && intact && again.is_none()) {
        print::line(&format!("pinned already: {server}, {known}"));
        print::note(&format!(
            "`mcpwrap pin {server} --to latest` takes a newer version"
        ));
        return Ok(());
    }
    // A store that does not open is found out before anything is downloaded.
    let keys = match keys {
        Some(keys) => keys,
        None => keys.insert(granting::open_keys(&cx.dirs, config)?),
    };
    let given = matches!(consent, Consent::Given(_));
    let (package, report) = match again {
        Some(package) => (package, Report::of_times()),
        None => install(args, cx, policy, given)?,
    };
    if known == Some(&package) {
        print::line(&format!("installed: {server}, {package}"));
        return Ok(());
    }
    // What adopt allowed for the case that nothing can be pinned ends with the pin.
    let text = if given {
        package.written(&draft::without_unpinned(&policy.text))
    } else {
        package.written(&policy.text)
    };
    let next = policy::load::check(&cx.dirs, server, &text)?;
    let shown = report::text(&package, &report, known);
    agree(consent, cx, &next, &shown)?;
    record(&cx.dirs, &next, &package, keys)?;
    write(&cx.dirs, policy, &next)?;
    let by = match consent {
        Consent::Ask => By::Terminal,
        Consent::Yes => By::Yes,
        Consent::Given(by) => by,
    };
    granting::approve(&cx.dirs, &next, keys, by)?;
    print::line(&format!("pinned: {server}, {package}"));
    if given && !report.scripts.is_empty() {
        print::note(&format!(
            "server `{server}`: install scripts were not run; if it needs them: \
             `mcpwrap pin {server} --allow-scripts`"
        ));
    }
    Ok(())
}

/// Installs what a policy's command starts.
fn install(args: &Args, cx: &Context, policy: &Policy, given: bool) -> Result<(Package, Report)> {
    let (server, known) = (&policy.server, policy.package.as_ref());
    if !given {
        print::note(&format!("installing what server `{server}` starts…"));
    }
    // What is pinned is installed again in the same version, unless another is asked for.
    let same = known
        .map(|known| known.version.as_str())
        .filter(|version| !version.is_empty());
    let before = args.before.map(|day| day.to_string());
    let wish = Wish {
        server,
        launch: &package::parse(&policy.command),
        to: args.to.as_deref().or(same),
        before: before.as_deref(),
        scripts: args.allow_scripts
            || (known.is_some_and(|known| known.scripts) && args.to.is_none()),
        known,
        hurry: given,
    };
    package::install(&cx.dirs, &wish)
}

fn managed(policy: &Policy) -> Error {
    let what = format!(
        "server `{}` not pinned: its policy is managed",
        policy.server
    );
    let path = policy.path.display();
    Error::new(Code::PackageFailed, what)
        .cause(format!("`{path}` belongs to the administrator"))
        .hint("pin a policy of the same name as a user, and copy its `[package]` table")
}

/// Shows what is new and asks; with `--yes` it is shown, too.
fn agree(consent: Consent, cx: &Context, next: &Policy, shown: &str) -> Result<()> {
    match consent {
        Consent::Ask => {}
        Consent::Yes => {
            print::text(shown);
            return Ok(());
        }
        Consent::Given(_) => return Ok(()),
    }
    let question = format!("{shown}{}", granting::question(&cx.dirs, next));
    let asked = ask::type_name(&question, next.server.as_str());
    asked.map_err(|error| match error.code {
        Code::Declined => error.hint("`mcpwrap pin --prune` removes what was installed"),
        _ => error,
    })
}

fn record(dirs: &Dirs, next: &Policy, package: &Package, keys: &Keys) -> Result<()> {
    let detail = Detail {
        package: Some(package.label()),
        agent: dirs::agent_variable().map(str::to_owned),
        ..Detail::default()
    };
    let entry = Entry::new(Event::Pin, Outcome::Ok)
        .server(&next.server)
        .policy(&next.digest)
        .detail(detail);
    Log::open(dirs, Some(keys))?.append(&[entry])
}

/// Replaces the policy, unless somebody else changed it while the user was asked.
fn write(dirs: &Dirs, before: &Policy, next: &Policy) -> Result<()> {
    let server = &next.server;
    let now = policy::load(dirs, server, None)?;
    if now.digest != before.digest {
        let what = format!("server `{server}` not pinned: its policy was changed meanwhile");
        return Err(Error::new(Code::PolicyChanged, what)
            .cause(format!(
                "`{}` is not what it was when `pin` began",
                dirs.tilde(&next.path)
            ))
            .hint(format!("`mcpwrap pin {server}` again")));
    }
    files::replace(&next.path, next.text.as_bytes()).map_err(|problem| {
        Error::new(
            Code::FileUnusable,
            format!("policy of server `{server}` not written"),
        )
        .cause(problem)
    })
}

fn prune(dirs: &Dirs) -> Result<u8> {
    let mut used = Vec::new();
    for (server, policy) in policy::list(dirs) {
        // A policy that cannot be read may need any of them.
        let policy = policy.map_err(|error| {
            let fix = format!("mend the policy of server `{server}` first: `mcpwrap policy lint`");
            error.context("nothing removed").hint(fix)
        })?;
        used.extend(policy.package);
        // What was granted last can come back with `grant`, and a running server may use it.
        let granted = grant::record(dirs, &server)
            .ok()
            .flatten()
            .and_then(|record| record.policy);
        let granted = granted.and_then(|text| policy::load::check(dirs, &server, &text).ok());
        used.extend(granted.and_then(|policy| policy.package));
    }
    let removed = package::prune(dirs, &used)?;
    for name in &removed {
        print::line(&format!(
            "removed: {}",
            dirs.tilde(&dirs.packages().join(name))
        ));
    }
    print::note(&format!("{} removed, {} in use", removed.len(), used.len()));
    Ok(0)
}
