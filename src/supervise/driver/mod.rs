//! Connects the keeper to the world: owns the servers, the client's session and the control socket,
//! turns what happens into events and executes the keeper's actions.
//!
//! Invariants: actions are executed in order, and an action that is a question is answered before
//! the next event. The clock is read in one place. The main thread starts and ends servers and does
//! not write to the client.

mod actions;
mod launch;
mod masked;
mod mints;
mod pending;
mod polls;
mod remote;
mod replies;
mod suspects;

use std::collections::{HashMap, VecDeque};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use self::pending::PendingLaunch;
use super::control::{self, Socket};
use super::diagnostics::StderrTail;
use super::generation::Generation;
use super::pipeline::{Options, Pipeline, Prepared};
use super::request::Request;
use super::shared::{Notice, Shared};
use super::state::{KeeperEvent, KeeperState};
use crate::launch::start::{GuardLabel, WaitingGuard};
use crate::mint::clock::MintPause;
use crate::secret::Secret;
use crate::sys::{lasting, tree};

/// How long the processes of a killed guard may take to end.
const ORPHANS_LIMIT: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Driver {
    label: GuardLabel,
    pipeline: Arc<dyn Pipeline>,
    shared: Arc<Shared>,
    state: KeeperState,
    generations: Vec<Generation>,
    /// Completed preparations that are not launched yet, by number.
    prepared: HashMap<u32, Box<Prepared>>,
    /// A guard for the first preparation.
    first_guard: Option<WaitingGuard>,
    /// A guard for the preparation of this number, which needs none before its end. Starting one takes as
    /// long as a preparation.
    waiting: Option<(u32, WaitingGuard)>,
    /// What was begun for the launch that is being recorded.
    begun: Option<PendingLaunch>,
    /// Unanswered requests of other commands, by number.
    requests: HashMap<u32, Request>,
    requests_count: u32,
    /// The pauses in which a suspended session tries again by itself.
    waking: MintPause,
    /// Values of exited servers, the latest last.
    retired: VecDeque<(String, Secret)>,
    /// Alive while the output of an exited server is relayed.
    relaying: Vec<Weak<StderrTail>>,
    since: jiff::Timestamp,
    exit_code: Option<u8>,
    _socket: Option<Socket>,
}

impl Driver {
    /// `guard`: for the first server.
    pub(super) fn new(
        options: Options,
        shared: Arc<Shared>,
        on_terminal: bool,
        guard: Option<WaitingGuard>,
    ) -> Self {
        let listen = |runtime| {
            control::listen(runtime, &options.label.server, &shared)
                .inspect_err(|error| tracing::warn!(%error, "cannot create the control socket; only files are watched"))
                .ok()
        };
        let socket = options.runtime.as_deref().and_then(listen);
        Self {
            state: KeeperState::new(options.label.server.clone(), on_terminal),
            label: options.label,
            pipeline: options.pipeline,
            shared,
            generations: Vec::new(),
            prepared: HashMap::new(),
            first_guard: guard,
            waiting: None,
            begun: None,
            requests: HashMap::new(),
            requests_count: 0,
            waking: MintPause::default(),
            retired: VecDeque::new(),
            relaying: Vec::new(),
            since: jiff::Timestamp::now(),
            exit_code: None,
            _socket: socket,
        }
    }

    /// The sockets of all guards.
    pub(super) fn controls(&self) -> impl Iterator<Item = &UnixStream> {
        self.generations.iter().map(Generation::control)
    }

    /// The exit code, once the session is over.
    pub(super) const fn exit_code(&self) -> Option<u8> {
        self.exit_code
    }

    /// Handles notices, guard reports and due timers; returns when the next timer is due.
    pub(super) fn process_pending(&mut self) -> Option<Instant> {
        while let Some(notice) = self.shared.take_notice() {
            if let Some(event) = self.event(notice) {
                self.handle(event);
            }
        }
        for event in self.listen_to_guards() {
            self.handle(event);
        }
        self.handle(KeeperEvent::Tick);
        let forget = self.forget_values();
        let token = self.refresh_token();
        let mints = self.mind_mints();
        let polls = self.mind_polls();
        let others = forget.into_iter().chain(token).chain(mints).chain(polls);
        self.state.next_due().into_iter().chain(others).min()
    }

    /// Passes an event to the keeper and executes its actions, including those that follow from
    /// answers.
    pub(super) fn handle(&mut self, event: KeeperEvent) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = Instant::now();
            for action in self.state.step(now, event) {
                events.extend(self.act(now, action));
            }
        }
        // A launch that was refused after its record.
        self.begun = None;
    }

    /// Turns a notice into an event; stores the value that the event refers to by number.
    fn event(&mut self, notice: Notice) -> Option<KeeperEvent> {
        Some(match notice {
            Notice::Event(event) => event,
            Notice::Prepared { attempt, result } => {
                if result.is_err() {
                    self.end_waiting(attempt);
                }
                KeeperEvent::Prepared {
                    attempt,
                    result: result.map(|prepared| {
                        let rules = prepared.policy.session;
                        self.prepared.insert(attempt, prepared);
                        rules
                    }),
                }
            }
            Notice::Asked(request) => {
                let verb = request.verb;
                self.requests_count += 1;
                self.requests.insert(self.requests_count, request);
                KeeperEvent::Asked {
                    request: self.requests_count,
                    verb,
                }
            }
            Notice::Bridge { generation, up } => {
                self.bridge_said(generation, up);
                return None;
            }
            Notice::Refreshed(refreshed) => return self.refreshed(*refreshed),
            Notice::Extended {
                generation,
                answers,
            } => {
                self.extended(generation, answers);
                return None;
            }
            Notice::Failed {
                generation,
                failure,
            } => {
                self.judge(generation, failure);
                return None;
            }
            Notice::Polled { generation, result } => {
                self.polled(generation, result);
                return None;
            }
            Notice::Judged {
                generation,
                judgement,
            } => {
                self.judged(generation, judgement);
                return None;
            }
        })
    }

    /// Reads the reports of the guards.
    fn listen_to_guards(&mut self) -> Vec<KeeperEvent> {
        let mut events = Vec::new();
        let mut orphaned = false;
        for server in self.generations.iter_mut().filter(|server| !server.gone) {
            if !server.listen(&mut events) {
                server.guard_died(&mut events);
                orphaned = true;
            }
        }
        if orphaned {
            // The guard was killed, so its processes are now our children.
            let alive = self.generations.iter().filter(|server| !server.gone);
            let waiting = self.waiting.iter().filter_map(|(_, guard)| guard.pid());
            let lasting = lasting::running().into_iter().map(Pid::from_raw);
            let guards = alive.map(Generation::guard_pid).chain(waiting);
            let spared: Vec<Pid> = guards.chain(lasting).collect();
            tree::kill_own_descendants(&spared, ORPHANS_LIMIT, &mut |_, _| {});
        }
        events
    }

    fn generation(&self, number: u32) -> Option<&Generation> {
        self.generations.iter().find(|one| one.number == number)
    }

    fn generation_mut(&mut self, number: u32) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|one| one.number == number)
    }
}

#[cfg(test)]
mod tests;
