//! The keeper: decides which server is behind the session. Pure: events and times in, actions out.
//!
//! Invariants: at most one server has the session (`current`), at most one is a candidate for it,
//! any number is being ended (`leaving`). A candidate that fails is ended and the current server
//! stays. No launch without a record, and none after the grant is gone: the grant is checked before
//! the record and again before the launch. No action follows [`Action::Exit`]. Actions that are
//! questions are answered before the next event.

mod asked;
mod candidate;
mod ending;
mod event;
mod grant;
mod limits;
mod requests;
mod server;
mod stage;
mod shutdown;
mod takeover;
mod timers;
mod words;

use std::collections::VecDeque;
use std::time::Instant;

pub(super) use self::event::{Action, ControlReply, Handshake, KeeperEvent, ServerEnd, StandIn};
use self::requests::OpenRequests;
use self::server::TrackedServer;
use self::shutdown::Reason;
pub(super) use self::shutdown::ShutdownStep;
use self::stage::{Candidate, StartCause};
use self::timers::{Timer, Timers};
use super::pipeline::{Fact, ServerExit};
use crate::error::{Code, EXIT_REFUSED, Error};
use crate::secret::ServerName;

/// The phase of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The session is open, with or without a server.
    Keeping,
    /// It ended with its server; the last lines are being written to the client.
    Flushing {
        code: u8,
    },
    /// Its servers are being ended. The exit code may already be decided.
    Ending {
        reason: Reason,
        code: Option<u8>,
    },
    Over,
}

/// The state of the client's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ClientInput {
    Open,
    /// The client closed our stdin; earlier lines may still be held.
    Ended,
    /// All its lines were passed on. It may still read answers.
    Passed,
    /// It is gone: nobody reads answers.
    Gone,
}

/// The servers that are alive, or whose exit is not recorded yet.
#[derive(Debug, Default)]
struct Servers {
    current: Option<TrackedServer>,
    candidate: Option<Candidate>,
    leaving: Vec<TrackedServer>,
}

impl Servers {
    fn iter_mut(&mut self) -> impl Iterator<Item = &mut TrackedServer> {
        let candidate = self.candidate.as_mut().and_then(Candidate::server_mut);
        self.current
            .iter_mut()
            .chain(candidate)
            .chain(&mut self.leaving)
    }

    fn find(&mut self, generation: u32) -> Option<&mut TrackedServer> {
        self.iter_mut().find(|server| server.number == generation)
    }
}

/// Changes of the watched files.
#[derive(Debug, Default)]
struct FileChanges {
    /// The last change.
    changed_at: Option<Instant>,
    /// When the last renewal began.
    renewed_at: Option<Instant>,
    /// When the policy was first seen missing.
    missing_since: Option<Instant>,
    /// The session was revoked on request, and the files do not say so yet.
    withdrawal_due: bool,
    /// Something changed while a renewal was running.
    renew_again: bool,
    /// Why the last renewal failed. Who asks about a change after the session noticed it gets this answer.
    failed: Option<Error>,
}

/// The keeper: all state of one session.
#[derive(Debug)]
pub(super) struct KeeperState {
    server: ServerName,
    on_terminal: bool,
    phase: Phase,
    client_input: ClientInput,
    /// The client has sent something.
    client_spoke: bool,
    servers: Servers,
    timers: Timers,
    requests: OpenRequests,
    changes: FileChanges,
    /// The number of preparations; the result of an abandoned one is ignored.
    attempts: u32,
    generations: u32,
    renewals: u32,
    /// Why there is no server.
    trouble: Option<Error>,
    /// A server has had the session.
    has_served: bool,
    /// How the last server that had the session exited, unless it was replaced.
    last_exit: Option<ServerExit>,
    crashes: VecDeque<Instant>,
    /// The actions of this step.
    actions: Vec<Action>,
}

