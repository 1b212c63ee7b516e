//! A new server on its way behind the session: prepared, launched, tried, put in place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ending::crashed;
use super::{Candidate, DRAIN_LIMIT, HANDSHAKE_LIMIT, Keeper, OUTPUT_PATIENCE, PREPARE_LIMIT};
use crate::error::{Code, Error, Result};
use crate::launch::{self, Command};
use crate::policy::Renew;
use crate::supervise::generation::Generation;
use crate::supervise::shared::{Event, Gate};
use crate::supervise::shutdown::Reason;
use crate::supervise::{Fact, Prepared, control};

impl Keeper {
    /// Begins to prepare a server; the result comes as an event.
    pub(in crate::supervise) fn start(&mut self, cause: &'static str) {
        if self.candidate.is_some() || self.ending.is_some() {
            self.renew_again |= self.current.is_some();
            return;
        }
        self.candidate = Some(Candidate::Preparing);
        self.cause = (cause, Instant::now());
        self.restart_at = None;
        let (pipeline, shared) = (Arc::clone(&self.pipeline), Arc::clone(&self.shared));
        let prepare = move || shared.tell(Event::Prepared(pipeline.prepare().map(Box::new)));
        if let Err(error) = std::thread::Builder::new()
            .name("prepare".to_owned())
            .spawn(prepare)
        {
            let error = Error::new(
                Code::LaunchFailed,
                format!(
                    "server `{}` not started: no thread for it",
                    self.options.server
                ),
            )
            .cause(crate::files::io_text(&error));
            self.candidate_failed(error);
        }
    }

    pub(in crate::supervise) fn on_prepared(&mut self, result: Result<Box<Prepared>>) {
        if self.ending.is_some() || !matches!(self.candidate, Some(Candidate::Preparing)) {
            return;
        }
        self.abort_at = None;
        let prepared = match result {
            Ok(prepared) => prepared,
            Err(error) => return self.candidate_failed(error),
        };
        let stop_first = prepared.policy.session.renew == Renew::StopFirst;
        if stop_first && self.current.is_some() {
            let deadline = Instant::now() + DRAIN_LIMIT;
            self.candidate = Some(Candidate::Waiting { prepared, deadline });
            self.drain();
            return;
        }
        self.launch(*prepared);
    }

    /// Record, launch, begin the handshake. The moment before, the grant is looked at once more.
    pub(in crate::supervise) fn launch(&mut self, prepared: Prepared) {
        self.counter += 1;
        let number = self.counter;
        let client = self.shared.lock().session.client().clone();
        let server = self
            .pipeline
            .standing()
            .and_then(|()| self.pipeline.record_launch(&prepared, number, &client))
            .and_then(|()| {
                launch::launch(
                    &Command {
                        server: &self.options.server,
                        arguments: prepared.env.arguments(),
                        program: prepared.program.clone(),
                        directory: prepared.directory.clone(),
                    },
                    &prepared.env,
                )
            });
        let server = match server {
            Ok(server) => server,
            Err(error) => return self.candidate_failed(error),
        };
        self.pipeline.record(&Fact::Launched {
            generation: number,
            pid: server.pid,
        });
        self.remask(prepared.env.values());
        match Generation::new(number, server, prepared, &self.shared, &self.pipeline) {
            Ok(generation) => self.on_launched(Box::new(generation)),
            Err(error) => {
                let error = Error::new(
                    Code::LaunchFailed,
                    format!(
                        "server `{}` not started: no threads for it",
                        self.options.server
                    ),
                )
                .cause(crate::files::io_text(&error));
                self.candidate_failed(error);
            }
        }
    }

    pub(in crate::supervise) fn on_launched(&mut self, server: Box<Generation>) {
        let now = Instant::now();
        let handshake = self.shared.lock().session.handshake(server.number);
        if let Some(line) = handshake {
            server.write(&line);
            self.candidate = Some(Candidate::Probation {
                server,
                deadline: now + HANDSHAKE_LIMIT,
            });
        } else {
            // The client has not begun: it will do the handshake itself.
            self.candidate = Some(Candidate::Ready {
                server,
                deadline: now,
            });
            self.take_over();
        }
    }

    pub(in crate::supervise) fn on_handshake(
        &mut self,
        generation: u32,
        judgement: std::result::Result<(), String>,
    ) {
        let Some(Candidate::Probation { server, .. }) = &self.candidate else {
            return;
        };
        if server.number != generation {
            return;
        }
        if let Err(why) = judgement {
            let error = Error::new(
                Code::RenewFailed,
                format!(
                    "server `{}` not renewed: the new one cannot stand in",
                    self.options.server
                ),
            )
            .cause(why)
            .hint(format!(
                "`mcpwrap renew {}` tries again",
                self.options.server
            ));
            return self.candidate_failed(error);
        }
        let lines = self.shared.lock().session.after_handshake(generation);
        server.write(&lines);
        if self.shared.lock().session.is_replayed(generation) {
            self.on_replayed(generation);
        }
    }

