//! Processes: nothing of a server outlives its session. The builder checks after each test that no
//! process is left; these tests try the ways to leave one.

use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::json;

use crate::harness::process::guard;
use crate::harness::{Run, TOKEN, Test, fake_server, process, slot};

/// Real clients kill mcpwrap 0.5 s after SIGINT and 2 s after the end of stdin. These limits are
/// longer because a test machine may be busy.
const AFTER_SIGNAL: Duration = Duration::from_secs(10);
const AFTER_EOF: Duration = Duration::from_secs(10);

/// A server that ignores all signals it can, with child processes that do the same.
const STUBBORN: &[&str] = &["ignore=term,int,hup,quit,eof", "child"];

pub(crate) fn started<'a>(test: &'a Test, acts: &[&str]) -> (Run<'a>, Pid) {
    test.secret("test/token", TOKEN);
    test.serve("fake", acts, &slot("TOKEN", "test/token"));
    let mut run = test.run("fake");
    run.initialize();
    let server = run.server(1);
    (run, server)
}

/// The descendants of `mcpwrap run`, from `/proc`.
fn children(of: Pid) -> Vec<Pid> {
    let path = format!("/proc/{of}/task/{of}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

#[test]
fn a_stubborn_server_is_gone_soon_after_a_signal() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        let test = Test::new();
        let (run, server) = started(&test, STUBBORN);
        run.signal(signal);
        let ended = run.end_within(AFTER_SIGNAL);
        assert!(!process::alive(server), "{signal}");
        assert!(
            ended.code == 137 || ended.code == 128 + signal as i32,
            "{signal}: {ended}"
        );
        assert!(process::of_test(&test.dir).is_empty(), "{signal}");
    }
}

#[test]
fn a_stubborn_server_is_gone_soon_after_the_end_of_stdin() {
    let test = Test::new();
    let (mut run, server) = started(&test, STUBBORN);
    run.close();
    let ended = run.end_within(AFTER_EOF);
    assert_eq!(ended.code, 137, "{ended}");
    assert!(!process::alive(server));
}

#[test]
fn a_server_that_does_not_read_does_not_block_the_client() {
    let test = Test::new();
    test.serve("fake", &["never-read"], "");
    let mut run = test.run("fake");
    run.server(1);
    run.send_raw(&vec![b'x'; 32 * 1024]);
    run.close();
    run.end_within(AFTER_EOF);
}

#[test]
fn a_daemon_in_another_session_is_ended_too() {
    let test = Test::new();
    let (run, _) = started(&test, &["daemon", "child"]);
    run.finish();
    assert!(process::of_test(&test.dir).is_empty());
}

#[test]
fn a_process_that_keeps_forking_is_ended_too() {
    let test = Test::new();
    let (mut run, _) = started(&test, &[]);
    run.call("do", &json!({"act": "chain-start=400"}));
    run.finish();
    assert!(process::of_test(&test.dir).is_empty());
}

#[test]
fn nothing_survives_the_sigkill_of_the_supervisor() {
    for acts in [&[][..], STUBBORN, &["daemon", "ignore=term,int,hup,eof"]] {
        let test = Test::new();
        let (run, server) = started(&test, acts);
        run.signal(Signal::SIGKILL);
        process::wait_for_end(server, AFTER_SIGNAL);
        let left = process::wait_for_none(&test.dir, AFTER_SIGNAL);
        assert!(left.is_empty(), "{acts:?}: {left:#?}");
    }
}

#[test]
fn nothing_survives_below_a_shell_that_ignores_signals() {
    let test = Test::new();
    test.init();
    let server = fake_server().display().to_string();
    let script = "trap '' TERM INT HUP; sh -c \"trap '' TERM INT HUP; $0 $*; :\"; :";
    let command = [
        "/bin/sh",
        "-c",
        script,
        &server,
        "ignore=term,int,hup,eof",
        "child",
    ];
    test.policy("fake", &command, "");
    for end in ["kill", "eof", "term"] {
        let mut run = test.run("fake");
        run.initialize();
        let server = run.server(1);
        match end {
            "kill" => run.signal(Signal::SIGKILL),
            "term" => run.signal(Signal::SIGTERM),
            _ => run.close(),
        }
        process::wait_for_end(server, AFTER_EOF);
        let left = process::wait_for_none(&test.dir, AFTER_SIGNAL);
        assert!(left.is_empty(), "{end}: {left:#?}");
    }
}

#[test]
fn the_session_ends_when_its_guard_is_killed() {
    let test = Test::new();
    let (run, server) = started(&test, STUBBORN);
    let guards: Vec<_> = process::of_test(&test.dir)
        .into_iter()
        .map(|(pid, _)| pid)
        .collect();
    let is_guard = |pid: &Pid| {
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        *pid != run.pid() && exe.ends_with("mcpwrap")
    };
    for guard in guards.iter().filter(|pid| is_guard(pid)) {
        kill(*guard, Signal::SIGKILL).unwrap();
        process::wait_for_end(server, AFTER_EOF);
    }
    run.finish();
}

