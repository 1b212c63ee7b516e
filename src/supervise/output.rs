//! Relays a server's stdout to the client, and its stderr to ours, masked.
//!
//! Invariants: only lines that can be MCP messages pass to stdout (one byte that is not UTF-8
//! crashes some clients); others go to stderr, blank lines are dropped. Complete lines pass
//! immediately; a line longer than [`LINE_BYTES_MAX`] passes in pieces, so memory stays bounded.
//! Lines of a candidate are kept until it takes over; lines of a replaced server are dropped.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use super::diagnostics::{Diagnostics, StderrTail};
use super::input::LINE_BYTES_MAX;
use super::pipeline::Pipeline;
use super::question;
use super::shared::{ClientStdout, Inner, Notice, Shared};
use super::state::KeeperEvent;
use super::triage::{LineBatch, LineRoute, triage};
use super::utf8::Repair;
use crate::mask::MessageMask;
use crate::policy::{Limits, StdoutRule, Stream};
use crate::session::envelope::Scanner;
use crate::session::{FromServer, SessionRole};

/// Large, to save wake-ups on large answers; a short answer touches only one page.
const CHUNK_BYTES: usize = 256 << 10;
/// The maximum of kept lines of a candidate (bytes).
const HELD_BYTES_MAX: usize = 4 << 20;

/// The thread of a server's stdout.
pub(super) struct ServerOutput {
    shared: Arc<Shared>,
    generation: u32,
    rule: StdoutRule,
    mask: Option<MessageMask>,
    version: u64,
    /// How many IDs with a secret were reported.
    in_ids: u64,
    diverted: Diagnostics,
    /// Records answered requests, if the policy wants that.
    calls: Option<Arc<dyn Pipeline>>,
    /// An incomplete line.
    partial: Vec<u8>,
    out: Vec<u8>,
    first: bool,
    /// Whether some output was read but not yet written to the client.
    busy: Arc<AtomicBool>,
}

/// Where the pieces of a long line go.
enum LongLineMode {
    ToClient {
        scanner: Scanner,
        repair: Repair,
    },
    Diverted,
    /// The server does not have the session.
    Dropped,
}

