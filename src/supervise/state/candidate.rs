//! A candidate: a new server that is prepared, launched and tested before it gets the session.

use std::time::Instant;

use super::event::{Action, ControlReply, Handshake};
use super::limits::{DRAIN_LIMIT, HANDSHAKE_LIMIT, PREPARE_LIMIT};
use super::server::TrackedServer;
use super::shutdown::Reason;
use super::stage::{Candidate, CandidateStage, LaunchStep, StartCause};
use super::timers::Timer;
use super::{KeeperState, words};
use crate::error::{Error, Result};
use crate::policy::{Renew, SessionRules};
use crate::supervise::pipeline::Fact;

impl KeeperState {
    /// Begins to prepare a server.
    pub(super) fn start(&mut self, now: Instant, cause: StartCause) {
        if !self.is_keeping() || self.changes.withdrawal_due {
            return;
        }
        if self.servers.candidate.is_some() {
            self.changes.renew_again = true;
            return;
        }
        self.attempts += 1;
        let attempt = self.attempts;
        self.servers.candidate = Some(Candidate {
            cause,
            since: now,
            attempt,
            stage: CandidateStage::Preparing,
        });
        self.timers.set(Timer::Candidate, now + PREPARE_LIMIT);
        self.timers.cancel(Timer::Restart);
        if self.servers.current.is_some() {
            self.changes.renewed_at = Some(now);
        }
        let is_fresh = matches!(cause, StartCause::Rotate | StartCause::Renew);
        self.act(Action::Prepare { attempt, is_fresh });
    }

    pub(super) fn prepared(&mut self, now: Instant, attempt: u32, result: Result<SessionRules>) {
        let is_wanted = |one: &&mut Candidate| one.is_preparing() && one.attempt == attempt;
        let Some(candidate) = self.servers.candidate.as_mut().filter(is_wanted) else {
            return self.act(Action::DropPrepared { attempt });
        };
        self.timers.cancel(Timer::Abort);
        let rules = match result {
            Ok(rules) => rules,
            Err(error) => return self.candidate_failed(now, error),
        };
        if rules.renew == Renew::StopFirst && self.servers.current.is_some() {
            candidate.stage = CandidateStage::Waiting(rules);
            self.timers.set(Timer::Candidate, now + DRAIN_LIMIT);
            return self.drain();
        }
        self.launch(rules);
    }

    /// Begins check, record, check, launch; each answer starts the next step.
    pub(super) fn launch(&mut self, rules: SessionRules) {
        self.generations += 1;
        let generation = self.generations;
        self.timers.cancel(Timer::Candidate);
        if let Some(candidate) = &mut self.servers.candidate {
            candidate.stage = CandidateStage::Launching {
                generation,
                rules,
                step: LaunchStep::FirstCheck,
            };
            self.act(Action::CheckGrant { generation });
        }
    }

    /// Advances this launch to the next step, if it is at the previous one.
    fn next_launch_step(&mut self, number: u32, from: LaunchStep, to: LaunchStep) -> Option<u32> {
        let candidate = self.servers.candidate.as_mut()?;
        match &mut candidate.stage {
            CandidateStage::Launching {
                generation, step, ..
            } if *generation == number && *step == from => {
                *step = to;
                Some(candidate.attempt)
            }
            _ => None,
        }
    }

    pub(super) fn grant_checked(&mut self, now: Instant, generation: u32, result: Result<()>) {
        let first = self.next_launch_step(generation, LaunchStep::FirstCheck, LaunchStep::Record);
        let second = self.next_launch_step(generation, LaunchStep::SecondCheck, LaunchStep::Launch);
        let next = match (first, second) {
            (Some(attempt), None) => Action::RecordLaunch {
                attempt,
                generation,
            },
            (None, Some(attempt)) => Action::Launch {
                attempt,
                generation,
            },
            _ => return,
        };
        match result {
            Ok(()) => self.act(next),
            Err(error) => self.candidate_failed(now, error),
        }
    }

    pub(super) fn launch_recorded(&mut self, now: Instant, generation: u32, result: Result<()>) {
        let step = self.next_launch_step(generation, LaunchStep::Record, LaunchStep::SecondCheck);
        match (step, result) {
            (None, _) => {}
            (Some(_), Ok(())) => self.act(Action::CheckGrant { generation }),
            (Some(_), Err(error)) => self.candidate_failed(now, error),
        }
    }

