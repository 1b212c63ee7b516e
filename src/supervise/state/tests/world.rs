//! A model driver without processes: it answers the keeper's questions, tracks the effect of the
//! actions, and fails if one violates a property.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::process::ModelProcess;
use crate::error::{Code, Error};
use crate::policy::SessionRules;
use crate::secret::ServerName;
use crate::supervise::pipeline::Fact;
use crate::supervise::request::ControlVerb;
use crate::supervise::state::{
    Action, Handshake, KeeperEvent, KeeperState, ServerEnd, ShutdownStep,
};

/// The longest time that a server may live after it was told to end.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// Where the client's lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelGate {
    Open(u32),
    Held,
    Draining(Option<u32>),
    Answering,
    Closed,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a made-up world"
)]
#[derive(Debug)]
pub(super) struct ModelWorld {
    pub keeper: KeeperState,
    pub now: Instant,
    /// What the files say: the code of the refusal, if any.
    pub refusal: Option<Code>,
    /// What the files say after each of the next checks of a launch.
    pub refusals_later: Vec<Option<Code>>,
    /// The values of the current server differ from the store.
    pub is_rotated: bool,
    pub does_record: bool,
    pub does_launch: bool,
    pub handshake: Handshake,
    pub established: bool,
    pub is_busy: bool,
    /// What a preparation waits for.
    pub waits_for: Option<Code>,
    pub rules: SessionRules,
    pub preparing: BTreeSet<u32>,
    /// Preparations that the driver keeps.
    pub prepared: BTreeSet<u32>,
    pub processes: BTreeMap<u32, ModelProcess>,
    pub gate: ModelGate,
    /// The server that has the session.
    pub holder: Option<u32>,
    /// Requests of the client: with a server, and waiting for one.
    pub pending: BTreeSet<u32>,
    pub waiting: BTreeSet<u32>,
    pub answers: BTreeMap<u32, u32>,
    pub is_drain_awaited: bool,
    /// The client closed stdin and waits for its last answers.
    pub is_last_awaited: bool,
    /// Servers whose repeated requests are still being written.
    pub resending: Vec<u32>,
    pub is_flushing: bool,
    /// Requests of other commands, and how often each was answered.
    pub replies: BTreeMap<u32, u32>,
    /// The recorded launch, and whether the grant was checked since.
    recorded: Option<u32>,
    is_checked: bool,
    /// The last preparation that began before the keeper learned of a revocation.
    revoked_attempts: u32,
    attempts: u32,
    pub facts: Vec<Fact>,
    pub exit: Option<u8>,
    /// The actions of the last event and of the answers to its questions.
    pub actions: Vec<Action>,
}

pub(super) fn error(code: Code) -> Error {
    Error::new(code, "server `x` refused")
}

impl ModelWorld {
    pub(super) fn new(on_terminal: bool) -> Self {
        Self {
            keeper: KeeperState::new(ServerName::new("x").unwrap(), on_terminal),
            now: Instant::now(),
            refusal: None,
            refusals_later: Vec::new(),
            is_rotated: false,
            does_record: true,
            does_launch: true,
            handshake: Handshake::NotNeeded,
            established: true,
            is_busy: false,
            waits_for: None,
            rules: SessionRules::default(),
            preparing: BTreeSet::new(),
            prepared: BTreeSet::new(),
            processes: BTreeMap::new(),
            gate: ModelGate::Held,
            holder: None,
            pending: BTreeSet::new(),
            waiting: BTreeSet::new(),
            answers: BTreeMap::new(),
            is_drain_awaited: false,
            is_last_awaited: false,
            resending: Vec::new(),
            is_flushing: false,
            replies: BTreeMap::new(),
            recorded: None,
            is_checked: false,
            revoked_attempts: 0,
            attempts: 0,
            facts: Vec::new(),
            exit: None,
            actions: Vec::new(),
        }
    }

