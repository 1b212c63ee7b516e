//! What the threads of a supervisor share: the session, the gate to the server, the way to the
//! client.
//!
//! Two locks, *always* taken in this order: the client's stream (`ClientStdout`), then `Inner`. `Inner` is
//! *never* held while something is written, so a client that does not read blocks nobody but the one
//! who writes to it. The main thread *never* writes to the client itself: it posts.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::mask::Masker;
use crate::secret::ServerName;
use crate::session::Session;
use crate::session::answer::Trouble;
use crate::supervise::pipeline::Prepared;
use crate::supervise::request::Request;
use crate::sys::fds::{self, Standard};

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
    Answer { trouble: Trouble, stub: bool },
    /// Nothing is taken any more.
    Closed,
}

/// What a thread tells the main one. The list is closed.
#[derive(Debug)]
pub(super) enum Event {
    /// The first line of the client has come.
    ClientSpoke,
    /// The client closed our stdin, and all it said was passed on.
    ClientGone,
    /// The client closed our stdin; what it said before may still be held.
    InputEnded,
    /// The client closed our stdout.
    OutputBroken,
    /// The steps before a launch are done.
    Prepared {
        attempt: u32,
        result: Result<Box<Prepared>>,
    },
    /// A new server answered the handshake; an error says why it cannot take over.
    HandshakeDone {
        generation: u32,
        judgement: std::result::Result<(), String>,
    },
    /// A new server has answered all that was replayed to it.
    Replayed { generation: u32 },
    /// The stdout of a server ended: it answers nobody any more.
    OutputEnded { generation: u32 },
    /// A stream of a server ended, and all of it was passed on.
    StreamEnded { generation: u32 },
    /// A server put a secret in the id of a message, which was masked and so fits no request.
    SecretInId { generation: u32 },
    /// Something that was watched has changed, or may have.
    Changed,
    /// Somebody asks through the control socket.
    Asked(Request),
    /// The last request in flight was answered.
    Drained,
    /// A new server has got what it had to get before anything else.
    Resent { generation: u32 },
    /// The last lines of a session were written.
    Flushed,
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
    events: VecDeque<Event>,
}

impl Inner {
    /// Tells, once, that what was waited for before a new server takes over has come: every request
    /// is answered, and no line is on its way.
    pub(super) fn note_drained(&mut self) -> bool {
        let drained = self.draining && !self.writing && self.session.is_drained();
        if drained {
            self.draining = false;
            self.events.push_back(Event::Drained);
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
    pub(super) fn new(server: ServerName, wake: File) -> io::Result<Self> {
        Ok(Self {
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
                events: VecDeque::new(),
            }),
            gate_moved: Condvar::new(),
            output: Mutex::new(ClientStdout(fds::standard(Standard::Output)?)),
            wake,
        })
    }

    /// A thread that panicked leaves the lock poisoned; the state itself is sound between calls.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn output(&self) -> MutexGuard<'_, ClientStdout> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the main thread.
    pub(super) fn post_event(&self, event: Event) {
        self.lock().events.push_back(event);
        self.wake();
    }

    pub(super) fn wake(&self) {
        // A full pipe already has a byte that wakes the reader.
        drop((&self.wake).write(&[1]));
    }

    pub(super) fn take_event(&self) -> Option<Event> {
        self.lock().events.pop_front()
    }

    pub(super) fn set_gate(&self, gate: Gate) {
        self.lock().gate = gate;
        self.gate_moved.notify_all();
    }

    /// Answers every request that is open, and from now on each that comes, with this. In one step:
    /// what came in between would be sent to a server that is gone. Returns whether one was open.
    pub(super) fn fail(&self, trouble: Trouble, stub: bool) -> bool {
        let mut inner = self.lock();
        inner.draining = false;
        let lines = inner.session.fail_pending(&trouble);
        inner.outbox.extend(&lines);
        inner.gate = Gate::Answer { trouble, stub };
        drop(inner);
        self.gate_moved.notify_all();
        !lines.is_empty()
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
                self.post_event(Event::OutputBroken);
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
