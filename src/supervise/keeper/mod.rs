//! Which server is behind the session: started, renewed, suspended, ended.
//!
//! At most one server has the session (`current`), at most one stands for election (`candidate`),
//! any number is being ended (`leaving`). *Always* ends a candidate that did not come up and keeps
//! the current one. *Never* gives a secret to a server after the grant is gone: the standing is
//! looked at again right before each launch, and every change of the files is looked at.

mod ending;
mod masked;
mod renewal;
mod status;
mod takeover;

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::control::{self, Socket};
use super::generation::Generation;
use super::request::{ControlVerb, Request};
use super::shared::{Event, Gate, Shared, spawn_detached};
use super::shutdown::Reason;
use super::{Fact, Options, Pipeline, Prepared, ServerExit};
use crate::error::{EXIT_REFUSED, Error};
use crate::secret::Secret;
use crate::sys::{memory, signal};

/// The client gets an answer before its own patience ends (15 s is the shortest that was seen).
const PREPARE_LIMIT: Duration = Duration::from_millis(7_500);
/// How long a client that left may be waited for with a launch in preparation.
const ABORT_AFTER: Duration = Duration::from_millis(300);
/// How long a new server may take to answer the handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// How long requests in flight may take before a new server takes over.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How long after a launch its pages are given back: not in the way of the first answers.
const TRIM_AFTER: Duration = Duration::from_secs(2);
/// A client that has not said a word when its server ends gets this long to say one.
const FIRST_WORD_LIMIT: Duration = Duration::from_millis(500);
/// How long the output of an ended server is waited for, if something else holds its pipe.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(500);
/// So many crashes within a minute suspend the session.
const CRASHES_MAX: usize = 5;
const CRASH_WINDOW: Duration = Duration::from_mins(1);
/// A policy file that is gone may be in the middle of being replaced by an editor.
const SETTLE: Duration = Duration::from_millis(150);
/// After a renewal the next one waits until nothing has changed for so long …
const QUIET: Duration = Duration::from_millis(500);
/// … but no longer than this after the last one: a storm of rotations causes two renewals.
const QUIET_LIMIT: Duration = Duration::from_secs(5);
/// How long a session may take to end once we were signalled.
const HURRY: Duration = Duration::from_millis(100);
/// How often a client that does not read is looked after, when only its last lines are left.
const SLOW_CLIENT_LOOK: Duration = Duration::from_millis(50);

