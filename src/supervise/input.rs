//! Relays the client's lines to the server.
//!
//! Invariants: the client is read from the start, even without a server, because some clients
//! disconnect only by closing stdin. Bytes pass unchanged and in order, with the pipe's
//! back-pressure; only the gate holds complete lines back. A line longer than [`LINE_BYTES_MAX`]
//! passes in pieces, all to the server that got the first.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::shared::{Gate, Shared};
use super::state::KeeperEvent;
use crate::session::answer::{self, RequestOutcome};
use crate::session::envelope::{Envelope, Scanner};
use crate::session::{FromClient, Session};

/// Longer lines are not kept as a whole (bytes).
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;
/// The same for the client's answers after a renewal, whose ID must be rewritten wherever it is.
/// Clients themselves give up at 10 MiB (bytes).
const ANSWER_BYTES_MAX: usize = 16 << 20;
const CHUNK_BYTES: usize = 64 << 10;
/// How often stdin is checked for its end while the gate is held.
const LOOK: Duration = Duration::from_millis(20);

/// The thread that reads the client. Returns when the client is gone or the gate is closed.
pub(super) fn relay(mut stdin: File, shared: &Arc<Shared>) {
    let mut input = Input {
        shared: Arc::clone(shared),
        buffer: Vec::new(),
        chunk: vec![0; CHUNK_BYTES],
        ended: false,
        spoke: false,
        long: None,
        sorted_bytes: 0,
    };
    loop {
        if !input.ended {
            input.read(&mut stdin);
        }
        if !input.pass_on(&mut stdin) {
            return;
        }
        if input.ended && input.buffer.is_empty() {
            break;
        }
    }
    // A launch in preparation completes first: a client without stdin still gets a refusal, and a
    // server may react to the end of stdin.
    if matches!(input.wait_for_gate(&mut stdin), Gate::Closed) {
        return;
    }
    let awaited = !shared.lock().session.is_drained();
    shared.post_event(KeeperEvent::InputPassed { awaited });
}

struct Input {
    shared: Arc<Shared>,
    /// Input that was not passed on yet.
    buffer: Vec<u8>,
    chunk: Vec<u8>,
    ended: bool,
    spoke: bool,
    /// The long line in progress, if any.
    long: Option<LongLine>,
    /// How much of the buffer waits for the next server; the rest is not examined yet (bytes).
    sorted_bytes: usize,
}

/// A line that passes in pieces.
struct LongLine {
    scanner: Scanner,
    /// The server that got the first piece, if any.
    to: Option<Arc<File>>,
}

