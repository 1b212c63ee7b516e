//! Relays a server's stdout to the client, and its stderr to ours.
//!
//! *Always* masks. On stdout only lines that can be MCP messages pass (one byte that is not UTF-8
//! kills some clients); others go to stderr, blank lines nowhere. Complete lines pass at once; a line
//! longer than [`LINE_BYTES_MAX`] passes in pieces, so memory stays bounded. Lines of a server that
//! has not taken over yet are kept; lines of one that was replaced are dropped.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Pipeline;
use super::input::LINE_BYTES_MAX;
use super::shared::{Event, Inner, Output, Shared};
use super::utf8::Repair;
use crate::mask::{MessageMask, TextMask};
use crate::policy::{Limits, StdoutRule, Stream};
use crate::session::envelope::{Envelope, Scanner, Shape};
use crate::session::{Answered, FromServer, Ours};
use crate::sys::fds::{self, Standard};

const CHUNK_BYTES: usize = 64 << 10;
/// What is kept of the last lines of stderr, for the message about a crash.
const TAIL_LINES: usize = 5;
const TAIL_LINE_CHARS: usize = 300;

/// The last lines of a server's stderr, masked.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<VecDeque<String>>);

impl Tail {
    fn note(&self, text: &[u8]) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in String::from_utf8_lossy(text)
            .lines()
            .filter(|line| !line.trim().is_empty())
        {
            if lines.len() == TAIL_LINES {
                lines.pop_front();
            }
            lines.push_back(line.chars().take(TAIL_LINE_CHARS).collect());
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

/// Our stderr, with a server's text masked on its way.
#[derive(Debug)]
pub(super) struct Diagnostics {
    mask: Option<TextMask>,
    version: u64,
    shared: Arc<Shared>,
    tail: Arc<Tail>,
    out: Vec<u8>,
}

impl Diagnostics {
    pub(super) fn new(shared: &Arc<Shared>, limits: &Limits, tail: &Arc<Tail>) -> Self {
        let (masker, version) = {
            let inner = shared.lock();
            (Arc::clone(&inner.masker), inner.masker_version)
        };
        let mask = limits
            .mask
            .contains(&Stream::Stderr)
            .then(|| TextMask::new(masker));
        Self {
            mask,
            version,
            shared: Arc::clone(shared),
            tail: Arc::clone(tail),
            out: Vec::new(),
        }
    }

    fn write(&mut self, bytes: &[u8], end: bool) {
        self.out.clear();
        match &mut self.mask {
            None => self.out.extend(bytes),
            Some(mask) => {
                let inner = self.shared.lock();
                if inner.masker_version != self.version {
                    self.version = inner.masker_version;
                    mask.set_masker(Arc::clone(&inner.masker));
                }
                drop(inner);
                mask.write(bytes, &mut self.out);
                if end {
                    mask.flush(&mut self.out);
                }
            }
        }
        self.tail.note(&self.out);
        // A client that closed our stderr does not want to know.
        if let Ok(mut stderr) = fds::standard(Standard::Error) {
            drop(stderr.write_all(&self.out));
        }
    }
}

/// The thread of a server's stderr.
pub(super) fn relay_stderr(mut from: File, generation: u32, mut to: Diagnostics) {
    let mut chunk = vec![0; CHUNK_BYTES / 4];
    loop {
        match from.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(count) => to.write(chunk.get(..count).unwrap_or_default(), false),
        }
    }
    to.write(b"", true);
    to.shared.tell(Event::StreamEnded { generation });
}

/// The thread of a server's stdout.
pub(super) struct ServerOutput {
    shared: Arc<Shared>,
    generation: u32,
    rule: StdoutRule,
    mask: Option<MessageMask>,
    version: u64,
    diverted: Diagnostics,
    /// Where answered requests are written down, if they are.
    calls: Option<Arc<dyn Pipeline>>,
    /// A line that is not complete yet.
    partial: Vec<u8>,
    out: Vec<u8>,
    first: bool,
}

/// How a line that is too long to be kept goes on.
enum Long {
    ToClient { scanner: Scanner, repair: Repair },
    Diverted,
}

impl ServerOutput {
    pub(super) fn new(
        shared: &Arc<Shared>,
        generation: u32,
        limits: &Limits,
        tail: &Arc<Tail>,
        pipeline: &Arc<dyn Pipeline>,
    ) -> Self {
        let (masker, version) = {
            let inner = shared.lock();
            (Arc::clone(&inner.masker), inner.masker_version)
        };
        Self {
            shared: Arc::clone(shared),
            generation,
            rule: limits.stdout,
            mask: limits
                .mask
                .contains(&Stream::Stdout)
                .then(|| MessageMask::new(masker)),
            version,
            diverted: Diagnostics::new(shared, limits, tail),
            calls: limits.log_calls.then(|| Arc::clone(pipeline)),
            partial: Vec::new(),
            out: Vec::new(),
            first: true,
        }
    }

