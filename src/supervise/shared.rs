//! State shared by the threads of a supervisor: the session, the gate to the server, the output to
//! the client.
//!
//! Invariants: two locks, taken in this order: the client's stream (`ClientStdout`), then `Inner`.
//! `Inner` is not held during a write, so a client that does not read blocks only the thread that
//! writes to it. The main thread does not write to the client; it posts to the outbox.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::bridge::channel::Up;
use crate::error::Result;
use crate::mask::Masker;
use crate::mint::live::Extension;
use crate::secret::ServerName;
use crate::session::answer::Unavailable;
use crate::session::envelope::Id;
use crate::session::{FailureText, Session};
use crate::supervise::credentials::Refreshed;
use crate::supervise::pipeline::{FailureJudgement, Prepared};
use crate::supervise::request::Request;
use crate::supervise::state::KeeperEvent;
use crate::sys::fds;

/// Where the client's lines go.
#[derive(Clone, Debug)]
pub(super) enum Gate {
    /// To the server of this generation.
    Open(Arc<File>),
    /// Held: a server is being started or takes over from another.
    Held,
    /// Answers and cancellations go to this server, which finishes its last requests; the rest is
    /// held.
    Draining(Arc<File>),
    /// Requests get this answer; the rest is dropped.
    Answer { trouble: Unavailable, stub: bool },
    /// No more input is accepted.
    Closed,
}

/// A notice to the main thread.
#[derive(Debug)]
pub(super) enum Notice {
    Event(KeeperEvent),
    /// The steps before a launch are done.
    Prepared {
        attempt: u32,
        result: Result<Box<Prepared>>,
    },
    /// A request of another command.
    Asked(Request),
    /// A frame of a bridge.
    Bridge {
        generation: u32,
        up: Up,
    },
    /// The end of a refresh of credentials.
    Refreshed(Box<Refreshed>),
    /// The makers of short-lived credentials answered.
    Extended {
        generation: u32,
        answers: Vec<Extension>,
    },
    /// A call failed.
    Failed {
        generation: u32,
        failure: FailureText,
    },
    /// Stores said whether they have other values.
    Polled {
        generation: u32,
        result: Result<bool>,
    },
    Judged {
        generation: u32,
        judgement: FailureJudgement,
    },
}

#[derive(Debug)]
pub(super) struct Inner {
    pub session: Session,
    pub gate: Gate,
    /// The client's relay has taken lines that are not completely written yet.
    pub writing: bool,
    /// Lines of a new server that must not reach the client before it takes over.
    pub held: HashMap<u32, Vec<u8>>,
    /// Lines of mcpwrap itself for the client.
    pub outbox: Vec<u8>,
    pub masker: Arc<Masker>,
    /// Counts the changes of `masker`.
    pub masker_version: u64,
    /// A drain is in progress.
    pub draining: bool,
    /// Who waits for the answer to a question, by its number.
    pub questions: HashMap<u64, SyncSender<Vec<u8>>>,
    notices: VecDeque<Notice>,
}

impl Inner {
    /// Posts `Drained` once, when every request is answered and no line is being written.
    pub(super) fn note_drained(&mut self) -> bool {
        let drained = self.draining && !self.writing && self.session.is_drained();
        if drained {
            self.draining = false;
            self.notices.push_back(Notice::Event(KeeperEvent::Drained));
        }
        drained
    }
}

/// The client's stdout.
#[derive(Debug)]
pub(super) struct ClientStdout(File);

impl ClientStdout {
    /// Makes room for the pieces of a large message, if the client reads from a pipe: it is woken less
    /// often.
    pub(super) fn enlarge(&self) {
        fds::enlarge_pipe(self.0.as_fd());
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
    pub server: ServerName,
    /// Notified when the gate changes.
    pub gate_moved: Condvar,
    output: Mutex<ClientStdout>,
    wake: File,
    /// How much was read from the client (bytes).
    heard: AtomicU64,
}

impl Shared {
    /// `wake` is the write end of a pipe that the main thread polls.
    pub(super) fn new(server: ServerName, stdout: File, wake: File) -> Self {
        Self {
            server,
            inner: Mutex::new(Inner {
                session: Session::default(),
                gate: Gate::Held,
                writing: false,
                held: HashMap::new(),
                outbox: Vec::new(),
                masker: Arc::new(Masker::new(&[])),
                masker_version: 0,
                draining: false,
                questions: HashMap::new(),
                notices: VecDeque::new(),
            }),
            gate_moved: Condvar::new(),
            output: Mutex::new(ClientStdout(stdout)),
            wake,
            heard: AtomicU64::new(0),
        }
    }

    /// Ignores poisoning by a thread that panicked: the state is consistent between calls.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn output(&self) -> MutexGuard<'_, ClientStdout> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much was read from the client (bytes).
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    pub(super) fn hear(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.heard.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Posts a notice to the main thread.
    pub(super) fn post(&self, notice: Notice) {
        self.lock().notices.push_back(notice);
        self.wake();
    }

    pub(super) fn post_event(&self, event: KeeperEvent) {
        self.post(Notice::Event(event));
    }

    pub(super) fn wake(&self) {
        // A full pipe already has a byte that wakes the reader.
        drop((&self.wake).write(&[1]));
    }

    pub(super) fn take_notice(&self) -> Option<Notice> {
        self.lock().notices.pop_front()
    }

    pub(super) fn set_gate(&self, gate: Gate) {
        self.lock().gate = gate;
        self.gate_moved.notify_all();
    }

    /// Opens the gate to this server and ends a drain.
    pub(super) fn open_gate(&self, server: Arc<File>) {
        let mut inner = self.lock();
        inner.draining = false;
        inner.gate = Gate::Open(server);
        drop(inner);
        self.gate_moved.notify_all();
    }

    /// Answers all open and future requests with this error; `refused` are known not to have been carried
    /// out. In one step, so that no line in between goes to a server that is gone.
    pub(super) fn fail(&self, trouble: Unavailable, stub: bool, refused: &HashSet<Id>) {
        let mut inner = self.lock();
        inner.draining = false;
        let lines = inner.session.fail_pending(&trouble, refused);
        inner.outbox.extend(lines);
        inner.gate = Gate::Answer { trouble, stub };
        drop(inner);
        self.gate_moved.notify_all();
    }

    /// Writes the posted lines, in order.
    pub(super) fn flush(&self) {
        let mut output = self.output();
        self.flush_into(&mut output);
    }

    /// [`Self::flush`] for a caller that holds the stream.
    pub(super) fn flush_into(&self, output: &mut ClientStdout) {
        loop {
            let lines = std::mem::take(&mut self.lock().outbox);
            if lines.is_empty() {
                return;
            }
            if output.write(&lines).is_err() {
                self.post_event(KeeperEvent::ClientGone);
                return;
            }
        }
    }

    /// The client's relay has written all lines it had taken.
    pub(super) fn written(&self) {
        let drained = {
            let mut inner = self.lock();
            inner.writing = false;
            inner.note_drained()
        };
        if drained {
            self.wake();
        }
    }
}

/// Runs something that may wait for a client or a server in its own thread, or in this one if no
/// thread can be created.
pub(super) fn spawn_detached(work: impl FnOnce() + Clone + Send + 'static) {
    if std::thread::Builder::new().spawn(work.clone()).is_err() {
        work();
    }
}
