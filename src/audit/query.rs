//! Queries of the log by time, server, secret, event, client or run.
//!
//! One pass in bounded memory. Segments of other days are not opened. Only lines that contain the
//! rarest word of the filter are parsed as JSON; names need no escaping, so they appear in the line
//! unchanged.

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use memchr::memmem::Finder;

use super::disk::Segment;
use super::event::Event;
use super::read::{self, Segments};
use super::record::Record;
use crate::files::Problem;
use crate::reference::SecretLabel;
use crate::secret::ServerName;

/// The field of a record's time, which follows `{"v":1,"seq":` and the number.
const TIME_FIELD: &[u8] = b",\"time\":\"";
/// `2026-11-23T14:03:00.000000Z`.
const TIME_BYTES: usize = 27;

/// Which records to return. An empty filter matches all of them.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub server: Option<ServerName>,
    pub secret: Option<SecretLabel>,
    pub event: Option<Event>,
    /// A client's name, or a component of its executable's path. Matches all records of its runs.
    pub client: Option<String>,
    /// The beginning of a run ID.
    pub run: Option<String>,
}

impl Filter {
    /// A text that every matching line contains, if there is one.
    fn needle(&self) -> Option<String> {
        let secret = self
            .secret
            .as_ref()
            .map(|name| format!("\"secret\":{{\"name\":\"{name}\""));
        let plain = |text: &&String| text.bytes().all(|b| b.is_ascii_hexdigit());
        let run = self
            .run
            .as_ref()
            .filter(plain)
            .map(|run| format!("\"run\":\"{run}"));
        let event = self.event.map(|event| format!("\"event\":\"{event}\""));
        let server = self
            .server
            .as_ref()
            .map(|server| format!("\"server\":\"{server}\""));
        secret.or(run).or(server).or(event)
    }

    /// Whether a record matches. [`scan`] handles `client`.
    fn matches(&self, record: &Record) -> bool {
        self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
            && self.event.is_none_or(|event| record.event == event)
            && (self.server.is_none() || record.server == self.server)
            && self.secret.as_ref().is_none_or(|name| {
                record
                    .secret
                    .as_ref()
                    .is_some_and(|secret| secret.name == *name)
            })
            && self.run.as_ref().is_none_or(|start| {
                record
                    .run
                    .as_ref()
                    .is_some_and(|run| run.as_str().starts_with(start))
            })
    }

    fn days(&self) -> (Option<Date>, Option<Date>) {
        let day = |time: Timestamp| time.to_zoned_datetime(TimeZone::UTC).date();
        (self.since.map(day), self.until.map(day))
    }
}

/// What a query could not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The number of lines that are not records.
    pub lines: u64,
    /// Files that could not be read, with the reasons.
    pub files: Vec<(String, String)>,
}

/// [`scan`] that treats a missing log as an empty one.
///
/// # Errors
/// See [`scan`].
pub fn scan_existing(
    dir: &Path,
    filter: &Filter,
    each: impl FnMut(&[u8], Record) -> ControlFlow<()>,
) -> Result<Skipped, Problem> {
    match scan(dir, filter, each) {
        Err(Problem::Missing) => Ok(Skipped::default()),
        other => other,
    }
}

/// Passes the matching records with their lines to `each`, in the order of the log.
///
/// # Errors
/// If the directory cannot be read.
pub fn scan(
    dir: &Path,
    filter: &Filter,
    mut each: impl FnMut(&[u8], Record) -> ControlFlow<()>,
) -> Result<Skipped, Problem> {
    let Some(client) = &filter.client else {
        return scan_all(dir, filter, &mut each);
    };
    // A client gives its name after the launch: find its runs first, then their records.
    let mut runs = HashSet::new();
    let everything = Filter {
        since: filter.since,
        until: filter.until,
        ..Filter::default()
    };
    scan_all(dir, &everything, &mut |_, record| {
        if is_of(&record, client) {
            runs.extend(record.run);
        }
        ControlFlow::Continue(())
    })?;
    scan_all(dir, filter, &mut |line, record| {
        if is_of(&record, client) || record.run.as_ref().is_some_and(|run| runs.contains(run)) {
            return each(line, record);
        }
        ControlFlow::Continue(())
    })
}

