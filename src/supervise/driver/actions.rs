//! Executes the actions of the keeper.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Driver;
use crate::error::Error;
use crate::session::answer::Unavailable;
use crate::supervise::bridge::BridgeLink;
use crate::supervise::pipeline::{Fact, ServerExit};
use crate::supervise::shared::{Gate, spawn_detached};
use crate::supervise::state::{Action, KeeperEvent, ServerEnd, StandIn};
use crate::sys::memory;

impl Driver {
    /// Executes one action; returns the answer, if it is a question.
    pub(super) fn act(&mut self, now: Instant, action: Action) -> Option<KeeperEvent> {
        match action {
            Action::Prepare { attempt, is_fresh } => return self.prepare(attempt, is_fresh),
            Action::CheckGrant { generation } => {
                let result = self.pipeline.may_run();
                return Some(KeeperEvent::GrantChecked { generation, result });
            }
            Action::RecordLaunch {
                attempt,
                generation,
            } => {
                let result = self.record_launch(attempt, generation);
                return Some(KeeperEvent::LaunchRecorded { generation, result });
            }
            Action::Launch {
                attempt,
                generation,
            } => {
                let result = self.launch(attempt, generation);
                return Some(KeeperEvent::Launched { generation, result });
            }
            Action::Replay { generation } => return self.replay(generation),
            Action::TakeOver { generation } => return self.take_over(now, generation),
            Action::LookAtOutput { generation } => {
                let is_busy = self.generation(generation)?.is_busy();
                return Some(KeeperEvent::OutputSeen {
                    generation,
                    is_busy,
                });
            }
            Action::LookAtPreparation { attempt } => {
                // It may take minutes.
                self.end_waiting(attempt);
                let waits_for = self.pipeline.waits_for();
                return Some(KeeperEvent::PreparationSeen { attempt, waits_for });
            }
            Action::ExplainEnd { generation } => {
                let end = self.explain_end(generation);
                return Some(KeeperEvent::EndExplained { generation, end });
            }
            Action::LookAtFiles { generation } => return Some(self.look_at_files(generation)),
            action => self.act_without_answer(action),
        }
        None
    }

    fn act_without_answer(&mut self, action: Action) {
        match action {
            Action::DropPrepared { attempt } => self.drop_prepared(attempt),
            Action::Abandon { generation } => {
                let mut inner = self.shared.lock();
                inner.session.abandon(generation);
                inner.held.remove(&generation);
            }
            Action::HoldGate => self.shared.set_gate(Gate::Held),
            Action::CloseGate => self.shared.set_gate(Gate::Closed),
            Action::OpenGate { generation } => {
                let stdin = self
                    .generation(generation)
                    .and_then(|one| one.stdin.clone());
                if let Some(stdin) = stdin {
                    self.shared.open_gate(stdin);
                }
            }
            Action::Drain { generation } => self.drain(generation),
            Action::AwaitAnswers => self.await_answers(),
            Action::AnswerAll { error, stand_in } => self.answer_all(&error, stand_in),
            Action::ForgetQuestions => self.shared.lock().session.forget_asked(),
            Action::Flush => {
                let shared = Arc::clone(&self.shared);
                spawn_detached(move || shared.flush());
            }
            Action::FlushLast => {
                let shared = Arc::clone(&self.shared);
                spawn_detached(move || {
                    shared.flush();
                    shared.post_event(KeeperEvent::Flushed);
                });
            }
            Action::CloseStdin { generation } => {
                if let Some(server) = self.generation_mut(generation) {
                    server.stdin = None;
                }
            }
            Action::Stop { generation, step } => {
                if let Some(server) = self.generation(generation) {
                    server.stop(step);
                }
            }
            Action::Forward { generation, signal } => {
                if let Some(server) = self.generation(generation) {
                    server.forward(signal);
                }
            }
            Action::Reap {
                generation,
                exit,
                ran,
            } => self.reap(generation, exit, ran),
            Action::Record(fact) => {
                self.note_trouble(&fact);
                self.pipeline.record(&fact);
            }
            Action::Reply { request, reply } => self.reply(request, reply),
            Action::Trim => memory::drop_code_pages(),
            Action::Exit(code) => self.exit_code = Some(code),
            // Handled by `act`.
            Action::Prepare { .. }
            | Action::CheckGrant { .. }
            | Action::RecordLaunch { .. }
            | Action::Launch { .. }
            | Action::Replay { .. }
            | Action::TakeOver { .. }
            | Action::LookAtOutput { .. }
            | Action::LookAtPreparation { .. }
            | Action::ExplainEnd { .. }
            | Action::LookAtFiles { .. } => {}
        }
    }

