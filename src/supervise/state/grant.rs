//! Reactions to the files: whether a server may run and has the current values.

use std::time::{Duration, Instant};

use super::event::{Action, ControlReply, StandIn};
use super::limits::{QUIET, QUIET_LIMIT, SETTLE};
use super::requests::OpenCheck;
use super::shutdown::Reason;
use super::stage::{Candidate, StartCause};
use super::timers::Timer;
use super::{ClientInput, KeeperState, words};
use crate::error::{Code, Error, Result};
use crate::policy::Renew;
use crate::supervise::pipeline::{Fact, ServerExit};

/// Whether this error ends a running server. Others only prevent a new start.
pub(super) const fn ends_what_runs(code: Code) -> bool {
    matches!(
        code,
        Code::Revoked
            | Code::NotGranted
            | Code::PolicyNotFound
            | Code::GrantBroken
            | Code::LoginNeeded
            | Code::SessionsLocked
    ) || is_unreadable(code)
}

/// Whether the session cannot go on with the credentials that there are.
const fn needs_others(code: Code) -> bool {
    matches!(code, Code::LoginNeeded | Code::CredentialEnded)
}

/// What starts the server of a session that was suspended for this.
const fn cause_after(code: Code) -> StartCause {
    match code {
        Code::LoginNeeded
        | Code::CredentialEnded
        | Code::StoreUnavailable
        | Code::StoreTimeout
        | Code::StoreThrottled
        | Code::StoreLocked => StartCause::Recover,
        _ => StartCause::Grant,
    }
}

/// The grant is there and says nothing.
const fn is_unreadable(code: Code) -> bool {
    matches!(code, Code::FileUnusable | Code::FileNotPrivate)
}

/// What an editor, git or a sync tool causes for a moment, too.
const fn may_pass(code: Code) -> bool {
    matches!(code, Code::PolicyNotFound) || is_unreadable(code)
}

impl KeeperState {
    /// Asks what the files say now; asks about values only if a renewal may follow.
    pub(super) fn look_at_files(&mut self) {
        if !self.is_keeping() && !self.awaits_answers() {
            return;
        }
        let current = self.servers.current.as_ref();
        let generation = current
            .filter(|server| {
                self.servers.candidate.is_none()
                    && (server.rules.renew != Renew::Manual || !self.requests.update.is_empty())
            })
            .map(|server| server.number);
        self.act(Action::LookAtFiles { generation });
    }

    pub(super) fn files_seen(
        &mut self,
        now: Instant,
        grant: Result<()>,
        outdated: Option<u32>,
        updating: bool,
    ) {
        if !self.is_keeping() && !self.awaits_answers() {
            return;
        }
        match grant {
            Err(error) if ends_what_runs(error.code) => {
                let was_due = std::mem::take(&mut self.changes.withdrawal_due);
                let runs = self.servers.current.is_some() || self.servers.candidate.is_some();
                if may_pass(error.code) && runs {
                    let since = *self.changes.missing_since.get_or_insert(now);
                    if now < since + SETTLE {
                        self.timers.set(Timer::Check, since + SETTLE);
                        return;
                    }
                }
                let refused = ControlReply::NotRenewed(error.clone());
                if was_due && self.trouble() == Some(error.code) {
                    // The same, with the reason that the user gave.
                    self.answer_all(error.clone());
                    self.trouble = Some(error);
                    self.kill_leaving(now);
                } else if runs || self.trouble() != Some(error.code) {
                    self.revoke(now, error);
                } else {
                    self.kill_leaving(now);
                }
                self.answer_updates(&refused);
            }
            // Prevents a new start, but a running server continues under its grant.
            Err(error) => {
                self.changes.missing_since = None;
                self.answer_updates(&ControlReply::NotRenewed(error));
            }
            // Ended by `revoke`, which is about to withdraw the grant.
            Ok(()) if self.changes.withdrawal_due => {}
            Ok(()) => {
                self.changes.missing_since = None;
                self.start_or_renew(now, outdated);
                let waits = updating || self.timers.is_set(Timer::Check);
                if self.servers.candidate.is_none() && !waits {
                    let failed = self.changes.failed.clone();
                    let reply = failed.map_or(ControlReply::Renewed, ControlReply::NotRenewed);
                    self.answer_updates(&reply);
                }
            }
        }
        for check in &mut self.requests.check {
            check.is_looked = true;
        }
        self.answer_checks(now);
    }

    /// A bridge got new credentials, or cannot get any.
    pub(super) fn credentials_replaced(
        &mut self,
        now: Instant,
        generation: u32,
        result: Result<Duration>,
    ) {
        if self.current() != Some(generation) {
            return;
        }
        match result {
            Ok(took) => {
                self.changes.failed = None;
                self.act(Action::Record(Fact::Renewed {
                    generation,
                    took,
                    cause: "credentials",
                }));
                self.answer_updates(&ControlReply::Renewed);
            }
            Err(error) if needs_others(error.code) || ends_what_runs(error.code) => {
                self.answer_updates(&ControlReply::NotRenewed(error.clone()));
                self.revoke(now, error);
            }
            Err(error) => {
                self.changes.failed = Some(error.clone());
                let reply = ControlReply::NotRenewed(error.clone());
                self.act(Action::Record(Fact::NotRenewed { error }));
                self.answer_updates(&reply);
            }
        }
    }

