//! A revocation, a disconnect and a signal, each in every phase of a session.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::world::{ModelGate, ModelWorld};
use crate::error::{Code, EXIT_REFUSED};
use crate::policy::SessionRules;
use crate::supervise::pipeline::{Fact, ServerExit};
use crate::supervise::request::ControlVerb;
use crate::supervise::state::KeeperEvent;

/// A session in each of its phases, with the exit code if the client disconnects now.
fn phases() -> Vec<(&'static str, ModelWorld, u8)> {
    let rules = SessionRules::default();
    let mut preparing = ModelWorld::new(false);
    preparing.tell(KeeperEvent::Start);
    let mut renewing = ModelWorld::started(rules);
    renewing.rotate();
    let mut probation = ModelWorld::started(rules);
    probation.rotate();
    probation.prepare(true);
    let mut crashed = ModelWorld::started(rules);
    crashed.crash(1, ServerExit::Exited(7));
    let mut restarting = ModelWorld::started(rules);
    restarting.crash(1, ServerExit::Exited(7));
    restarting.wait(Duration::from_millis(100));
    restarting.prepare(true);
    let mut replaced = ModelWorld::renewed_until_drain(rules);
    replaced.server_answers();
    replaced.drain();
    replaced.resend();
    let mut stopping = ModelWorld::renewed_until_drain(ModelWorld::stop_first());
    stopping.server_answers();
    stopping.drain();
    let killed = 128 + 9;
    vec![
        ("preparing", preparing, EXIT_REFUSED),
        ("running", ModelWorld::started(rules), killed),
        ("renewing", renewing, killed),
        ("probation", probation, killed),
        ("draining", ModelWorld::renewed_until_drain(rules), killed),
        (
            "waiting",
            ModelWorld::renewed_until_drain(ModelWorld::stop_first()),
            killed,
        ),
        ("stopping", stopping, 0),
        ("replaced", replaced, killed),
        ("crashed", crashed, 7),
        ("restarting", restarting, 7),
    ]
}

#[test]
fn a_revocation_kills_servers_and_keeps_the_session() {
    for (phase, mut world, _) in phases() {
        let request = world.client_asks();
        let renewal = world.ask(ControlVerb::Renew);
        world.files_say(Some(Code::Revoked));
        let alive = |one: &&super::process::ModelProcess| !one.is_gone && !one.is_killed;
        assert_eq!(
            world.processes.values().find(alive).map(|_| ()),
            None,
            "{phase}"
        );
        assert_eq!(world.gate, ModelGate::Answering, "{phase}");
        assert_eq!(
            (world.answers[&request], world.replies[&renewal]),
            (1, 1),
            "{phase}"
        );
        assert_eq!(world.suspensions().last(), Some(&Code::Revoked), "{phase}");
        let launched = world.processes.len();
        world.refusal = None;
        world.prepare(true);
        world.comes_to_rest();
        assert_eq!(
            world.processes.len(),
            launched,
            "{phase}: launched after the revocation"
        );
        world.files_say(None);
        world.prepare(true);
        assert_eq!(
            world.processes.len(),
            launched + 1,
            "{phase}: granted again"
        );
    }
}

#[test]
fn a_disconnect_ends_everything() {
    for (phase, mut world, code) in phases() {
        world.client_leaves();
        world.comes_to_rest();
        assert_eq!(world.exit, Some(code), "{phase}");
    }
}

/// A server that was replaced may be slower to end than the one that has the session.
#[test]
fn the_exit_code_is_not_that_of_a_server_that_was_replaced() {
    let mut world = ModelWorld::renewed_until_drain(SessionRules::default());
    world.server_answers();
    world.drain();
    world.resend();
    world.client_leaves();
    world.crash(2, ServerExit::Exited(0));
    assert_eq!(world.exit, None, "the old one is alive");
    world.crash(1, ServerExit::Died(9));
    assert_eq!(world.exit, Some(0));

    // Nor that of a candidate that was dropped.
    let mut world = ModelWorld::started(SessionRules::default());
    world.rotate();
    world.prepare(true);
    world.client_leaves();
    world.crash(1, ServerExit::Exited(3));
    assert_eq!(world.exit, None, "the candidate is alive");
    world.crash(2, ServerExit::Died(9));
    assert_eq!(world.exit, Some(3));
}

#[test]
fn a_disconnect_during_the_first_preparation_aborts_it_after_a_pause() {
    let mut world = ModelWorld::new(false);
    world.tell(KeeperEvent::Start);
    world.client_leaves();
    world.wait(Duration::from_millis(299));
    assert_eq!(world.exit, None);
    world.wait(Duration::from_millis(1));
    assert_eq!(
        (world.exit, &world.facts[..]),
        (Some(EXIT_REFUSED), &[Fact::Aborted][..])
    );

    // A server that is ready by then gets the client's lines.
    let mut world = ModelWorld::new(false);
    world.tell(KeeperEvent::Start);
    world.client_leaves();
    world.prepare(true);
    assert_eq!(
        (world.gate, world.keeper.name()),
        (ModelGate::Closed, "ending")
    );
    assert!(!world.processes[&1].has_stdin);
    world.crash(1, ServerExit::Exited(0));
    assert_eq!(world.exit, Some(0));
}

