//! Servers that end: by themselves, because the client left, because the grant is gone.

use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde_json::json;

use super::{
    ABORT_AFTER, CRASH_WINDOW, CRASHES_MAX, Candidate, FIRST_WORD_LIMIT, Keeper, OUTPUT_PATIENCE,
    SETTLE,
};
use crate::error::{Code, Error};
use crate::policy::{Renew, Restart};
use crate::session::answer::Trouble;
use crate::supervise::generation::Generation;
use crate::supervise::shared::Gate;
use crate::supervise::shutdown::Reason;
use crate::supervise::{Fact, Status, control};
use crate::sys::tree;

impl Keeper {
    /// The client closed its end: no server, or one that has had its last input.
    pub(in crate::supervise) fn client_left(&mut self) {
        if self.client_gone {
            return;
        }
        self.client_gone = true;
        if self.current.is_none() && matches!(self.candidate, Some(Candidate::Preparing)) {
            // It may be a client that has nothing to say, or none: what stops the start is told.
            self.abort_at = Some(Instant::now() + ABORT_AFTER);
            return;
        }
        self.end_all(Reason::EndOfInput);
        if self.current.is_none() && self.ending.is_none() {
            self.ending = Some(Reason::EndOfInput);
        }
    }

    pub(in crate::supervise) fn end_all(&mut self, reason: Reason) {
        let now = Instant::now();
        self.ending.get_or_insert(reason);
        self.shared.set_gate(Gate::Closed);
        self.restart_at = None;
        self.drop_candidate(Reason::Revoked);
        for server in self.generations_mut() {
            server.end(reason, now);
        }
    }

    /// From now on requests are answered with this error, until a server can run again.
    pub(in crate::supervise) fn suspend(&mut self, error: Error) {
        let trouble = Trouble::new(&self.options.server, &error);
        {
            let mut inner = self.shared.lock();
            inner.draining = false;
            let lines = inner.session.fail_pending(&trouble);
            inner.outbox.extend(lines);
        }
        self.shared.set_gate(Gate::Answer {
            trouble,
            stub: self.pipeline.has_stub(),
        });
        self.flush();
        self.pipeline.record(&Fact::Suspended(&error));
        if self.on_terminal {
            self.code = Some(self.last_status.map_or(error.run_exit(), Status::code));
        }
        self.trouble = Some(error);
        if self.client_gone {
            self.ending.get_or_insert(Reason::EndOfInput);
        }
    }

    /// The grant is gone: everything that runs is killed, the session stays.
    pub(in crate::supervise) fn revoke(&mut self, error: Error) {
        let now = Instant::now();
        self.restart_at = None;
        self.drop_candidate(Reason::Revoked);
        if let Some(mut server) = self.current.take() {
            server.end(Reason::Revoked, now);
            self.leaving.push(*server);
        }
        for server in &mut self.leaving {
            server.end(Reason::Revoked, now);
        }
        self.suspend(error);
    }

    /// Looks at the files again: may the server run, and has it the current values?
    pub(in crate::supervise) fn check(&mut self) {
        let now = Instant::now();
        if self.ending.is_some() {
            return;
        }
        match self.pipeline.standing() {
            Err(error) if ends_what_runs(error.code) => {
                let settling = error.code == Code::PolicyNotFound
                    && self.trouble.is_none()
                    && self.check_at.is_none();
                if settling {
                    self.check_at = Some(now + SETTLE);
                } else if self.trouble.as_ref().map(|trouble| trouble.code) != Some(error.code) {
                    self.revoke(error);
                }
            }
            // Not fit for a new start; what runs keeps what it was granted.
            Err(_) => {}
            Ok(()) if self.trouble.is_some() && self.restart_at.is_none() => {
                self.shared.set_gate(Gate::Held);
                self.start("grant");
            }
            Ok(()) => {
                let outdated = self.current.as_ref().is_some_and(|server| {
                    server.rules.renew != Renew::Manual
                        && self.pipeline.is_outdated(&server.injected)
                });
                if outdated {
                    self.start("rotate");
                }
            }
        }
        self.answer_checks(now);
    }

    /// Answers who asked for a check, once nothing unwanted is alive.
    pub(in crate::supervise) fn answer_checks(&mut self, now: Instant) {
        if self
            .leaving
            .iter()
            .any(|server| server.reason == Some(Reason::Revoked))
        {
            return;
        }
        let running = self.current.is_some();
        for (request, since) in self.check_requests.drain(..) {
            let ms = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(0);
            request
                .answer(json!({"v": control::VERSION, "ok": true, "running": running, "ms": ms}));
        }
    }

    /// Reads what the guards say and acts on servers that ended.
    pub(in crate::supervise) fn listen_to_guards(&mut self) {
        let mut orphaned = false;
        for server in self.generations_mut() {
            if !server.gone && !server.listen() {
                server.guard_died();
                orphaned = true;
            }
        }
        if orphaned {
            // The guard was killed, so what it guarded is ours now.
            let spared: Vec<Pid> = self
                .generations()
                .filter(|server| !server.gone)
                .map(Generation::guard_pid)
                .collect();
            tree::kill_own_descendants(&spared, Duration::from_secs(2), &mut |_, _| {});
        }
    }

