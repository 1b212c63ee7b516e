//! `mcpwrap grant`: shows a policy and its changes since the last grant, asks, and approves it.

use super::{Context, ask, print, verifying};
use crate::config::Config;
use crate::error::{EXIT_ERROR, EXIT_NO, Error, Result};
use crate::invocation::Terminal;
use crate::ops::actor::actor;
use crate::ops::again::{self, Recalled};
use crate::ops::approve::{self, Approval};
use crate::ops::changed;
use crate::ops::needs;
use crate::ops::notes;
use crate::policy::{self, Policy};
use crate::secret::ServerName;
use crate::settings::AgentAct;

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Servers to approve
    #[arg(required_unless_present_any = ["changed", "again"])]
    server: Vec<ServerName>,
    /// Approve programs that changed, for all servers
    #[arg(long, conflicts_with = "server")]
    changed: bool,
    /// Approve what the last `revoke --all` ended
    #[arg(long, conflicts_with_all = ["server", "changed"])]
    again: bool,
    /// Ask providers whether secrets are valid (asks first, opens the store)
    #[arg(long, conflicts_with_all = ["changed", "again", "yes"])]
    verify: bool,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    if args.changed {
        return programs(args, cx);
    }
    if args.again {
        return revoked(args, cx);
    }
    if args.verify {
        verifying::refuse_agents(cx, "grant --verify")?;
    }
    let config = Config::load(&cx.dirs)?;
    let load = |server| policy::load(&cx.dirs, server, None);
    let policies = args.server.iter().map(load).collect::<Result<Vec<_>>>()?;
    let flag = args.yes.then_some("--yes");
    let act = ("grant", Some(AgentAct::Grant));
    let actor = actor(&cx.dirs, &config, act, flag, |actor| {
        approve::refusals(&policies, actor)
    })?;
    let mut agree = |policy: &Policy, question: &str| {
        ask::type_name(question, policy.server.as_str())?;
        if args.verify {
            verifying::before_grant(cx, &config, policy)?;
        }
        Ok(())
    };
    let mut done = |policy: &Policy, approval| match approval {
        Approval::Granted => {
            granted(policy);
            needs(cx, policy);
            // The question has said it, if there was one.
            let why = notes::refused(policy, &config).filter(|_| !actor.is_asked());
            if let Some(why) = why {
                print::warning(&format!("server `{}` {why}", policy.server));
            }
        }
        Approval::Managed => print::note(&format!(
            "server `{}` needs no grant: its policy is managed",
            policy.server
        )),
    };
    approve::grant(&cx.dirs, &config, &policies, actor, &mut agree, &mut done)?;
    for command in again::logins(&cx.dirs, &[], &args.server)? {
        print::note(&format!("not logged in yet: run `{command}`"));
    }
    Ok(0)
}

fn granted(policy: &Policy) {
    print::line(&format!("granted: {}", policy.server));
}

/// Where the secrets of a remote server go, or what a local one reads in this terminal and does not
/// get.
fn needs(cx: &Context, policy: &Policy) {
    if let Some(remote) = &policy.remote {
        print::note(&format!(
            "server `{}` is at {}, which gets what this policy sends",
            policy.server,
            remote.host()
        ));
    }
    for note in needs::notes(&cx.dirs, policy, &Terminal::new(&cx.dirs)) {
        print::note(&note);
    }
}

/// Approves what the last `revoke --all` ended, with one question.
fn revoked(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let Recalled {
        policies,
        gone,
        logins,
    } = again::recall(&cx.dirs)?;
    let servers: Vec<_> = policies
        .iter()
        .map(|policy| policy.server.clone())
        .collect();
    if policies.is_empty() {
        print::note("nothing to grant");
    }
    let flag = args.yes.then_some("--yes");
    let act = ("grant --again", Some(AgentAct::Grant));
    let actor = actor(&cx.dirs, &config, act, flag, |actor| {
        approve::refusals(&policies, actor)
    })?;
    let mut agree = |questions: &str| ask::type_name(questions, "again");
    let failed = again::grant(&cx.dirs, &config, policies, actor, &mut agree, &mut granted)?;
    let failed: Vec<Error> = gone.into_iter().chain(failed).collect();
    for error in &failed {
        print::error(error);
    }
    let commands = again::logins(&cx.dirs, &logins, &servers)?;
    if !commands.is_empty() {
        print::line("log in again:");
    }
    for command in commands {
        print::line(&format!("  {command}"));
    }
    Ok(if failed.is_empty() { 0 } else { EXIT_NO })
}

/// Approves programs that changed. Each change is shown once, for all servers that share it.
fn programs(args: &Args, cx: &Context) -> Result<u8> {
    let found = changed::find(&cx.dirs);
    for error in &found.failed {
        print::error(error);
    }
    let failed = if found.failed.is_empty() {
        0
    } else {
        EXIT_ERROR
    };
    if found.servers.is_empty() {
        if failed == 0 {
            print::note("no program changed since it was granted");
        }
        return Ok(failed);
    }
    let config = Config::load(&cx.dirs)?;
    let policies: Vec<_> = found.servers.iter().map(|one| one.next.clone()).collect();
    let flag = args.yes.then_some("--yes");
    let act = ("grant --changed", Some(AgentAct::Grant));
    let actor = actor(&cx.dirs, &config, act, flag, |actor| {
        approve::refusals(&policies, actor)
    })?;
    if actor.is_asked() {
        ask::type_name(&found.question(), "changed")?;
    }
    let keys = approve::open_keys(&cx.dirs, &config)?;
    for one in &found.servers {
        one.approve(&cx.dirs, &keys, actor)?;
        granted(&one.next);
    }
    Ok(failed)
}
