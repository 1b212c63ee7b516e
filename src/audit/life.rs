//! Retention: compresses segments after a day, and removes them when they are too old or too large.
//!
//! Invariants: the segment with the head is left alone. Before segments are removed, a sealed record
//! names the last number and its hash, so that `verify` can tell retention from truncation. It never
//! delays a launch: it runs in a thread of the supervisor, and in `mcpwrap log verify`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::disk::{self, Packing, Segment};
use super::end;
use super::event::{Detail, Event, NewRecord, Outcome};
use super::head::Head;
use super::log::Log;
use super::read;
use super::record::link;
use crate::config::Audit;
use crate::error::Error;
use crate::files::{self, Problem};

/// The compression level, the default of zstd: 300 MB/s, 10 % of the size.
const LEVEL: i32 = 3;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub packed: usize,
    pub removed: usize,
}

/// Compresses and removes what is due. Safe to run in two processes at once.
///
/// # Errors
/// `audit-unwritable` with the reason. No record is lost in this case.
pub fn keep_up(log: &Log) -> Result<Done, Error> {
    let today = Timestamp::now().to_zoned_datetime(TimeZone::UTC).date();
    let run = || -> Result<Done, Problem> {
        let _turn = files::lock(&log.dir().join(".life"))?;
        let removed = remove_due(log, today)?;
        let packed = pack_due(log.dir(), today)?;
        Ok(Done { packed, removed })
    };
    run().map_err(|problem| log.unwritable(problem))
}

/// Compresses the segments from before yesterday, so that all tools can read the last two days.
fn pack_due(dir: &Path, today: Date) -> Result<usize, Problem> {
    let yesterday = today.yesterday().unwrap_or(today);
    let head = head_file(dir)?;
    let mut packed = 0;
    for segment in disk::segments(dir)? {
        let due = segment.packing == Packing::Plain && segment.day < yesterday;
        if due && head.as_deref() != Some(segment.name.as_str()) {
            packed += usize::from(pack(dir, &segment)?);
        }
    }
    Ok(packed)
}

/// Writes the compressed segment beside the original, verifies it, and removes the original.
fn pack(dir: &Path, segment: &Segment) -> Result<bool, Problem> {
    let source = files::open_private(&segment.path)?;
    let size = source.metadata()?.len();
    if size == 0 {
        files::remove(&segment.path)?;
        return Ok(false);
    }
    // The name may be taken, after a clock that jumped back or by logrotate.
    let mut target = dir.join(format!("{}.zst", segment.name));
    for part in 2.. {
        if !target.exists() {
            break;
        }
        target = dir.join(format!("{}-{part}.zst", segment.name));
    }
    let temporary = dir.join(format!(".{}.zst", segment.name));
    // Only one process gets here, so an existing file was left by one that was killed.
    files::remove(&temporary)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let result = write_packed(&source, &file, size).and_then(|()| {
        if unpacked_size(&temporary)? != size {
            let text = "the compressed segment differs from the original";
            return Err(Problem::Io(std::io::Error::other(text)));
        }
        std::fs::rename(&temporary, &target)?;
        Ok(files::sync_dir(dir)?)
    });
    if let Err(problem) = result {
        files::remove(&temporary)?;
        return Err(problem);
    }
    files::remove(&segment.path)?;
    Ok(true)
}

fn write_packed(source: &File, file: &File, size: u64) -> Result<(), Problem> {
    let mut encoder = zstd::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(size))?;
    std::io::copy(&mut &*source, &mut encoder)?;
    encoder.finish()?.flush()?;
    Ok(file.sync_all()?)
}

fn unpacked_size(path: &Path) -> Result<u64, Problem> {
    let mut decoder = zstd::Decoder::new(File::open(path)?)?;
    Ok(std::io::copy(&mut decoder, &mut std::io::sink())?)
}

/// Removes the oldest segments while they are too old, or the log is too large.
fn remove_due(log: &Log, today: Date) -> Result<usize, Problem> {
    let dir = log.dir();
    let Audit {
        retain,
        retain_size,
        ..
    } = log.settings();
    let oldest = today
        .checked_sub(i64::from(retain.0).days())
        .unwrap_or(Date::MIN);
    let head = head_file(dir)?;
    let segments = read::segments(dir)?.ordered;
    let size = |segment: &Segment| std::fs::metadata(&segment.path).map_or(0, |meta| meta.len());
    let mut total: u64 = segments.iter().map(size).sum();
    let mut due = Vec::new();
    for segment in segments {
        let keep = segment.day >= oldest && total <= retain_size.0;
        if keep || head.as_deref() == Some(segment.name.as_str()) {
            break;
        }
        total = total.saturating_sub(size(&segment));
        due.push(segment);
    }
    // Without the key the record cannot be sealed, and the removal would look like truncation.
    let (Some(first), Some(last), true) = (due.first(), due.last(), log.is_sealed()) else {
        return Ok(0);
    };
    let first = link(&read::first_line(first)?).map(|(seq, _)| seq);
    let end = read::end(last, Head::default())?.last;
    let detail = Detail {
        file: Some(last.name.clone()),
        first,
        last: Some(end.seq),
        records: first.map(|first| end.seq.saturating_sub(first) + 1),
        hash: Some(end.hash.to_string()),
        ..Detail::default()
    };
    let entry = NewRecord::new(Event::Log, Outcome::Ok)
        .reason("pruned")
        .detail(detail);
    log.append_or(&[entry])?;
    for segment in &due {
        files::remove(&segment.path)?;
    }
    Ok(due.len())
}

/// The segment that is currently written to.
fn head_file(dir: &Path) -> Result<Option<String>, Problem> {
    let _lock = disk::lock(dir)?;
    Ok(end::find(dir)?.file)
}