    /// Reads until the server closes its stdout.
    pub(super) fn relay(mut self, mut from: File) {
        let mut chunk = vec![0; CHUNK_BYTES];
        let shared = Arc::clone(&self.shared);
        let mut long: Option<(Long, Option<MutexGuard<'_, Output>>)> = None;
        loop {
            let count = match from.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            let mut bytes = chunk.get(..count).unwrap_or_default();
            if std::mem::take(&mut self.first) && self.rule == StdoutRule::Mcp {
                bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            }
            if let Some((mut line, mut output)) = long.take() {
                let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
                let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                self.long_piece(&mut line, piece, output.as_deref_mut());
                if end.is_none() {
                    long = Some((line, output));
                    continue;
                }
                self.long_end(line);
                bytes = rest;
            }
            self.take(bytes);
            if self.partial.len() > LINE_BYTES_MAX {
                long = Some(self.begin_long(&shared));
            }
        }
        if self.rule == StdoutRule::Raw {
            self.end_raw();
        } else if !self.partial.is_empty() {
            // Half a line is no message: whoever reads the log may want it.
            let rest = std::mem::take(&mut self.partial);
            self.diverted.write(&rest, true);
        }
        let generation = self.generation;
        shared.tell(Event::OutputEnded { generation });
        shared.tell(Event::StreamEnded { generation });
    }

    /// New bytes: complete lines go on, the rest is kept.
    fn take(&mut self, bytes: &[u8]) {
        if self.rule == StdoutRule::Raw {
            let output = Arc::clone(&self.shared);
            self.write_lines(&mut output.output(), bytes);
            return;
        }
        let Some(last) = memchr::memrchr(b'\n', bytes) else {
            self.partial.extend(bytes);
            return;
        };
        let (lines, rest) = bytes.split_at(last + 1);
        if self.partial.is_empty() {
            self.lines(lines);
        } else {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend(lines);
            self.lines(&whole);
        }
        self.partial.extend(rest);
    }

    /// Complete lines: judged, noted, masked, written.
    fn lines(&mut self, bytes: &[u8]) {
        let shared = Arc::clone(&self.shared);
        let mut output = shared.output();
        let mut verdicts = Vec::new();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes).map(|at| at + 1) {
            let line = bytes.get(start..end).unwrap_or_default();
            verdicts.push((start, end, judge(line)));
            start = end;
        }
        let mut plan = Plan::default();
        let ours = {
            let mut inner = shared.lock();
            let standing = self.generation.cmp(&inner.session.generation());
            let now = Instant::now();
            for (start, end, envelope) in verdicts {
                let line = bytes.get(start..end).unwrap_or_default();
                match envelope {
                    Line::Blank => plan.leave_out(bytes, start),
                    Line::Divert => {
                        plan.leave_out(bytes, start);
                        plan.diverted.extend(line);
                    }
                    Line::Message(envelope) => {
                        let verdict =
                            inner
                                .session
                                .from_server(self.generation, &envelope, Some(line), now);
                        plan.note(verdict, bytes, (start, end), self.generation, &mut inner);
                    }
                }
            }
            if inner.draining && inner.session.is_drained() {
                inner.draining = false;
                plan.events.push(Event::Drained);
            }
            self.refresh_mask(&inner);
            let clean = plan.replaced.as_deref().unwrap_or(bytes);
            match standing {
                // A server that has not taken over yet.
                std::cmp::Ordering::Greater => {
                    self.out.clear();
                    mask_into(self.mask.as_mut(), clean, &mut self.out);
                    inner
                        .held
                        .entry(self.generation)
                        .or_default()
                        .extend(self.out.iter());
                    false
                }
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => true,
            }
        };
        if ours {
            shared.flush_into(&mut output);
            let lines = plan.replaced.take();
            self.write_lines(&mut output, lines.as_deref().unwrap_or(bytes));
        }
        drop(output);
        self.after(plan);
    }

