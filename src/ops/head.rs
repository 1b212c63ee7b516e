//! Keeps the head of the audit log in the store, so that truncation is detected, and records the
//! result of a verification.

use crate::audit::breaks::{Break, BreakKind};
use crate::audit::report::VerifyReport;
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
    if !dirs.audit().exists() {
        return Ok(());
    }
    let config = Config::load(dirs)?;
    let log = Log::open(dirs, None)?;
    if log.head()? == Head::default() {
        return Ok(());
    }
    let store = store::open(dirs, &config, Prompt::Never)?;
    anchor::keep(store.as_ref(), &log)
}

/// Stores the head of a release, if the store writes quickly.
///
/// # Errors
/// As [`keep`].
pub fn keep_if_cheap(dirs: &Dirs, head: Head) -> Result<()> {
    let config = Config::load(dirs)?;
    if !store::writes_quickly(dirs, &config) {
        return Ok(());
    }
    let store = store::open(dirs, &config, Prompt::Never)?;
    anchor::keep_head(store.as_ref(), &dirs.audit(), head)
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

/// Records each break that is not in the log yet, counts the records without a seal, compresses and removes old segments, and stores the
/// head.
///
/// # Errors
/// Those of the log and of the store.
pub fn record_breaks(
    dirs: &Dirs,
    report: &VerifyReport,
    store: &dyn Store,
    keys: &Keys,
) -> Result<()> {
    let log = Log::open(dirs, Some(keys))?;
    let new = report.breaks.iter().filter(|found| {
        !matches!(found.kind, BreakKind::Torn | BreakKind::Unreadable)
            && !report.told.contains(&found.first)
    });
    let records: Vec<_> = new.map(record_of).collect();
    if !records.is_empty() {
        log.append(&records)?;
    } else if report.uncovered > 0 {
        log.count_unsealed()?;
    }
    life::keep_up(&log)?;
    // A new head would hide a truncation that is not in the log.
    let all_recorded = report.breaks_more == 0;
    if all_recorded && (report.records > 0 || !records.is_empty()) {
        anchor::replace(store, &log)?;
    }
    Ok(())
}

fn record_of(found: &Break) -> NewRecord {
    let detail = Detail {
        file: (!found.file.is_empty()).then(|| found.file.clone()),
        first: Some(found.first),
        last: Some(found.last),
        ..Detail::default()
    };
    NewRecord::new(Event::Log, Outcome::Failed)
        .reason(found.kind.name())
        .detail(detail)
}