impl ServerOutput {
    pub(super) fn new(
        shared: &Arc<Shared>,
        generation: u32,
        limits: &Limits,
        tail: &Arc<StderrTail>,
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
            in_ids: 0,
            diverted: Diagnostics::new(shared, limits, tail),
            calls: limits.log_calls.then(|| Arc::clone(pipeline)),
            partial: Vec::new(),
            out: Vec::new(),
            first: true,
            busy: Arc::default(),
        }
    }

    /// A flag: some output was read but not yet written to the client.
    pub(super) fn busy(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.busy)
    }

    /// Reads until the server closes its stdout.
    pub(super) fn relay(mut self, mut from: File) {
        let mut chunk = vec![0; CHUNK_BYTES];
        let shared = Arc::clone(&self.shared);
        let mut long: Option<(LongLineMode, Option<MutexGuard<'_, ClientStdout>>)> = None;
        loop {
            self.busy.store(false, Ordering::Relaxed);
            let count = match from.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => break,
                Ok(count) => count,
            };
            self.busy.store(true, Ordering::Relaxed);
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
            if self.partial.len() > LINE_BYTES_MAX && self.is_too_long() {
                long = Some(self.begin_long(&shared));
            }
        }
        if let Some((line @ LongLineMode::ToClient { .. }, Some(mut output))) = long.take() {
            // The client has an incomplete line; the next output must not become part of it.
            self.out.clear();
            if let Some(mask) = &mut self.mask {
                mask.flush(&mut self.out);
            }
            self.out.push(b'\n');
            drop(output.write(&self.out));
            drop(output);
            self.long_end(line);
        }
        if self.rule == StdoutRule::Raw {
            self.end_raw();
        } else if !self.partial.is_empty() {
            // An incomplete line is not a message; it goes to stderr for the log.
            let rest = std::mem::take(&mut self.partial);
            self.diverted.write(&rest, true);
        }
        let generation = self.generation;
        shared.post_event(KeeperEvent::OutputEnded { generation });
        shared.post_event(KeeperEvent::StreamEnded { generation });
    }

    /// Whether the incomplete line passes in pieces; the client does not get an answer to another command.
    fn is_too_long(&self) -> bool {
        let is_question = || self.shared.lock().session.has_question(self.generation);
        self.partial.len() > question::ANSWER_BYTES_MAX || !is_question()
    }

    /// Processes complete lines and keeps the rest.
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

    /// Classifies complete lines, updates the session, masks and writes.
    fn lines(&mut self, bytes: &[u8]) {
        let shared = Arc::clone(&self.shared);
        let mut output = shared.output();
        let mut verdicts = Vec::new();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes).map(|at| at + 1) {
            let line = bytes.get(start..end).unwrap_or_default();
            verdicts.push((start, end, triage(line)));
            start = end;
        }
        let mut batch = LineBatch::default();
        let is_current = {
            let mut inner = shared.lock();
            let role = inner.session.role(self.generation);
            let now = Instant::now();
            for (start, end, envelope) in verdicts {
                let line = bytes.get(start..end).unwrap_or_default();
                match envelope {
                    LineRoute::Blank => batch.leave_out(bytes, start),
                    LineRoute::Divert => {
                        batch.leave_out(bytes, start);
                        batch.diverted.extend(line);
                    }
                    LineRoute::Message(envelope) => {
                        let verdict =
                            inner
                                .session
                                .server_line(self.generation, &envelope, Some(line), now);
                        batch.note(verdict, bytes, (start, end), self.generation, &mut inner);
                    }
                }
            }
            if inner.note_drained() {
                shared.wake();
            }
            for (number, line) in std::mem::take(&mut batch.questions) {
                question::answered(&mut inner, number, &line);
            }
            self.refresh_mask(&inner);
            let clean = batch.replaced.as_deref().unwrap_or(bytes);
            match role {
                SessionRole::Candidate => {
                    self.out.clear();
                    mask_into(self.mask.as_mut(), clean, &mut self.out);
                    let held = inner.held.entry(self.generation).or_default();
                    // The limit protects against a candidate that floods its stdout.
                    if held.len() + self.out.len() <= HELD_BYTES_MAX {
                        held.extend(self.out.iter());
                    }
                    false
                }
                SessionRole::Gone => false,
                SessionRole::Current => true,
            }
        };
        if is_current {
            shared.flush_into(&mut output);
            let lines = batch.replaced.take();
            self.write_lines(&mut output, lines.as_deref().unwrap_or(bytes));
        }
        drop(output);
        self.after(batch);
    }

    fn after(&mut self, batch: LineBatch) {
        let in_ids = self.mask.as_ref().map_or(0, MessageMask::secrets_in_ids);
        if std::mem::replace(&mut self.in_ids, in_ids) < in_ids {
            let generation = self.generation;
            self.shared
                .post_event(KeeperEvent::SecretInId { generation });
        }
        if !batch.diverted.is_empty() {
            self.diverted.write(&batch.diverted, false);
        }
        for event in batch.events {
            self.shared.post_event(event);
        }
        for mut answered in batch.answered {
            if let Some(failure) = answered.failure.take() {
                let generation = self.generation;
                self.shared.post(Notice::Failed {
                    generation,
                    failure,
                });
            }
            if let Some(calls) = &self.calls {
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

    /// Writes lines masked; a prefix without secrets is written without a copy.
    fn write_lines(&mut self, output: &mut ClientStdout, lines: &[u8]) {
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
            self.shared.post_event(KeeperEvent::ClientGone);
        }
    }

    fn end_raw(&mut self) {
        self.out.clear();
        if let Some(mask) = &mut self.mask {
            mask.flush(&mut self.out);
        }
        let shared = Arc::clone(&self.shared);
        if shared.output().write(&self.out).is_err() {
            shared.post_event(KeeperEvent::ClientGone);
        }
    }

    /// Begins to pass on a long line in pieces. The client's stream stays locked until its end, so
    /// that nothing is written in between.
    fn begin_long<'a>(
        &mut self,
        shared: &'a Shared,
    ) -> (LongLineMode, Option<MutexGuard<'a, ClientStdout>>) {
        let head = std::mem::take(&mut self.partial);
        let mut scanner = Scanner::default();
        scanner.feed(&head);
        if !scanner.may_be_message() {
            self.diverted.write(&head, false);
            return (LongLineMode::Diverted, None);
        }
        let mut output = shared.output();
        if shared.lock().session.role(self.generation) != SessionRole::Current {
            return (LongLineMode::Dropped, None);
        }
        shared.flush_into(&mut output);
        output.enlarge();
        let mut line = LongLineMode::ToClient {
            scanner: Scanner::default(),
            repair: Repair::default(),
        };
        self.long_piece(&mut line, &head, Some(&mut output));
        (line, Some(output))
    }

    fn long_piece(
        &mut self,
        line: &mut LongLineMode,
        piece: &[u8],
        output: Option<&mut ClientStdout>,
    ) {
        match line {
            LongLineMode::Dropped => {}
            LongLineMode::Diverted => self.diverted.write(piece, false),
            LongLineMode::ToClient { scanner, repair } => {
                scanner.feed(piece);
                let piece = repair.repair(piece);
                self.out.clear();
                mask_into(self.mask.as_mut(), &piece, &mut self.out);
                // A started line is finished even if its server loses the session.
                if output.is_some_and(|output| output.write(&self.out).is_err()) {
                    self.shared.post_event(KeeperEvent::ClientGone);
                }
            }
        }
    }

    fn long_end(&mut self, line: LongLineMode) {
        let LongLineMode::ToClient {
            mut scanner,
            repair: _,
        } = line
        else {
            return;
        };
        let envelope = scanner.finish();
        let mut batch = LineBatch::default();
        let drained = {
            let mut inner = self.shared.lock();
            let now = Instant::now();
            let verdict = inner
                .session
                .server_line(self.generation, &envelope, None, now);
            if let FromServer::Answers(answered) = verdict {
                batch.answered.push(answered);
            }
            inner.note_drained()
        };
        if drained {
            self.shared.wake();
        }
        self.after(batch);
    }
}

fn mask_into(mask: Option<&mut MessageMask>, bytes: &[u8], out: &mut Vec<u8>) {
    match mask {
        None => out.extend(bytes),
        Some(mask) => mask.write(bytes, out),
    }
}