    fn after(&mut self, plan: Plan) {
        if !plan.diverted.is_empty() {
            self.diverted.write(&plan.diverted, false);
        }
        for event in plan.events {
            self.shared.tell(event);
        }
        if let Some(calls) = &self.calls {
            for answered in plan.answered {
                calls.call(answered);
            }
        }
    }

    fn refresh_mask(&mut self, inner: &Inner) {
        if inner.masker_version != self.version {
            self.version = inner.masker_version;
            if let Some(mask) = &mut self.mask {
                mask.set_masker(Arc::clone(&inner.masker));
            }
        }
    }

    /// Writes lines masked; what holds no secret is written as it came, without a copy.
    fn write_lines(&mut self, output: &mut Output, lines: &[u8]) {
        let clean = match &mut self.mask {
            None => lines.len(),
            Some(mask) => mask.pass(lines),
        };
        let (clean, rest) = lines.split_at(clean.min(lines.len()));
        let mut done = output.write(clean);
        if !rest.is_empty() && done.is_ok() {
            self.out.clear();
            mask_into(self.mask.as_mut(), rest, &mut self.out);
            done = output.write(&self.out);
        }
        if done.is_err() {
            self.shared.tell(Event::OutputBroken);
        }
    }

    fn end_raw(&mut self) {
        self.out.clear();
        if let Some(mask) = &mut self.mask {
            mask.flush(&mut self.out);
        }
        let shared = Arc::clone(&self.shared);
        if shared.output().write(&self.out).is_err() {
            shared.tell(Event::OutputBroken);
        }
    }

    /// A line that is longer than what is kept begins to go on in pieces. The client's stream stays
    /// ours until its end, so that nothing comes in between.
    fn begin_long<'a>(&mut self, shared: &'a Shared) -> (Long, Option<MutexGuard<'a, Output>>) {
        let head = std::mem::take(&mut self.partial);
        let mut scanner = Scanner::default();
        scanner.feed(&head);
        if !scanner.may_be_object() {
            self.diverted.write(&head, false);
            return (Long::Diverted, None);
        }
        let mut output = shared.output();
        shared.flush_into(&mut output);
        let mut line = Long::ToClient {
            scanner: Scanner::default(),
            repair: Repair::default(),
        };
        self.long_piece(&mut line, &head, Some(&mut output));
        (line, Some(output))
    }

    fn long_piece(&mut self, line: &mut Long, piece: &[u8], output: Option<&mut Output>) {
        match line {
            Long::Diverted => self.diverted.write(piece, false),
            Long::ToClient { scanner, repair } => {
                scanner.feed(piece);
                let piece = repair.repair(piece);
                self.out.clear();
                mask_into(self.mask.as_mut(), &piece, &mut self.out);
                let standing = {
                    let mut inner = self.shared.lock();
                    let standing = self.generation.cmp(&inner.session.generation());
                    if standing.is_gt() {
                        inner
                            .held
                            .entry(self.generation)
                            .or_default()
                            .extend(self.out.iter());
                    }
                    standing
                };
                let failed = output.is_some_and(|output| output.write(&self.out).is_err());
                if standing.is_eq() && failed {
                    self.shared.tell(Event::OutputBroken);
                }
            }
        }
    }

