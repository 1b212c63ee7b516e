//! `mcpwrap pin`: resolves and installs the package that a policy runs, and grants the pinned policy.

mod outdated;
mod report;

use super::{Context, ask, print};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::ops;
use crate::ops::actor::actor;
use crate::ops::approve;
use crate::ops::pin::{Installation, PinDialog, PinOptions, Pinned};
use crate::ops::question;
use crate::policy::{self, Policy};
use crate::secret::ServerName;
use crate::settings::AgentAct;

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Servers to pin
    #[arg(required_unless_present_any = ["outdated", "prune"])]
    server: Vec<ServerName>,
    /// Version to install, or `latest` (images: digest or tag)
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Use only packages published before this date
    #[arg(long, value_name = "DATE", value_parser = date)]
    before: Option<jiff::civil::Date>,
    /// Allow install scripts and builds from source
    #[arg(long)]
    allow_scripts: bool,
    /// List pinned packages with a newer version
    #[arg(long, conflicts_with_all = ["to", "before", "allow_scripts", "prune"])]
    outdated: bool,
    /// Remove unused installations
    #[arg(long, conflicts_with_all = ["server", "to", "before", "allow_scripts"])]
    prune: bool,
    /// With `--outdated`, print JSON
    #[arg(long, requires = "outdated")]
    json: bool,
    /// Skip confirmation (for scripts)
    #[arg(long, conflicts_with_all = ["outdated", "prune"])]
    yes: bool,
}

fn date(text: &str) -> Result<jiff::civil::Date> {
    text.parse().map_err(|_| {
        Error::new(Code::Usage, "invalid date for `--before`")
            .cause("expected YYYY-MM-DD")
            .hint("use a date, e.g. `--before 2026-01-31`")
    })
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.outdated {
        return outdated::run(&args.server, args.json, &cx.dirs);
    }
    if args.prune {
        return prune(cx);
    }
    if args.to.is_some() && args.server.len() > 1 {
        return Err(Error::new(Code::Usage, "`--to` takes one server")
            .hint("run `mcpwrap pin SERVER --to VERSION` for each"));
    }
    let config = Config::load(&cx.dirs)?;
    let load = |server| policy::load(&cx.dirs, server, None);
    let policies = args.server.iter().map(load).collect::<Result<Vec<_>>>()?;
    let flag = args.yes.then_some("--yes");
    let act = ("pin", Some(AgentAct::Pin));
    let actor = actor(&cx.dirs, &config, act, flag, |actor| {
        approve::refusals(&policies, actor)
    })?;
    let options = PinOptions {
        to: args.to.as_deref(),
        before: args.before,
        allow_scripts: args.allow_scripts,
        adopting: false,
    };
    let mut keys = None;
    for policy in &policies {
        let mut dialog = PinDialog {
            begin: &mut begin,
            agree: &mut |new| {
                let facts = report::text(new.package, new.report, new.before);
                if !actor.is_asked() {
                    print::text(&facts);
                    return Ok(());
                }
                agree(cx, new, &facts)
            },
        };
        let done = ops::pin::pin(
            &cx.dirs,
            &config,
            policy,
            options,
            actor,
            &mut keys,
            &mut dialog,
        )?;
        say(&policy.server, &done);
    }
    Ok(0)
}

fn begin(policy: &Policy) {
    print::note(&format!(
        "installing the package of server `{}`…",
        policy.server
    ));
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

fn prune(cx: &Context) -> Result<u8> {
    let (removed, used) = ops::pin::prune(&cx.dirs)?;
    for name in &removed {
        print::line(&format!(
            "removed: {}",
            cx.dirs.tilde(&cx.dirs.packages().join(name))
        ));
    }
    let removed = print::count(removed.len(), "installation");
    print::note(&format!("removed {removed}, {used} in use"));
    Ok(0)
}
