//! The properties of the keeper under any order of events:
//! after the exit nothing more; a revoked session never launches; every request is answered exactly
//! once; at most one server has the session; no timer is lost. The world checks each at every step;
//! what can only be seen at the end is checked here.

use std::time::Duration;

use nix::sys::signal::Signal;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use super::process::ModelProcess;
use super::world::{ModelGate, ModelWorld, error};
use crate::error::Code;
use crate::policy::{Renew, Restart, SessionRules};
use crate::supervise::pipeline::ServerExit;
use crate::supervise::request::ControlVerb;
use crate::supervise::state::{Handshake, KeeperEvent};

#[derive(Clone, Debug)]
enum Happening {
    ClientSpeaks,
    ClientAsks,
    InputEnds,
    ClientWaits,
    ClientLeaves,
    Signal(Signal),
    /// What the files say changes; the watch reports it now or later.
    Files(Option<Code>, bool),
    /// What the files say changes after the next check of a launch.
    FilesAfterCheck(Option<Code>),
    Rotation,
    Asked(ControlVerb),
    Prepared(bool),
    /// Whether launches from now on are recorded, succeed, and need a handshake.
    Launches(bool, bool, bool),
    Handshake(bool),
    Replayed,
    ServerAnswers,
    Drained,
    Resent,
    /// An event of the n-th newest server.
    OfServer(u32, OfServer),
    Established(bool),
    Busy(bool),
    Flushed,
    Wait(u64),
    UntilDue,
}

#[derive(Clone, Debug)]
enum OfServer {
    Exit(i32),
    Vanish,
    /// Its whole process tree exits and all its output is passed on.
    Crash(i32),
    StreamEnds,
    OutputEnds,
    SecretInId,
}

fn refusal() -> impl Strategy<Value = Option<Code>> {
    prop_oneof![
        3 => Just(None),
        2 => Just(Some(Code::Revoked)),
        1 => Just(Some(Code::PolicyNotFound)),
        1 => Just(Some(Code::PolicyChanged)),
    ]
}

fn verb() -> impl Strategy<Value = ControlVerb> {
    prop_oneof![
        1 => Just(ControlVerb::Status),
        1 => Just(ControlVerb::Check),
        2 => Just(ControlVerb::Renew),
        1 => Just(ControlVerb::Update),
        1 => Just(ControlVerb::Revoke),
    ]
}

fn of_a_server() -> impl Strategy<Value = Happening> {
    let one = prop_oneof![
        1 => (0..2).prop_map(OfServer::Exit),
        2 => Just(OfServer::Vanish),
        2 => (0..2).prop_map(OfServer::Crash),
        1 => Just(OfServer::StreamEnds),
        1 => Just(OfServer::OutputEnds),
        1 => Just(OfServer::SecretInId),
    ];
    (0_u32..3, one).prop_map(|(n, one)| Happening::OfServer(n, one))
}

fn happening() -> impl Strategy<Value = Happening> {
    let signal = prop_oneof![
        Just(Signal::SIGUSR1),
        Just(Signal::SIGTERM),
        Just(Signal::SIGINT)
    ];
    prop_oneof![
        2 => Just(Happening::ClientSpeaks),
        4 => Just(Happening::ClientAsks),
        1 => Just(Happening::InputEnds),
        1 => Just(Happening::ClientWaits),
        1 => Just(Happening::ClientLeaves),
        1 => signal.prop_map(Happening::Signal),
        3 => (refusal(), any::<bool>()).prop_map(|(code, told)| Happening::Files(code, told)),
        1 => refusal().prop_map(Happening::FilesAfterCheck),
        3 => Just(Happening::Rotation),
        5 => verb().prop_map(Happening::Asked),
        9 => (0..5).prop_map(|n| Happening::Prepared(n > 0)),
        2 => (0..5, 0..5, 0..3).prop_map(|(r, l, h)| Happening::Launches(r > 0, l > 0, h > 0)),
        6 => (0..5).prop_map(|n| Happening::Handshake(n > 0)),
        5 => Just(Happening::Replayed),
        3 => Just(Happening::ServerAnswers),
        5 => Just(Happening::Drained),
        5 => Just(Happening::Resent),
        7 => of_a_server(),
        1 => any::<bool>().prop_map(Happening::Established),
        1 => any::<bool>().prop_map(Happening::Busy),
        1 => Just(Happening::Flushed),
        4 => (0_u64..12_000).prop_map(Happening::Wait),
        4 => Just(Happening::UntilDue),
    ]
}

impl ModelWorld {
    /// The n-th newest server.
    fn nth(&self, n: u32) -> Option<u32> {
        self.processes
            .keys()
            .rev()
            .nth(usize::try_from(n).unwrap())
            .copied()
    }

