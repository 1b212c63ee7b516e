//! `mcpwrap policy show`: what one policy allows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cli::{Context, print};
use crate::error::{Error, Result};
use crate::grant;
use crate::invocation::{self, ShownStore};
use crate::network::{self, NetworkRecord};
use crate::ops::notes::notes;
use crate::policy::{self, Policy, summary};
use crate::secret::{ProfileName, ServerName};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server whose policy to show
    server: ServerName,
    /// Apply this profile
    #[arg(long)]
    profile: Option<ProfileName>,
    /// Print JSON (see docs/policy.md)
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let policy = policy::load(&cx.dirs, &args.server, args.profile.as_ref())?;
    let status = grant::status(&cx.dirs, &policy);
    let stores = stores(&policy, cx);
    if args.json {
        print::json(&value(&policy, status, stores.as_deref()));
    } else {
        print::line(&format!("{}: {}", policy.server, status.name()));
        print::text(&summary::text(&cx.dirs, &policy, &notes));
        if let Ok(grant) = grant::find(&cx.dirs, &policy)
            && let Some(invocation) = grant.invocation()
        {
            print::text(&summary::rows(&invocation.rows(&cx.dirs)));
        }
        let rows = stores.iter().flatten().flat_map(ShownStore::rows);
        let rows = rows.map(|(name, fact)| (name, summary::ascii_line(&fact)));
        print::text(&summary::rows(&rows.collect::<Vec<_>>()));
        let uncovered = invocation::uncovered(&policy).into_iter();
        let uncovered: Vec<_> = uncovered.map(|what| ("note", what.to_owned())).collect();
        print::text(&summary::rows(&uncovered));
        let record = network::find(&cx.dirs)?;
        for (name, value) in record.iter().flat_map(NetworkRecord::rows) {
            print::line(&format!("  network    {name} = {value}"));
        }
        let ignored = network::ignored(record.as_ref(), &network::of_terminal);
        if !ignored.is_empty() {
            print::note(&format!(
                "servers do not get {} of this terminal: run `mcpwrap config network` to approve \
                 network settings",
                ignored.join(", ")
            ));
        }
    }
    Ok(0)
}

/// The stores that the policy and its profiles read from; `None` if they cannot be found.
fn stores(policy: &Policy, cx: &Context) -> Option<Vec<ShownStore>> {
    let found = invocation::shown_stores(policy, &cx.dirs);
    let warn = |error: &Error| print::warning(&format!("{}: {}", error.what, error.reasons()));
    found.inspect_err(warn).ok()
}

fn store_value(store: &ShownStore) -> Value {
    let facts: BTreeMap<_, _> = store
        .facts
        .iter()
        .map(|(name, fact)| (name, fact))
        .collect();
    json!({
        "name": store.name,
        "type": store.kind,
        "program": store.files,
        "interactive": store.is_interactive,
        "facts": facts,
    })
}

fn value(policy: &Policy, status: grant::GrantStatus, stores: Option<&[ShownStore]>) -> Value {
    json!({
        "server": policy.server,
        "status": status,
        "tier": policy.tier,
        "path": policy.path,
        "digest": policy.digest,
        "description": policy.description,
        "command": policy.command,
        "remote": policy.remote,
        "argv_secrets": policy.argv_secrets,
        "cwd": policy.cwd.text(),
        "fence": policy.fence,
        "env": policy.env,
        "secrets": policy.secrets,
        "profile": policy.profile,
        "profiles": policy.profiles,
        "session": policy.session,
        "limits": policy.limits,
        "package": policy.package,
        "uncovered": invocation::uncovered(policy),
        "stores": stores.map(|stores| stores.iter().map(store_value).collect::<Vec<_>>()),
    })
}
