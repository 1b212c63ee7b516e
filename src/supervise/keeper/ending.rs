//! Servers that end: by themselves, because the client left, because the grant is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde_json::json;

use super::{
    ABORT_AFTER, CRASH_WINDOW, CRASHES_MAX, Candidate, FIRST_WORD_LIMIT, Keeper, QUIET,
    QUIET_LIMIT, SETTLE,
};
use crate::error::{Code, Error};
use crate::policy::{Renew, Restart};
use crate::session::answer::Trouble;
use crate::supervise::generation::Generation;
use crate::supervise::shared::{Event, Gate, spawn_detached};
use crate::supervise::shutdown::Reason;
use crate::supervise::{Fact, ServerExit, request};
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
        self.shared.fail(trouble, self.pipeline.has_stub());
        self.flush();
        self.pipeline.record(&Fact::Suspended(&error));
        if self.on_terminal {
            self.code = Some(self.last_status.map_or(error.run_exit(), ServerExit::code));
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
        self.renew_again = false;
        let requests: Vec<_> = self.later_requests.drain(..).collect();
        self.renew_requests.extend(requests);
        self.answer_renewals(&refused(&error));
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
                let runs = self.current.is_some() || self.candidate.is_some();
                if error.code == Code::PolicyNotFound && runs {
                    let since = *self.missing_since.get_or_insert(now);
                    if now < since + SETTLE {
                        self.check_at = Some(since + SETTLE);
                        return;
                    }
                }
                if runs || self.trouble.as_ref().map(|trouble| trouble.code) != Some(error.code) {
                    self.revoke(error);
                }
            }
            // Not fit for a new start; what runs keeps what it was granted.
            Err(_) => self.missing_since = None,
            Ok(()) => {
                self.missing_since = None;
                self.check_values(now);
            }
        }
        self.answer_checks(now);
    }

    /// The server may run: does it, and with the current values?
    fn check_values(&mut self, now: Instant) {
        if self.candidate.is_some() {
            self.renew_again = true;
        } else if self.current.is_none() {
            // One that gave a secret away comes back when it is asked for.
            let comes_back = |error: &Error| error.code != Code::SecretInId;
            if self.trouble.as_ref().is_some_and(comes_back) && self.restart_at.is_none() {
                self.shared.set_gate(Gate::Held);
                self.start("grant");
            }
        } else if self.current.as_ref().is_some_and(|server| {
            server.rules.renew != Renew::Manual && self.pipeline.is_outdated(&server.injected)
        }) {
            match self.settled_at() {
                Some(at) if at > now => self.check_at = Some(at),
                _ => self.start("rotate"),
            }
        }
    }

    /// When the next renewal may begin. The first one after a while begins at once.
    fn settled_at(&self) -> Option<Instant> {
        let (changed, renewed) = (self.changed_at?, self.renewed_at?);
        (changed < renewed + QUIET_LIMIT).then(|| (changed + QUIET).min(renewed + QUIET_LIMIT))
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
                .answer(json!({"v": request::VERSION, "ok": true, "running": running, "ms": ms}));
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
    pub(in crate::supervise) fn reap_stopped(&mut self, now: Instant) {
        let (patience, hurry) = self.drain_timeout();
        let (over, leaving): (Vec<_>, Vec<_>) = self
            .leaving
            .drain(..)
            .partition(|server| server.is_over(now, patience, hurry));
        self.leaving = leaving;
        if over.is_empty() {
            return;
        }
        for server in over {
            self.shared.lock().held.remove(&server.number);
            self.record_exit(&server);
            self.last_status = server.status.or(self.last_status);
            self.keep_masking(&server);
            server.reap_guard();
        }
        self.update_masker(&[]);
        self.answer_checks(now);
    }

    pub(in crate::supervise) fn record_exit(&self, server: &Generation) {
        let client = self.shared.lock().session.client().clone();
        self.pipeline.record(&Fact::Exited {
            generation: server.number,
            pid: server.pid,
            status: server.status.unwrap_or(ServerExit::Exited(0)),
            ran: server
                .ended_at
                .unwrap_or(server.started)
                .duration_since(server.started),
            client: &client,
        });
    }

    /// The current server ended by itself.
    pub(in crate::supervise) fn current_ended(&mut self, now: Instant) {
        let (patience, hurry) = self.drain_timeout();
        let Some(server) = self
            .current
            .take_if(|server| server.is_over(now, patience, hurry))
        else {
            return;
        };
        self.record_exit(&server);
        let status = server.status.unwrap_or(ServerExit::Exited(0));
        self.last_status = Some(status);
        let (number, restart) = (server.number, server.rules.restart);
        let established = self.shared.lock().session.is_established();
        let error = crashed(&self.options.server, &server, status, established);
        self.keep_masking(&server);
        server.reap_guard();
        if self.ending.is_some() {
            return;
        }
        if let Err(error) = self.pipeline.standing()
            && ends_what_runs(error.code)
        {
            // It was killed from outside, because we were stopped when the policy was revoked.
            return self.revoke(error);
        }
        if self.candidate.is_some() {
            // The next one is on its way.
            tracing::info!(number, "the server ended while it was renewed");
            return self.suspend(error);
        }
        let trouble = Trouble::new(&self.options.server, &error);
        let was_open = self.shared.fail(trouble.clone(), self.pipeline.has_stub());
        let is_final = status == ServerExit::Exited(0) || restart == Restart::Never;
        // A client whose first request is still on its way shall hear why there is no server.
        let is_awaited = !established && !was_open && !self.input_ended;
        if (is_final && !is_awaited) || self.on_terminal {
            return self.end_with(trouble, status.code());
        }
        if is_final || !self.spoke {
            self.exit_at = Some(now + FIRST_WORD_LIMIT);
        }
        if is_final {
            // Its own end: nothing is said on stderr, only to a request that may still come.
            self.trouble = Some(error);
            return;
        }
        self.crashed_by_itself(error, now, established);
    }

    /// The session ends with its server; the client is told, in the time that it takes to read.
    fn end_with(&mut self, trouble: Trouble, code: u8) {
        // What comes in until then is answered, too.
        self.shared.fail(trouble, false);
        self.code_after_flush = Some(code);
        let shared = Arc::clone(&self.shared);
        spawn_detached(move || {
            shared.flush();
            shared.post_event(Event::Flushed);
        });
    }

    fn crashed_by_itself(&mut self, mut error: Error, now: Instant, established: bool) {
        self.crashes.push_back(now);
        while self
            .crashes
            .front()
            .is_some_and(|at| now.duration_since(*at) > CRASH_WINDOW)
        {
            self.crashes.pop_front();
        }
        let often = self.crashes.len();
        if often >= CRASHES_MAX {
            error = error.cause(format!(
                "it ended {often} times within a minute, so it is not started again by itself"
            ));
            error = error.hint(format!("`mcpwrap renew {}`", self.options.server));
        }
        self.suspend(error);
        // A server that never came up will not do so by itself; one that crashes on is left alone.
        if established && often < CRASHES_MAX {
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
            (None, None, Some(Reason::Signal(signal))) => {
                Some(ServerExit::Died(signal as i32).code())
            }
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
            self.reap_stopped(now);
            return None;
        }
        Some(code)
    }
}

/// What is answered to who asked for a renewal that did not happen.
pub(super) fn refused(error: &Error) -> serde_json::Value {
    json!({"v": request::VERSION, "ok": false, "code": error.code.name(), "error": error.line()})
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
    status: ServerExit,
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