/// A server that is to take over.
#[derive(Debug)]
enum Candidate {
    /// Its launch is being prepared.
    Preparing,
    /// It was started, and has to answer the handshake.
    Probation {
        server: Box<Generation>,
        deadline: Instant,
    },
    /// It is up, and waits for the last answers of the current one.
    Ready {
        server: Box<Generation>,
        deadline: Instant,
    },
    /// The current one must be gone before the launch (`renew = "stop-first"`).
    Waiting {
        prepared: Box<Prepared>,
        deadline: Instant,
    },
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each with its own end"
)]
#[derive(Debug)]
pub(super) struct Keeper {
    options: Options,
    pipeline: Arc<dyn Pipeline>,
    shared: Arc<Shared>,
    on_terminal: bool,
    current: Option<Box<Generation>>,
    candidate: Option<Candidate>,
    /// Why the candidate is wanted, and since when.
    cause: (&'static str, Instant),
    leaving: Vec<Generation>,
    /// Values of servers that are gone, the latest last.
    retired: VecDeque<(String, Secret)>,
    /// Counts the preparations: the result of one that was given up is not wanted.
    attempt: u32,
    /// Something changed while a renewal was running.
    renew_again: bool,
    /// When a watched file changed last, and when the last renewal began.
    changed_at: Option<Instant>,
    renewed_at: Option<Instant>,
    /// Since when there is no policy, as far as that is known.
    missing_since: Option<Instant>,
    /// The exit code, when the last lines are written.
    code_after_flush: Option<u8>,
    renewals: u32,
    counter: u32,
    trouble: Option<Error>,
    crashes: VecDeque<Instant>,
    restart_at: Option<Instant>,
    abort_at: Option<Instant>,
    exit_at: Option<Instant>,
    check_at: Option<Instant>,
    /// What a launch needed of this program is not needed for a while.
    trim_at: Option<Instant>,
    spoke: bool,
    /// The client has closed our stdin; what it said before may still be held.
    input_ended: bool,
    client_gone: bool,
    ending: Option<Reason>,
    last_status: Option<ServerExit>,
    code: Option<u8>,
    renew_requests: Vec<Request>,
    /// Came while a renewal was running, which may have begun with the old value.
    later_requests: Vec<Request>,
    check_requests: Vec<(Request, Instant)>,
    since: jiff::Timestamp,
    _socket: Option<Socket>,
}

impl Keeper {
    pub(in crate::supervise) fn new(
        options: Options,
        shared: Arc<Shared>,
        on_terminal: bool,
    ) -> Self {
        let listen = |runtime: &PathBuf| {
            control::listen(runtime, &options.server, &shared)
                .inspect_err(|error| tracing::warn!(%error, "no control socket; files are watched"))
                .ok()
        };
        let socket = options.runtime.as_ref().and_then(listen);
        Self {
            pipeline: Arc::clone(&options.pipeline),
            options,
            shared,
            on_terminal,
            current: None,
            candidate: None,
            cause: ("start", Instant::now()),
            leaving: Vec::new(),
            retired: VecDeque::new(),
            attempt: 0,
            renew_again: false,
            changed_at: None,
            renewed_at: None,
            missing_since: None,
            code_after_flush: None,
            renewals: 0,
            counter: 0,
            trouble: None,
            crashes: VecDeque::new(),
            restart_at: None,
            abort_at: None,
            exit_at: None,
            check_at: None,
            trim_at: None,
            spoke: false,
            input_ended: false,
            client_gone: false,
            ending: None,
            last_status: None,
            code: None,
            renew_requests: Vec::new(),
            later_requests: Vec::new(),
            check_requests: Vec::new(),
            since: jiff::Timestamp::now(),
            _socket: socket,
        }
    }

    /// The sockets of all guards.
    pub(in crate::supervise) fn controls(&self) -> impl Iterator<Item = &UnixStream> {
        self.generations().map(Generation::control)
    }

    pub(in crate::supervise) fn generations(&self) -> impl Iterator<Item = &Generation> {
        let candidate = match &self.candidate {
            Some(Candidate::Probation { server, .. } | Candidate::Ready { server, .. }) => {
                Some(server)
            }
            _ => None,
        };
        self.current
            .iter()
            .chain(candidate)
            .map(|server| &**server)
            .chain(&self.leaving)
    }

    pub(in crate::supervise) fn generations_mut(
        &mut self,
    ) -> impl Iterator<Item = &mut Generation> {
        let candidate = match &mut self.candidate {
            Some(Candidate::Probation { server, .. } | Candidate::Ready { server, .. }) => {
                Some(server)
            }
            _ => None,
        };
        self.current
            .iter_mut()
            .chain(candidate)
            .map(|server| &mut **server)
            .chain(&mut self.leaving)
    }

    pub(in crate::supervise) fn on_event(&mut self, event: Event) {
        match event {
            Event::ClientSpoke => {
                self.spoke = true;
                self.exit_at = None;
            }
            Event::InputEnded => {
                self.input_ended = true;
                if self.current.is_none() && matches!(self.candidate, Some(Candidate::Preparing)) {
                    self.abort_at = Some(Instant::now() + ABORT_AFTER);
                }
                self.exit_at = self.exit_at.map(|_| Instant::now());
                self.forget_renewal();
            }
            Event::ClientGone | Event::OutputBroken => self.client_left(),
            Event::Prepared { attempt, result } if attempt == self.attempt => {
                self.on_prepared(result);
            }
            Event::Prepared { .. } => {}
            Event::HandshakeDone {
                generation,
                judgement,
            } => {
                self.on_handshake(generation, judgement);
            }
            Event::Replayed { generation } => self.on_replayed(generation),
            Event::OutputEnded { generation } => {
                let now = Instant::now();
                for server in self
                    .generations_mut()
                    .filter(|server| server.number == generation)
                {
                    // Most close it by their end; one that lives on has to end, too.
                    server.end(Reason::EndOfInput, now);
                }
            }
            Event::StreamEnded { generation } => {
                for server in self
                    .generations_mut()
                    .filter(|server| server.number == generation)
                {
                    server.streams = server.streams.saturating_sub(1);
                }
            }
            Event::Drained => self.take_over_if_ready(),
            Event::Changed => {
                self.changed_at = Some(Instant::now());
                self.check_at = self.changed_at;
            }
            Event::Resent { generation } => self.open_to(generation),
            Event::SecretInId { generation } => self.on_secret_in_id(generation),
            Event::Flushed => self.code = self.code.or(self.code_after_flush),
            Event::Asked(request) => self.on_asked(request),
        }
    }

