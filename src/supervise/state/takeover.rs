//! The replacement of one server by another.

use std::time::Instant;

use super::event::{Action, ControlReply};
use super::limits::TRIM_AFTER;
use super::server::TrackedServer;
use super::shutdown::Reason;
use super::stage::{Candidate, CandidateStage, StartCause};
use super::timers::Timer;
use super::{ClientInput, KeeperState};
use crate::supervise::pipeline::Fact;

impl KeeperState {
    /// Holds the client's requests and waits for the last answers.
    pub(super) fn drain(&mut self) {
        let current = self.servers.current.as_ref();
        let generation = current
            .filter(|server| server.reason().is_none())
            .map(|server| server.number);
        self.act(Action::Drain { generation });
    }

    /// The drain is over: the last answer arrived, or the time is up.
    pub(super) fn drained(&mut self, now: Instant) {
        match self.servers.candidate.as_ref().map(|one| &one.stage) {
            Some(CandidateStage::Ready(_)) => self.take_over(now),
            Some(CandidateStage::Waiting(_)) => self.stop_first(now),
            _ => {}
        }
    }

    /// Ends the current server; the candidate is launched once it is gone.
    fn stop_first(&mut self, now: Instant) {
        if let Some(mut old) = self.servers.current.take() {
            self.act(Action::HoldGate);
            old.take_session();
            old.stop(Reason::Renewed, now, &mut self.timers, &mut self.actions);
            self.servers.leaving.push(old);
        }
    }

    /// Launches a candidate that waited for the end of the old server.
    pub(super) fn launch_waiting(&mut self) {
        let is_free = self.servers.current.is_none() && self.servers.leaving.is_empty();
        let stage = self.servers.candidate.as_ref().map(|one| &one.stage);
        if let Some(CandidateStage::Waiting(rules)) = stage
            && is_free
        {
            let rules = *rules;
            self.launch(rules);
        }
    }

    /// Gives the session to the candidate, unless it is being ended.
    pub(super) fn take_over(&mut self, now: Instant) {
        let Some(Candidate {
            cause,
            since,
            stage: CandidateStage::Ready(mut server),
            attempt: _,
        }) = self.servers.candidate.take_if(
            |one| matches!(&one.stage, CandidateStage::Ready(server) if server.reason().is_none()),
        )
        else {
            return;
        };
        let generation = server.number;
        self.has_served = true;
        self.servers
            .iter_mut()
            .for_each(TrackedServer::take_session);
        server.give_session();
        self.act(Action::TakeOver { generation });
        self.timers.cancel(Timer::Candidate);
        self.timers.cancel(Timer::Restart);
        self.timers.set(Timer::Trim, now + TRIM_AFTER);
        if cause != StartCause::Start {
            self.renewals += 1;
            self.act(Action::Record(Fact::Renewed {
                generation,
                took: now.saturating_duration_since(since),
                cause: cause.name(),
            }));
        }
        self.trouble = None;
        self.changes.failed = None;
        if self.client_input == ClientInput::Gone {
            self.begin_ending(Reason::EndOfInput);
            server.stop(Reason::EndOfInput, now, &mut self.timers, &mut self.actions);
        }
        if let Some(mut old) = self.servers.current.replace(server) {
            old.stop(Reason::Renewed, now, &mut self.timers, &mut self.actions);
            self.servers.leaving.push(old);
        }
        self.act(Action::Flush);
        self.answer_renewals(&ControlReply::Renewed);
        self.renew_again(now);
    }

    /// Opens the gate to this server, if it has the session and is not about to lose it.
    pub(super) fn open_to(&mut self, generation: u32) {
        let losing = self
            .servers
            .candidate
            .as_ref()
            .is_some_and(Candidate::is_next);
        let current = self.servers.current.as_ref();
        if current.is_some_and(|server| {
            !losing && server.number == generation && server.reason().is_none()
        }) {
            self.act(Action::OpenGate { generation });
        }
    }

    /// Starts a renewal that was requested during the last one.
    pub(super) fn renew_again(&mut self, now: Instant) {
        if !self.requests.later.is_empty() {
            self.changes.renew_again = false;
            self.requests.renew.append(&mut self.requests.later);
            self.start(now, StartCause::Renew);
        } else if std::mem::take(&mut self.changes.renew_again) || !self.requests.update.is_empty()
        {
            self.timers.set(Timer::Check, now);
        }
    }

    /// Drops a renewal in progress, because the client is about to leave.
    pub(super) fn forget_renewal(&mut self, now: Instant) {
        let Some(candidate) = &self.servers.candidate else {
            return;
        };
        if candidate.cause == StartCause::Start {
            return;
        }
        if let Some(generation) = self.current() {
            self.drop_candidate(now, Reason::Revoked);
            self.open_to(generation);
            self.requests.renew.append(&mut self.requests.later);
            self.answer_renewals(&ControlReply::Ended);
        }
    }
}
