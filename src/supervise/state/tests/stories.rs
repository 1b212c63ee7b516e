//! Example sessions: starts, renewals, crashes.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::world::{ModelGate, ModelWorld};
use crate::error::{Code, EXIT_REFUSED};
use crate::policy::{Restart, SessionRules};
use crate::supervise::pipeline::{Fact, ServerExit};
use crate::supervise::request::ControlVerb;
use crate::supervise::state::{Action, KeeperEvent, ShutdownStep};

const MS: fn(u64) -> Duration = Duration::from_millis;

impl ModelWorld {
    /// The actions of the last event, in short form.
    fn told(&self) -> String {
        let name = |action: &Action| {
            let text = format!("{action:?}");
            text.split([' ', '(']).next().unwrap().to_owned()
        };
        self.actions.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn rotate(&mut self) {
        self.is_rotated = true;
        self.tell(KeeperEvent::Changed);
    }

    pub(super) fn files_say(&mut self, refusal: Option<Code>) {
        self.refusal = refusal;
        self.tell(KeeperEvent::Changed);
    }

    pub(super) fn greet(&mut self, generation: u32) {
        self.tell(KeeperEvent::HandshakeDone {
            generation,
            judgement: Ok(()),
        });
    }

    /// A renewal up to the drain.
    pub(super) fn renewed_until_drain(rules: SessionRules) -> Self {
        let mut world = Self::started(rules);
        world.client_asks();
        world.rotate();
        world.prepare(true);
        if world.processes.len() == 2 {
            world.greet(2);
            world.tell(KeeperEvent::Replayed { generation: 2 });
        }
        world
    }

    pub(super) fn suspensions(&self) -> Vec<Code> {
        let code = |fact: &Fact| match fact {
            Fact::Suspended(error) => Some(error.code),
            _ => None,
        };
        self.facts.iter().filter_map(code).collect()
    }

    fn stops(&self) -> Vec<ShutdownStep> {
        let step = |action: &Action| match action {
            Action::Stop { step, .. } => Some(*step),
            _ => None,
        };
        self.actions.iter().filter_map(step).collect()
    }
}

#[test]
fn the_grant_is_checked_before_the_record_and_before_the_launch() {
    let mut world = ModelWorld::new(false);
    world.tell(KeeperEvent::Start);
    assert_eq!(world.told(), "Prepare");
    world.prepare(true);
    let told = "CheckGrant RecordLaunch CheckGrant Launch TakeOver Flush";
    assert_eq!(world.told(), told);
    world.resend();
    assert_eq!(
        (world.told(), world.gate),
        ("OpenGate".to_owned(), ModelGate::Open(1))
    );
    assert_eq!(world.keeper.name(), "running");
    assert!(world.facts.is_empty(), "a start is no renewal");
}

#[test]
fn a_failed_start_suspends_the_session_until_a_server_may_run() {
    type Setup = fn(&mut ModelWorld);
    let setups: [(Setup, Code); 4] = [
        (
            |world| world.refusal = Some(Code::NotGranted),
            Code::NotGranted,
        ),
        (
            |world| world.refusals_later.push(Some(Code::Revoked)),
            Code::Revoked,
        ),
        (|world| world.does_record = false, Code::AuditUnwritable),
        (|world| world.does_launch = false, Code::LaunchFailed),
    ];
    for (set_up, code) in setups {
        let mut world = ModelWorld::new(false);
        world.tell(KeeperEvent::Start);
        set_up(&mut world);
        world.prepare(true);
        assert!(world.processes.is_empty(), "{code}");
        assert_eq!(world.suspensions(), [code]);
        assert_eq!(
            (world.gate, world.keeper.name()),
            (ModelGate::Answering, "suspended")
        );
        (world.does_record, world.does_launch) = (true, true);
        world.files_say(None);
        assert_eq!(world.told(), "LookAtFiles HoldGate Prepare");
        world.prepare(true);
        world.resend();
        assert!(matches!(world.gate, ModelGate::Open(_)), "{code}");
        assert!(matches!(
            &world.facts[1],
            Fact::Renewed { cause: "grant", .. }
        ));
    }
}

#[test]
fn a_slow_store_is_reported_to_the_client_and_still_waited_for() {
    let mut world = ModelWorld::new(false);
    world.tell(KeeperEvent::Start);
    world.wait(MS(7_499));
    assert_eq!(world.told(), "");
    world.wait(MS(1));
    assert_eq!(world.suspensions(), [Code::StartTimeout]);
    world.prepare(true);
    world.resend();
    assert_eq!(world.gate, ModelGate::Open(1));
}

#[test]
fn a_failed_start_on_a_terminal_exits_with_the_code_of_its_error() {
    let mut world = ModelWorld::new(true);
    world.tell(KeeperEvent::Start);
    world.prepare(false);
    assert_eq!(world.exit, Some(EXIT_REFUSED));
}

#[test]
fn a_renewal_takes_over_after_the_last_answer() {
    let mut world = ModelWorld::started(SessionRules::default());
    world.client_asks();
    world.rotate();
    assert_eq!(world.told(), "LookAtFiles Prepare");
    world.prepare(true);
    assert_eq!(world.keeper.name(), "renewing");
    world.greet(2);
    assert_eq!(world.told(), "Replay");
    world.tell(KeeperEvent::Replayed { generation: 2 });
    assert_eq!(world.gate, ModelGate::Draining(Some(1)));
    let held = world.client_asks();
    world.server_answers();
    world.drain();
    assert_eq!(world.told(), "TakeOver Record CloseStdin Flush");
    world.resend();
    assert_eq!((world.gate, world.holder), (ModelGate::Open(2), Some(2)));
    assert!(world.pending.contains(&held));
    world.wait(MS(1_000));
    assert_eq!(world.stops(), [ShutdownStep::Signal(Signal::SIGTERM)]);
    world.wait(MS(1_000));
    assert_eq!(world.stops(), [ShutdownStep::Kill]);
}

#[test]
fn an_unanswered_request_is_waited_for_ten_seconds() {
    let mut world = ModelWorld::renewed_until_drain(SessionRules::default());
    world.wait(MS(9_999));
    assert_eq!(world.holder, Some(1));
    world.wait(MS(1));
    assert_eq!(world.holder, Some(2));
}

#[test]
fn with_stop_first_the_new_server_is_launched_after_the_old_one_is_gone() {
    let mut world = ModelWorld::renewed_until_drain(ModelWorld::stop_first());
    assert_eq!(world.gate, ModelGate::Draining(Some(1)));
    world.server_answers();
    world.drain();
    assert_eq!(world.told(), "HoldGate CloseStdin");
    world.exit(1, ServerExit::Exited(0));
    world.vanish(1);
    assert_eq!(world.processes.len(), 1, "its output is not passed on yet");
    world.tell(KeeperEvent::StreamEnded { generation: 1 });
    world.tell(KeeperEvent::StreamEnded { generation: 1 });
    assert_eq!(
        world.told(),
        "Reap CheckGrant RecordLaunch CheckGrant Launch"
    );
}

#[test]
fn a_failed_candidate_is_ended_and_the_old_server_stays() {
    type Failure = fn(&mut ModelWorld);
    let failures: [Failure; 6] = [
        |world| {
            world.tell(KeeperEvent::HandshakeDone {
                generation: 2,
                judgement: Err("it is another".to_owned()),
            });
        },
        |world| world.wait(Duration::from_secs(30)),
        |world| world.crash(2, ServerExit::Exited(3)),
        |world| world.vanish(2),
        |world| world.tell(KeeperEvent::SecretInId { generation: 2 }),
        |world| world.tell(KeeperEvent::OutputEnded { generation: 2 }),
    ];
    for fails in failures {
        let mut world = ModelWorld::started(SessionRules::default());
        let request = world.ask(ControlVerb::Renew);
        world.prepare(true);
        fails(&mut world);
        world.wait(MS(1_500));
        world.vanish(2);
        world.wait(MS(500));
        assert_eq!((world.gate, world.holder), (ModelGate::Open(1), Some(1)));
        assert!(matches!(world.facts[..], [Fact::NotRenewed { .. }]));
        assert_eq!(world.replies[&request], 1);
        world.wait(Duration::from_secs(2));
        assert!(!world.processes[&2].has_stdin && world.processes[&1].has_stdin);
    }
}

#[test]
fn a_crashed_server_is_restarted_after_a_pause_that_doubles_four_times() {
    let mut world = ModelWorld::started(SessionRules::default());
    for (nth, pause) in (1..).zip([100, 200, 400, 800]) {
        world.client_asks();
        world.crash(nth, ServerExit::Exited(7));
        assert_eq!(world.gate, ModelGate::Answering);
        world.wait(MS(pause - 1));
        assert_eq!(world.told(), "");
        world.wait(MS(1));
        assert_eq!(world.told(), "HoldGate Prepare");
        world.prepare(true);
        world.greet(nth + 1);
        world.tell(KeeperEvent::Replayed {
            generation: nth + 1,
        });
        world.drain();
        world.resend();
        assert_eq!(world.gate, ModelGate::Open(nth + 1));
    }
    world.crash(5, ServerExit::Exited(7));
    assert_eq!(world.suspensions(), [Code::ServerExited; 5]);
    while world.until_due() {}
    assert_eq!(
        (world.gate, world.keeper.name()),
        (ModelGate::Answering, "suspended")
    );
    world.ask(ControlVerb::Renew);
    assert_eq!(world.told(), "Prepare");
}

#[test]
fn a_server_that_never_answered_is_not_restarted_automatically() {
    let mut world = ModelWorld::started(SessionRules::default());
    world.established = false;
    world.crash(1, ServerExit::Exited(7));
    assert_eq!(world.keeper.name(), "suspended");
    assert!(!world.until_due() || world.preparing.is_empty());
}

#[test]
fn a_session_ends_when_its_server_exits_normally() {
    let never = SessionRules {
        restart: Restart::Never,
        ..SessionRules::default()
    };
    for (rules, code) in [(SessionRules::default(), 0), (never, 7)] {
        let mut world = ModelWorld::started(rules);
        world.client_asks();
        world.crash(1, ServerExit::Exited(code));
        assert!(
            world.told().ends_with("AnswerAll FlushLast"),
            "{}",
            world.told()
        );
        assert_eq!(world.exit, None, "the client has not read it yet");
        world.tell(KeeperEvent::Flushed);
        assert_eq!(world.exit, Some(u8::try_from(code).unwrap()));
    }
}

#[test]
fn a_silent_client_gets_half_a_second_to_learn_of_the_exit() {
    let mut world = ModelWorld::new(false);
    world.established = false;
    world.tell(KeeperEvent::Start);
    world.prepare(true);
    world.resend();
    world.crash(1, ServerExit::Exited(0));
    world.wait(MS(499));
    assert_eq!((world.gate, world.exit), (ModelGate::Answering, None));
    world.wait(MS(1));
    assert_eq!(world.exit, Some(0));
}

#[test]
fn output_before_an_exit_is_waited_for_as_long_as_the_client_needs() {
    let mut world = ModelWorld::started(SessionRules::default());
    world.is_busy = true;
    world.exit(1, ServerExit::Exited(7));
    world.vanish(1);
    for _ in 0..100 {
        world.wait(MS(500));
        assert!(world.told().starts_with("LookAtOutput"));
    }
    world.is_busy = false;
    world.wait(MS(50));
    assert!(world.told().starts_with("LookAtOutput ExplainEnd Reap"));
}

#[test]
fn a_storm_of_rotations_causes_two_renewals() {
    let mut world = ModelWorld::started(SessionRules::default());
    world.rotate();
    world.prepare(true);
    world.greet(2);
    world.tell(KeeperEvent::Replayed { generation: 2 });
    world.drain();
    world.resend();
    for _ in 0..45 {
        world.wait(MS(100));
        world.rotate();
        assert!(world.preparing.is_empty());
    }
    world.wait(MS(500));
    assert_eq!(world.preparing.len(), 1, "five seconds after the first");
}

#[test]
fn a_rotation_during_a_renewal_causes_another_renewal() {
    let mut world = ModelWorld::renewed_until_drain(SessionRules::default());
    let request = world.ask(ControlVerb::Renew);
    world.server_answers();
    world.drain();
    assert_eq!(world.holder, Some(2));
    assert_eq!((world.preparing.len(), world.replies[&request]), (1, 0));
}

#[test]
fn a_check_is_answered_when_no_revoked_server_is_alive() {
    let mut world = ModelWorld::started(SessionRules::default());
    world.refusal = Some(Code::Revoked);
    let request = world.ask(ControlVerb::Check);
    assert_eq!(world.replies[&request], 0);
    world.wait(MS(6));
    world.crash(1, ServerExit::Died(9));
    assert_eq!(world.replies[&request], 1);
    assert_eq!(world.gate, ModelGate::Answering);
}

/// `revoke` kills before the grant says so; nothing may start in between.
#[test]
fn a_session_revoked_on_request_waits_for_the_files() {
    let mut world = ModelWorld::started(SessionRules::default());
    let request = world.ask(ControlVerb::Revoke);
    assert_eq!(world.gate, ModelGate::Answering);
    world.crash(1, ServerExit::Died(9));
    assert_eq!(world.replies[&request], 1);
    // The files still allow it.
    world.tell(KeeperEvent::Changed);
    world.rotate();
    let renewal = world.ask(ControlVerb::Renew);
    world.wait(MS(60_000));
    assert!(world.preparing.is_empty());
    assert_eq!(world.replies[&renewal], 1);
    assert_eq!(world.gate, ModelGate::Answering);
    // Withdrawn, then granted again.
    world.refusal = Some(Code::Revoked);
    world.tell(KeeperEvent::Changed);
    world.refusal = None;
    world.tell(KeeperEvent::Changed);
    assert_eq!(world.preparing.len(), 1);
}