impl Input {
    fn read(&mut self, stdin: &mut File) {
        let count = loop {
            match stdin.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break 0,
                Ok(count) => break count,
            }
        };
        self.shared.hear(count);
        self.buffer
            .extend_from_slice(self.chunk.get(..count).unwrap_or_default());
        if count == 0 {
            self.ended = true;
            self.shared.post_event(KeeperEvent::InputEnded);
        } else if !self.spoke {
            self.spoke = true;
            self.shared.post_event(KeeperEvent::ClientSpoke);
        }
    }

    /// Passes on complete lines, pieces of a long line, and at the end of input everything. Returns
    /// `false` when the gate is closed.
    fn pass_on(&mut self, stdin: &mut File) -> bool {
        loop {
            if self.long.is_some() {
                self.long_piece();
                if self.long.is_some() {
                    return true;
                }
            }
            let complete = match memchr::memrchr(b'\n', &self.buffer) {
                _ if self.ended => self.buffer.len(),
                Some(last) => last + 1,
                None => 0,
            };
            let rest = self.buffer.len() - complete;
            let too_long = rest > LINE_BYTES_MAX && rest > self.line_bytes_max();
            if complete == 0 && !too_long {
                return true;
            }
            // The gate may change before the lines are sent; then it is checked again.
            match self.wait_for_gate(stdin) {
                Gate::Closed => return false,
                Gate::Held => {}
                Gate::Draining(server) => {
                    if !self.pass_answers(&server) {
                        self.wait_for_move(stdin);
                    }
                }
                gate if complete == 0 => self.begin_long(&gate),
                gate => {
                    let rest = self.buffer.split_off(complete);
                    let lines = std::mem::replace(&mut self.buffer, rest);
                    self.sorted_bytes = 0;
                    let taken = match &gate {
                        Gate::Open(server) => self.send(&lines, server),
                        _ => self.answer(&lines),
                    };
                    if !taken {
                        self.buffer.splice(..0, lines);
                    }
                }
            }
        }
    }

    fn line_bytes_max(&self) -> usize {
        if self.shared.lock().session.rewrites_answers() {
            ANSWER_BYTES_MAX
        } else {
            LINE_BYTES_MAX
        }
    }

    /// Waits while the gate is held, and keeps reading to detect the end of stdin.
    fn wait_for_gate(&mut self, stdin: &mut File) -> Gate {
        loop {
            let gate = self.wait_while(|gate| matches!(gate, Gate::Held));
            if !matches!(gate, Gate::Held) {
                return gate;
            }
            self.look_for_end(stdin);
        }
    }

    /// Waits for another gate or more input while requests are held.
    fn wait_for_move(&mut self, stdin: &mut File) {
        if matches!(
            self.wait_while(|gate| matches!(gate, Gate::Draining(_))),
            Gate::Draining(_)
        ) {
            self.look_for_end(stdin);
        }
    }

    fn wait_while(&self, holds: impl Fn(&Gate) -> bool) -> Gate {
        let inner = self.shared.lock();
        let (inner, _) = self
            .shared
            .gate_moved
            .wait_timeout_while(inner, LOOK, |inner| holds(&inner.gate))
            .unwrap_or_else(PoisonError::into_inner);
        inner.gate.clone()
    }

    fn look_for_end(&mut self, stdin: &mut File) {
        if self.ended {
            return;
        }
        let room = self.buffer.len() < LINE_BYTES_MAX;
        let wanted = if room {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        let mut polled = [PollFd::new(stdin.as_fd(), wanted)];
        if poll(&mut polled, PollTimeout::ZERO).is_err() {
            return;
        }
        let [polled] = polled;
        let found = polled.revents().unwrap_or(PollFlags::empty());
        if found.intersects(PollFlags::POLLIN) || (room && found.contains(PollFlags::POLLHUP)) {
            self.read(stdin);
        } else if found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) && !room {
            // The client is gone and its last input does not fit, so no answer is expected.
            self.ended = true;
            self.shared.post_event(KeeperEvent::InputEnded);
        }
    }

    /// Sends whole lines. Returns `false` if the gate is no longer open to this server.
    fn send(&mut self, lines: &[u8], server: &Arc<File>) -> bool {
        let envelopes = scan(lines);
        let bytes = {
            let mut inner = self.shared.lock();
            if !matches!(&inner.gate, Gate::Open(now) if Arc::ptr_eq(now, server)) {
                return false;
            }
            inner.writing = true;
            note(&mut inner.session, lines, envelopes)
        };
        // An error means that the server is gone; its guard reports that.
        drop((&**server).write_all(bytes.as_deref().unwrap_or(lines)));
        self.shared.written();
        true
    }

    /// During a drain: passes what the server may wait for and holds requests. Returns whether
    /// there was new input.
    fn pass_answers(&mut self, server: &Arc<File>) -> bool {
        let end = memchr::memrchr(b'\n', &self.buffer).map_or(0, |last| last + 1);
        if end <= self.sorted_bytes {
            return false;
        }
        let rest = self.buffer.split_off(end);
        let lines = std::mem::replace(&mut self.buffer, rest);
        let (mut now, mut later) = (Vec::new(), Vec::new());
        let bytes = {
            let mut inner = self.shared.lock();
            let open = matches!(&inner.gate, Gate::Draining(to) if Arc::ptr_eq(to, server));
            for (start, end, envelope) in scan(&lines) {
                let line = lines.get(start..end).unwrap_or_default();
                if open
                    && start >= self.sorted_bytes
                    && inner.session.is_for_current(&envelope, line)
                {
                    now.extend(line);
                } else {
                    later.extend(line);
                }
            }
            if !open || now.is_empty() {
                None
            } else {
                inner.writing = true;
                let envelopes = scan(&now);
                let noted = note(&mut inner.session, &now, envelopes);
                Some(noted.unwrap_or(now))
            }
        };
        self.sorted_bytes = later.len();
        self.buffer.splice(..0, later);
        if let Some(bytes) = bytes {
            drop((&**server).write_all(&bytes));
            self.shared.written();
        }
        true
    }

    /// Begins to pass on a long line in pieces.
    fn begin_long(&mut self, gate: &Gate) {
        let to = {
            let mut inner = self.shared.lock();
            match (gate, &inner.gate) {
                (Gate::Open(server), Gate::Open(now)) if Arc::ptr_eq(server, now) => {
                    inner.writing = true;
                    Some(Arc::clone(server))
                }
                (Gate::Answer { .. }, Gate::Answer { .. }) => None,
                _ => return,
            }
        };
        self.sorted_bytes = 0;
        self.long = Some(LongLine {
            scanner: Scanner::default(),
            to,
        });
    }

    /// Passes on the next piece of a long line; at its end, updates the session.
    fn long_piece(&mut self) {
        let Some(mut long) = self.long.take() else {
            return;
        };
        let end = memchr::memchr(b'\n', &self.buffer).map(|at| at + 1);
        let rest = self.buffer.split_off(end.unwrap_or(self.buffer.len()));
        let piece = std::mem::replace(&mut self.buffer, rest);
        long.scanner.feed(&piece);
        if let Some(server) = &long.to {
            drop((&**server).write_all(&piece));
        }
        if end.is_none() && !self.ended {
            self.long = Some(long);
            return;
        }
        let envelope = long.scanner.finish();
        {
            let mut inner = self.shared.lock();
            let inner = &mut *inner;
            let arrived = matches!(
                (&inner.gate, &long.to),
                (Gate::Open(now) | Gate::Draining(now), Some(to)) if Arc::ptr_eq(now, to)
            );
            if arrived {
                // The line has passed, so the session cannot rewrite it.
                let _ = inner.session.client_line(&envelope, None, Instant::now());
            } else if let Some((id, _)) = envelope.request() {
                let trouble = match &inner.gate {
                    Gate::Answer { trouble, .. } => trouble.clone(),
                    _ => answer::Unavailable::renewed(&self.shared.server),
                };
                let outcome = long
                    .to
                    .as_ref()
                    .map_or(RequestOutcome::NotSent, |_| RequestOutcome::Unknown);
                inner.outbox.extend(answer::error(id, &trouble, outcome));
            }
        }
        self.shared.written();
        self.shared.flush();
    }

    /// Answers lines while there is no server. Returns `false` if the gate has changed.
    fn answer(&mut self, lines: &[u8]) -> bool {
        {
            let mut inner = self.shared.lock();
            let Gate::Answer { trouble, stub } = inner.gate.clone() else {
                return false;
            };
            for (start, end, envelope) in scan(lines) {
                let answer = inner.session.answer_suspended(
                    &envelope,
                    lines.get(start..end),
                    &trouble,
                    stub,
                );
                inner.outbox.extend(answer.unwrap_or_default());
            }
        }
        self.shared.flush();
        true
    }
}

/// The lines in these bytes: start, end, envelope.
fn scan(bytes: &[u8]) -> Vec<(usize, usize, Envelope)> {
    let mut lines = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).map_or(bytes.len(), |at| start + at + 1);
        let line = bytes.get(start..end).unwrap_or_default();
        lines.push((start, end, Scanner::scan(line)));
        start = end;
    }
    lines
}

/// Updates the session; returns the lines to send, if they differ.
fn note(
    session: &mut Session,
    lines: &[u8],
    envelopes: Vec<(usize, usize, Envelope)>,
) -> Option<Vec<u8>> {
    let now = Instant::now();
    let mut replaced: Option<Vec<u8>> = None;
    for (start, end, envelope) in envelopes {
        let line = lines.get(start..end).unwrap_or_default();
        match (
            session.client_line(&envelope, Some(line), now),
            &mut replaced,
        ) {
            (FromClient::Forward, None) => {}
            (FromClient::Forward, Some(bytes)) => bytes.extend(line),
            (other, replaced) => {
                let bytes =
                    replaced.get_or_insert_with(|| lines.get(..start).unwrap_or_default().to_vec());
                if let FromClient::Replace(new) = other {
                    bytes.extend(new);
                }
            }
        }
    }
    replaced
}
