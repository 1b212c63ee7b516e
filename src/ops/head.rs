//! Keeps the head of the audit log in the store, so that truncation is detected.

use crate::audit::{Head, Log, anchor};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::store::{self, Prompt};

/// Stores the current head after a recorded act.
///
/// # Errors
/// `audit-broken` if the log does not match the head in the store; those of the store, which is
/// opened without a prompt.
pub fn keep(dirs: &Dirs) -> Result<()> {
    let config = Config::load(dirs)?;
    let log = Log::open(dirs, None)?;
    if log.head()? == Head::default() {
        return Ok(());
    }
    let store = store::open(dirs, &config, Prompt::Never)?;
    anchor::keep(store.as_ref(), &log)
}
