//! What an AI agent may not do: whatever approves, changes or sends a secret. It is refused with and
//! without `--yes`, because an agent can type into a terminal too.
//!
//! Invariant: what cannot be verified (the store is locked, the seal does not match) allows nothing.

use crate::client::agents::{self, Agent};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result, printable};
use crate::settings::{self, AgentAct};
use crate::store::{self, Prompt};

/// Refuses a command that an AI agent runs. `command`: as the user types it. `act`: what the user can
/// allow; `None` if nothing lifts the refusal.
///
/// # Errors
/// `agent-refused`.
pub fn refuse(dirs: &Dirs, config: &Config, command: &str, act: Option<AgentAct>) -> Result<()> {
    let Some(agent) = agents::find() else {
        return Ok(());
    };
    let problem = match act.map(|act| is_allowed(dirs, config, act)) {
        Some(Ok(true)) => return Ok(()),
        Some(Err(error)) => Some(error),
        Some(Ok(false)) | None => None,
    };
    let error = Error::new(
        Code::AgentRefused,
        format!("`mcpwrap {command}` refused: an AI agent runs it"),
    )
    .cause(who(&agent));
    let error = match problem {
        Some(problem) => error.cause(format!("what agents may do is unknown: {}", problem.text())),
        None => error,
    };
    let error = if config.agents.allow_yes {
        error.cause("`allow_yes` in config.toml has no effect: every program of yours can set it")
    } else {
        error
    };
    let error = error.hint("open a terminal not started from it, and run the command there");
    Err(match act {
        Some(act) => error.hint(format!(
            "to allow agents to do this, run `mcpwrap config agents --allow {}` in such a terminal",
            act.name()
        )),
        None => error,
    })
}

/// The process and the variable.
fn who(agent: &Agent) -> String {
    let variable = agent.variable;
    match &agent.process {
        None => format!("`{variable}` is set"),
        Some(above) => format!(
            "process {} (`{}`), which started this one, has `{variable}` set",
            above.pid,
            printable(&above.program)
        ),
    }
}

fn is_allowed(dirs: &Dirs, config: &Config, act: AgentAct) -> Result<bool> {
    if !dirs.settings().exists() {
        return Ok(false);
    }
    let store = store::open(dirs, config, Prompt::Never)?;
    let keys = store::keys(&*store)?;
    Ok(settings::agents(dirs, &keys)?.contains(&act))
}
