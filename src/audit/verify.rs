//! Whether the log is what was written: each link, each seal, both ends.
//!
//! One pass in bounded memory, over packed segments too; it names the first bad record and the kind of
//! change. Three things are compared: the chain, the note of the head beside the segments, and the
//! heads kept elsewhere (in the store, by the user). What was cut off after the last of these cannot be
//! seen by anyone who has only the log, since the note may have been edited too.

use std::ops::ControlFlow;
use std::path::Path;

use memchr::memmem::Finder;

use super::breaks::{Break, BreakKind};
use super::disk::{Note, Packing, Segment};
use super::event::Event;
use super::head::Head;
use super::read::{self, Segments};
use super::record::{ChainKey, Hash, Record, Seal, check_line, is_sealed, link};
use crate::files::Problem;

/// How many breaks are kept; the rest is counted.
const BREAKS_MAX: usize = 16;

/// What a pass over the log found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    pub records: u64,
    pub bytes: u64,
    pub files: u64,
    /// Records with no seal: the store was locked. The next sealed one covers them.
    pub unsealed: u64,
    /// How many of them are at the end, covered by no seal yet.
    pub uncovered: u64,
    /// The number of the first record.
    pub first: u64,
    pub head: Head,
    /// The first breaks, in the order of the log.
    pub breaks: Vec<Break>,
    pub breaks_more: u64,
    /// Numbers of records that the log itself says were removed by retention.
    pub pruned: Option<u64>,
    /// The first numbers of breaks that the log itself already tells of.
    pub told: Vec<u64>,
}

/// Reads the whole log. `anchors` are heads that were kept elsewhere, each with the place.
///
/// # Errors
/// If the directory cannot be read.
pub fn verify(
    dir: &Path,
    key: Option<&ChainKey>,
    anchors: &[Head],
) -> Result<VerifyReport, Problem> {
    // Read before the segments: a writer may go on meanwhile.
    let note = Note::read(dir);
    let segments = match read::segments(dir) {
        // No log at all: whether there was one, the heads kept elsewhere tell.
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
        walk.tell(BreakKind::Unreadable, (0, 0), &segment.name, 0);
    }
    walk.ends();
    Ok(walk.report)
}