#[test]
fn a_client_that_waits_after_the_end_of_stdin_gets_its_answers() {
    let mut world = ModelWorld::started(SessionRules::default());
    let request = world.client_asks();
    world.client_waits();
    assert!(!world.processes[&1].has_stdin);
    world.wait(Duration::from_mins(5));
    assert!(!world.processes[&1].is_killed);
    world.server_answers();
    world.drain();
    world.wait(Duration::from_millis(1500));
    assert!(world.processes[&1].is_killed, "after the last answer");
    world.vanish(1);
    world.comes_to_rest();
    assert_eq!((world.answers[&request], world.exit), (1, Some(128 + 9)));

    // What ends it before the last answer: the client, a revocation, a signal, and a limit.
    let waiting = || {
        let mut world = ModelWorld::started(SessionRules::default());
        let request = world.client_asks();
        world.client_waits();
        (world, request)
    };
    let (mut world, _) = waiting();
    world.client_leaves();
    world.wait(Duration::from_millis(1500));
    assert!(world.processes[&1].is_killed);
    let (mut world, request) = waiting();
    world.files_say(Some(Code::Revoked));
    assert!(world.processes[&1].is_killed);
    assert_eq!(world.answers[&request], 1);
    let (mut world, _) = waiting();
    world.tell(KeeperEvent::Signalled(Signal::SIGTERM));
    world.wait(Duration::from_millis(250));
    assert!(world.processes[&1].is_killed);
    let (mut world, _) = waiting();
    world.wait(Duration::from_hours(1));
    assert!(world.processes[&1].is_killed);

    // Without an open request the limit is the usual one.
    let mut world = ModelWorld::started(SessionRules::default());
    world.client_waits();
    world.wait(Duration::from_millis(1500));
    assert!(world.processes[&1].is_killed);
}

#[test]
fn a_client_that_asked_something_waits_for_a_slow_preparation() {
    let mut world = ModelWorld::new(false);
    world.tell(KeeperEvent::Start);
    world.tell(KeeperEvent::ClientSpoke);
    world.tell(KeeperEvent::InputEnded);
    world.wait(Duration::from_secs(5));
    assert_eq!(world.exit, None);
    world.prepare(true);
    assert!(world.processes[&1].has_stdin);
}

#[test]
fn a_signal_ends_the_tree_within_its_limit() {
    for (phase, mut world, _) in phases() {
        world.tell(KeeperEvent::Signalled(Signal::SIGTERM));
        world.wait(Duration::from_millis(250));
        let alive = |one: &super::process::ModelProcess| !one.is_gone && !one.is_killed;
        assert!(!world.processes.values().any(alive), "{phase}");
        let numbers: Vec<_> = world.processes.keys().copied().collect();
        for number in numbers {
            world.vanish(number);
        }
        world.wait(Duration::from_millis(100));
        assert!(
            world.exit.is_some(),
            "{phase}: the last output is not waited for"
        );
    }
}

#[test]
fn a_file_missing_or_unreadable_for_a_moment_ends_nothing() {
    for code in [
        Code::PolicyNotFound,
        Code::FileUnusable,
        Code::FileNotPrivate,
    ] {
        let mut world = ModelWorld::started(SessionRules::default());
        world.files_say(Some(code));
        world.wait(Duration::from_millis(299));
        assert!(!world.processes[&1].is_killed, "{code}");
        world.files_say(None);
        world.wait(Duration::from_secs(1));
        assert!(!world.processes[&1].is_killed, "{code}");
        world.files_say(Some(code));
        world.wait(Duration::from_millis(300));
        assert!(world.processes[&1].is_killed, "{code}");
    }
}

#[test]
fn a_changed_policy_ends_nothing_and_starts_nothing() {
    let mut world = ModelWorld::started(SessionRules::default());
    world.is_rotated = true;
    world.files_say(Some(Code::PolicyChanged));
    assert!(world.preparing.is_empty() && world.processes[&1].has_stdin);
}

#[test]
fn after_a_secret_in_an_id_only_a_request_restarts_the_server() {
    let mut world = ModelWorld::started(SessionRules::default());
    world.tell(KeeperEvent::SecretInId { generation: 1 });
    assert!(world.processes[&1].is_killed);
    world.crash(1, ServerExit::Died(9));
    world.files_say(None);
    assert!(world.preparing.is_empty());
    world.ask(ControlVerb::Renew);
    assert_eq!(world.preparing.len(), 1);
}
