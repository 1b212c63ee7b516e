//! Our stderr during a session, which a client may stop reading.
//!
//! Invariant: nobody waits long for the reader. A piece is written only when the kernel says that there
//! is room for it; if there is none for the given time, text is dropped until there is, and a line
//! says how much. The stream itself stays blocking, because other processes share it.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A pipe with room takes at least this much without blocking (`PIPE_BUF` is 512 on macOS).
const PIECE_BYTES: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };
/// How long the text of a server waits for the reader.
pub const RELAY_PATIENCE: Duration = Duration::from_secs(1);
/// How long a message of mcpwrap itself waits: the thread that prints it also ends servers.
pub const OWN_PATIENCE: Duration = Duration::from_millis(200);

static IN_SESSION: AtomicBool = AtomicBool::new(false);

/// What the reader missed.
#[derive(Debug)]
struct Missed {
    bytes: usize,
    /// The last byte that was written ended a line.
    at_line_start: bool,
}

static MISSED: Mutex<Missed> = Mutex::new(Missed {
    bytes: 0,
    at_line_start: true,
});

/// From now on messages go through [`write()`].
pub fn begin_session() {
    IN_SESSION.store(true, Ordering::Relaxed);
}

/// Whether a client may be the reader of stderr.
pub fn is_in_session() -> bool {
    IN_SESSION.load(Ordering::Relaxed)
}

fn missed() -> MutexGuard<'static, Missed> {
    MISSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes text, or drops it if it is not read for this long.
pub fn write(text: &[u8], patience: Duration) {
    // Not a copy of the descriptor, so that a process without free ones can still say so.
    let stream = io::stderr();
    let has_room = |wait| {
        let mut polled = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
        let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        // A stream with an error is written to, which fails at once.
        !matches!(poll(&mut polled, wait), Ok(0))
    };
    let mut rest = text;
    while !rest.is_empty() {
        // A reader that is behind already is not waited for again.
        let wait = if missed().bytes > 0 {
            Duration::ZERO
        } else {
            patience
        };
        if !has_room(wait) {
            missed().bytes += rest.len();
            return;
        }
        let mut missed = missed();
        // Another thread may have used the room.
        if !has_room(Duration::ZERO) {
            continue;
        }
        let (piece, later) = rest.split_at(rest.len().min(PIECE_BYTES));
        let note = missed.note();
        let (piece, later) = match &note {
            Some(note) => (note.as_bytes(), rest),
            None => (piece, later),
        };
        if (&stream).write_all(piece).is_err() {
            return;
        }
        missed.at_line_start = piece.ends_with(b"\n");
        if note.is_some() {
            missed.bytes = 0;
        }
        rest = later;
    }
}

impl Missed {
    fn note(&self) -> Option<String> {
        let start = if self.at_line_start { "" } else { "\n" };
        (self.bytes > 0).then(|| {
            format!(
                "{start}mcpwrap: warning: {} bytes of stderr were dropped, because the client did not \
                 read them\n",
                self.bytes
            )
        })
    }
}

/// Writes a message of mcpwrap.
pub fn say(text: &str) {
    if is_in_session() {
        write(text.as_bytes(), OWN_PATIENCE);
    } else {
        super::ignore(io::stderr().write_all(text.as_bytes()));
    }
}
