//! Reads the segments in the order of the chain, compressed or not, one piece at a time.
//!
//! Invariants: memory is bounded, since a piece is at most 1 MiB of complete lines. Readers take no
//! lock: an incomplete line at the end of the last segment is one that is being written.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use jiff::civil::Date;

use super::disk::{self, Packing, Segment};
use super::head::Head;
use super::record::{Hash, LINE_BYTES_MAX, link};
use crate::files::{self, Problem};

/// How much is read at a time (bytes).
const PIECE_BYTES: usize = 1 << 20;

/// The segments of the log, in the order of the chain.
#[derive(Debug, Default)]
pub struct Segments {
    pub ordered: Vec<Segment>,
    /// Segments in a compression format that is not supported.
    pub foreign: Vec<Segment>,
}

/// All segments.
pub fn segments(dir: &Path) -> Result<Segments, Problem> {
    segments_between(dir, None, None)
}

/// The segments that can contain records of these days; the others are not opened.
pub fn segments_between(
    dir: &Path,
    since: Option<Date>,
    until: Option<Date>,
) -> Result<Segments, Problem> {
    let mut found = Segments::default();
    let mut keyed: Vec<(u64, Hash, Segment)> = Vec::new();
    let mut before = 0;
    for segment in disk::segments(dir)? {
        if !may_hold(&segment, since, until) {
            continue;
        }
        if segment.packing == Packing::Foreign {
            found.foreign.push(segment);
            continue;
        }
        match first_line(&segment) {
            // It was compressed or removed in the meantime.
            Err(Problem::Missing) => {}
            Err(problem) => return Err(problem),
            Ok(line) if line.is_empty() => {}
            Ok(line) => {
                // A segment whose first line is damaged is ordered by its name.
                let seq = link(&line).map_or(before, |(seq, _)| seq);
                before = seq;
                keyed.push((seq, Hash::of_line(&line), segment));
            }
        }
    }
    keyed.sort_by_key(|(seq, ..)| *seq);
    // A copy (by logrotate, or compressed and not yet removed) starts with the same line. Read the
    // one that is not compressed, and of two such copies the larger one.
    keyed.dedup_by(|b, a| {
        let same = (a.0, a.1) == (b.0, b.1);
        if same && rank(&b.2) > rank(&a.2) {
            std::mem::swap(a, b);
        }
        same
    });
    found.ordered = keyed.into_iter().map(|(.., segment)| segment).collect();
    Ok(found)
}

fn rank(segment: &Segment) -> (bool, u64) {
    let size = std::fs::metadata(&segment.path).map_or(0, |meta| meta.len());
    (segment.packing == Packing::Plain, size)
}

pub fn first_line(segment: &Segment) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let limit = LINE_BYTES_MAX.min(8 << 10) as u64;
    match open(segment)?.take(limit).read_to_end(&mut bytes) {
        Ok(_) => {}
        // A damaged compressed segment: use what could be read; reading the rest reports the error.
        Err(_) if matches!(segment.packing, Packing::Zstd | Packing::Gzip) => {}
        Err(error) => return Err(error.into()),
    }
    if let Some(end) = memchr::memchr(b'\n', &bytes) {
        bytes.truncate(end);
    }
    Ok(bytes)
}

/// Opens a segment for reading, decompressed.
pub fn open(segment: &Segment) -> Result<Box<dyn Read>, Problem> {
    let file = files::open_private(&segment.path)?;
    match segment.packing {
        Packing::Zstd => Ok(Box::new(zstd::Decoder::new(file)?)),
        Packing::Gzip => Ok(Box::new(flate2::read::MultiGzDecoder::new(file))),
        Packing::Plain | Packing::Foreign => Ok(Box::new(file)),
    }
}

/// The end of a segment.
#[derive(Clone, Copy, Debug, Default)]
pub struct SegmentEnd {
    pub last: Head,
    /// Whether the segment contains the wanted record.
    pub holds: bool,
}

/// The last record of a segment, compressed or not, and whether it contains the wanted record.
pub fn end(segment: &Segment, wanted: Head) -> Result<SegmentEnd, Problem> {
    let mut end = SegmentEnd::default();
    lines(open(segment)?, |piece| {
        for line in piece.split(|byte| *byte == b'\n') {
            if let Some((seq, _)) = link(line) {
                end.last = Head {
                    seq,
                    hash: Hash::of_line(line),
                };
                end.holds |= end.last == wanted;
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(end)
}

/// Passes the complete lines of a stream to `each`, many at a time, and returns what follows the last
/// newline. A line that is longer than a piece is split into parts, which are not valid records.
pub fn lines(
    mut stream: impl Read,
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; PIECE_BYTES];
    let mut kept = 0;
    loop {
        let filled = kept + fill(&mut stream, bytes.get_mut(kept..).unwrap_or_default())?;
        let full = filled == PIECE_BYTES;
        let (now, _) = bytes.split_at(filled);
        let end = memchr::memrchr(b'\n', now).map_or(0, |at| at + 1);
        let end = if end == 0 && full { filled } else { end };
        let (whole, rest) = now.split_at(end);
        if each(whole).is_break() {
            return Ok(Vec::new());
        }
        if !full {
            return Ok(rest.to_vec());
        }
        bytes.copy_within(end..filled, 0);
        kept = filled - end;
    }
}

/// Reads until the buffer is full or the stream ends.
fn fill(stream: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(left) = room.get_mut(filled..).filter(|left| !left.is_empty()) {
        match stream.read(left) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether a segment can contain records of these days. A record is in the segment of the day it was
/// written, but its call may have been answered the evening before.
fn may_hold(segment: &Segment, since: Option<Date>, until: Option<Date>) -> bool {
    since.is_none_or(|since| segment.day >= since)
        && until.is_none_or(|until| segment.day <= until.tomorrow().unwrap_or(until))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(input: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut whole = Vec::new();
        let torn = lines(input, |piece| {
            whole.extend_from_slice(piece);
            ControlFlow::Continue(())
        });
        (whole, torn.unwrap())
    }

    #[test]
    fn pieces_are_whole_lines() {
        let text: Vec<u8> = (0..400_000)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        let mut torn = text.clone();
        torn.extend_from_slice(b"half");
        assert!(collect(&torn) == (text, b"half".to_vec()));
        assert_eq!(collect(b""), (Vec::new(), Vec::new()));
        assert_eq!(collect(b"half"), (Vec::new(), b"half".to_vec()));
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let endless = io::repeat(b'x').take(5 << 20);
        let mut longest = 0;
        let torn = lines(endless, |piece| {
            longest = longest.max(piece.len());
            ControlFlow::Continue(())
        });
        assert!(longest <= PIECE_BYTES && torn.unwrap().len() <= PIECE_BYTES);
    }
}
