//! The keeper's state of one server, and the steps that end it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::event::Action;
use super::shutdown::{self, Reason, ShutdownStep};
use super::timers::{Timer, Timers};
use crate::policy::SessionRules;
use crate::supervise::pipeline::ServerExit;

/// Whether a server has the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerRole {
    /// It is a candidate, or another server got the session.
    Spare,
    /// It has the session, or was the last to have it.
    Holder,
}

/// One server, from its launch to the end of its last process.
#[derive(Debug)]
pub(super) struct TrackedServer {
    pub number: u32,
    pub rules: SessionRules,
    started: Instant,
    /// How its own process exited, and when.
    exit: Option<(ServerExit, Instant)>,
    /// No process of it is alive.
    gone: bool,
    /// How many of its two output streams are still relayed.
    streams: u8,
    /// Its remaining output is not waited for.
    output_given_up: bool,
    role: ServerRole,
    /// Why it is being ended, if it is.
    reason: Option<Reason>,
    kill_at: Option<Instant>,
    ladder: VecDeque<(Instant, ShutdownStep)>,
    /// The driver was asked why it exited.
    is_explained: bool,
}

impl TrackedServer {
    pub(super) const fn new(number: u32, rules: SessionRules, now: Instant) -> Self {
        Self {
            number,
            rules,
            started: now,
            exit: None,
            gone: false,
            streams: 2,
            output_given_up: false,
            role: ServerRole::Spare,
            reason: None,
            kill_at: None,
            ladder: VecDeque::new(),
            is_explained: false,
        }
    }

    pub(super) const fn give_session(&mut self) {
        self.role = ServerRole::Holder;
    }

    /// Another server gets the session.
    pub(super) const fn take_session(&mut self) {
        self.role = ServerRole::Spare;
    }

    /// Whether its exit is that of a session that ends with it.
    pub(super) fn has_session(&self) -> bool {
        self.role == ServerRole::Holder
    }

    /// Why it is being ended, if it is; then its stdin is closed.
    pub(super) const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    pub(super) fn exit(&self) -> Option<ServerExit> {
        self.exit.map(|(exit, _)| exit)
    }

    pub(super) fn ran(&self) -> Duration {
        let ended_at = self.exit.map_or(self.started, |(_, at)| at);
        ended_at.saturating_duration_since(self.started)
    }

    /// Whether it exited and all its output was passed on.
    pub(super) const fn is_over(&self) -> bool {
        self.exit.is_some() && self.gone && (self.streams == 0 || self.output_given_up)
    }

    /// Returns `true` the first time.
    pub(super) const fn ask_for_explanation(&mut self) -> bool {
        !std::mem::replace(&mut self.is_explained, true)
    }

    /// Begins to end it. A more urgent reason replaces a less urgent one.
    pub(super) fn stop(
        &mut self,
        reason: Reason,
        now: Instant,
        timers: &mut Timers,
        actions: &mut Vec<Action>,
    ) {
        let steps = shutdown::ladder(reason);
        let kill_at = steps.last().map(|(after, _)| now + *after);
        if self.reason.is_none() {
            let generation = self.number;
            actions.push(Action::CloseStdin { generation });
        } else if kill_at >= self.kill_at {
            return;
        }
        self.reason = Some(reason);
        self.kill_at = kill_at;
        self.ladder = steps
            .into_iter()
            .map(|(after, step)| (now + after, step))
            .collect();
        self.advance(now, timers, actions);
    }

    /// Takes the due steps and sets the timer of the next one.
    pub(super) fn advance(&mut self, now: Instant, timers: &mut Timers, actions: &mut Vec<Action>) {
        let generation = self.number;
        timers.cancel(Timer::Ladder(generation));
        while let Some((at, step)) = self.ladder.front().copied().filter(|_| !self.gone) {
            if at > now {
                timers.set(Timer::Ladder(generation), at);
                return;
            }
            self.ladder.pop_front();
            actions.push(Action::Stop { generation, step });
        }
    }

    /// One of its streams ended and was passed on.
    pub(super) const fn stream_ended(&mut self) {
        self.streams = self.streams.saturating_sub(1);
    }

    pub(super) fn exited(&mut self, exit: ServerExit, now: Instant) {
        self.exit.get_or_insert((exit, now));
    }

    /// None of its processes is alive; waits for their output for `timeout`.
    pub(super) fn all_gone(&mut self, timeout: Duration, now: Instant, timers: &mut Timers) {
        self.gone = true;
        timers.cancel(Timer::Ladder(self.number));
        self.exited(ServerExit::Exited(0), now);
        self.wait_for_output(timeout, timers);
    }

    /// Sets how long to wait for the output, counted from the exit.
    pub(super) fn wait_for_output(&self, timeout: Duration, timers: &mut Timers) {
        if let Some((_, ended_at)) = self.exit.filter(|_| self.gone) {
            timers.set(Timer::Output(self.number), ended_at + timeout);
        }
    }

    pub(super) const fn give_up_output(&mut self) {
        self.output_given_up = true;
    }

    /// Cancels its timers.
    pub(super) fn forget(&self, timers: &mut Timers) {
        timers.cancel(Timer::Ladder(self.number));
        timers.cancel(Timer::Output(self.number));
    }
}