    pub(in crate::supervise) fn on_replayed(&mut self, generation: u32) {
        match self.candidate.take() {
            Some(Candidate::Probation { server, .. }) if server.number == generation => {
                let deadline = Instant::now() + DRAIN_LIMIT;
                self.candidate = Some(Candidate::Ready { server, deadline });
                self.drain();
            }
            other => self.candidate = other,
        }
    }

    /// Holds the client's lines and waits for the last answers.
    pub(in crate::supervise) fn drain(&mut self) {
        self.shared.set_gate(Gate::Held);
        self.shared.wait_for_line_end(Duration::from_millis(100));
        let drained = {
            let mut inner = self.shared.lock();
            inner.draining = !inner.session.is_drained();
            !inner.draining
        };
        if drained {
            self.take_over_if_ready();
        }
    }

    pub(in crate::supervise) fn take_over_if_ready(&mut self) {
        match &self.candidate {
            Some(Candidate::Ready { .. }) => self.take_over(),
            Some(Candidate::Waiting { .. }) => self.stop_first(),
            _ => {}
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
            takeover.to_server
        };
        server.write(&to_server);
        if let Some(stdin) = &server.stdin {
            self.shared.set_gate(Gate::Open(Arc::clone(stdin)));
        }
        self.flush();
        let (cause, since) = self.cause;
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
        self.answer_renewals(&json!({"v": control::VERSION, "ok": true}));
        if std::mem::take(&mut self.renew_again) {
            self.check_at = Some(now);
        }
    }

    /// The candidate is given up; the current server, if there is one, stays.
    pub(in crate::supervise) fn candidate_failed(&mut self, error: Error) {
        self.drop_candidate(Reason::Renewed);
        let (cause, _) = self.cause;
        let reply = json!({
            "v": control::VERSION, "ok": false, "code": error.code.name(), "error": error.line(),
        });
        self.answer_renewals(&reply);
        if let Some(stdin) = self
            .current
            .as_ref()
            .and_then(|server| server.stdin.clone())
        {
            self.shared.lock().draining = false;
            self.shared.set_gate(Gate::Open(stdin));
            self.pipeline.record(&Fact::NotRenewed {
                error: &error,
                cause,
            });
        } else {
            self.suspend(error);
        }
    }

    pub(in crate::supervise) fn drop_candidate(&mut self, reason: Reason) {
        match self.candidate.take() {
            Some(Candidate::Probation { mut server, .. } | Candidate::Ready { mut server, .. }) => {
                let mut inner = self.shared.lock();
                inner.session.abandon(server.number);
                inner.held.remove(&server.number);
                drop(inner);
                server.end(reason, Instant::now());
                self.leaving.push(*server);
            }
            Some(Candidate::Preparing | Candidate::Waiting { .. }) | None => {}
        }
    }

    pub(in crate::supervise) fn answer_renewals(&mut self, reply: &Value) {
        for request in self.renew_requests.drain(..) {
            request.answer(reply.clone());
        }
    }

    pub(in crate::supervise) fn candidate_due(&mut self, now: Instant) {
        let name = &self.options.server;
        let error = match &self.candidate {
            Some(Candidate::Preparing) => {
                let late = now > self.cause.1 + PREPARE_LIMIT;
                if late && self.current.is_none() && self.trouble.is_none() {
                    let error = Error::new(
                        Code::StartTimeout,
                        format!("server `{name}` not started: its secrets did not come in time"),
                    )
                    .cause("the store has not answered, and the client does not wait longer")
                    .hint("`mcpwrap status` shows whether the store works");
                    self.suspend(error);
                }
                return;
            }
            Some(Candidate::Probation { server, deadline }) => {
                if let Some(status) = server
                    .status
                    .filter(|_| server.is_over(now, OUTPUT_PATIENCE))
                {
                    crashed(name, server, status, false)
                } else if now > *deadline {
                    Error::new(
                        Code::RenewFailed,
                        format!("server `{name}` not renewed: the new one does not answer"),
                    )
                    .cause(format!(
                        "no answer to the handshake within {} s",
                        HANDSHAKE_LIMIT.as_secs()
                    ))
                    .hint(format!("`mcpwrap renew {name}` tries again"))
                } else {
                    return;
                }
            }
            Some(Candidate::Ready { server, deadline }) => {
                if let Some(status) = server.status {
                    crashed(name, server, status, false)
                } else {
                    if now >= *deadline {
                        self.take_over();
                    }
                    return;
                }
            }
            Some(Candidate::Waiting { deadline, .. }) => {
                if now >= *deadline {
                    self.stop_first();
                }
                return;
            }
            None => return,
        };
        self.candidate_failed(error);
    }
}
