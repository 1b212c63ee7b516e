//! The end of servers: by themselves, after the client left, after a signal.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::event::{Action, ControlReply, ServerEnd, StandIn};
use super::grant::ends_what_runs;
use super::limits::{
    ABORT_AFTER, CRASH_WINDOW, CRASHES_MAX, FIRST_WORD_LIMIT, HURRIED_OUTPUT_TIMEOUT,
    OUTPUT_TIMEOUT, SLOW_CLIENT_LOOK,
};
use super::server::TrackedServer;
use super::shutdown::Reason;
use super::stage::{Candidate, CandidateStage};
use super::timers::{Timer, Timers};
use super::{ClientInput, KeeperState, Phase, words};
use crate::error::Error;
use crate::policy::Restart;
use crate::supervise::pipeline::{Fact, ServerExit};
use crate::sys::signal;

impl KeeperState {
    /// The client closed our stdin; earlier lines may still be held.
    pub(super) fn input_ended(&mut self, now: Instant) {
        self.client_input = self.client_input.max(ClientInput::Ended);
        // A client that asked something reads on until it has its answers.
        if self.is_first_preparing() && !self.client_spoke {
            self.timers.set(Timer::Abort, now + ABORT_AFTER);
        }
        if self.timers.is_set(Timer::FirstWord) {
            self.timers.set(Timer::FirstWord, now);
        }
        self.forget_renewal(now);
    }

    /// Whether there is no server yet and one is being prepared.
    fn is_first_preparing(&self) -> bool {
        let candidate = self.servers.candidate.as_ref();
        self.servers.current.is_none() && candidate.is_some_and(Candidate::is_preparing)
    }

    /// All input was passed on. A server that works on requests gets the end of its stdin, and the time
    /// for its answers: the client ends it as it would end the server itself.
    pub(super) fn input_passed(&mut self, now: Instant, awaited: bool) {
        if self.client_input >= ClientInput::Passed {
            return;
        }
        self.client_input = ClientInput::Passed;
        let reason = if awaited && self.is_keeping() && self.servers.current.is_some() {
            Reason::LastAnswers
        } else {
            Reason::EndOfInput
        };
        self.end_all(now, reason);
        if self.awaits_answers() {
            self.act(Action::AwaitAnswers);
        }
    }

    /// The client is gone: nobody reads answers.
    pub(super) fn client_left(&mut self, now: Instant) {
        if self.client_input == ClientInput::Gone {
            return;
        }
        self.client_input = ClientInput::Gone;
        if self.is_first_preparing() {
            // A client without input still gets the reason if the start fails.
            self.timers.set(Timer::Abort, now + ABORT_AFTER);
            return;
        }
        self.end_all(now, Reason::EndOfInput);
    }

    /// Forwards a signal to the server, or ends the session with it.
    pub(super) fn signalled(&mut self, now: Instant, signal: Signal) {
        if signal::FORWARDED.contains(&signal) {
            if let Some(generation) = self.current() {
                self.act(Action::Forward { generation, signal });
            }
        } else if self.servers.current.is_none() && self.servers.leaving.is_empty() {
            if !self.has_served && self.trouble.is_none() {
                self.act(Action::Record(Fact::Aborted));
            }
            self.begin_ending(Reason::Signal(signal));
            self.decide(now, ServerExit::Died(signal as i32).code());
        } else {
            self.end_all(now, Reason::Signal(signal));
        }
    }

    /// Ends the session: no new server from now on. The first reason is kept, except that the wait for the
    /// last answers may be cut short.
    pub(super) fn begin_ending(&mut self, reason: Reason) {
        if !matches!(self.phase, Phase::Ending { .. }) || self.awaits_answers() {
            self.phase = Phase::Ending { reason, code: None };
        }
        self.act(Action::CloseGate);
    }

    pub(super) fn end_all(&mut self, now: Instant, reason: Reason) {
        self.begin_ending(reason);
        self.timers.cancel(Timer::Restart);
        self.drop_candidate(now, Reason::Revoked);
        let timeout = self.output_timeout();
        for server in self.servers.iter_mut() {
            server.stop(reason, now, &mut self.timers, &mut self.actions);
            if self.timers.is_set(Timer::Output(server.number)) {
                server.wait_for_output(timeout, &mut self.timers);
            }
        }
    }

    /// Decides the exit code and ends all servers, without a grace period.
    pub(super) fn decide(&mut self, now: Instant, decided: u8) {
        self.end_all(now, Reason::Revoked);
        if let Phase::Ending { code, .. } = &mut self.phase {
            code.get_or_insert(decided);
        }
    }

    /// Whether a slow client is not waited for.
    pub(super) const fn is_hurried(&self) -> bool {
        matches!(
            self.phase,
            Phase::Ending {
                reason: Reason::Signal(_),
                ..
            }
        )
    }

    /// How long to wait for the output of an exited server.
    pub(super) const fn output_timeout(&self) -> Duration {
        if self.is_hurried() {
            HURRIED_OUTPUT_TIMEOUT
        } else {
            OUTPUT_TIMEOUT
        }
    }

    pub(super) fn give_up_output(&mut self, generation: u32) {
        if let Some(server) = self.servers.find(generation) {
            server.give_up_output();
        }
    }

    /// A process outside a server's tree may hold its pipe open. Output that was read is waited for
    /// as long as the client needs.
    pub(super) fn output_seen(&mut self, now: Instant, generation: u32, is_busy: bool) {
        if is_busy && !self.is_hurried() {
            self.timers
                .set(Timer::Output(generation), now + SLOW_CLIENT_LOOK);
        } else {
            self.give_up_output(generation);
        }
    }

