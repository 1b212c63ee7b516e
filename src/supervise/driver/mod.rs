//! Does what the keeper decides: it has the servers, the client's session and the control socket
//! behind the keeper's numbers, turns what happens into events and carries the actions out.
//!
//! Invariants: actions are carried out in their order, and one that is a question is answered before
//! anything else is told. The keeper's clock is read in one place. Servers are started and ended by
//! the main thread, which never writes to the client itself.

mod actions;
mod launch;
mod masked;
mod replies;

use std::collections::{HashMap, VecDeque};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::control::{self, Socket};
use super::generation::Generation;
use super::pipeline::{Options, Pipeline, Prepared};
use super::request::Request;
use super::shared::{Notice, Shared};
use super::state::{KeeperEvent, KeeperState};
use crate::secret::{Secret, ServerName};
use crate::sys::tree;

/// How long what a killed guard left behind may take to end.
const ORPHANS_LIMIT: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Driver {
    server: ServerName,
    pipeline: Arc<dyn Pipeline>,
    shared: Arc<Shared>,
    state: KeeperState,
    generations: Vec<Generation>,
    /// What was prepared and is not launched yet, by its number.
    prepared: HashMap<u32, Box<Prepared>>,
    /// Requests of other commands that are not answered yet, by their numbers.
    requests: HashMap<u32, Request>,
    requests_count: u32,
    /// Values of servers that are gone, the latest last.
    retired: VecDeque<(String, Secret)>,
    since: jiff::Timestamp,
    exit_code: Option<u8>,
    _socket: Option<Socket>,
}

impl Driver {
    pub(super) fn new(options: Options, shared: Arc<Shared>, on_terminal: bool) -> Self {
        let listen = |runtime| {
            control::listen(runtime, &options.server, &shared)
                .inspect_err(|error| tracing::warn!(%error, "no control socket; files are watched"))
                .ok()
        };
        let socket = options.runtime.as_deref().and_then(listen);
        Self {
            state: KeeperState::new(options.server.clone(), on_terminal),
            server: options.server,
            pipeline: options.pipeline,
            shared,
            generations: Vec::new(),
            prepared: HashMap::new(),
            requests: HashMap::new(),
            requests_count: 0,
            retired: VecDeque::new(),
            since: jiff::Timestamp::now(),
            exit_code: None,
            _socket: socket,
        }
    }

    /// The sockets of all guards.
    pub(super) fn controls(&self) -> impl Iterator<Item = &UnixStream> {
        self.generations.iter().map(Generation::control)
    }

    /// The exit code, when there is nothing left to do.
    pub(super) const fn exit_code(&self) -> Option<u8> {
        self.exit_code
    }

    /// Does what came and what is due; returns when something is due next.
    pub(super) fn turn(&mut self) -> Option<Instant> {
        while let Some(notice) = self.shared.take_notice() {
            let event = self.event(notice);
            self.tell(event);
        }
        for event in self.listen_to_guards() {
            self.tell(event);
        }
        self.tell(KeeperEvent::Tick);
        self.state.next_due()
    }

    /// Tells the keeper, and does what it wants until it wants nothing more.
    pub(super) fn tell(&mut self, event: KeeperEvent) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = Instant::now();
            for action in self.state.step(now, event) {
                events.extend(self.act(now, action));
            }
        }
    }

    /// Keeps what stands behind a number.
    fn event(&mut self, notice: Notice) -> KeeperEvent {
        match notice {
            Notice::Event(event) => event,
            Notice::Prepared { attempt, result } => KeeperEvent::Prepared {
                attempt,
                result: result.map(|prepared| {
                    let rules = prepared.policy.session;
                    self.prepared.insert(attempt, prepared);
                    rules
                }),
            },
            Notice::Asked(request) => {
                let verb = request.verb;
                self.requests_count += 1;
                self.requests.insert(self.requests_count, request);
                KeeperEvent::Asked {
                    request: self.requests_count,
                    verb,
                }
            }
        }
    }

    /// Reads what the guards say.
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
            // The guard was killed, so what it guarded is ours now.
            let alive = self.generations.iter().filter(|server| !server.gone);
            let spared: Vec<Pid> = alive.map(Generation::guard_pid).collect();
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
