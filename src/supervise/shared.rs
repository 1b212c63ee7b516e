//! What the threads of a supervisor share: the session, the gate to the server, the way to the
//! client.
//!
//! Invariants: two locks, taken in this order: the client's stream (`ClientStdout`), then `Inner`.
//! `Inner` is not held while something is written, so a client that does not read blocks only the
//! thread that writes to it. The main thread does not write to the client itself: it posts.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::mask::Masker;
use crate::secret::ServerName;
use crate::session::Session;
use crate::session::answer::Unavailable;
use crate::supervise::pipeline::Prepared;
use crate::supervise::request::Request;
use crate::supervise::state::KeeperEvent;

/// Where the client's lines go.
#[derive(Clone, Debug)]
pub(super) enum Gate {
    /// To the server of this generation.
    Open(Arc<File>),
    /// Nowhere for the moment: a server is being started, or one takes over from another.
    Held,
    /// Answers and cancellations to this server, for which the last requests are waited for; the
    /// rest nowhere for the moment.
    Draining(Arc<File>),
    /// Requests are answered with this; the rest is dropped.
    Answer { trouble: Unavailable, stub: bool },
    /// Nothing is taken any more.
    Closed,
}

/// What a thread tells the main one.
#[derive(Debug)]
pub(super) enum Notice {
    Event(KeeperEvent),
    /// The steps before a launch are done.
    Prepared {
        attempt: u32,
        result: Result<Box<Prepared>>,
    },
    /// Another command asks through the control socket.
    Asked(Request),
}

#[derive(Debug)]
pub(super) struct Inner {
    pub session: Session,
    pub gate: Gate,
    /// The client's relay has taken lines and not yet written all of them.
    pub writing: bool,
    /// Lines of a new server that must not reach the client before it takes over.
    pub held: HashMap<u32, Vec<u8>>,
    /// Lines of ours for the client.
    pub outbox: Vec<u8>,
    pub masker: Arc<Masker>,
    /// Counts the changes of `masker`.
    pub masker_version: u64,
    /// Somebody waits for the last answer.
    pub draining: bool,
    notices: VecDeque<Notice>,
}

impl Inner {
    /// Tells, once, that what was waited for before a new server takes over has come: every request
    /// is answered, and no line is on its way.
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
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
    pub server: ServerName,
    /// Told when the gate moves.
    pub gate_moved: Condvar,
    output: Mutex<ClientStdout>,
    wake: File,
}

impl Shared {
    /// `wake` is the writing end of a pipe that the main thread polls.
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
                notices: VecDeque::new(),
            }),
            gate_moved: Condvar::new(),
            output: Mutex::new(ClientStdout(stdout)),
            wake,
        }
    }

    /// A thread that panicked leaves the lock poisoned; the state itself is sound between calls.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn output(&self) -> MutexGuard<'_, ClientStdout> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the main thread.
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

    /// Lets the client's lines through; nobody waits for the last answers any more.
    pub(super) fn open_gate(&self, server: Arc<File>) {
        let mut inner = self.lock();
        inner.draining = false;
        inner.gate = Gate::Open(server);
        drop(inner);
        self.gate_moved.notify_all();
    }

    /// Answers every request that is open, and from now on each that comes, with this. In one step:
    /// what came in between would be sent to a server that is gone.
    pub(super) fn fail(&self, trouble: Unavailable, stub: bool) {
        let mut inner = self.lock();
        inner.draining = false;
        let lines = inner.session.fail_pending(&trouble);
        inner.outbox.extend(lines);
        inner.gate = Gate::Answer { trouble, stub };
        drop(inner);
        self.gate_moved.notify_all();
    }

    /// Writes what was posted. The order is that of posting.
    pub(super) fn flush(&self) {
        let mut output = self.output();
        self.flush_into(&mut output);
    }

    /// [`Self::flush`] for one who has the stream already.
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

    /// The client's relay has written what it took.
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

/// Does something that may wait for a client or a server, behind the caller's back. If this process
/// gets no thread for it, it is done here: late, but done.
pub(super) fn spawn_detached(work: impl FnOnce() + Clone + Send + 'static) {
    if std::thread::Builder::new().spawn(work.clone()).is_err() {
        work();
    }
}