    fn long_end(&mut self, line: Long) {
        let Long::ToClient {
            mut scanner,
            repair: _,
        } = line
        else {
            return;
        };
        let envelope = scanner.finish();
        let mut plan = Plan::default();
        {
            let mut inner = self.shared.lock();
            let now = Instant::now();
            let verdict = inner
                .session
                .from_server(self.generation, &envelope, None, now);
            if let FromServer::Answers(answered) = verdict {
                plan.answered.push(answered);
            }
            if inner.draining && inner.session.is_drained() {
                inner.draining = false;
                plan.events.push(Event::Drained);
            }
        }
        self.after(plan);
    }
}

fn mask_into(mask: Option<&mut MessageMask>, bytes: &[u8], out: &mut Vec<u8>) {
    match mask {
        None => out.extend(bytes),
        Some(mask) => mask.write(bytes, out),
    }
}

/// What is to be done with some lines.
#[derive(Default)]
struct Plan {
    /// The lines for the client, if they are not just the ones that came.
    replaced: Option<Vec<u8>>,
    diverted: Vec<u8>,
    events: Vec<Event>,
    answered: Vec<Answered>,
}

impl Plan {
    /// The line that starts here does not pass: from now on the others are collected.
    fn leave_out(&mut self, bytes: &[u8], start: usize) {
        self.collected(bytes, start);
    }

    fn collected(&mut self, bytes: &[u8], start: usize) -> &mut Vec<u8> {
        self.replaced
            .get_or_insert_with(|| bytes.get(..start).unwrap_or_default().to_vec())
    }

    fn note(
        &mut self,
        verdict: FromServer,
        bytes: &[u8],
        (start, end): (usize, usize),
        generation: u32,
        inner: &mut Inner,
    ) {
        let line = bytes.get(start..end).unwrap_or_default();
        match verdict {
            FromServer::Forward => self.pass(line),
            FromServer::Answers(answered) => {
                self.pass(line);
                self.answered.push(answered);
            }
            FromServer::Replace(new) => self.collected(bytes, start).extend(new),
            FromServer::Drop => self.leave_out(bytes, start),
            FromServer::Ours(Ours::Handshake) => {
                self.leave_out(bytes, start);
                let judgement = inner.session.judge_handshake(line);
                self.events.push(Event::HandshakeDone {
                    generation,
                    judgement,
                });
            }
            FromServer::Ours(Ours::Replay) => {
                self.leave_out(bytes, start);
                if inner.session.is_replayed(generation) {
                    self.events.push(Event::Replayed { generation });
                }
            }
        }
    }

    fn pass(&mut self, line: &[u8]) {
        if let Some(lines) = &mut self.replaced {
            lines.extend(line);
        }
    }
}

enum Line {
    Message(Envelope),
    Divert,
    Blank,
}

/// Whether a line can be an MCP message. A line that begins like a message is believed by its
/// structure; one that may be a log line (`[INFO] …`, `{x}`) has to be JSON in full.
fn judge(line: &[u8]) -> Line {
    let envelope = Scanner::scan(line);
    let sure = matches!(line, [b'{', b'"', ..]);
    match envelope.shape {
        Shape::Blank => Line::Blank,
        Shape::Other => Line::Divert,
        _ if std::str::from_utf8(line).is_err() => Line::Divert,
        Shape::Object | Shape::Array
            if !sure && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() =>
        {
            Line::Divert
        }
        Shape::Object | Shape::Array => Line::Message(envelope),
    }
}