    /// A server may run: starts or renews one if needed.
    fn start_or_renew(&mut self, now: Instant, outdated: Option<u32>) {
        if !self.is_keeping() {
            return;
        }
        if self.servers.candidate.is_some() {
            self.changes.renew_again = true;
        } else if let Some(current) = self.current() {
            if outdated == Some(current) {
                match self.settled_at() {
                    Some(at) if at > now => self.timers.set(Timer::Check, at),
                    _ => self.start(now, StartCause::Rotate),
                }
            }
        } else if let Some(code) = self.trouble()
            && code != Code::SecretInId
            && !self.timers.is_set(Timer::Restart)
        {
            // After a secret in an ID, only an explicit request starts the server again.
            self.act(Action::HoldGate);
            self.start(now, cause_after(code));
        }
    }

    /// When the next renewal may begin; `None`: immediately.
    fn settled_at(&self) -> Option<Instant> {
        let (changed, renewed) = (self.changes.changed_at?, self.changes.renewed_at?);
        (changed < renewed + QUIET_LIMIT).then(|| (changed + QUIET).min(renewed + QUIET_LIMIT))
    }

    /// Answers `check` requests once no revoked server is alive.
    pub(super) fn answer_checks(&mut self, now: Instant) {
        let mut leaving = self.servers.leaving.iter();
        if leaving.any(|server| server.reason() == Some(Reason::Revoked)) {
            return;
        }
        let checks = std::mem::take(&mut self.requests.check);
        let (looked, open) = checks.into_iter().partition(|check| check.is_looked);
        self.requests.check = looked;
        self.answer_all_checks(now);
        self.requests.check = open;
    }

    pub(super) fn answer_all_checks(&mut self, now: Instant) {
        let running = self.servers.current.is_some();
        for check in std::mem::take(&mut self.requests.check) {
            let took = now.saturating_duration_since(check.since);
            self.reply(check.request, ControlReply::Checked { running, took });
        }
    }

    /// The grant is gone: kills all servers and keeps the session.
    pub(super) fn revoke(&mut self, now: Instant, error: Error) {
        self.timers.cancel(Timer::Restart);
        self.changes.renew_again = false;
        self.drop_candidate(now, Reason::Revoked);
        let current = self.servers.current.take();
        self.servers.leaving.extend(current);
        self.kill_leaving(now);
        self.requests.renew.append(&mut self.requests.later);
        self.answer_renewals(&ControlReply::NotRenewed(error.clone()));
        self.suspend(now, error);
    }

    /// Another command revokes this server: it ends now, and does not start again until the files have
    /// said that it may not run.
    pub(super) fn revoke_on_request(&mut self, now: Instant, request: u32) {
        self.requests.check.push(OpenCheck {
            request,
            since: now,
            is_looked: true,
        });
        if self.is_keeping() || self.awaits_answers() {
            self.changes.withdrawal_due = true;
            self.revoke(now, words::revoked_on_request(&self.server));
        } else {
            for server in self.servers.iter_mut() {
                server.stop(Reason::Revoked, now, &mut self.timers, &mut self.actions);
            }
        }
        self.answer_checks(now);
    }

    /// Kills the servers that are being ended.
    fn kill_leaving(&mut self, now: Instant) {
        for server in &mut self.servers.leaving {
            server.stop(Reason::Revoked, now, &mut self.timers, &mut self.actions);
        }
    }

    /// Answers requests with this error until a server can run again.
    pub(super) fn suspend(&mut self, now: Instant, error: Error) {
        self.answer_all(error.clone());
        self.act(Action::Record(Fact::Suspended(error.clone())));
        let code = self.last_exit.map_or(error.run_exit(), ServerExit::code);
        self.trouble = Some(error);
        if self.on_terminal {
            self.decide(now, code);
        } else if self.client_input >= ClientInput::Passed {
            self.end_all(now, Reason::EndOfInput);
        }
    }

    /// Answers all open and future requests with this error or through the replacement server.
    pub(super) fn answer_all(&mut self, error: Error) {
        self.act(Action::AnswerAll {
            error,
            stand_in: StandIn::Allowed,
        });
        self.act(Action::Flush);
    }

    /// A server used a secret as the ID of a message. The masked ID fits no request, so the session
    /// cannot continue with that server.
    pub(super) fn secret_in_id(&mut self, now: Instant, generation: u32) {
        let error = words::secret_in_id(&self.server);
        let candidate = self.servers.candidate.as_ref().and_then(Candidate::server);
        if candidate.is_some_and(|server| server.number == generation) {
            self.candidate_failed(now, error);
        } else if self.current() == Some(generation) {
            self.act(Action::ForgetQuestions);
            self.revoke(now, error);
        }
    }
}