    /// A signal for us is a signal for the server.
    pub(in crate::supervise) fn on_signal(&mut self, signal: Signal) {
        if signal::FORWARDED.contains(&signal) {
            if let Some(server) = &self.current {
                server.forward(u8::try_from(signal as i32).unwrap_or(0));
            }
            return;
        }
        if self.current.is_none() && self.leaving.is_empty() {
            if self.last_status.is_none() && self.trouble.is_none() {
                self.pipeline.record(&Fact::Aborted);
            }
            self.code = Some(ServerExit::Died(signal as i32).code());
            return;
        }
        self.end_all(Reason::Signal(signal));
    }

    /// Writes what was posted, without waiting for a client that does not read.
    pub(in crate::supervise) fn flush(&self) {
        let shared = Arc::clone(&self.shared);
        spawn_detached(move || shared.flush());
    }

    pub(in crate::supervise) fn on_asked(&mut self, request: Request) {
        match request.verb {
            ControlVerb::Status => {
                let status = self.status();
                request.answer(status);
            }
            ControlVerb::Check => {
                self.check_requests.push((request, Instant::now()));
                self.check();
            }
            ControlVerb::Renew => {
                if self.candidate.is_some() {
                    self.later_requests.push(request);
                } else {
                    self.renew_requests.push(request);
                    self.start("renew");
                }
            }
        }
    }

    /// Does what is due, and returns when something is due next.
    pub(in crate::supervise) fn on_time(&mut self, now: Instant) -> Option<Instant> {
        self.reap_stopped(now);
        self.current_ended(now);
        self.launch_waiting();
        self.candidate_due(now);
        let due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.abort_at) && self.current.is_none() {
            self.pipeline.record(&Fact::Aborted);
            self.code = Some(EXIT_REFUSED);
        }
        if due(&mut self.exit_at) {
            self.code = Some(self.last_status.map_or(0, ServerExit::code));
        }
        if due(&mut self.restart_at) && self.current.is_none() {
            self.shared.set_gate(Gate::Held);
            self.start("crash");
        }
        if due(&mut self.trim_at) {
            memory::drop_code_pages();
        }
        if due(&mut self.check_at) {
            self.check();
        }
        self.finish_if_over();
        let ladders: Vec<_> = self
            .generations_mut()
            .filter_map(|server| server.advance(now))
            .collect();
        let patience = self
            .generations()
            .filter_map(|server| server.ended_at.filter(|_| server.gone))
            .map(|at| (at + self.drain_timeout().0).max(now + SLOW_CLIENT_LOOK));
        let candidate = match &self.candidate {
            Some(Candidate::Preparing) if self.current.is_none() && self.trouble.is_none() => {
                Some(self.cause.1 + PREPARE_LIMIT)
            }
            Some(Candidate::Probation { deadline, .. } | Candidate::Ready { deadline, .. }) => {
                Some(*deadline)
            }
            Some(Candidate::Waiting { deadline, .. }) if self.current.is_some() => Some(*deadline),
            _ => None,
        };
        [
            self.abort_at,
            self.exit_at,
            self.restart_at,
            self.check_at,
            self.trim_at,
            candidate,
        ]
        .into_iter()
        .flatten()
        .chain(ladders)
        .chain(patience)
        .min()
    }

    /// How long the output of an ended server is waited for, and whether not even for a slow client.
    pub(in crate::supervise) fn drain_timeout(&self) -> (Duration, bool) {
        match self.ending {
            Some(Reason::Signal(_)) => (HURRY, true),
            _ => (OUTPUT_PATIENCE, false),
        }
    }
}