    fn happens(&mut self, happening: &Happening) {
        let newest = self.nth(0).unwrap_or(0);
        match *happening {
            Happening::ClientSpeaks => self.tell(KeeperEvent::ClientSpoke),
            Happening::ClientAsks => {
                self.client_asks();
            }
            Happening::InputEnds => self.tell(KeeperEvent::InputEnded),
            Happening::ClientWaits => self.client_waits(),
            Happening::ClientLeaves => self.client_leaves(),
            Happening::Signal(signal) => self.tell(KeeperEvent::Signalled(signal)),
            Happening::Files(code, is_told) => {
                self.refusal = code;
                if is_told {
                    self.tell(KeeperEvent::Changed);
                }
            }
            Happening::FilesAfterCheck(code) => self.refusals_later.push(code),
            Happening::Rotation => {
                self.is_rotated = true;
                self.tell(KeeperEvent::Changed);
            }
            Happening::Asked(verb) => {
                self.ask(verb);
            }
            Happening::Prepared(is_good) => self.prepare(is_good),
            Happening::Launches(does_record, does_launch, needs_handshake) => {
                self.does_record = does_record;
                self.does_launch = does_launch;
                self.handshake = if needs_handshake {
                    Handshake::Sent
                } else {
                    Handshake::NotNeeded
                };
            }
            Happening::Handshake(is_good) => self.tell(KeeperEvent::HandshakeDone {
                generation: newest,
                judgement: if is_good {
                    Ok(())
                } else {
                    Err("it is another".to_owned())
                },
            }),
            Happening::Replayed => self.tell(KeeperEvent::Replayed { generation: newest }),
            Happening::ServerAnswers => self.server_answers(),
            Happening::Drained => self.drain(),
            Happening::Resent => self.resend(),
            Happening::OfServer(n, ref one) => self.happens_to(self.nth(n).unwrap_or(0), one),
            Happening::Established(established) => self.established = established,
            Happening::Busy(is_busy) => self.is_busy = is_busy,
            Happening::Flushed => self.flushed(),
            Happening::Wait(ms) => self.wait(Duration::from_millis(ms)),
            Happening::UntilDue => {
                self.until_due();
            }
        }
    }

    fn happens_to(&mut self, generation: u32, one: &OfServer) {
        match *one {
            OfServer::Exit(code) => self.exit(generation, ServerExit::Exited(code)),
            OfServer::Vanish => self.vanish(generation),
            OfServer::Crash(code) => self.crash(generation, ServerExit::Exited(code)),
            OfServer::StreamEnds => self.tell(KeeperEvent::StreamEnded { generation }),
            OfServer::OutputEnds => self.tell(KeeperEvent::OutputEnded { generation }),
            OfServer::SecretInId => self.tell(KeeperEvent::SecretInId { generation }),
        }
    }

    pub(super) fn client_leaves(&mut self) {
        self.tell(KeeperEvent::InputEnded);
        if std::mem::take(&mut self.is_last_awaited) {
            self.stops_now();
        }
        self.tell(KeeperEvent::ClientGone);
    }

    fn flushed(&mut self) {
        if std::mem::take(&mut self.is_flushing) {
            self.tell(KeeperEvent::Flushed);
        }
    }

    /// Time passes until the next timer of the keeper.
    pub(super) fn until_due(&mut self) -> bool {
        let Some(due) = self.keeper.next_due() else {
            return false;
        };
        self.now = self.now.max(due);
        self.tell(KeeperEvent::Tick);
        true
    }

    /// No more outside events, except time and what the kernel and our threads do anyway. In the
    /// end preparations fail.
    pub(super) fn comes_to_rest(&mut self) {
        self.is_busy = false;
        self.refusals_later.clear();
        for _ in 0..10_000 {
            // The guard kills the remaining processes of its server.
            let dies = |one: &ModelProcess| (one.is_killed || one.is_exited) && !one.is_gone;
            let killed = self.processes.iter().find(|(_, one)| dies(one));
            let killed = killed.map(|(number, _)| *number);
            if let Some(generation) = killed {
                self.vanish(generation);
            }
            let is_under_way = killed.is_some() || self.is_flushing || !self.resending.is_empty();
            self.flushed();
            self.resend();
            if !is_under_way && !self.until_due() {
                let Some(attempt) = self.preparing.pop_first() else {
                    return;
                };
                let result = Err(error(Code::SecretNotFound));
                self.tell(KeeperEvent::Prepared { attempt, result });
            }
        }
        panic!("it does not come to rest");
    }

    /// The conditions that must hold when nothing is in progress.
    fn check_rest(&mut self) {
        self.server_answers();
        let open: Vec<_> = self
            .replies
            .iter()
            .filter(|(_, count)| **count != 1)
            .collect();
        assert!(open.is_empty(), "requests of other commands: {open:?}");
        if self.exit.is_some() || self.gate == ModelGate::Closed {
            return;
        }
        match self.gate {
            ModelGate::Answering => {}
            ModelGate::Open(number) if self.processes[&number].has_stdin => {}
            gate => panic!("the client is kept waiting: {gate:?}"),
        }
        let mut open = self.answers.iter().filter(|(_, count)| **count != 1);
        assert_eq!(open.next(), None, "a request of the client");
    }
}

fn rules() -> impl Strategy<Value = SessionRules> {
    let renew = prop_oneof![
        3 => Just(Renew::Overlap),
        2 => Just(Renew::StopFirst),
        1 => Just(Renew::Manual),
    ];
    let restart = prop_oneof![4 => Just(Restart::default()), 1 => Just(Restart::Never)];
    (renew, restart).prop_map(|(renew, restart)| SessionRules {
        renew,
        restart,
        ..SessionRules::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_whatever_happens(
        rules in rules(),
        is_started in 0..4,
        on_terminal in 0..8,
        before in proptest::collection::vec(happening(), 0..60),
        after in proptest::collection::vec(happening(), 0..10),
    ) {
        let mut world = if is_started > 0 {
            ModelWorld::started(rules)
        } else {
            let mut world = ModelWorld::new(on_terminal == 0);
            world.rules = rules;
            world.tell(KeeperEvent::Start);
            world
        };
        for happening in &before {
            world.happens(happening);
        }
        world.comes_to_rest();
        world.check_rest();
        world.client_leaves();
        world.comes_to_rest();
        world.check_rest();
        assert!(world.exit.is_some(), "the client left, and it goes on");
        for happening in &after {
            world.happens(happening);
        }
    }
}