#[test]
fn a_client_that_kills_the_process_group_leaves_nothing() {
    let test = Test::new();
    test.serve("fake", STUBBORN, "");
    let mut command = test.command(test.program());
    command.args(["run", "fake"]);
    let mut run = test.start(std::os::unix::process::CommandExt::process_group(
        &mut command,
        0,
    ));
    run.initialize();
    killpg(run.pid(), Signal::SIGTERM).unwrap();
    run.end_within(AFTER_SIGNAL);
    assert!(process::of_test(&test.dir).is_empty());
}

#[test]
fn interrupt_and_terminate_end_a_session_once() {
    let test = Test::new();
    let (run, _) = started(&test, STUBBORN);
    run.signal(Signal::SIGINT);
    run.signal(Signal::SIGTERM);
    run.signal(Signal::SIGINT);
    run.end_within(AFTER_SIGNAL);
    let exits = test
        .events()
        .into_iter()
        .filter(|event| event == "exit")
        .count();
    assert_eq!(exits, 1);
}

/// The fastest shutdown of all clients: interrupt, 0.1 s, terminate, 0.4 s, kill. The sleeps
/// simulate the client; the test does not wait with them.
#[test]
fn a_client_that_kills_after_half_a_second_leaves_nothing() {
    let test = Test::new();
    let (run, server) = started(&test, STUBBORN);
    for (signal, pause) in [
        (Signal::SIGINT, 100),
        (Signal::SIGTERM, 400),
        (Signal::SIGKILL, 0),
    ] {
        kill(run.pid(), signal).ok();
        std::thread::sleep(Duration::from_millis(pause));
    }
    process::wait_for_end(server, AFTER_SIGNAL);
    drop(run);
    let left = process::wait_for_none(&test.dir, AFTER_SIGNAL);
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_signal_reaches_the_server_unchanged() {
    let test = Test::new();
    test.init();
    let script = "trap 'echo got term >&2; exit 9' TERM; echo up >&2; sleep 60 & wait";
    test.policy("fake", &["/bin/sh", "-c", script], "");
    let run = test.run("fake");
    run.heard("up\n");
    run.signal(Signal::SIGTERM);
    run.heard("got term");
    assert_eq!(run.end().code, 9);
}

#[test]
fn zombies_of_the_server_are_reaped() {
    let test = Test::new();
    let (mut run, server) = started(&test, &[]);
    for _ in 0..20 {
        run.call("do", &json!({"act": "daemon"}));
    }
    let pid = run.pid();
    let zombies = |pid: Pid| {
        let all = children(pid).into_iter();
        all.filter(|child| *child != server && !process::alive(*child))
            .count()
    };
    assert!(zombies(pid) < 3, "{:?}", children(pid));
    run.finish();
}

#[test]
fn a_disconnect_before_the_first_byte_ends_the_server_soon() {
    let test = Test::new();
    test.serve("fake", &["ignore=term,eof"], "");
    let run = test.run("fake");
    let ended = run.finish();
    assert!([0, 125, 137, 143].contains(&ended.code), "{ended}");
    assert!(process::of_test(&test.dir).is_empty());
}

#[test]
fn two_sessions_of_one_server_are_independent() {
    let test = Test::new();
    let (one, first) = started(&test, &[]);
    let mut two = test.run("fake");
    two.initialize();
    let second = two.server(1);
    assert_ne!(first, second);
    assert_eq!(one.finish().code, 0);
    assert!(process::alive(second));
    assert_eq!(two.call("echo", &json!({"text": "here"})), "here");
    assert_eq!(two.facts()["pid"], second.as_raw());
    assert_eq!(two.finish().code, 0);
}

#[test]
fn nothing_survives_the_sigkill_of_supervisor_and_guard_at_once() {
    let test = Test::new();
    let (run, server) = started(&test, &[]);
    for pid in [run.pid(), guard(server)] {
        kill(pid, Signal::SIGKILL).unwrap();
    }
    process::wait_for_end(server, AFTER_SIGNAL);
    drop(run);
}

#[test]
fn an_interrupt_from_the_terminal_reaches_the_server_once() {
    let test = Test::new();
    test.init();
    let script = "trap 'echo interrupted >&2' INT; trap 'exit 4' TERM; echo up >&2
        while :; do sleep 60 & wait; done";
    test.policy("fake", &["/bin/sh", "-c", script], "");
    let mut terminal = test.terminal(&["run", "fake"]);
    terminal.expect("up").enter("\u{3}");
    terminal.expect("interrupted");
    let (_, screen) = terminal.end();
    assert_eq!(screen.matches("interrupted").count(), 1, "{screen}");
}

#[test]
fn a_client_that_does_not_read_does_not_block_revoke() {
    let test = Test::new();
    let (mut run, server) = started(&test, STUBBORN);
    // Four unread answers of 1 MiB fill every pipe.
    for _ in 0..4 {
        run.ask(
            "tools/call",
            &json!({"name": "fill", "arguments": {"bytes": 1 << 20}}),
        );
    }
    test.ok(&["revoke", "fake"]);
    process::wait_for_end(server, AFTER_SIGNAL);
    run.finish();
}