    pub(super) fn launched(&mut self, now: Instant, generation: u32, result: Result<Handshake>) {
        let step = self.next_launch_step(generation, LaunchStep::Launch, LaunchStep::Launch);
        let candidate = self.servers.candidate.as_mut().filter(|_| step.is_some());
        let handshake = match result {
            Ok(handshake) => handshake,
            Err(_) if candidate.is_none() => return,
            Err(error) => return self.candidate_failed(now, error),
        };
        let Some((rules, candidate)) = candidate.and_then(|one| Some((one.rules()?, one))) else {
            // The candidate was dropped during the start.
            let mut server = TrackedServer::new(generation, SessionRules::default(), now);
            server.stop(Reason::Revoked, now, &mut self.timers, &mut self.actions);
            return self.servers.leaving.push(server);
        };
        let server = TrackedServer::new(generation, rules, now);
        match handshake {
            Handshake::Sent => {
                candidate.stage = CandidateStage::Probation(server);
                self.timers.set(Timer::Candidate, now + HANDSHAKE_LIMIT);
            }
            Handshake::NotNeeded => {
                candidate.stage = CandidateStage::Ready(server);
                self.take_over(now);
            }
        }
    }

    /// Whether this server is in probation.
    fn is_on_probation(&self, generation: u32) -> bool {
        matches!(
            self.servers.candidate.as_ref().map(|candidate| &candidate.stage),
            Some(CandidateStage::Probation(server)) if server.number == generation
        )
    }

    pub(super) fn handshake_done(
        &mut self,
        now: Instant,
        generation: u32,
        judgement: std::result::Result<(), String>,
    ) {
        if !self.is_on_probation(generation) {
            return;
        }
        match judgement {
            Ok(()) => self.act(Action::Replay { generation }),
            Err(why) => self.candidate_failed(now, words::incompatible_server(&self.server, why)),
        }
    }

    pub(super) fn replayed(&mut self, now: Instant, generation: u32) {
        if !self.is_on_probation(generation) {
            return;
        }
        if let Some(mut candidate) = self.servers.candidate.take() {
            if let CandidateStage::Probation(server) = candidate.stage {
                candidate.stage = CandidateStage::Ready(server);
            }
            self.servers.candidate = Some(candidate);
        }
        self.timers.set(Timer::Candidate, now + DRAIN_LIMIT);
        self.drain();
    }

    /// Drops the candidate; the current server, if any, stays.
    pub(super) fn candidate_failed(&mut self, now: Instant, error: Error) {
        let had_candidate = self.servers.candidate.is_some();
        self.drop_candidate(now, Reason::Renewed);
        self.answer_renewals(&ControlReply::NotRenewed(error.clone()));
        let current = self.servers.current.as_ref();
        match current.filter(|server| server.reason().is_none()) {
            Some(server) if had_candidate => {
                let generation = server.number;
                self.changes.failed = Some(error.clone());
                self.act(Action::OpenGate { generation });
                self.act(Action::Record(Fact::NotRenewed { error }));
            }
            _ => self.suspend(now, error),
        }
        self.renew_again(now);
    }

    pub(super) fn drop_candidate(&mut self, now: Instant, reason: Reason) {
        let Some(candidate) = self.servers.candidate.take() else {
            return;
        };
        self.timers.cancel(Timer::Candidate);
        let attempt = candidate.attempt;
        match candidate.stage {
            // The answer is dropped when it arrives.
            CandidateStage::Preparing => {}
            CandidateStage::Waiting(_) | CandidateStage::Launching { .. } => {
                self.act(Action::DropPrepared { attempt });
            }
            CandidateStage::Probation(mut server) | CandidateStage::Ready(mut server) => {
                let generation = server.number;
                self.act(Action::Abandon { generation });
                server.stop(reason, now, &mut self.timers, &mut self.actions);
                self.servers.leaving.push(server);
            }
        }
    }

    /// The preparation takes longer than the client waits. It continues.
    pub(super) fn preparation_seen(
        &mut self,
        now: Instant,
        attempt: u32,
        waits_for: Option<Error>,
    ) {
        let candidate = self.servers.candidate.as_ref();
        if !candidate.is_some_and(|one| one.is_preparing() && one.attempt == attempt) {
            return;
        }
        if waits_for.is_some() && self.on_terminal {
            // No client waits, and who has to confirm a dialog sees it.
            return self.timers.set(Timer::Candidate, now + PREPARE_LIMIT);
        }
        let error = waits_for.unwrap_or_else(|| words::start_timeout(&self.server));
        if self.trouble() == Some(error.code) {
            // Known since an earlier attempt.
            self.answer_all(error);
        } else {
            self.suspend(now, error);
        }
    }

    /// The time limit of the candidate's stage is over.
    pub(super) fn candidate_due(&mut self, now: Instant) {
        let Some(candidate) = &self.servers.candidate else {
            return;
        };
        match candidate.stage {
            CandidateStage::Preparing => {
                if self.servers.current.is_none() {
                    let attempt = candidate.attempt;
                    self.act(Action::LookAtPreparation { attempt });
                }
            }
            CandidateStage::Probation(_) => {
                self.candidate_failed(now, words::no_handshake(&self.server));
            }
            CandidateStage::Ready(_) | CandidateStage::Waiting(_) => self.drained(now),
            CandidateStage::Launching { .. } => {}
        }
    }
}