    /// Records and forgets servers that were ended and are gone.
    pub(super) fn reap_stopped(&mut self, now: Instant) {
        let leaving = std::mem::take(&mut self.servers.leaving);
        let (over, leaving): (Vec<_>, Vec<_>) =
            leaving.into_iter().partition(TrackedServer::is_over);
        self.servers.leaving = leaving;
        if !over.is_empty() {
            for server in over {
                self.reap(&server);
            }
            self.answer_checks(now);
        }
    }

    fn reap(&mut self, server: &TrackedServer) {
        let exit = server.exit().unwrap_or(ServerExit::Exited(0));
        server.forget(&mut self.timers);
        // One that was replaced may be gone last.
        if server.has_session() {
            self.last_exit = Some(exit);
        }
        self.act(Action::Reap {
            generation: server.number,
            exit,
            ran: server.ran(),
        });
    }

    /// Asks the driver about servers that exited by themselves.
    pub(super) fn ask_for_ends(&mut self) {
        if let Phase::Ending { .. } = self.phase {
            if let Some(server) = self.servers.current.take_if(|server| server.is_over()) {
                self.reap(&server);
            }
            return;
        }
        let current = self.servers.current.as_mut();
        let candidate = self.servers.candidate.as_mut();
        let candidate = candidate.and_then(|candidate| match &mut candidate.stage {
            CandidateStage::Probation(server) => Some(server).filter(|server| server.is_over()),
            CandidateStage::Ready(server) => Some(server).filter(|server| server.exit().is_some()),
            _ => None,
        });
        let ended = current.filter(|server| server.is_over());
        for server in ended.into_iter().chain(candidate) {
            if server.ask_for_explanation() {
                let generation = server.number;
                self.actions.push(Action::ExplainEnd { generation });
            }
        }
    }

    pub(super) fn end_explained(&mut self, now: Instant, generation: u32, end: &ServerEnd) {
        let is_it = |server: &mut TrackedServer| server.number == generation;
        let candidate = self.servers.candidate.as_ref().and_then(Candidate::server);
        let exit = |server: &TrackedServer| server.exit().unwrap_or(ServerExit::Exited(0));
        if let Some(exit) = candidate.filter(|one| one.number == generation).map(exit) {
            let error = words::crashed(&self.server, exit, false, end);
            self.candidate_failed(now, error);
        } else if let Some(server) = self.servers.current.take_if(is_it) {
            self.reap(&server);
            self.current_ended(now, &server, end);
        }
    }

    fn current_ended(&mut self, now: Instant, server: &TrackedServer, end: &ServerEnd) {
        let exit = server.exit().unwrap_or(ServerExit::Exited(0));
        let error = words::crashed(&self.server, exit, end.established, end);
        if let Err(error) = &end.grant
            && ends_what_runs(error.code)
        {
            // Killed from outside, because this process was stopped during a revocation.
            return self.revoke(now, error.clone());
        }
        if self.servers.candidate.is_some() {
            // A candidate exists; if it is ready, it takes over now.
            self.suspend(now, error);
            return self.drained(now);
        }
        let is_final = exit == ServerExit::Exited(0) || server.rules.restart == Restart::Never;
        // A client whose first request is still to come gets the reason as an answer.
        let is_listening = self.client_input == ClientInput::Open;
        let is_awaited = !end.established && !end.awaited && is_listening;
        if (is_final && !is_awaited) || self.on_terminal {
            return self.end_with(error, exit.code());
        }
        if is_final || !self.client_spoke {
            self.timers.set(Timer::FirstWord, now + FIRST_WORD_LIMIT);
        }
        if is_final {
            // A normal exit: no message on stderr, only an answer to a request that may still come.
            self.answer_all(error.clone());
            self.trouble = Some(error);
        } else {
            self.crashed_by_itself(now, error, end.established);
        }
    }

    /// Ends the session with its server, after the last lines were written to the client.
    fn end_with(&mut self, error: Error, code: u8) {
        self.act(Action::AnswerAll {
            error,
            stand_in: StandIn::Never,
        });
        self.phase = Phase::Flushing { code };
        self.act(Action::FlushLast);
    }

    fn crashed_by_itself(&mut self, now: Instant, error: Error, established: bool) {
        self.crashes.push_back(now);
        self.crashes
            .retain(|at| now.saturating_duration_since(*at) <= CRASH_WINDOW);
        let often = self.crashes.len();
        if often >= CRASHES_MAX {
            return self.suspend(now, words::crashed_often(&self.server, error, often));
        }
        self.suspend(now, error);
        // A server that never answered is not restarted automatically.
        if established && self.is_keeping() {
            let doubled = 2_u32.pow(u32::try_from(often).unwrap_or(8) - 1);
            let pause = Duration::from_millis(100) * doubled;
            self.timers.set(Timer::Restart, now + pause);
        }
    }

    /// Ends the session once all its servers are gone.
    pub(super) fn finish_if_over(&mut self, now: Instant) {
        let Phase::Ending { reason, code } = self.phase else {
            return;
        };
        if self.servers.current.is_some() || !self.servers.leaving.is_empty() {
            return;
        }
        let refused = self.trouble.as_ref().map(Error::run_exit);
        let found = self.last_exit.map(ServerExit::code).or(refused);
        let code = code.or(found).unwrap_or(match reason {
            Reason::Signal(signal) => ServerExit::Died(signal as i32).code(),
            _ => 0,
        });
        self.requests.renew.append(&mut self.requests.later);
        self.answer_renewals(&ControlReply::Ended);
        self.answer_all_checks(now);
        self.phase = Phase::Over;
        self.timers = Timers::default();
        self.act(Action::Exit(code));
    }
}
