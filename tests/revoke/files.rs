//! Policies that are removed, emptied, rewritten or broken while their server runs.

use nix::sys::signal::Signal;
use serde_json::json;

use super::refused;
use crate::harness::{DEADLINE, Run, Test, process};
use crate::renew::{OLD, started};

fn policy(test: &Test) -> std::path::PathBuf {
    test.root().join("policies/fake.toml")
}

/// The server is ended, and the client gets this error.
fn is_ended(test: &Test, mut run: Run<'_>, code: &str) {
    let server = run.server(1);
    process::wait_for_end(server, DEADLINE);
    refused(&mut run, code);
    drop(run);
    assert!(process::wait_for_none(&test.dir, DEADLINE).is_empty());
}

#[test]
fn a_removed_policy_is_revoked() {
    let test = Test::new();
    let run = started(&test, &[], "");
    std::fs::remove_file(policy(&test)).unwrap();
    is_ended(&test, run, "policy-not-found");
}

#[test]
fn an_emptied_policy_is_revoked() {
    let test = Test::new();
    let run = started(&test, &[], "");
    std::fs::write(policy(&test), "").unwrap();
    is_ended(&test, run, "policy-not-found");
}

#[test]
fn moving_the_policy_directory_away_revokes_its_policies() {
    let test = Test::new();
    let run = started(&test, &[], "");
    std::fs::rename(test.root().join("policies"), test.root().join("old")).unwrap();
    is_ended(&test, run, "policy-not-found");
}

#[test]
fn a_recreated_policy_directory_is_watched_again() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let (policies, aside) = (test.root().join("policies"), test.root().join("aside"));
    std::fs::rename(&policies, &aside).unwrap();
    let server = run.server(1);
    process::wait_for_end(server, DEADLINE);
    std::fs::rename(&aside, &policies).unwrap();
    let second = run.server(2);
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    std::fs::remove_file(policy(&test)).unwrap();
    process::wait_for_end(second, DEADLINE);
    refused(&mut run, "policy-not-found");
    run.finish();
}

#[test]
fn rewriting_the_same_policy_ends_nothing() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let text = std::fs::read(policy(&test)).unwrap();
    // In place and by replacement; both leave a moment without a policy.
    std::fs::write(policy(&test), "").unwrap();
    std::fs::write(policy(&test), &text).unwrap();
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    std::fs::rename(policy(&test), test.dir.join("aside")).unwrap();
    std::fs::rename(test.dir.join("aside"), policy(&test)).unwrap();
    // Longer than a missing file is tolerated.
    run.call("wait", &json!({"ms": 400}));
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    run.finish();
}

#[test]
fn a_half_written_policy_ends_nothing_and_starts_nothing() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    std::fs::write(policy(&test), "version = 1\ncommand = [\"/bin").unwrap();
    run.call("wait", &json!({"ms": 400}));
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    let mut other = test.run("fake");
    let answer = other.initialize();
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["code"], "policy-invalid",
        "{answer}"
    );
    other.finish();
    run.finish();
}

/// Polling detects the change within 2 s.
#[test]
fn without_inotify_the_files_are_polled() {
    let test = Test::new();
    test.serve("fake", &[], "");
    let mut command = test.command("/usr/bin/unshare");
    // Its own user namespace, so that the limit affects nothing else.
    let script = "echo 0 > /proc/sys/user/max_inotify_instances || exit 77; exec \"$0\" run fake";
    command
        .args(["--user", "--map-root-user", "/bin/sh", "-c", script])
        .arg(test.program());
    let mut run = test.start(&mut command);
    let Some(first) = first_answer(&mut run) else {
        return crate::harness::skip("namespaces", "no user namespace can be made here");
    };
    assert!(first.get("result").is_some(), "{first}");
    let server = run.server(1);
    std::fs::remove_file(test.root().join("state/grants/fake.toml")).unwrap();
    process::wait_for_end(server, DEADLINE);
    refused(&mut run, "not-granted");
    run.signal(Signal::SIGTERM);
    run.end();
}

fn first_answer(run: &mut Run<'_>) -> Option<serde_json::Value> {
    let client = json!({"name": "c", "version": "1"});
    run.ask(
        "initialize",
        &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}),
    );
    let line = run.line()?;
    serde_json::from_slice(&line).ok()
}
