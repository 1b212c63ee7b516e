//! `mcpwrap config agents`: shows or changes what AI agents may do.

use clap::ValueEnum as _;

use crate::cli::{Context, ask, print};
use crate::config::Config;
use crate::error::Result;
use crate::ops::actor::actor;
use crate::ops::settings::{allow_agents, refusal, words};
use crate::settings::{self, AgentAct};
use crate::store::{self, Prompt};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Allow agents to do this too (repeatable)
    #[arg(long, value_name = "ACT")]
    allow: Vec<AgentAct>,
    /// No longer allow agents to do this (repeatable)
    #[arg(long, value_name = "ACT")]
    forbid: Vec<AgentAct>,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let dirs = &cx.dirs;
    let config = Config::load(dirs)?;
    if args.allow.is_empty() && args.forbid.is_empty() {
        let allowed = if dirs.settings().exists() {
            let store = store::open(dirs, &config, Prompt::Allowed)?;
            settings::agents(dirs, &store::keys(&*store)?)?
        } else {
            Vec::new()
        };
        show(&allowed);
        return Ok(0);
    }
    let flag = args.yes.then_some("--yes");
    let act = ("config agents", None);
    let actor = actor(dirs, &config, act, flag, |actor| vec![refusal(actor)])?;
    let store = store::open(dirs, &config, Prompt::Allowed)?;
    let keys = store::keys_or_create(&*store)?;
    // A list that is not sealed counts as empty, and is replaced.
    let before = settings::agents(dirs, &keys).unwrap_or_default();
    let chosen = |act: &AgentAct| {
        (before.contains(act) || args.allow.contains(act)) && !args.forbid.contains(act)
    };
    let now: Vec<_> = AgentAct::value_variants()
        .iter()
        .copied()
        .filter(chosen)
        .collect();
    if actor.is_asked() && !now.is_empty() {
        let question = format!(
            "AI agents that run as you could do this without asking you: {}\n",
            words(&now)
        );
        ask::type_name(&question, "agents")?;
    }
    allow_agents(dirs, &keys, actor, &now)?;
    show(&now);
    Ok(0)
}

fn show(allowed: &[AgentAct]) {
    for act in AgentAct::value_variants() {
        let state = if allowed.contains(act) {
            "allowed"
        } else {
            "refused"
        };
        print::line(&format!("{:<8} {state}", act.name()));
    }
}
