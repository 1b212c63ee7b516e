//! The moment in which one server takes over from another.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::{Candidate, Keeper, TRIM_AFTER};
use crate::supervise::shared::Gate;
use crate::supervise::shutdown::Reason;
use crate::supervise::{Fact, request};

impl Keeper {
    /// Holds the client's requests and waits for the last answers.
    pub(in crate::supervise) fn drain(&mut self) {
        let stdin = self
            .current
            .as_ref()
            .and_then(|server| server.stdin.clone());
        self.shared
            .set_gate(stdin.map_or(Gate::Held, Gate::Draining));
        let mut inner = self.shared.lock();
        inner.draining = true;
        // Told as an event, like a drain that takes its time.
        inner.note_drained();
        drop(inner);
        self.shared.wake();
    }

    pub(in crate::supervise) fn take_over_if_ready(&mut self) {
        match &self.candidate {
            Some(Candidate::Ready { .. }) => self.take_over(),
            Some(Candidate::Waiting { .. }) => self.stop_first(),
            _ => {}
        }
    }

    /// Launches what waited for the old server to be gone.
    pub(in crate::supervise) fn launch_waiting(&mut self) {
        let free = self.current.is_none() && self.leaving.is_empty();
        let waiting = self
            .candidate
            .take_if(|candidate| free && matches!(candidate, Candidate::Waiting { .. }));
        if let Some(Candidate::Waiting { prepared, .. }) = waiting {
            self.candidate = Some(Candidate::Preparing);
            self.launch(*prepared);
        }
    }

    /// Ends the current server; the candidate is launched when it is gone.
    pub(in crate::supervise) fn stop_first(&mut self) {
        if let Some(mut old) = self.current.take() {
            old.end(Reason::Renewed, Instant::now());
            self.leaving.push(*old);
        }
    }

    /// Puts the candidate behind the session.
    pub(in crate::supervise) fn take_over(&mut self) {
        let Some(Candidate::Ready { mut server, .. }) = self.candidate.take() else {
            return;
        };
        let now = Instant::now();
        let to_server = {
            let mut inner = self.shared.lock();
            inner.draining = false;
            let held = inner.held.remove(&server.number).unwrap_or_default();
            let takeover = inner
                .session
                .take_over(server.number, &self.options.server, now);
            inner.outbox.extend(takeover.to_client);
            inner.outbox.extend(held);
            // In the same step: what comes now is for the new server.
            inner.gate = Gate::Held;
            takeover.to_server
        };
        let (number, ready) = (server.number, server.write(to_server, &self.shared));
        self.restart_at = None;
        let (cause, since) = self.cause;
        self.trim_at = Some(now + TRIM_AFTER);
        if cause != "start" {
            self.renewals += 1;
            let generation = server.number;
            self.pipeline.record(&Fact::Renewed {
                generation,
                took: since.elapsed(),
                cause,
            });
        }
        self.trouble = None;
        if self.client_gone {
            self.ending.get_or_insert(Reason::EndOfInput);
            self.shared.set_gate(Gate::Closed);
            server.end(Reason::EndOfInput, now);
        }
        if let Some(mut old) = self.current.replace(server) {
            old.end(Reason::Renewed, now);
            self.leaving.push(*old);
        }
        if ready {
            self.open_to(number);
        }
        self.flush();
        self.answer_renewals(&json!({"v": request::VERSION, "ok": true}));
        self.renew_again(now);
    }

    /// Lets the client's lines through to this server, if it has the session and does not lose it.
    pub(in crate::supervise) fn open_to(&mut self, generation: u32) {
        let losing = matches!(
            self.candidate,
            Some(Candidate::Ready { .. } | Candidate::Waiting { .. })
        );
        if let Some(server) = self.current.as_ref().filter(|_| !losing)
            && server.number == generation
            && let Some(stdin) = &server.stdin
        {
            self.shared.set_gate(Gate::Open(Arc::clone(stdin)));
        }
    }

    /// What came while the renewal was running.
    pub(in crate::supervise) fn renew_again(&mut self, now: Instant) {
        if !self.later_requests.is_empty() {
            self.renew_again = false;
            self.renew_requests.append(&mut self.later_requests);
            self.start("renew");
        } else if std::mem::take(&mut self.renew_again) {
            self.check_at = Some(now);
        }
    }

    /// The client is about to leave: a renewal in progress is for nobody.
    pub(in crate::supervise) fn forget_renewal(&mut self) {
        if self.candidate.is_none() || self.cause.0 == "start" {
            return;
        }
        if let Some(number) = self.current.as_ref().map(|server| server.number) {
            self.drop_candidate(Reason::Revoked);
            self.shared.lock().draining = false;
            self.open_to(number);
        } else if !matches!(self.candidate, Some(Candidate::Preparing)) {
            self.client_left();
        }
    }
}
