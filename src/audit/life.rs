//! The life of the log: segments are packed after a day, and removed when they are too old or too
//! many.
//!
//! *Never* the segment that holds the head. *Always* a sealed record says what is removed, with the
//! last number and its hash, before it is: so `verify` knows retention from a cut. Nothing here is
//! in the way of a launch: it runs in the supervisor's own thread, and in `mcpwrap log verify`.

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

/// How well segments are packed. The default of zstd: 300 MB/s, a tenth of the size.
const LEVEL: i32 = 3;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub packed: usize,
    pub removed: usize,
}

/// Packs and removes what is due. Two processes at once do it once.
///
/// # Errors
/// `audit-unwritable`, with what was in the way. Nothing is lost then.
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

/// Packs the segments of before yesterday: the last day and night stay readable for every tool.
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

/// Writes the packed segment beside the plain one, reads it again, and removes the plain one.
fn pack(dir: &Path, segment: &Segment) -> Result<bool, Problem> {
    let source = files::open_private(&segment.path)?;
    let size = source.metadata()?.len();
    if size == 0 {
        files::remove(&segment.path)?;
        return Ok(false);
    }
    // A clock that jumped back, or logrotate, may have used the name before.
    let mut target = dir.join(format!("{}.zst", segment.name));
    for part in 2.. {
        if !target.exists() {
            break;
        }
        target = dir.join(format!("{}-{part}.zst", segment.name));
    }
    let temporary = dir.join(format!(".{}.zst", segment.name));
    // Only one process is here: what is there is left over from one that was ended.
    files::remove(&temporary)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let result = write_packed(&source, &file, size).and_then(|()| {
        if unpacked_size(&temporary)? != size {
            let text = "the packed segment does not hold what the plain one did";
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

/// Removes the oldest segments that are too old, or too many.
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
    // Without the key the record cannot be sealed, and a removal looks like a cut.
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

/// The segment that is written to.
fn head_file(dir: &Path) -> Result<Option<String>, Problem> {
    let _lock = disk::lock(dir)?;
    Ok(end::find(dir)?.file)
}
