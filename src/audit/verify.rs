//! Verifies that the log is intact: each link, each seal, and both ends.
//!
//! One pass in bounded memory, including compressed segments; the report names the first bad record
//! and the kind of change. Three things are compared: the chain, the head note beside the segments,
//! and the heads stored externally (in the store, by the user). A truncation after the last external
//! head cannot be detected if the note was edited as well.

use std::ops::ControlFlow;
use std::path::Path;

use memchr::memmem::Finder;
use serde::Serialize;

use super::breaks::{Break, BreakKind};
use super::disk::{Note, Packing, Segment};
use super::event::Event;
use super::head::Head;
use super::read::{self, Segments};
use super::record::{ChainKey, Hash, Record, Seal, check_line, is_sealed, link};
use crate::files::Problem;

/// How many breaks are reported; further ones are only counted.
const BREAKS_MAX: usize = 16;

/// The result of a pass over the log.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    pub records: u64,
    pub bytes: u64,
    pub files: u64,
    /// Records without a seal, because the store was locked. The next sealed record covers them.
    pub unsealed: u64,
    /// How many of them are at the end, not yet covered by a seal.
    pub uncovered: u64,
    /// The number of the first record.
    pub first: u64,
    pub head: Head,
    /// The first breaks, in the order of the log.
    pub breaks: Vec<Break>,
    pub breaks_more: u64,
    /// The number of the last record that retention removed, according to the log.
    pub pruned: Option<u64>,
    /// The first numbers of breaks that the log itself already reports.
    pub told: Vec<u64>,
}

/// What a verification says about the whole log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyResult {
    /// Everything was verified, and nothing differs.
    Intact,
    /// The log differs from what was written.
    Changed,
    /// No difference was found, but not everything could be verified.
    Unverified,
}

impl VerifyReport {
    /// `sealed`: whether the seals could be verified.
    pub fn result(&self, sealed: bool) -> VerifyResult {
        if !self.breaks.is_empty() || !self.told.is_empty() {
            VerifyResult::Changed
        } else if sealed && self.records > 0 {
            VerifyResult::Intact
        } else {
            VerifyResult::Unverified
        }
    }
}

/// Reads the whole log. `anchors` are the heads that were stored externally.
///
/// # Errors
/// If the directory cannot be read.
pub fn verify(
    dir: &Path,
    key: Option<&ChainKey>,
    anchors: &[Head],
) -> Result<VerifyReport, Problem> {
    // Read before the segments, because a writer may append in the meantime.
    let note = Note::read(dir);
    let segments = match read::segments(dir) {
        // No log at all: the external heads show whether there was one.
        Err(Problem::Missing) => Segments::default(),
        other => other?,
    };
    let mut walk = ChainWalk {
        key,
        anchors,
        report: VerifyReport::default(),
        before: Head::default(),
        begin: None,
        pruned: None,
        found: vec![false; anchors.len()],
        note: note.as_ref().map(|note| Head {
            seq: note.seq,
            hash: note.hash,
        }),
        note_found: false,
        about_log: Finder::new("\"event\":\"log\""),
        last_sealed: false,
    };
    let last = segments.ordered.len();
    for (n, segment) in segments.ordered.iter().enumerate() {
        walk.segment(segment, n + 1 == last);
    }
    for segment in segments.foreign {
        walk.add_break(BreakKind::Unreadable, (0, 0), &segment.name, 0);
    }
    walk.check_ends();
    Ok(walk.report)
}

struct ChainWalk<'a> {
    key: Option<&'a ChainKey>,
    anchors: &'a [Head],
    report: VerifyReport,
    before: Head,
    /// The predecessor, according to the very first record.
    begin: Option<Head>,
    /// The last record that retention removed, according to a sealed record.
    pruned: Option<Head>,
    found: Vec<bool>,
    note: Option<Head>,
    note_found: bool,
    about_log: Finder<'static>,
    last_sealed: bool,
}

