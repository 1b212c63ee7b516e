//! Who performs a recorded act, and how consent was given.

use super::agents;
use crate::audit::{Detail, Log, NewRecord};
use crate::config::Config;
use crate::dirs::{self, Dirs};
use crate::error::{Code, Error, Result};
use crate::grant::By;
use crate::secret::Keys;
use crate::settings::AgentAct;
use crate::store::{self, Prompt};

/// Who performs an act: the consent given, and the AI agent that runs the command, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    consent: Option<By>,
    agent: Option<&'static str>,
}

impl Actor {
    /// Someone who consented at the terminal, or by a flag.
    pub fn consenting(by: By) -> Self {
        Self {
            consent: Some(by),
            agent: crate::client::agents::find().map(|agent| agent.variable),
        }
    }

    /// Someone whose act needs no consent.
    pub fn unasked() -> Self {
        Self {
            consent: None,
            agent: crate::client::agents::find().map(|agent| agent.variable),
        }
    }

    /// How consent was given. An act without consent counts as one at the terminal.
    pub fn by(&self) -> By {
        self.consent.unwrap_or(By::Terminal)
    }

    /// Whether to ask at the terminal.
    pub fn is_asked(&self) -> bool {
        self.by() == By::Terminal
    }

    /// What an audit record says about who did it.
    pub fn detail(&self) -> Detail {
        Detail {
            by: self.consent.map(|by| by.name().to_owned()),
            agent: self.agent.map(str::to_owned),
            ..Detail::default()
        }
    }
}

/// The actor of an act that the user confirms, at the terminal or by `flag` (e.g. `--yes`). `command`
/// is what the user typed; `act` is what the user can allow to agents, if anything. A refusal is
/// recorded, even if the store is locked: `records` makes the entries, to which the refusal's code is
/// added.
///
/// # Errors
/// `agent-refused`; `yes-refused`; `audit-unwritable`.
pub fn actor(
    dirs: &Dirs,
    config: &Config,
    (command, act): (&str, Option<AgentAct>),
    flag: Option<&str>,
    records: impl FnOnce(&Actor) -> Vec<NewRecord>,
) -> Result<Actor> {
    let by = flag.map_or(By::Terminal, |_| By::Yes);
    let actor = Actor::consenting(by);
    let allowed = agents::refuse(dirs, config, command, act)
        .and_then(|()| flag.map_or(Ok(()), |flag| flag_allowed(config, flag)));
    let Err(refusal) = allowed else {
        return Ok(actor);
    };
    let code = refusal.code.name();
    let entries: Vec<_> = records(&actor)
        .into_iter()
        .map(|entry| entry.reason(code))
        .collect();
    let keys = keys_if_open(dirs, config);
    Log::open(dirs, keys.as_ref())?.append(&entries)?;
    Err(refusal)
}

/// Whether a flag may replace the confirmation. It is meant for scripts.
///
/// # Errors
/// `yes-refused`.
fn flag_allowed(config: &Config, flag: &str) -> Result<()> {
    if !config.managed.forbid_yes {
        return Ok(());
    }
    let what = format!("`{flag}` refused: nothing was changed");
    Err(Error::new(Code::YesRefused, what)
        .cause(format!("`{}` forbids it", dirs::MANAGED_CONFIG))
        .hint(format!("run it in a terminal without `{flag}`")))
}

/// The keys, if the store can be opened without a prompt, for records that are written in any case.
pub fn keys_if_open(dirs: &Dirs, config: &Config) -> Option<Keys> {
    let store = store::open(dirs, config, Prompt::Never).ok()?;
    store::keys(&*store).ok()
}
