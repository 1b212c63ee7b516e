//! The head of the audit log in the store, so that a truncated log shows; and what follows a
//! verification.

use crate::audit::breaks::BreakKind;
use crate::audit::verify::VerifyReport;
use crate::audit::{Detail, Event, Head, Log, NewRecord, Outcome, anchor, life};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::secret::Keys;
use crate::store::{self, Prompt, Store};

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

/// The store, the key of the chain, and the head that the store keeps.
///
/// # Errors
/// Those of the store.
pub fn open(dirs: &Dirs) -> Result<(Box<dyn Store>, Keys, Option<Head>)> {
    let config = Config::load(dirs)?;
    let store = store::open(dirs, &config, Prompt::Allowed)?;
    let keys = store::keys(store.as_ref())?;
    let kept = anchor::kept(store.as_ref())?;
    Ok((store, keys, kept))
}

/// Records a break that the log does not know of yet, packs and removes what is due, and keeps the
/// head in the store.
///
/// # Errors
/// Those of the log and of the store.
pub fn record_break(
    dirs: &Dirs,
    report: &VerifyReport,
    store: &dyn Store,
    keys: &Keys,
) -> Result<()> {
    let log = Log::open(dirs, Some(keys))?;
    let news = report.breaks.iter().find(|found| {
        !matches!(found.kind, BreakKind::Torn | BreakKind::Unreadable)
            && !report.told.contains(&found.first)
    });
    if let Some(found) = news {
        let detail = Detail {
            file: (!found.file.is_empty()).then(|| found.file.clone()),
            first: Some(found.first),
            last: Some(found.last),
            ..Detail::default()
        };
        let entry = NewRecord::new(Event::Log, Outcome::Failed)
            .reason(found.kind.name())
            .detail(detail);
        log.append(&[entry])?;
    }
    life::keep_up(&log)?;
    if report.records > 0 || news.is_some() {
        // The log itself tells of every break now, so this head covers nothing up.
        anchor::replace(store, &log)?;
    }
    Ok(())
}