impl KeeperState {
    pub(super) fn new(server: ServerName, on_terminal: bool) -> Self {
        Self {
            server,
            on_terminal,
            phase: Phase::Keeping,
            client_input: ClientInput::Open,
            client_spoke: false,
            servers: Servers::default(),
            timers: Timers::default(),
            requests: OpenRequests::default(),
            changes: FileChanges::default(),
            attempts: 0,
            generations: 0,
            renewals: 0,
            trouble: None,
            has_served: false,
            last_exit: None,
            crashes: VecDeque::new(),
            actions: Vec::new(),
        }
    }

    /// Processes an event; returns the actions to execute.
    pub(super) fn step(&mut self, now: Instant, event: KeeperEvent) -> Vec<Action> {
        if self.phase == Phase::Over {
            return Vec::new();
        }
        self.take(now, event);
        self.reap_stopped(now);
        self.ask_for_ends();
        self.launch_waiting();
        self.finish_if_over(now);
        std::mem::take(&mut self.actions)
    }

    /// When the next [`KeeperEvent::Tick`] is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The state as shown by `mcpwrap ps`.
    pub(super) const fn name(&self) -> &'static str {
        match (self.phase, &self.servers.current, &self.servers.candidate) {
            (Phase::Ending { .. } | Phase::Over, _, _) => "ending",
            (_, Some(_), Some(_)) => "renewing",
            (_, Some(_), None) => "running",
            (_, None, Some(_)) => "starting",
            (_, None, None) => "suspended",
        }
    }

    /// The server that has the session.
    pub(super) fn current(&self) -> Option<u32> {
        self.servers.current.as_ref().map(|server| server.number)
    }

    /// Whether a new server is being prepared, launched or tested.
    pub(super) const fn is_renewing(&self) -> bool {
        self.servers.candidate.is_some()
    }

    /// Why the session has no server.
    pub(super) const fn why_suspended(&self) -> Option<&Error> {
        self.trouble.as_ref()
    }

    /// The code of [`Self::why_suspended`].
    pub(super) fn trouble(&self) -> Option<Code> {
        self.trouble.as_ref().map(|error| error.code)
    }

    /// How often the server behind the session was replaced.
    pub(super) const fn renewals(&self) -> u32 {
        self.renewals
    }

    fn take(&mut self, now: Instant, event: KeeperEvent) {
        match event {
            KeeperEvent::Start => self.start(now, StartCause::Start),
            KeeperEvent::Tick => {
                while let Some(timer) = self.timers.take_due(now) {
                    self.due(now, timer);
                }
            }
            KeeperEvent::ClientSpoke => {
                self.client_spoke = true;
                self.timers.cancel(Timer::FirstWord);
            }
            KeeperEvent::InputEnded => self.input_ended(now),
            KeeperEvent::InputPassed { awaited } => self.input_passed(now, awaited),
            KeeperEvent::ClientGone => self.client_left(now),
            KeeperEvent::Signalled(signal) => self.signalled(now, signal),
            KeeperEvent::Changed => {
                self.changes.changed_at = Some(now);
                self.timers.set(Timer::Check, now);
            }
            KeeperEvent::Asked { request, verb } => self.asked(now, request, verb),
            KeeperEvent::Flushed => {
                if let Phase::Flushing { code } = self.phase {
                    self.decide(now, code);
                }
            }
            KeeperEvent::GrantChecked { generation, result } => {
                self.grant_checked(now, generation, result);
            }
            KeeperEvent::FilesSeen {
                grant,
                outdated,
                updating,
            } => self.files_seen(now, grant, outdated, updating),
            KeeperEvent::CredentialsReplaced { generation, result } => {
                self.credentials_replaced(now, generation, result);
            }
            event => self.take_of_server(now, event),
        }
    }

    /// Processes the events of one server or candidate.
    fn take_of_server(&mut self, now: Instant, event: KeeperEvent) {
        match event {
            KeeperEvent::Prepared { attempt, result } => self.prepared(now, attempt, result),
            KeeperEvent::PreparationSeen { attempt, waits_for } => {
                self.preparation_seen(now, attempt, waits_for);
            }
            KeeperEvent::LaunchRecorded { generation, result } => {
                self.launch_recorded(now, generation, result);
            }
            KeeperEvent::Launched { generation, result } => self.launched(now, generation, result),
            KeeperEvent::HandshakeDone {
                generation,
                judgement,
            } => self.handshake_done(now, generation, judgement),
            KeeperEvent::Replayed { generation } => self.replayed(now, generation),
            KeeperEvent::Drained if self.awaits_answers() => {
                self.end_all(now, Reason::EndOfInput);
            }
            KeeperEvent::Drained => self.drained(now),
            KeeperEvent::Resent { generation } => self.open_to(generation),
            KeeperEvent::SecretInId { generation } => self.secret_in_id(now, generation),
            // Usually closed by its exit; a server that continues without stdout is ended.
            KeeperEvent::OutputEnded { generation } => {
                self.stop(now, generation, Reason::EndOfInput);
            }
            KeeperEvent::StreamEnded { generation } => {
                if let Some(server) = self.servers.find(generation) {
                    server.stream_ended();
                }
            }
            KeeperEvent::Exited { generation, exit } => {
                if let Some(server) = self.servers.find(generation) {
                    server.exited(exit, now);
                }
            }
            KeeperEvent::Gone { generation } => {
                let timeout = self.output_timeout();
                if let Some(server) = self.servers.find(generation) {
                    server.all_gone(timeout, now, &mut self.timers);
                }
            }
            KeeperEvent::OutputSeen {
                generation,
                is_busy,
            } => self.output_seen(now, generation, is_busy),
            KeeperEvent::EndExplained { generation, end } => {
                self.end_explained(now, generation, &end);
            }
            KeeperEvent::Start
            | KeeperEvent::Tick
            | KeeperEvent::ClientSpoke
            | KeeperEvent::InputEnded
            | KeeperEvent::InputPassed { .. }
            | KeeperEvent::ClientGone
            | KeeperEvent::Signalled(_)
            | KeeperEvent::Changed
            | KeeperEvent::Asked { .. }
            | KeeperEvent::Flushed
            | KeeperEvent::GrantChecked { .. }
            | KeeperEvent::FilesSeen { .. }
            | KeeperEvent::CredentialsReplaced { .. } => {}
        }
    }

    fn due(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Ladder(generation) => {
                if let Some(server) = self.servers.find(generation) {
                    server.advance(now, &mut self.timers, &mut self.actions);
                }
            }
            Timer::Output(generation) if self.is_hurried() => self.give_up_output(generation),
            Timer::Output(generation) => self.act(Action::LookAtOutput { generation }),
            Timer::Candidate => self.candidate_due(now),
            Timer::Abort if self.servers.current.is_none() => {
                self.act(Action::Record(Fact::Aborted));
                self.decide(now, EXIT_REFUSED);
            }
            Timer::FirstWord => self.decide(now, self.last_exit.map_or(0, ServerExit::code)),
            Timer::Restart if self.servers.current.is_none() => {
                self.act(Action::HoldGate);
                self.start(now, StartCause::Crash);
            }
            Timer::Abort | Timer::Restart => {}
            Timer::Trim => self.act(Action::Trim),
            Timer::Check => self.look_at_files(),
        }
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn stop(&mut self, now: Instant, generation: u32, reason: Reason) {
        if let Some(server) = self.servers.find(generation) {
            server.stop(reason, now, &mut self.timers, &mut self.actions);
        }
    }

    fn is_keeping(&self) -> bool {
        self.phase == Phase::Keeping
    }

    /// Whether the client closed our stdin and still waits for answers.
    const fn awaits_answers(&self) -> bool {
        matches!(
            self.phase,
            Phase::Ending {
                reason: Reason::LastAnswers,
                ..
            }
        )
    }
}

#[cfg(test)]
mod tests;
