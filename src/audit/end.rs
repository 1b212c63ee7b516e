//! The end of the chain: finds the last record without reading the log, and repairs a torn line.
//!
//! Invariants: the caller holds the lock. A torn last line (a full disk, a power cut) is removed, or
//! gets its newline if only that is missing. If the log differs from the head note, the next record
//! reports the difference and where it starts.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::disk::{Note, Packing, Segment, SegmentTail, last_seq, segments, tail, unsealed_tail};
use super::event::{Detail, Event, NewRecord, Outcome};
use super::head::Head;
use super::read;
use super::record::{Hash, LINE_BYTES_MAX, Record, link};
use crate::files::{self, Problem};

/// What was found at the end of the log.
#[derive(Debug, Default)]
pub struct LogEnd {
    /// The segment that contains the last record, if any.
    pub file: Option<String>,
    /// That segment, open for reading and appending, if it was opened last.
    pub open: Option<File>,
    pub head: Head,
    /// How many records without a seal are at the end, and how many refusals were not written.
    pub unsealed: u64,
    pub unwritten: u64,
    /// Records about the log itself, to be written before anything else.
    pub notes: Vec<NewRecord>,
}

/// Finds the head, repairs a torn line, and compares the head with the note.
pub fn find(dir: &Path) -> Result<LogEnd, Problem> {
    let note = Note::read(dir);
    if let Some(note) = &note
        && let Some(found) = matching_note(dir, note)
    {
        return Ok(found);
    }
    let mut found = LogEnd::default();
    for segment in segments(dir)?
        .iter()
        .filter(|segment| segment.packing == Packing::Plain)
    {
        inspect(segment, &mut found)?;
    }
    if let Some(name) = &found.file {
        found.unsealed = unsealed_tail(&files::open_private(&dir.join(name))?)?;
    }
    if let Some(note) = note {
        found.unwritten = note.unwritten;
        compare(dir, &note, &mut found)?;
    }
    Ok(found)
}

/// The usual case: the segment ends exactly as the note says.
fn matching_note(dir: &Path, note: &Note) -> Option<LogEnd> {
    let file = files::open_append_only(&dir.join(&note.file)).ok()?;
    let SegmentTail {
        line: Some(line),
        size,
        ..
    } = tail(&file).ok()?
    else {
        return None;
    };
    let fits = size == note.size && Hash::of_line(&line) == note.hash;
    let head = Head {
        seq: note.seq,
        hash: note.hash,
    };
    fits.then(|| LogEnd {
        file: Some(note.file.clone()),
        open: Some(file),
        head,
        unsealed: note.unsealed,
        unwritten: note.unwritten,
        notes: Vec::new(),
    })
}

/// Repairs the end of one segment, and takes its last record if no other has a higher number.
fn inspect(segment: &Segment, found: &mut LogEnd) -> Result<(), Problem> {
    let file = files::open_append(&segment.path)?;
    let mut end = tail(&file)?;
    // A copy that logrotate is writing right now may also end in a torn line: leave it alone.
    if !end.torn.is_empty() && segment.is_current() {
        found.notes.push(repair(&file, segment, &end)?);
        end = tail(&file)?;
    }
    let Some(line) = end.line else { return Ok(()) };
    let (seq, readable) = match link(&line) {
        Some((seq, _)) => (seq, true),
        // A damaged line counts as a record too.
        None => (last_seq(&file)? + 1, false),
    };
    if seq >= found.head.seq {
        found.file = Some(segment.name.clone());
        found.head = Head {
            seq,
            hash: Hash::of_line(&line),
        };
    }
    if !readable {
        found
            .notes
            .push(break_record("edited", &segment.name, seq, seq));
    }
    Ok(())
}

/// Removes an incomplete line, or adds the newline if only that is missing.
fn repair(mut file: &File, segment: &Segment, end: &SegmentTail) -> Result<NewRecord, Problem> {
    let complete = Record::read(&end.torn).is_some();
    if complete {
        file.write_all(b"\n")?;
    } else {
        file.set_len(end.complete)?;
    }
    file.sync_all()?;
    Ok(NewRecord::new(Event::Log, Outcome::Ok)
        .reason("repaired")
        .detail(Detail {
            file: Some(segment.name.clone()),
            bytes: (!complete).then_some(end.torn.len() as u64),
            ..Detail::default()
        }))
}

/// Compares the log with the note, and adds a record about the difference, if any.
fn compare(dir: &Path, note: &Note, found: &mut LogEnd) -> Result<(), Problem> {
    let (seen, noted) = (
        found.head,
        Head {
            seq: note.seq,
            hash: note.hash,
        },
    );
    if seen == noted {
        return Ok(());
    }
    if seen.seq > noted.seq {
        // After a crash the note may lag behind synced records. Anything else is a modification.
        if !is_chained(dir, note, found.file.as_deref())? {
            found
                .notes
                .push(break_record("edited", &note.file, noted.seq, seen.seq));
        }
        return Ok(());
    }
    if seen.seq == noted.seq {
        found.notes.retain(|entry| entry.outcome != Outcome::Failed);
        found
            .notes
            .push(break_record("edited", &note.file, noted.seq, noted.seq));
    } else if let Some(head) = compressed(dir, noted)? {
        found.head = head;
        found.file = None;
    } else {
        found.notes.push(break_record(
            "truncated",
            &note.file,
            seen.seq + 1,
            noted.seq,
        ));
        // The chain continues from the noted head, so that the gap stays visible.
        found.head = noted;
    }
    Ok(())
}

/// The end of the log in a segment that logrotate has just compressed, if it has the noted record.
fn compressed(dir: &Path, noted: Head) -> Result<Option<Head>, Problem> {
    for segment in segments(dir)? {
        // A file that cannot be decompressed is reported by `verify`, but does not stop a launch.
        if segment.packing == Packing::Gzip
            && let Ok(end) = read::end(&segment, noted)
            && end.holds
        {
            return Ok(Some(end.last));
        }
    }
    Ok(None)
}

/// Whether the records after the noted one form a chain up to the end of the segment.
fn is_chained(dir: &Path, note: &Note, name: Option<&str>) -> Result<bool, Problem> {
    let Some(name) = name else { return Ok(false) };
    let file = files::open_private(&dir.join(name))?;
    let mut hash = note.hash;
    let mut reader = BufReader::new(file);
    if name == note.file {
        reader.seek(SeekFrom::Start(note.size))?;
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(true);
        }
        let record = line.strip_suffix(b"\n").unwrap_or(&line);
        if link(record).is_none_or(|(_, prev)| prev != hash) {
            return Ok(false);
        }
        hash = Hash::of_line(record);
    }
}

/// The record that counts the records without a seal at the end, before the next sealed one.
pub fn count_record(found: &LogEnd) -> NewRecord {
    let last = found.head.seq;
    NewRecord::new(Event::Log, Outcome::Ok)
        .reason("unsealed")
        .detail(Detail {
            first: Some((last + 1).saturating_sub(found.unsealed)),
            last: Some(last),
            records: (found.unwritten > 0).then_some(found.unwritten),
            ..Detail::default()
        })
}

fn break_record(kind: &str, file: &str, first: u64, last: u64) -> NewRecord {
    let detail = Detail {
        file: Some(file.to_owned()),
        first: Some(first),
        last: Some(last),
        ..Detail::default()
    };
    NewRecord::new(Event::Log, Outcome::Failed)
        .reason(kind)
        .detail(detail)
}
