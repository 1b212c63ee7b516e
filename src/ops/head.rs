//! Keeps the head of the audit log in the store, so that a truncated log shows.

use crate::audit::{Head, Log, anchor};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::store::{self, Prompt};

/// After an act that was recorded: puts the head into the store.
///
/// # Errors
/// `audit-broken` if the log is not what the store knows of; those of the store, which is not asked to
/// be unlocked.
pub fn keep(dirs: &Dirs) -> Result<()> {
    let config = Config::load(dirs)?;
    let log = Log::open(dirs, None)?;
    if log.head()? == Head::default() {
        return Ok(());
    }
    let store = store::open(dirs, &config, Prompt::Never)?;
    anchor::keep(store.as_ref(), &log)
}
