//! Approves the network settings of servers.

use super::actor::Actor;
use super::secrets::{SecretChange, record_and_store};
use crate::audit::{Event, Log, NewRecord, Outcome};
use crate::dirs::Dirs;
use crate::error::Result;
use crate::network::{self, Collected};
use crate::secret::Keys;
use crate::store::{SecretItem, Store};

/// Stores the passwords of proxies, then the record; an empty collection removes the settings.
///
/// # Errors
/// `audit-unwritable`, those of the store, `file-unusable`.
pub fn approve(
    dirs: &Dirs,
    store: &dyn Store,
    keys: &Keys,
    collected: &Collected,
    actor: Actor,
) -> Result<()> {
    let changes: Vec<_> = collected
        .secrets
        .iter()
        .map(|(name, value)| SecretChange {
            event: Event::SecretSet,
            name: name.clone(),
            item: SecretItem::plain(value.clone()),
        })
        .collect();
    if !changes.is_empty() {
        record_and_store(dirs, store, actor, &changes)?;
    }
    Log::open(dirs, Some(keys))?.append(&[record(Outcome::Ok, actor)])?;
    network::approve(dirs, collected, keys)
}

/// The record of an approval, or of its refusal.
pub fn record(outcome: Outcome, actor: Actor) -> NewRecord {
    NewRecord::new(Event::Network, outcome).detail(actor.detail())
}
