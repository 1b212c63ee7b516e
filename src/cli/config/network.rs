//! `mcpwrap config network`: the proxies and certificates that all servers use.
//!
//! They are those of the terminal in which the user approves them, and never the client's.

use serde_json::json;

use crate::audit::Outcome;
use crate::cli::{Context, ask, print};
use crate::config::Config;
use crate::error::{EXIT_NO, Result};
use crate::network::{self, Collected};
use crate::ops;
use crate::ops::actor::actor;
use crate::store::{self, Prompt};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the approved settings, without changing anything
    #[arg(long, conflicts_with_all = ["clear", "yes"])]
    show: bool,
    /// Remove the approved settings
    #[arg(long)]
    clear: bool,
    /// With `--show`, print JSON (see docs/policy.md)
    #[arg(long, requires = "show")]
    json: bool,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.show {
        return show(args.json, cx);
    }
    let config = Config::load(&cx.dirs)?;
    let flag = args.yes.then_some("--yes");
    let act = ("config network", None);
    let actor = actor(&cx.dirs, &config, act, flag, |actor| {
        vec![ops::network::record(Outcome::Refused, *actor)]
    })?;
    let collected = if args.clear {
        Collected::default()
    } else {
        network::collect(&network::of_terminal)?
    };
    for (name, why) in &collected.left_out {
        print::warning(&format!("`{name}` is not taken over: {why}"));
    }
    let known = network::find(&cx.dirs);
    if collected.is_empty() && !args.clear {
        print::note(
            "this terminal has no network settings: set `HTTPS_PROXY`, `NO_PROXY` or \
             `NODE_EXTRA_CA_CERTS` first",
        );
        return Ok(EXIT_NO);
    }
    if args.clear && matches!(known, Ok(None)) {
        print::note("nothing to remove: no network settings are approved");
        return Ok(0);
    }
    if actor.is_asked() {
        ask::type_name(&question(&collected), "network")?;
    }
    let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    let keys = store::keys_or_create(&*store)?;
    ops::network::approve(&cx.dirs, &*store, &keys, &collected, actor)?;
    print::line(if args.clear {
        "removed: network settings"
    } else {
        "approved: network settings"
    });
    print::note("servers use them from their next start; `mcpwrap renew SERVER` restarts one now");
    Ok(0)
}

fn question(collected: &Collected) -> String {
    if collected.is_empty() {
        return "servers will use no proxy and the system's certificates\n".to_owned();
    }
    let mut rows = String::new();
    for (name, value) in collected.rows() {
        rows.extend(["  ", &name, " = ", &value, "\n"]);
    }
    format!("every server will connect through these proxies and trust these certificates:\n{rows}")
}

fn show(as_json: bool, cx: &Context) -> Result<u8> {
    let record = network::find(&cx.dirs)?;
    let rows = record.as_ref().map(network::NetworkRecord::rows);
    let rows = rows.unwrap_or_default();
    let ignored = network::ignored(record.as_ref(), &network::of_terminal);
    if as_json {
        let settings: Vec<_> = rows
            .iter()
            .map(|(name, value)| json!({ "variable": name, "value": value }))
            .collect();
        print::json(&json!({ "settings": settings, "not_approved": ignored }));
        return Ok(0);
    }
    for (name, value) in &rows {
        print::line(&format!("{name} = {value}"));
    }
    if rows.is_empty() {
        print::note("no network settings are approved");
    }
    if !ignored.is_empty() {
        print::note(&format!(
            "set in this terminal but not approved: {}; run `mcpwrap config network` to approve them",
            ignored.join(", ")
        ));
    }
    Ok(0)
}
