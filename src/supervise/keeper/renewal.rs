//! A new server on its way behind the session: prepared, launched, tried, put in place.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::ending::{crashed, refused};
use super::{Candidate, DRAIN_LIMIT, HANDSHAKE_LIMIT, Keeper, OUTPUT_PATIENCE, PREPARE_LIMIT};
use crate::error::{Code, Error, Result};
use crate::launch::{self, Command};
use crate::policy::Renew;
use crate::supervise::generation::Generation;
use crate::supervise::shared::{Event, Gate};
use crate::supervise::shutdown::Reason;
use crate::supervise::{Fact, Prepared};

impl Keeper {
    /// Begins to prepare a server; the result comes as an event.
    pub(in crate::supervise) fn start(&mut self, cause: &'static str) {
        if self.ending.is_some() {
            return;
        }
        if self.candidate.is_some() {
            self.renew_again = true;
            return;
        }
        self.candidate = Some(Candidate::Preparing);
        self.cause = (cause, Instant::now());
        self.restart_at = None;
        if self.current.is_some() {
            self.renewed_at = Some(Instant::now());
        }
        self.attempt += 1;
        let attempt = self.attempt;
        let (pipeline, shared) = (Arc::clone(&self.pipeline), Arc::clone(&self.shared));
        let prepare = move || {
            let result = pipeline.prepare().map(Box::new);
            shared.post_event(Event::Prepared { attempt, result });
        };
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

    /// Record, launch, begin the handshake. The grant is looked at once more before each of the two:
    /// whoever keeps the audit log locked can hold us up in between.
    pub(in crate::supervise) fn launch(&mut self, prepared: Prepared) {
        self.counter += 1;
        let number = self.counter;
        let client = self.shared.lock().session.client().clone();
        let server = self
            .pipeline
            .standing()
            .and_then(|()| self.pipeline.record_launch(&prepared, number, &client))
            .and_then(|()| self.pipeline.standing())
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
        self.update_masker(prepared.env.values());
        self.shared.lock().session.nominate(number);
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
            server.write(line, &self.shared);
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
        server.write(lines, &self.shared);
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

    /// The candidate is given up; the current server, if there is one, stays.
    pub(in crate::supervise) fn candidate_failed(&mut self, error: Error) {
        self.drop_candidate(Reason::Renewed);
        let (cause, _) = self.cause;
        self.answer_renewals(&refused(&error));
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
        self.renew_again(Instant::now());
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
                    .filter(|_| server.is_over(now, OUTPUT_PATIENCE, false))
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
