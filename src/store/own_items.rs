//! Items that mcpwrap itself keeps in the local store, as JSON: tokens, registrations, and what withdraws
//! credentials.

use serde::Serialize;

use super::{SecretItem, Store, value_differs};
use crate::error::{Code, Result};
use crate::secret::{Secret, SecretName};

/// Writes an item, and reads it back: what the store returns is what it has on disk. `what`: what was not
/// done if that differs.
///
/// # Errors
/// Those of the store.
pub fn write(
    store: &dyn Store,
    name: &SecretName,
    item: &impl Serialize,
    what: &str,
) -> Result<()> {
    let text = serde_json::to_vec(item).expect("an item is always valid JSON");
    let stored = SecretItem::plain(Secret::new(text));
    store.put(name, &stored)?;
    if store.get(name)?.value == stored.value {
        return Ok(());
    }
    Err(value_differs(store.kind(), name, what))
}

/// Removes an item. A missing one is not an error.
///
/// # Errors
/// Those of the store.
pub fn remove(store: &dyn Store, name: &SecretName) -> Result<()> {
    match store.remove(name) {
        Err(error) if error.code != Code::SecretNotFound => Err(error),
        _ => Ok(()),
    }
}