    fn drain(&self, generation: Option<u32>) {
        let server = generation.and_then(|number| self.generation(number));
        let stdin = server.and_then(|server| server.stdin.clone());
        self.shared
            .set_gate(stdin.map_or(Gate::Held, Gate::Draining));
        self.await_answers();
    }

    fn await_answers(&self) {
        let mut inner = self.shared.lock();
        inner.draining = true;
        // Posted as an event, like the end of a longer drain.
        inner.note_drained();
        drop(inner);
        self.shared.wake();
    }

    /// Gives the session to a server in one step; later lines go to the new server.
    fn take_over(&self, now: Instant, generation: u32) -> Option<KeeperEvent> {
        let to_server = {
            let mut inner = self.shared.lock();
            inner.draining = false;
            let held = inner.held.remove(&generation).unwrap_or_default();
            let takeover = inner.session.take_over(generation, &self.label.server, now);
            inner.outbox.extend(takeover.to_client);
            inner.outbox.extend(held);
            inner.gate = Gate::Held;
            takeover.to_server
        };
        let is_written = self.generation(generation)?.write(to_server, &self.shared);
        is_written.then_some(KeeperEvent::Resent { generation })
    }

    fn answer_all(&self, error: &Error, stand_in: StandIn) {
        let trouble = Unavailable::new(&self.label.server, error);
        let stub = stand_in == StandIn::Allowed && self.pipeline.has_stub();
        let links = self
            .generations
            .iter()
            .filter_map(|one| one.bridge.as_ref());
        let refused = links.flat_map(BridgeLink::refused).cloned().collect();
        self.shared.fail(trouble, stub, &refused);
    }

    fn explain_end(&self, generation: u32) -> ServerEnd {
        let grant = self.pipeline.may_run();
        let ignored = self.pipeline.ignored_settings();
        let inner = self.shared.lock();
        ServerEnd {
            grant,
            established: inner.session.is_established(),
            awaited: inner.session.has_open_requests(),
            last_lines: self
                .generation(generation)
                .map(|server| server.tail.lines())
                .unwrap_or_default(),
            ignored,
        }
    }

    fn look_at_files(&mut self, generation: Option<u32>) -> KeeperEvent {
        let grant = self.pipeline.may_run();
        let server = generation.and_then(|number| self.generation(number));
        let outdated = server
            .filter(|server| grant.is_ok() && self.pipeline.is_outdated(&server.injected))
            .map(|server| server.number);
        // A bridge gets its new credentials while it runs. Once they are being fetched, nothing is outdated,
        // but it does not have them yet.
        let updating = match outdated {
            Some(number) => self.refresh(number, None),
            None => generation.is_some_and(|number| self.is_refreshing(number)),
        };
        KeeperEvent::FilesSeen {
            grant,
            outdated: outdated.filter(|_| !updating),
            updating,
        }
    }

    fn reap(&mut self, generation: u32, exit: ServerExit, ran: Duration) {
        self.shared.lock().held.remove(&generation);
        let is_it = |server: &mut super::Generation| server.number == generation;
        for server in self.generations.extract_if(.., is_it).collect::<Vec<_>>() {
            let client = self.shared.lock().session.client().clone();
            self.pipeline.record(&Fact::Exited {
                generation,
                pid: server.pid,
                status: exit,
                ran,
                client,
            });
            self.keep_masking(&server);
            server.reap_guard();
        }
        self.update_masker();
    }
}
