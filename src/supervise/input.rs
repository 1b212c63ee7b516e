//! Relays the client's lines to the server.
//!
//! *Always* reads from the first millisecond, also while no server is there yet: the end of stdin is
//! the only way some clients take their leave. Bytes pass unchanged and in order, with the pipe's own
//! back-pressure; a complete line is never held back but by the gate. A line longer than
//! [`LINE_BYTES_MAX`] is passed on in pieces.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::shared::{Event, Gate, Shared};
use crate::session::FromClient;
use crate::session::envelope::{Envelope, Scanner};

/// Longer lines are not kept whole (bytes).
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;
const CHUNK_BYTES: usize = 64 << 10;
/// How often the end of stdin is looked for while the gate is held.
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
    // A launch in preparation comes to its own end first: a refusal is told to whoever has no
    // stdin for us, too, and a server may have something to say to the end of it.
    if matches!(input.wait_for_gate(&mut stdin), Gate::Closed) {
        return;
    }
    shared.tell(Event::ClientGone);
}

struct Input {
    shared: Arc<Shared>,
    /// What was read and not yet passed on.
    buffer: Vec<u8>,
    chunk: Vec<u8>,
    ended: bool,
    spoke: bool,
    /// Inside a line that is passed on in pieces.
    long: Option<Scanner>,
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
        self.buffer.extend(self.chunk.iter().take(count));
        if count == 0 {
            self.ended = true;
            self.shared.tell(Event::InputEnded);
        } else if !self.spoke {
            self.spoke = true;
            self.shared.tell(Event::ClientSpoke);
        }
    }

    /// Passes on what can be: complete lines, pieces of a long line, and at the end everything.
    /// Returns `false` when nothing is wanted any more.
    fn pass_on(&mut self, stdin: &mut File) -> bool {
        let complete = match memchr::memrchr(b'\n', &self.buffer) {
            _ if self.ended || self.long.is_some() => self.buffer.len(),
            Some(last) => last + 1,
            None if self.buffer.len() > LINE_BYTES_MAX => self.buffer.len(),
            None => return true,
        };
        let rest = self.buffer.split_off(complete);
        let lines = std::mem::replace(&mut self.buffer, rest);
        if lines.is_empty() {
            return true;
        }
        let before = self.long.clone();
        loop {
            // The gate may move between the look and the act; then it is looked at again.
            let taken = match self.wait_for_gate(stdin) {
                Gate::Open(server) => self.send(&lines, &server),
                Gate::Answer { .. } => self.answer(&lines),
                Gate::Closed => return false,
                Gate::Held => false,
            };
            if taken {
                return true;
            }
            self.long.clone_from(&before);
        }
    }

    /// Waits while the gate is held, and reads on meanwhile, so that the end of stdin is seen.
    fn wait_for_gate(&mut self, stdin: &mut File) -> Gate {
        loop {
            {
                let inner = self.shared.lock();
                let (inner, _) = self
                    .shared
                    .gate_moved
                    .wait_timeout_while(inner, LOOK, |inner| matches!(inner.gate, Gate::Held))
                    .unwrap_or_else(PoisonError::into_inner);
                if !matches!(inner.gate, Gate::Held) {
                    return inner.gate.clone();
                }
            }
            self.look_for_end(stdin);
        }
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
        if found.contains(PollFlags::POLLIN) {
            self.read(stdin);
        } else if found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) && !room {
            // The client is gone, and its last words do not fit: nobody waits for an answer.
            self.ended = true;
            self.shared.tell(Event::InputEnded);
        }
    }

    /// Returns `false` if the gate is no longer open to this server.
    fn send(&mut self, lines: &[u8], server: &Arc<File>) -> bool {
        let envelopes = self.scan(lines);
        let bytes = {
            let mut inner = self.shared.lock();
            if !matches!(&inner.gate, Gate::Open(now) if Arc::ptr_eq(now, server)) {
                return false;
            }
            inner.writing = true;
            let now = Instant::now();
            let mut replaced: Option<Vec<u8>> = None;
            for (start, end, envelope, whole) in envelopes {
                let line = lines.get(start..end).unwrap_or_default();
                let verdict = match envelope {
                    Some(envelope) => {
                        inner
                            .session
                            .from_client(&envelope, whole.then_some(line), now)
                    }
                    None => FromClient::Forward,
                };
                match (verdict, &mut replaced) {
                    (FromClient::Forward, None) => {}
                    (FromClient::Forward, Some(bytes)) => bytes.extend(line),
                    (other, replaced) => {
                        let bytes = replaced
                            .get_or_insert_with(|| lines.get(..start).unwrap_or_default().to_vec());
                        if let FromClient::Replace(new) = other {
                            bytes.extend(new);
                        }
                    }
                }
            }
            replaced
        };
        // An error means that the server is gone; its end is told by its guard.
        drop((&**server).write_all(bytes.as_deref().unwrap_or(lines)));
        if self.long.is_none() {
            self.shared.lock().writing = false;
            self.shared.gate_moved.notify_all();
        }
        true
    }

    /// Returns `false` if requests are no longer answered by us.
    fn answer(&mut self, lines: &[u8]) -> bool {
        let envelopes = self.scan(lines);
        {
            let mut inner = self.shared.lock();
            let Gate::Answer { trouble, stub } = inner.gate.clone() else {
                return false;
            };
            for (start, end, envelope, whole) in envelopes {
                let line = lines.get(start..end).filter(|_| whole);
                let Some(envelope) = envelope else { continue };
                let answer = inner
                    .session
                    .answer_suspended(&envelope, line, &trouble, stub);
                inner.outbox.extend(answer.unwrap_or_default());
            }
        }
        self.shared.flush();
        true
    }

    /// The lines in these bytes: start, end, envelope (at a line's end), whether it is all there.
    fn scan(&mut self, bytes: &[u8]) -> Vec<(usize, usize, Option<Envelope>, bool)> {
        let mut lines = Vec::new();
        let mut start = 0;
        while start < bytes.len() {
            let rest = bytes.get(start..).unwrap_or_default();
            let newline = memchr::memchr(b'\n', rest);
            let end = newline.map_or(bytes.len(), |at| start + at + 1);
            let piece = bytes.get(start..end).unwrap_or_default();
            let whole = self.long.is_none();
            let mut scanner = self.long.take().unwrap_or_default();
            scanner.feed(piece);
            if newline.is_some() || self.ended {
                lines.push((start, end, Some(scanner.finish()), whole));
            } else {
                self.long = Some(scanner);
                lines.push((start, end, None, false));
            }
            start = end;
        }
        lines
    }
}
