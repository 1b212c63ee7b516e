//! `mcpwrap grant`: shows a policy and its changes since the last grant, asks, and approves it.

use super::{Context, ask, print};
use crate::config::Config;
use crate::error::Result;
use crate::ops::actor::actor;
use crate::ops::approve::{self, Approval};
use crate::policy::{self, Policy};
use crate::secret::ServerName;
use crate::settings::AgentAct;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Servers to approve
    #[arg(required = true)]
    server: Vec<ServerName>,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let load = |server| policy::load(&cx.dirs, server, None);
    let policies = args.server.iter().map(load).collect::<Result<Vec<_>>>()?;
    let flag = args.yes.then_some("--yes");
    let act = ("grant", Some(AgentAct::Grant));
    let actor = actor(&cx.dirs, &config, act, flag, |actor| {
        approve::refusals(&policies, actor)
    })?;
    let mut agree =
        |policy: &Policy, question: &str| ask::type_name(question, policy.server.as_str());
    let mut done = |policy: &Policy, approval| match approval {
        Approval::Granted => print::line(&format!("granted: {}", policy.server)),
        Approval::Managed => print::note(&format!(
            "server `{}` needs no grant: its policy is managed",
            policy.server
        )),
    };
    approve::grant(&cx.dirs, &config, &policies, actor, &mut agree, &mut done)?;
    Ok(0)
}
