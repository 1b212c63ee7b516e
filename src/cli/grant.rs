//! `mcpwrap grant`: shows a policy, asks, and records that the user approved of it as it stands.
//!
//! *Always* shows the whole policy and what changed since it was last granted. *Always* writes the
//! audit record first: no record, no grant. A refused `--yes` is recorded, too.

use similar::TextDiff;

use super::policy::picture;
use super::{Context, ask, print};
use crate::audit::{Detail, Entry, Event, Log, Outcome};
use crate::config::Config;
use crate::dirs::{self, Dirs};
use crate::error::{Error, Result};
use crate::grant::{self, By, State};
use crate::policy::{self, Policy, Tier};
use crate::secret::{Keys, ServerName};
use crate::store::{self, Prompt};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The servers whose policies are approved
    #[arg(required = true)]
    server: Vec<ServerName>,
    /// Ask nothing; for scripts that set up machines
    #[arg(long)]
    yes: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let load = |server| policy::load(&cx.dirs, server, None);
    let policies = args.server.iter().map(load).collect::<Result<Vec<_>>>()?;
    if args.yes
        && let Err(error) = ask::yes_allowed(&config, "--yes")
    {
        record_refusal(&cx.dirs, &config, &policies, &error)?;
        return Err(error);
    }
    let by = if args.yes { By::Yes } else { By::Terminal };
    let mut keys = None;
    for policy in &policies {
        if policy.tier == Tier::Managed && grant::find(&cx.dirs, policy).is_ok() {
            print::note(&format!(
                "server `{}` needs no grant: its policy is managed",
                policy.server
            ));
            continue;
        }
        if by == By::Terminal {
            ask::type_name(&question(&cx.dirs, policy), policy.server.as_str())?;
        }
        let keys = match &keys {
            Some(keys) => keys,
            None => keys.insert(open_keys(&cx.dirs, &config)?),
        };
        approve(&cx.dirs, policy, keys, by)?;
        print::line(&format!("granted: {}", policy.server));
    }
    Ok(0)
}

/// Writes the record and the grant.
///
/// # Errors
/// `audit-unwritable`, and those of [`grant::grant`].
pub fn approve(dirs: &Dirs, policy: &Policy, keys: &Keys, by: By) -> Result<()> {
    let entry = entry(policy, Outcome::Ok, by);
    Log::open(dirs, Some(keys))?.append(&[entry])?;
    grant::grant(dirs, policy, keys, by)
}

fn entry(policy: &Policy, outcome: Outcome, by: By) -> Entry {
    let detail = Detail {
        by: Some(by.name().to_owned()),
        agent: dirs::agent_variable().map(str::to_owned),
        ..Detail::default()
    };
    Entry::new(Event::Grant, outcome)
        .server(&policy.server)
        .policy(&policy.digest)
        .detail(detail)
}

/// Whoever tried to grant without the user leaves a trace, also while the store is locked.
pub(super) fn record_refusal(
    dirs: &Dirs,
    config: &Config,
    policies: &[Policy],
    error: &Error,
) -> Result<()> {
    let store = store::open(dirs, config, Prompt::Never);
    let keys = store.and_then(|store| store::keys(&*store)).ok();
    let refusal = |policy| entry(policy, Outcome::Refused, By::Yes).reason(error.code.name());
    let entries: Vec<_> = policies.iter().map(refusal).collect();
    Log::open(dirs, keys.as_ref())?.append(&entries)
}

pub(super) fn open_keys(dirs: &Dirs, config: &Config) -> Result<Keys> {
    store::keys_or_create(&*store::open(dirs, config, Prompt::Allowed)?)
}

/// All that the user approves of, and what is new in it.
pub(super) fn question(dirs: &Dirs, policy: &Policy) -> String {
    let server = &policy.server;
    let picture = picture::text(dirs, policy);
    // A grant that cannot be read is what a new one replaces.
    let record = grant::record(dirs, server).ok().flatten();
    let revoked = record
        .as_ref()
        .filter(|record| record.state == State::Revoked);
    let revoked = revoked.map_or_else(String::new, |record| {
        let reason = record
            .reason
            .as_deref()
            .map_or_else(String::new, |r| format!(": {r}"));
        format!("it was revoked on {}{reason}\n", grant::day(record.at))
    });
    let changes = match record.and_then(|record| record.policy) {
        None => "it was not granted before\n".to_owned(),
        Some(old) if old == policy.text => "nothing changed since it was last granted\n".to_owned(),
        Some(old) => {
            let diff = TextDiff::from_lines(&old, &policy.text);
            let diff = diff.unified_diff().header("as granted", "now").to_string();
            format!("what changed since it was last granted:\n{diff}")
        }
    };
    format!("server `{server}` may have and run:\n{picture}{revoked}{changes}")
}
