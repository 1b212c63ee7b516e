//! A client's end of one `mcpwrap run`: its lines, the end of its stderr, its exit.
//!
//! Invariants: what is kept is bounded, whatever the server writes; a child that does not end after
//! the end of its stdin is ended.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest line: clients close the connection at a longer one (bytes).
pub const LINE_BYTES_MAX: usize = 10 << 20;
/// How much of stderr is kept at least, if there is more (bytes).
const STDERR_KEPT: usize = 32 << 10;
/// How long the child may take to end after SIGTERM.
const TERM_LIMIT: Duration = Duration::from_secs(2);
/// How long the rest of stderr may take to arrive.
const STDERR_LIMIT: Duration = Duration::from_secs(1);
/// How often the child is asked whether it has ended.
const ASK: Duration = Duration::from_millis(2);

/// What arrives from the child.
#[derive(Debug)]
pub enum Arrival {
    /// A line without its newline, and when it arrived.
    Line(Instant, Vec<u8>),
    /// A line longer than [`LINE_BYTES_MAX`]. Nothing follows.
    TooLong,
}

/// Why nothing arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    Late,
    Ended,
}

/// How the child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEnd {
    Exit(i32),
    Signal(i32),
    /// It did not end in time, and was killed.
    Killed,
}

/// See the module.
#[derive(Debug)]
pub struct RunChild {
    child: Child,
    stdin: Option<ChildStdin>,
    arrivals: Receiver<Arrival>,
    stderr: Option<StderrEnd>,
}

impl RunChild {
    /// # Errors
    /// A thread cannot be started; the child is ended.
    pub fn new(mut child: Child) -> io::Result<Self> {
        let (sender, arrivals) = sync_channel(4);
        let started = (|| {
            if let Some(stdout) = child.stdout.take() {
                let read = move || read_lines(stdout, &sender);
                std::thread::Builder::new().spawn(read)?;
            }
            child.stderr.take().map(keep_end).transpose()
        })();
        let mut made = Self {
            stdin: child.stdin.take(),
            child,
            arrivals,
            stderr: None,
        };
        match started {
            Ok(stderr) => made.stderr = stderr,
            Err(error) => {
                made.end(Duration::ZERO);
                return Err(error);
            }
        }
        Ok(made)
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    /// Sends a line. A closed session is noticed by the missing answer.
    pub fn send(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            drop(writeln!(stdin, "{line}").and_then(|()| stdin.flush()));
        }
    }

    /// The next line.
    pub fn receive(&self, deadline: Instant) -> Result<Arrival, Silence> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.arrivals
            .recv_timeout(left)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => Silence::Late,
                RecvTimeoutError::Disconnected => Silence::Ended,
            })
    }

    /// Closes stdin, as a client does, and waits for the end up to the limit.
    pub fn end(&mut self, limit: Duration) -> ChildEnd {
        drop(self.stdin.take());
        if let Some(end) = self.wait(limit) {
            return end;
        }
        // The supervisor ends its server.
        crate::sys::ignore(kill(Pid::from_raw(self.pid()), Signal::SIGTERM));
        if self.wait(TERM_LIMIT).is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        ChildEnd::Killed
    }

    fn wait(&mut self, limit: Duration) -> Option<ChildEnd> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => {
                    let signal = || ChildEnd::Signal(status.signal().unwrap_or_default());
                    return Some(status.code().map_or_else(signal, ChildEnd::Exit));
                }
                Err(_) => return Some(ChildEnd::Killed),
            }
            if Instant::now() >= deadline {
                return None;
            }
            // Its last lines are read, so that a full pipe does not keep it.
            let arrived = self.arrivals.recv_timeout(ASK);
            if matches!(arrived, Err(RecvTimeoutError::Disconnected)) {
                std::thread::sleep(ASK);
            }
        }
    }

    /// The last lines of its stderr, after its end.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let Some(StderrEnd { kept, closed }) = &self.stderr else {
            return Vec::new();
        };
        // A process that it left may hold it.
        crate::sys::ignore(closed.recv_timeout(STDERR_LIMIT));
        let bytes = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let first = lines.len().saturating_sub(count);
        let last = lines.into_iter().skip(first);
        last.map(str::to_owned).collect()
    }
}

/// Passes on the lines until the stream ends, nobody listens, or a line is too long.
fn read_lines(stdout: impl Read, sender: &SyncSender<Arrival>) {
    let mut stdout = BufReader::new(stdout);
    let most = u64::try_from(LINE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    loop {
        let mut line = Vec::new();
        match (&mut stdout).take(most).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let arrival = if line.pop_if(|last| *last == b'\n').is_some() {
            Arrival::Line(Instant::now(), line)
        } else if line.len() > LINE_BYTES_MAX {
            Arrival::TooLong
        } else {
            // The stream ended within a line, which is no message.
            return;
        };
        let is_last = matches!(arrival, Arrival::TooLong);
        if sender.send(arrival).is_err() || is_last {
            return;
        }
    }
}

/// The end of a stream, while it is read.
#[derive(Debug)]
struct StderrEnd {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Disconnected when the stream ends.
    closed: Receiver<()>,
}

fn keep_end(mut stream: impl Read + Send + 'static) -> io::Result<StderrEnd> {
    let kept = Arc::<Mutex<Vec<u8>>>::default();
    let (sender, closed) = sync_channel(1);
    let own = Arc::clone(&kept);
    let read = move || {
        let _open: SyncSender<()> = sender;
        let mut piece = [0; 8 << 10];
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            let mut kept = own.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(piece.get(..count).unwrap_or_default());
            if kept.len() > 2 * STDERR_KEPT {
                let old = kept.len() - STDERR_KEPT;
                kept.drain(..old);
            }
        }
    };
    std::thread::Builder::new().spawn(read)?;
    Ok(StderrEnd { kept, closed })
}
