//! Candidates that fail: the old server stays, and the user is told.

use nix::sys::signal::{Signal, kill};
use serde_json::json;

use super::{NEW, OLD, endless_call, rotate, started, until_it_has, until_logged};
#[cfg(target_os = "linux")]
use crate::harness::skip;
#[cfg(target_os = "linux")]
use crate::harness::trace::{STEPS, Tracer};
use crate::harness::{Test, process};

const BAD: &str = "bad-Tz5mV9xC3kQ7hN1rW8";

#[test]
fn an_incompatible_server_does_not_take_over() {
    for (mode, told) in [
        ("exit", "exited with code 3"),
        ("error", "it answered the handshake with error -32603"),
        ("version", "it speaks protocol version"),
        ("capabilities", "it no longer has the capability"),
    ] {
        let test = Test::new();
        let mut run = started(&test, &[&format!("when-bad={mode}")], "");
        let old = run.server(1);
        rotate(&test, BAD);
        until_logged(&test, "renew", "failed", 1);
        run.heard(told);
        assert_eq!(run.peek("TOKEN"), OLD.as_bytes(), "{mode}");
        assert!(process::alive(old));
        // A good value afterwards is used.
        rotate(&test, NEW);
        until_it_has(&mut run, NEW);
        run.finish();
    }
}

/// After 30 s the candidate is ended and the old server is kept.
#[test]
fn a_server_that_hangs_in_the_handshake_is_ended() {
    let test = Test::new();
    let mut run = started(&test, &["when-bad=mute"], "");
    rotate(&test, BAD);
    let new = run.server(2);
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    process::wait_for_end(new, std::time::Duration::from_secs(40));
    run.heard("no answer to the handshake within 30 s");
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    run.finish();
}

#[test]
fn a_missing_or_expired_secret_keeps_the_old_server() {
    let expire: &[&str] = &[
        "secret",
        "rotate",
        "t/token",
        "--expires",
        "2020-01-01",
        "--from-stdin",
        "--no-wait",
    ];
    let remove: &[&str] = &["secret", "rm", "t/token", "--yes"];
    for (change, code) in [(expire, "secret-expired"), (remove, "secret-not-found")] {
        let test = Test::new();
        test.hide(NEW);
        let mut run = started(&test, &[], "[session]\nrenew = \"manual\"");
        let changed = test.feed(change, NEW.as_bytes());
        assert_eq!(changed.code, 0, "{changed}");
        let renewed = test.cli(&["renew", "fake"]);
        assert_ne!(renewed.code, 0, "{renewed}");
        until_logged(&test, "renew", "failed", 1);
        run.heard(&format!("[{code}]"));
        assert_eq!(run.peek("TOKEN"), OLD.as_bytes(), "{code}");
        run.finish();
    }
}

/// Both process trees are dead after a disconnect during a rotation.
#[test]
fn a_disconnect_during_a_renewal_leaves_no_process() {
    let test = Test::new();
    let mut run = started(&test, &["when-bad=mute", "ignore=term,eof"], "");
    rotate(&test, BAD);
    let (old, new) = (run.server(1), run.server(2));
    run.close();
    run.end();
    assert!(!process::alive(old) && !process::alive(new));
}

#[test]
fn a_disconnect_with_a_held_request_leaves_no_process() {
    let test = Test::new();
    let mut run = started(&test, &["ignore=term,eof"], "");
    endless_call(&mut run);
    rotate(&test, NEW);
    run.server(2);
    run.ask("tools/list", &json!({}));
    run.close();
    // What a client does that no longer waits for answers.
    run.signal(Signal::SIGTERM);
    run.end();
}

/// At each step of a renewal.
#[test]
fn nothing_survives_a_supervisor_killed_during_a_renewal() {
    for step in ["asked", "preparing", "handshake", "draining", "replaced"] {
        let test = Test::new();
        let mut run = started(
            &test,
            &["when-bad=mute", "ignore=term,hup,int,eof", "daemon"],
            "",
        );
        match step {
            "asked" => rotate(&test, NEW),
            "preparing" => {
                rotate(&test, NEW);
                run.peek("TOKEN");
            }
            "handshake" => {
                rotate(&test, BAD);
                run.server(2);
            }
            "draining" => {
                endless_call(&mut run);
                rotate(&test, NEW);
                run.server(2);
                run.heard_times("notifications/initialized", 2);
            }
            _ => {
                rotate(&test, NEW);
                until_it_has(&mut run, NEW);
            }
        }
        run.signal(Signal::SIGKILL);
        let left = process::wait_for_none(&test.dir, std::time::Duration::from_secs(2));
        assert!(left.is_empty(), "{step}: {left:#?}");
    }
}

/// Between the forks and the executions of its launch.
#[cfg(target_os = "linux")]
#[test]
fn nothing_survives_a_supervisor_killed_between_fork_and_exec() {
    for step in STEPS {
        let test = Test::new();
        let run = started(&test, &["ignore=term,hup,int,eof", "daemon"], "");
        let Some(mut tracer) = Tracer::new(run.pid()) else {
            drop(run);
            return skip(
                "root",
                "only root may trace a program that hides its memory",
            );
        };
        let renew = test.start(test.command(test.program()).args(["renew", "fake"]));
        tracer.run_to(*step);
        run.signal(Signal::SIGKILL);
        tracer.until_all_started_is_dead();
        let left = process::wait_for_none(&test.dir, std::time::Duration::from_secs(2));
        assert!(left.is_empty(), "{step:?}: {left:#?}");
        assert_ne!(renew.end().code, 0, "{step:?}");
    }
}

#[test]
fn a_candidate_whose_guard_is_killed_changes_nothing() {
    let test = Test::new();
    let mut run = started(&test, &["when-bad=mute", "child"], "");
    rotate(&test, BAD);
    let new = run.server(2);
    let stat = std::fs::read_to_string(format!("/proc/{new}/stat")).unwrap();
    let parent: i32 = stat
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kill(nix::unistd::Pid::from_raw(parent), Signal::SIGKILL).unwrap();
    until_logged(&test, "renew", "failed", 1);
    assert!(!process::alive(new));
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    run.finish();
}
