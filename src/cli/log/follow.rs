//! `mcpwrap log --follow`: prints records as they are written.
//!
//! Reads the note of the head four times per second: one small read that works on every file system
//! and misses nothing when the date or the segment changes.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Context, print, read, table, warn_skipped};
use crate::audit::disk::Note;
use crate::audit::query::{Filter, Skipped};
use crate::error::Result;

const PAUSE: Duration = Duration::from_millis(250);

pub fn run(filter: &Filter, json: bool, cx: &Context) -> Result<u8> {
    let zone = TimeZone::system();
    let mut out = print::PagedOutput::new();
    let mut filter = filter.clone();
    let mut warned = Skipped::default();
    let (mut last, mut seen) = (0, None);
    if !json {
        // A closed pipe is noticed at the next line.
        let _gone = out.line(&table::heading());
    }
    loop {
        let note = Note::read(&cx.dirs.audit()).map(|note| (note.file, note.size, note.seq));
        if note != seen || seen.is_none() {
            let mut gone = false;
            let begin = Timestamp::now();
            let skipped = read(&filter, cx, |line, record| {
                if record.seq <= last {
                    return ControlFlow::Continue(());
                }
                last = record.seq;
                let flow = if json {
                    out.bytes(line)
                } else {
                    out.line(&table::row(&record, &zone))
                };
                gone = flow.is_break();
                flow
            })?;
            if skipped != warned {
                warn_skipped(&skipped);
                warned = skipped;
            }
            if gone || out.flush().is_break() {
                return Ok(0);
            }
            // From now on only the end of the log is read; the clock may jump back a little.
            let recent = begin
                .checked_sub(SignedDuration::from_mins(10))
                .unwrap_or(begin);
            filter.since = filter.since.max(Some(recent));
            seen = note;
        }
        if filter.until.is_some_and(|until| Timestamp::now() > until) {
            return Ok(0);
        }
        std::thread::sleep(PAUSE);
    }
}