impl ChainWalk<'_> {
    fn segment(&mut self, segment: &Segment, last: bool) {
        let mut number = 0;
        let result = read::open(segment)
            .map_err(|problem| problem.to_string())
            .and_then(|stream| {
                read::lines(stream, |piece| {
                    let mut start = 0;
                    for end in memchr::memchr_iter(b'\n', piece) {
                        number += 1;
                        self.line(
                            piece.get(start..end).unwrap_or_default(),
                            &segment.name,
                            number,
                        );
                        start = end + 1;
                    }
                    if let Some(rest) = piece.get(start..).filter(|rest| !rest.is_empty()) {
                        number += 1;
                        self.line(rest, &segment.name, number);
                    }
                    self.report.bytes += piece.len() as u64;
                    ControlFlow::Continue(())
                })
                .map_err(|error| error.to_string())
            });
        self.report.files += 1;
        let next = self.before.seq + 1;
        match result {
            Err(_) => self.add_break(
                BreakKind::Unreadable,
                (next, next),
                &segment.name,
                number + 1,
            ),
            Ok(torn) if torn.is_empty() => {}
            // An incomplete line at the very end may be one that is being written now.
            Ok(_) if last && segment.packing == Packing::Plain && is_being_written(segment) => {}
            Ok(_) => self.add_break(BreakKind::Torn, (next, next), &segment.name, number + 1),
        }
    }

    fn line(&mut self, line: &[u8], file: &str, number: u64) {
        let (hash, seal) = check_line(line, self.key);
        let Some((seq, prev)) = link(line) else {
            let next = self.before.seq + 1;
            self.add_break(BreakKind::Edited, (next, next), file, number);
            self.before = Head { seq: next, hash };
            return;
        };
        self.report.records += 1;
        self.check_position(seq, prev, seal, file, number);
        let sealed = is_sealed(line);
        self.report.unsealed += u64::from(!sealed);
        self.report.uncovered = if sealed { 0 } else { self.report.uncovered + 1 };
        self.last_sealed = seal == Seal::Fits;
        // After a misplaced record, the chain continues from the highest number.
        if seq > self.before.seq {
            self.before = Head { seq, hash };
        }
        self.match_heads(Head { seq, hash });
        // Only records about the log itself are parsed.
        if self
            .about_log
            .find(line.get(..96).unwrap_or(line))
            .is_some()
        {
            self.read_log_record(line, seal);
        }
    }

    /// Checks that the record follows the one before.
    fn check_position(&mut self, seq: u64, prev: Hash, seal: Seal, file: &str, number: u64) {
        let before = self.before;
        if self.report.records == 1 && self.report.breaks.is_empty() {
            self.report.first = seq;
            self.begin = Some(Head {
                seq: seq.saturating_sub(1),
                hash: prev,
            });
            if seal == Seal::Broken {
                self.add_break(BreakKind::Edited, (seq, seq), file, number);
            }
            return;
        }
        if seal == Seal::Broken {
            self.add_break(BreakKind::Edited, (seq, seq), file, number);
        } else if seq == before.seq + 1 && prev != before.hash {
            // A matching seal proves that this record is intact, so the one before was edited.
            if seal == Seal::Fits || !self.last_sealed {
                self.add_break(
                    BreakKind::Edited,
                    (before.seq, before.seq),
                    file,
                    number.saturating_sub(1),
                );
            } else {
                self.add_break(BreakKind::Edited, (seq, seq), file, number);
            }
        } else if seq > before.seq + 1 {
            self.add_break(BreakKind::Removed, (before.seq + 1, seq - 1), file, number);
        } else if seq == before.seq {
            self.add_break(BreakKind::Added, (seq, seq), file, number);
        } else if seq < before.seq {
            self.misplaced(seq, file, number);
        }
    }

    /// A number that should have come earlier: the record was not removed but moved.
    fn misplaced(&mut self, seq: u64, file: &str, number: u64) {
        let covers = |found: &Break| (found.first..=found.last).contains(&seq);
        for found in &mut self.report.breaks {
            if found.kind == BreakKind::Removed && covers(found) {
                found.kind = BreakKind::Reordered;
            }
            if found.kind == BreakKind::Reordered && covers(found) {
                return;
            }
        }
        self.add_break(BreakKind::Added, (seq, seq), file, number);
    }

    fn match_heads(&mut self, head: Head) {
        for (anchor, found) in self.anchors.iter().zip(&mut self.found) {
            *found |= *anchor == head;
        }
        self.note_found |= self.note == Some(head);
    }

    /// Evaluates a record about the log itself.
    fn read_log_record(&mut self, line: &[u8], seal: Seal) {
        let Some(record) = Record::read(line).filter(|record| record.event == Event::Log) else {
            return;
        };
        let detail = &record.detail;
        match (
            record.reason.as_deref(),
            detail.last,
            detail.hash.as_deref(),
        ) {
            // Only if sealed: otherwise anyone who removes the beginning could add this record.
            (Some("pruned"), Some(seq), Some(hash))
                if seal != Seal::Broken && record.mac.is_some() =>
            {
                let hash = Hash::from_hex(hash.as_bytes());
                self.pruned = hash.map(|hash| Head { seq, hash }).or(self.pruned);
            }
            (Some("edited" | "removed" | "reordered" | "added" | "truncated"), ..) => {
                self.report.told.extend(detail.first);
                self.report.told.truncate(BREAKS_MAX);
            }
            _ => {}
        }
    }

    /// Checks the beginning, the end, and the external heads.
    fn check_ends(&mut self) {
        self.report.head = self.before;
        let begin = self.begin.unwrap_or_default();
        if begin.seq > 0 {
            if self.pruned == Some(begin) {
                self.report.pruned = Some(begin.seq);
            } else {
                self.add_first_break(BreakKind::Truncated, (1, begin.seq));
            }
        } else if self.begin.is_some() && begin.hash != Hash::START {
            self.add_first_break(BreakKind::Edited, (1, 1));
        }
        let anchors: Vec<_> = self
            .anchors
            .iter()
            .copied()
            .zip(self.found.clone())
            .collect();
        for (anchor, found) in anchors
            .into_iter()
            .chain(self.note.map(|n| (n, self.note_found)))
        {
            let gone = anchor.seq <= begin.seq && self.pruned == Some(begin);
            if found || gone || anchor.seq == 0 {
                continue;
            }
            if anchor.seq > self.before.seq {
                self.add_break(
                    BreakKind::Truncated,
                    (self.before.seq + 1, anchor.seq),
                    "",
                    0,
                );
            } else if self.report.breaks.is_empty() {
                // The chain is intact but ends in another head: it was rewritten from some record on.
                self.add_break(BreakKind::Edited, (anchor.seq, anchor.seq), "", 0);
            }
        }
    }

    fn add_first_break(&mut self, kind: BreakKind, (first, last): (u64, u64)) {
        let found = Break {
            kind,
            first,
            last,
            file: String::new(),
            line: 0,
        };
        self.report.breaks.insert(0, found);
    }

    fn add_break(&mut self, kind: BreakKind, (first, last): (u64, u64), file: &str, line: u64) {
        if self.report.breaks.len() == BREAKS_MAX {
            self.report.breaks_more += 1;
            return;
        }
        let same = |found: &Break| found.first == first && found.last == last;
        if !self.report.breaks.iter().any(same) {
            self.report.breaks.push(Break {
                kind,
                first,
                last,
                file: file.to_owned(),
                line,
            });
        }
    }
}

/// Whether the segment is being written right now: then another process holds the lock.
fn is_being_written(segment: &Segment) -> bool {
    let Some(dir) = segment.path.parent() else {
        return false;
    };
    let Ok(_lock) = super::disk::lock(dir) else {
        return true;
    };
    crate::files::open_private(&segment.path)
        .and_then(|file| super::disk::tail(&file))
        .is_ok_and(|tail| tail.torn.is_empty())
}
