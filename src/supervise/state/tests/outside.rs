//! Events outside the keeper: the client, other commands, servers, time.

use std::collections::BTreeSet;
use std::time::Duration;

use super::process::ModelProcess;
use super::world::{ModelGate, ModelWorld, error};
use crate::error::Code;
use crate::policy::{Renew, SessionRules};
use crate::supervise::pipeline::ServerExit;
use crate::supervise::request::ControlVerb;
use crate::supervise::state::{Handshake, KeeperEvent};

impl ModelWorld {
    pub(super) fn started(rules: SessionRules) -> Self {
        let mut world = Self::new(false);
        world.rules = rules;
        world.tell(KeeperEvent::Start);
        world.tell(KeeperEvent::ClientSpoke);
        world.prepare(true);
        world.resend();
        assert_eq!(world.gate, ModelGate::Open(1));
        world.handshake = Handshake::Sent;
        world
    }

    /// The first preparation in progress ends.
    pub(super) fn prepare(&mut self, is_good: bool) {
        let Some(attempt) = self.preparing.pop_first() else {
            return;
        };
        let result = match self.refusal {
            Some(code) => Err(error(code)),
            None if is_good => Ok(self.rules),
            None => Err(error(Code::SecretNotFound)),
        };
        if result.is_ok() {
            self.prepared.insert(attempt);
        }
        self.tell(KeeperEvent::Prepared { attempt, result });
    }

    pub(super) fn resend(&mut self) {
        if !self.resending.is_empty() {
            let generation = self.resending.remove(0);
            self.tell(KeeperEvent::Resent { generation });
        }
    }

    pub(super) fn ask(&mut self, verb: ControlVerb) -> u32 {
        let request = u32::try_from(self.replies.len()).unwrap() + 1;
        if self.exit.is_none() {
            self.replies.insert(request, 0);
        }
        self.tell(KeeperEvent::Asked { request, verb });
        request
    }

    /// The client sends a request.
    pub(super) fn client_asks(&mut self) -> u32 {
        let request = u32::try_from(self.answers.len()).unwrap() + 1;
        self.answers.insert(request, 0);
        match self.gate {
            ModelGate::Open(_) => drop(self.pending.insert(request)),
            ModelGate::Answering => self.answer(BTreeSet::from([request])),
            _ => drop(self.waiting.insert(request)),
        }
        request
    }

    /// The current server answers all its requests, if it can.
    pub(super) fn server_answers(&mut self) {
        let lives = |one: &ModelProcess| !one.is_exited;
        if self
            .holder
            .and_then(|number| self.processes.get(&number))
            .is_some_and(lives)
            && self.gate != ModelGate::Answering
        {
            let all = std::mem::take(&mut self.pending);
            self.answer(all);
        }
    }

    pub(super) fn drain(&mut self) {
        if self.is_drain_awaited && self.pending.is_empty() {
            self.is_drain_awaited = false;
            if std::mem::take(&mut self.is_last_awaited) {
                self.stops_now();
            }
            self.tell(KeeperEvent::Drained);
        }
    }

    /// The client closes stdin after its last line was passed on, and reads on.
    pub(super) fn client_waits(&mut self) {
        self.tell(KeeperEvent::InputEnded);
        if matches!(self.gate, ModelGate::Open(_) | ModelGate::Answering) {
            let awaited = !self.pending.is_empty();
            self.tell(KeeperEvent::InputPassed { awaited });
        }
    }

    /// The limits of servers that had the time for their last answers begin now.
    pub(super) fn stops_now(&mut self) {
        let now = self.now;
        let stopped = self.processes.values_mut().filter(|one| !one.has_stdin);
        stopped.for_each(|one| one.stopped_at = Some(now));
    }

    /// The server's own process exits.
    pub(super) fn exit(&mut self, generation: u32, exit: ServerExit) {
        if let Some(process) = self.processes.get_mut(&generation)
            && !std::mem::replace(&mut process.is_exited, true)
        {
            self.tell(KeeperEvent::Exited { generation, exit });
        }
    }

    /// The rest of its process tree exits.
    pub(super) fn vanish(&mut self, generation: u32) {
        self.exit(generation, ServerExit::Died(9));
        if let Some(process) = self.processes.get_mut(&generation)
            && !std::mem::replace(&mut process.is_gone, true)
        {
            self.tell(KeeperEvent::Gone { generation });
        }
    }

    /// A server exits by itself, and all its output is passed on.
    pub(super) fn crash(&mut self, generation: u32, exit: ServerExit) {
        self.exit(generation, exit);
        self.vanish(generation);
        self.tell(KeeperEvent::StreamEnded { generation });
        self.tell(KeeperEvent::StreamEnded { generation });
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.tell(KeeperEvent::Tick);
    }

    pub(super) fn stop_first() -> SessionRules {
        SessionRules {
            renew: Renew::StopFirst,
            ..SessionRules::default()
        }
    }
}
