//! Changes sealed settings: writes the record first, then the sealed file.

use super::actor::Actor;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::dirs::Dirs;
use crate::error::Result;
use crate::secret::Keys;
use crate::settings::{self, AgentAct};

/// Sets what AI agents may do.
///
/// # Errors
/// `audit-unwritable`, and those of [`settings::allow_agents`].
pub fn allow_agents(dirs: &Dirs, keys: &Keys, actor: Actor, allow: &[AgentAct]) -> Result<()> {
    let note = match allow {
        [] => "nothing".to_owned(),
        _ => words(allow),
    };
    let detail = Detail {
        note: Some(note),
        ..actor.detail()
    };
    Log::open(dirs, Some(keys))?.append(&[record(Outcome::Ok).detail(detail)])?;
    settings::allow_agents(dirs, keys, allow)
}

/// The record of a change that was refused.
pub fn refusal(actor: &Actor) -> NewRecord {
    record(Outcome::Refused).detail(actor.detail())
}

fn record(outcome: Outcome) -> NewRecord {
    NewRecord::new(Event::Config, outcome).reason("agents")
}

/// The acts as one text.
pub fn words(acts: &[AgentAct]) -> String {
    let words: Vec<_> = acts.iter().map(|act| act.name()).collect();
    words.join(", ")
}
