//! Whether an AI agent runs this process: a variable that agents set for their commands, here or in a
//! process above.
//!
//! A variable can be unset, and a process can leave its ancestors. This is friction for agents, and
//! not a wall: `docs/threat-model.md` says what goes round it.

use super::table::CLIENTS;
use crate::dirs;
use crate::sys::ancestors;

/// Set by agents that follow a common convention, whatever their name.
const COMMON: &str = "AI_AGENT";

/// The agent above this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub variable: &'static str,
    /// The process above that has the variable; `None` if this one has it.
    pub process: Option<ancestors::Ancestor>,
}

/// All variables that agents set.
pub fn variables() -> Vec<&'static str> {
    let known = CLIENTS.iter().flat_map(|client| client.agent);
    known.copied().chain([COMMON]).collect()
}

/// Finds the agent above this process, the nearest first.
pub fn find() -> Option<Agent> {
    let names = variables();
    if let Some(variable) = dirs::first_set(&names) {
        return Some(Agent {
            variable,
            process: None,
        });
    }
    ancestors::with_variable(&names).map(|(process, variable)| Agent {
        variable,
        process: Some(process),
    })
}