    /// Servers that were ended and are gone: written down and forgotten.
    pub(in crate::supervise) fn bury(&mut self, now: Instant) {
        let (over, leaving): (Vec<_>, Vec<_>) = self
            .leaving
            .drain(..)
            .partition(|server| server.is_over(now, OUTPUT_PATIENCE));
        self.leaving = leaving;
        if over.is_empty() {
            return;
        }
        for mut server in over {
            server.reap_guard();
            self.record_exit(&server);
            self.last_status = server.status.or(self.last_status);
        }
        self.remask(&[]);
        self.answer_checks(now);
        if matches!(self.candidate, Some(Candidate::Waiting { .. }))
            && self.current.is_none()
            && let Some(Candidate::Waiting { prepared, .. }) = self.candidate.take()
        {
            self.candidate = Some(Candidate::Preparing);
            self.launch(*prepared);
        }
    }

    pub(in crate::supervise) fn record_exit(&self, server: &Generation) {
        let client = self.shared.lock().session.client().clone();
        self.pipeline.record(&Fact::Exited {
            generation: server.number,
            pid: server.pid,
            status: server.status.unwrap_or(Status::Exited(0)),
            ran: server
                .ended_at
                .unwrap_or(server.started)
                .duration_since(server.started),
            client: &client,
        });
    }

    /// The current server ended by itself.
    pub(in crate::supervise) fn current_ended(&mut self, now: Instant) {
        if !self
            .current
            .as_ref()
            .is_some_and(|server| server.is_over(now, OUTPUT_PATIENCE))
        {
            return;
        }
        let Some(mut server) = self.current.take() else {
            return;
        };
        server.reap_guard();
        self.record_exit(&server);
        let status = server.status.unwrap_or(Status::Exited(0));
        self.last_status = Some(status);
        if self.ending.is_some() {
            return;
        }
        if let Err(error) = self.pipeline.standing()
            && ends_what_runs(error.code)
        {
            // It was killed from outside, because we were stopped when the policy was revoked.
            return self.suspend(error);
        }
        let established = self.shared.lock().session.is_established();
        let error = crashed(&self.options.server, &server, status, established);
        let trouble = Trouble::new(&self.options.server, &error);
        let lines = self.shared.lock().session.fail_pending(&trouble);
        let is_final = status == Status::Exited(0) || server.rules.restart == Restart::Never;
        // A client whose first request is still on its way shall hear why there is no server.
        let is_awaited = !established && lines.is_empty();
        self.shared.lock().outbox.extend(lines);
        if (is_final && !is_awaited) || self.on_terminal {
            self.shared.flush();
            self.code = Some(status.code());
            return;
        }
        if is_final || !self.spoke {
            self.exit_at = Some(now + FIRST_WORD_LIMIT);
        }
        self.crashes.push_back(now);
        while self
            .crashes
            .front()
            .is_some_and(|at| now.duration_since(*at) > CRASH_WINDOW)
        {
            self.crashes.pop_front();
        }
        let often = self.crashes.len();
        self.suspend(error);
        // A server that never came up will not do so by itself; one that crashes on is left alone.
        if established && often <= CRASHES_MAX {
            let pause =
                Duration::from_millis(100) * 2_u32.pow(u32::try_from(often).unwrap_or(8) - 1);
            self.restart_at = Some(now + pause);
        }
    }

    pub(in crate::supervise) fn finish_if_over(&mut self) {
        let idle = self.current.is_none() && self.leaving.is_empty();
        if self.code.is_some() || self.ending.is_none() || !idle {
            return;
        }
        let refused = self.trouble.as_ref().map(Error::run_exit);
        self.code = match (self.last_status, refused, self.ending) {
            (Some(status), _, _) => Some(status.code()),
            (None, Some(code), _) => Some(code),
            (None, None, Some(Reason::Signal(signal))) => Some(Status::Died(signal as i32).code()),
            (None, None, _) => Some(0),
        };
    }

    /// The exit code, when there is nothing left to do.
    pub(in crate::supervise) fn finished(&mut self) -> Option<u8> {
        let code = self.code?;
        let now = Instant::now();
        if self.generations().next().is_some() {
            // Something decided to exit with a server still there: it ends first.
            self.end_all(Reason::Revoked);
            self.bury(now);
            return None;
        }
        Some(code)
    }
}

/// Which answers about a policy end a server that runs. Others only forbid a new start.
const fn ends_what_runs(code: Code) -> bool {
    matches!(
        code,
        Code::Revoked | Code::NotGranted | Code::PolicyNotFound | Code::GrantBroken
    )
}

/// The words about a server that ended by itself.
pub(super) fn crashed(
    name: &crate::secret::ServerName,
    server: &Generation,
    status: Status,
    established: bool,
) -> Error {
    let when = if established {
        ""
    } else {
        " before it answered the handshake"
    };
    let mut error = Error::new(
        Code::ServerExited,
        format!("server `{name}` {status}{when}"),
    );
    let tail = server.tail.lines();
    error = if tail.is_empty() {
        error.cause("it wrote nothing to stderr")
    } else {
        error.cause(format!("its last words: {}", tail.join(" | ")))
    };
    error.hint(format!(
        "`mcpwrap log --server {name}` shows its starts and ends"
    ))
}
