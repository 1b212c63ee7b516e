//! Keeps the head of the audit log in the store, so that truncation is detected, and records the
//! result of a verification.

use crate::audit::breaks::BreakKind;
use crate::audit::verify::VerifyReport;
use crate::audit::{Detail, Event, Head, Log, NewRecord, Outcome, anchor, life};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::secret::Keys;
use crate::store::{self, Prompt, Store};

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

/// Opens the store and returns it with the chain key and the stored head.
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

/// Records a break that is not in the log yet, compresses and removes old segments, and stores the
/// head.
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
        // Every break is in the log now, so this head hides none.
        anchor::replace(store, &log)?;
    }
    Ok(())
}