    /// Passes an event to the keeper, answers its questions and then handles due timers, like the
    /// driver.
    pub(super) fn tell(&mut self, event: KeeperEvent) {
        self.actions.clear();
        self.step(event);
        let is_due = |one: &Self| one.keeper.next_due().is_some_and(|at| at <= one.now);
        let mut turns = 0;
        self.step(KeeperEvent::Tick);
        while is_due(self) {
            // The answer to a question is the next event.
            turns += 1;
            assert!(turns < 100, "due timers are not handled");
            self.step(KeeperEvent::Tick);
        }
        self.check_servers();
    }

    fn step(&mut self, event: KeeperEvent) {
        let mut events = vec![event];
        while !events.is_empty() {
            let event = events.remove(0);
            let revokes = self.exit.is_none()
                && match &event {
                    KeeperEvent::FilesSeen {
                        grant: Err(error), ..
                    } => error.code == Code::Revoked,
                    KeeperEvent::Asked { verb, .. } => *verb == ControlVerb::Revoke,
                    _ => false,
                };
            let actions = self.keeper.step(self.now, event);
            assert!(
                self.exit.is_none() || actions.is_empty(),
                "after the exit: {actions:?}"
            );
            if revokes {
                self.revoked_attempts = self.attempts;
                let kills = |action: &Action| {
                    matches!(
                        action,
                        Action::Stop {
                            step: ShutdownStep::Kill,
                            ..
                        }
                    )
                };
                let first_record = actions
                    .iter()
                    .position(|one| matches!(one, Action::Record(_)));
                let last_kill = actions.iter().rposition(kills);
                assert!(
                    last_kill <= first_record || first_record.is_none(),
                    "killed first"
                );
            }
            for action in actions {
                self.actions.push(action.clone());
                events.extend(self.act(action));
            }
            if revokes {
                let spared = |one: &&ModelProcess| !one.is_killed && !one.is_gone;
                let spared = self.processes.values().find(spared);
                assert!(spared.is_none(), "spared by a revocation: {spared:?}");
            }
        }
    }

    /// The properties that hold after every event.
    fn check_servers(&self) {
        for (number, one) in &self.processes {
            let lost_session = one.had_session && self.holder != Some(*number);
            assert!(
                !(lost_session && one.has_stdin),
                "server {number} lost the session and goes on"
            );
            let is_late = !self.is_last_awaited
                && one.stopped_at.is_some_and(|at| self.now > at + KILL_LIMIT);
            assert!(
                !is_late || one.is_killed || one.is_gone,
                "server {number} was never killed"
            );
        }
        let open = self.processes.values().filter(|one| one.has_stdin).count();
        assert!(open <= 2, "{open} servers go on");
    }

    fn grant(&mut self) -> crate::error::Result<()> {
        self.refusal.map_or(Ok(()), |code| Err(error(code)))
    }

    pub(super) fn answer(&mut self, requests: BTreeSet<u32>) {
        for request in requests {
            *self.answers.entry(request).or_default() += 1;
        }
    }

    fn explain_end(&mut self, generation: u32) -> KeeperEvent {
        assert!(self.process(generation).is_exited);
        let end = ServerEnd {
            grant: self.grant(),
            established: self.established,
            awaited: !self.pending.is_empty(),
            last_lines: Vec::new(),
            ignored: Vec::new(),
        };
        KeeperEvent::EndExplained { generation, end }
    }