fn is_of(record: &Record, name: &str) -> bool {
    record.client.as_ref().is_some_and(|client| {
        client
            .name
            .as_deref()
            .is_some_and(|own| own.eq_ignore_ascii_case(name))
            || client
                .exe
                .as_deref()
                .is_some_and(|exe| exe.split('/').any(|part| part == name))
    })
}

fn scan_all(
    dir: &Path,
    filter: &Filter,
    each: &mut dyn FnMut(&[u8], Record) -> ControlFlow<()>,
) -> Result<Skipped, Problem> {
    let (since, until) = filter.days();
    let Segments { ordered, foreign } = read::segments_between(dir, since, until)?;
    let mut scan = SegmentScan::new(filter, each);
    for segment in &ordered {
        if scan.stopped {
            break;
        }
        if let Err(problem) = scan.segment(segment) {
            scan.skipped
                .files
                .push((segment.name.clone(), problem.to_string()));
        }
    }
    let unread = |segment: Segment| (segment.name, "compressed by another program".to_owned());
    scan.skipped.files.extend(foreign.into_iter().map(unread));
    Ok(scan.skipped)
}

/// The records that match in one stream of lines.
struct SegmentScan<'a> {
    filter: &'a Filter,
    finder: Option<Finder<'static>>,
    since: String,
    until: String,
    each: &'a mut dyn FnMut(&[u8], Record) -> ControlFlow<()>,
    stopped: bool,
    skipped: Skipped,
}

impl<'a> SegmentScan<'a> {
    fn new(filter: &'a Filter, each: &'a mut dyn FnMut(&[u8], Record) -> ControlFlow<()>) -> Self {
        let finder = filter
            .needle()
            .map(|needle| Finder::new(&needle).into_owned());
        let text = |time: Option<Timestamp>| time.map(|t| format!("{t:.6}")).unwrap_or_default();
        Self {
            filter,
            finder,
            since: text(filter.since),
            until: text(filter.until),
            each,
            stopped: false,
            skipped: Skipped::default(),
        }
    }

    fn segment(&mut self, segment: &Segment) -> Result<(), Problem> {
        let stream = read::open(segment)?;
        self.stream(stream)?;
        Ok(())
    }

    /// Reads to the end of the stream; what follows the last newline is ignored.
    fn stream(&mut self, stream: impl io::Read) -> io::Result<()> {
        read::lines(stream, |piece| {
            if self.finder.is_some() {
                self.search(piece)
            } else {
                self.walk(piece)
            }
        })?;
        Ok(())
    }

    /// Examines only lines that contain the needle.
    fn search(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let Some(finder) = self.finder.clone() else {
            return ControlFlow::Continue(());
        };
        let mut from = 0;
        while let Some(rest) = piece.get(from..)
            && let Some(at) = finder.find(rest).map(|at| from + at)
        {
            let (before, after) = piece.split_at(at);
            let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
            let end = memchr::memchr(b'\n', after).map_or(piece.len(), |newline| at + newline);
            self.line(piece.get(start..end).unwrap_or_default())?;
            from = end + 1;
        }
        ControlFlow::Continue(())
    }

    fn walk(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', piece) {
            self.line(piece.get(start..end).unwrap_or_default())?;
            start = end + 1;
        }
        ControlFlow::Continue(())
    }

    fn line(&mut self, line: &[u8]) -> ControlFlow<()> {
        if let Some(time) = time_of(line)
            && (time < self.since.as_bytes()
                || (!self.until.is_empty() && time >= self.until.as_bytes()))
        {
            return ControlFlow::Continue(());
        }
        let Some(record) = Record::read(line) else {
            self.skipped.lines += 1;
            return ControlFlow::Continue(());
        };
        if self.filter.matches(&record) {
            let flow = (self.each)(line, record);
            self.stopped = flow.is_break();
            return flow;
        }
        ControlFlow::Continue(())
    }
}

/// The time of a line as bytes. All times are in UTC and have the same length, so bytes compare.
fn time_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"{\"v\":1,\"seq\":")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    rest.get(digits..)?
        .strip_prefix(TIME_FIELD)?
        .get(..TIME_BYTES)
}