struct ChainWalk<'a> {
    key: Option<&'a ChainKey>,
    anchors: &'a [Head],
    report: VerifyReport,
    before: Head,
    /// What the first record of all says came before it.
    begin: Option<Head>,
    /// What retention removed, by a sealed record.
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
            Err(_) => self.tell(
                BreakKind::Unreadable,
                (next, next),
                &segment.name,
                number + 1,
            ),
            Ok(torn) if torn.is_empty() => {}
            // Half a line at the very end may be one that is being written now.
            Ok(_) if last && segment.packing == Packing::Plain && growing(segment) => {}
            Ok(_) => self.tell(BreakKind::Torn, (next, next), &segment.name, number + 1),
        }
    }

    fn line(&mut self, line: &[u8], file: &str, number: u64) {
        let (hash, seal) = check_line(line, self.key);
        let Some((seq, prev)) = link(line) else {
            let next = self.before.seq + 1;
            self.tell(BreakKind::Edited, (next, next), file, number);
            self.before = Head { seq: next, hash };
            return;
        };
        self.report.records += 1;
        self.place(seq, prev, seal, file, number);
        let sealed = is_sealed(line);
        self.report.unsealed += u64::from(!sealed);
        self.report.uncovered = if sealed { 0 } else { self.report.uncovered + 1 };
        self.last_sealed = seal == Seal::Fits;
        // After a record that came late, the chain goes on from the highest.
        if seq > self.before.seq {
            self.before = Head { seq, hash };
        }
        self.meet(Head { seq, hash });
        // Only lines about the log itself are read in full.
        if self
            .about_log
            .find(line.get(..96).unwrap_or(line))
            .is_some()
        {
            self.own(line, seal);
        }
    }

    /// Whether the record follows the one before.
    fn place(&mut self, seq: u64, prev: Hash, seal: Seal, file: &str, number: u64) {
        let before = self.before;
        if self.report.records == 1 && self.report.breaks.is_empty() {
            self.report.first = seq;
            self.begin = Some(Head {
                seq: seq.saturating_sub(1),
                hash: prev,
            });
            if seal == Seal::Broken {
                self.tell(BreakKind::Edited, (seq, seq), file, number);
            }
            return;
        }
        if seal == Seal::Broken {
            self.tell(BreakKind::Edited, (seq, seq), file, number);
        } else if seq == before.seq + 1 && prev != before.hash {
            // A seal that fits says that this one is as it was written: the one before is not.
            if seal == Seal::Fits || !self.last_sealed {
                self.tell(
                    BreakKind::Edited,
                    (before.seq, before.seq),
                    file,
                    number.saturating_sub(1),
                );
            } else {
                self.tell(BreakKind::Edited, (seq, seq), file, number);
            }
        } else if seq > before.seq + 1 {
            self.tell(BreakKind::Removed, (before.seq + 1, seq - 1), file, number);
        } else if seq == before.seq {
            self.tell(BreakKind::Added, (seq, seq), file, number);
        } else if seq < before.seq {
            self.late(seq, file, number);
        }
    }

    /// A number that should have come earlier: what looked removed was moved.
    fn late(&mut self, seq: u64, file: &str, number: u64) {
        let covers = |found: &Break| (found.first..=found.last).contains(&seq);
        for found in &mut self.report.breaks {
            if found.kind == BreakKind::Removed && covers(found) {
                found.kind = BreakKind::Reordered;
            }
            if found.kind == BreakKind::Reordered && covers(found) {
                return;
            }
        }
        self.tell(BreakKind::Added, (seq, seq), file, number);
    }

    fn meet(&mut self, head: Head) {
        for (anchor, found) in self.anchors.iter().zip(&mut self.found) {
            *found |= *anchor == head;
        }
        self.note_found |= self.note == Some(head);
    }

    /// What the log says about itself.
    fn own(&mut self, line: &[u8], seal: Seal) {
        let Some(record) = Record::read(line).filter(|record| record.event == Event::Log) else {
            return;
        };
        let detail = &record.detail;
        match (
            record.reason.as_deref(),
            detail.last,
            detail.hash.as_deref(),
        ) {
            // Only with a seal: otherwise who removes the beginning writes this record too.
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

    /// The beginning, the end, and the heads that were kept elsewhere.
    fn ends(&mut self) {
        self.report.head = self.before;
        let begin = self.begin.unwrap_or_default();
        if begin.seq > 0 {
            if self.pruned == Some(begin) {
                self.report.pruned = Some(begin.seq);
            } else {
                self.first(BreakKind::Truncated, (1, begin.seq));
            }
        } else if self.begin.is_some() && begin.hash != Hash::START {
            self.first(BreakKind::Edited, (1, 1));
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
                self.tell(
                    BreakKind::Truncated,
                    (self.before.seq + 1, anchor.seq),
                    "",
                    0,
                );
            } else if self.report.breaks.is_empty() {
                // The chain is whole and leads elsewhere: it was written again from some record on.
                self.tell(BreakKind::Edited, (anchor.seq, anchor.seq), "", 0);
            }
        }
    }

    fn first(&mut self, kind: BreakKind, (first, last): (u64, u64)) {
        let found = Break {
            kind,
            first,
            last,
            file: String::new(),
            line: 0,
        };
        self.report.breaks.insert(0, found);
    }

    fn tell(&mut self, kind: BreakKind, (first, last): (u64, u64), file: &str, line: u64) {
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

/// Whether somebody writes to the segment at this moment: they hold the lock.
fn growing(segment: &Segment) -> bool {
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