    fn act(&mut self, action: Action) -> Option<KeeperEvent> {
        match action {
            Action::Prepare { attempt, .. } => {
                self.attempts = attempt;
                self.preparing.insert(attempt);
            }
            Action::DropPrepared { attempt } => {
                self.prepared.remove(&attempt);
            }
            Action::CheckGrant { generation } => {
                let result = self.grant();
                self.is_checked = result.is_ok();
                self.refusal = self.refusals_later.pop().unwrap_or(self.refusal);
                return Some(KeeperEvent::GrantChecked { generation, result });
            }
            Action::RecordLaunch {
                attempt,
                generation,
            } => {
                assert!(self.prepared.contains(&attempt) && self.is_checked);
                self.is_checked = false;
                self.recorded = self.does_record.then_some(generation);
                let result = if self.does_record {
                    Ok(())
                } else {
                    Err(error(Code::AuditUnwritable))
                };
                return Some(KeeperEvent::LaunchRecorded { generation, result });
            }
            Action::Launch {
                attempt,
                generation,
            } => {
                return Some(self.launch(attempt, generation));
            }
            Action::Replay { generation } => {
                self.process(generation);
            }
            Action::Abandon { generation } => {
                assert!(!self.process(generation).had_session);
            }
            Action::LookAtFiles { generation } => {
                let grant = self.grant();
                let outdated = generation.filter(|_| grant.is_ok() && self.is_rotated);
                return Some(KeeperEvent::FilesSeen {
                    grant,
                    outdated,
                    updating: false,
                });
            }
            Action::LookAtOutput { generation } => {
                let is_busy = self.is_busy;
                return Some(KeeperEvent::OutputSeen {
                    generation,
                    is_busy,
                });
            }
            Action::LookAtPreparation { attempt } => {
                let waits_for = self.waits_for.map(error);
                return Some(KeeperEvent::PreparationSeen { attempt, waits_for });
            }
            Action::ExplainEnd { generation } => return Some(self.explain_end(generation)),
            action => self.act_on_session(action),
        }
        None
    }

    fn launch(&mut self, attempt: u32, generation: u32) -> KeeperEvent {
        assert!(
            self.prepared.remove(&attempt),
            "launched without a preparation"
        );
        assert_eq!(self.recorded, Some(generation), "launched without a record");
        assert!(self.is_checked, "launched without a grant");
        assert!(
            attempt > self.revoked_attempts,
            "launched a preparation from before a revocation"
        );
        if !self.does_launch {
            let result = Err(error(Code::LaunchFailed));
            return KeeperEvent::Launched { generation, result };
        }
        self.processes.insert(generation, ModelProcess::new());
        self.is_rotated = false;
        let result = Ok(self.handshake);
        KeeperEvent::Launched { generation, result }
    }

    fn act_on_session(&mut self, action: Action) {
        match action {
            Action::HoldGate => self.gate = ModelGate::Held,
            Action::CloseGate => self.gate = ModelGate::Closed,
            Action::OpenGate { generation } => {
                assert_eq!(
                    self.holder,
                    Some(generation),
                    "open to a server without the session"
                );
                assert!(self.process(generation).has_stdin);
                self.gate = ModelGate::Open(generation);
                self.is_drain_awaited = false;
                self.pending.append(&mut self.waiting);
            }
            Action::Drain { generation } => {
                assert!(generation.is_none() || generation == self.holder);
                self.gate = ModelGate::Draining(generation);
                self.is_drain_awaited = true;
            }
            Action::AwaitAnswers => {
                self.is_drain_awaited = true;
                self.is_last_awaited = true;
            }
            Action::TakeOver { generation } => {
                assert!(
                    self.process(generation).has_stdin,
                    "the session for one that ends"
                );
                assert!(!self.process(generation).had_session);
                self.process(generation).had_session = true;
                self.holder = Some(generation);
                self.resending.push(generation);
                self.is_drain_awaited = false;
                self.gate = ModelGate::Held;
            }
            Action::AnswerAll { .. } => {
                self.gate = ModelGate::Answering;
                self.is_drain_awaited = false;
                self.pending.append(&mut self.waiting);
                let all = std::mem::take(&mut self.pending);
                self.answer(all);
            }
            Action::FlushLast => self.is_flushing = true,
            Action::Record(fact) => self.facts.push(fact),
            Action::Reply { request, .. } => {
                let replies = self.replies.get_mut(&request).expect("a request");
                *replies += 1;
                assert_eq!(*replies, 1, "request {request} was answered twice");
            }
            Action::Exit(code) => {
                assert!(
                    self.processes.values().all(|one| one.is_reaped),
                    "something is alive"
                );
                self.exit = Some(code);
            }
            action => self.act_on_process(&action),
        }
    }
}
