//! Records that values of client configs were compared with stored secrets.
//!
//! The plan shows which values are stored already, and so whether a guess is right. Invariant: the
//! record is on disk before the plan is shown.

use super::round::Round;
use crate::audit::{Detail, Event, Log, NewRecord, Outcome, SecretUse};
use crate::dirs::Dirs;
use crate::error::Result;
use crate::ops::actor::Actor;
use crate::secret::Keys;

/// Records how many values were compared, and each stored secret that is among them.
///
/// # Errors
/// `audit-unwritable`.
pub fn record(dirs: &Dirs, keys: &Keys, actor: Actor, round: &Round) -> Result<()> {
    let names = &round.names;
    if names.compared() == 0 {
        return Ok(());
    }
    let entry = || NewRecord::new(Event::Adopt, Outcome::Intent).reason("compared");
    let count = entry().detail(Detail {
        records: u64::try_from(names.compared()).ok(),
        ..actor.detail()
    });
    let known = names.secrets().iter().filter(|secret| secret.known);
    let known = known.map(|secret| {
        let secret = SecretUse {
            name: secret.name.clone().into(),
            variable: None,
            fingerprint: None,
        };
        entry().secret(secret).detail(actor.detail())
    });
    let entries: Vec<_> = std::iter::once(count).chain(known).collect();
    Log::open(dirs, Some(keys))?.append(&entries)
}
