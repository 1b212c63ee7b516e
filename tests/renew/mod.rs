//! Renewals behind a live session, invisible to the client.

mod crash;
mod fails;
mod hostile;
mod state;
mod storm;

use serde_json::{Value, json};

use crate::harness::{Run, Test, process, slot, until};

pub(crate) const OLD: &str = "old-Kq3vX8sT5wZ1pL6mB9";
pub(crate) const NEW: &str = "new-Hj7cR2nY4dF0gA8uE5";

/// A client in a session with a fake server that has the secret `t/token`.
pub(crate) fn started<'a>(test: &'a Test, acts: &[&str], session: &str) -> Run<'a> {
    test.secret("t/token", OLD);
    let rest = format!("{session}\n{}", slot("TOKEN", "t/token"));
    test.serve("fake", acts, &rest);
    let mut run = test.run("fake");
    run.initialize();
    run
}

pub(crate) fn rotate(test: &Test, value: &str) {
    test.hide(value);
    let ended = test.feed(
        &["secret", "rotate", "t/token", "--from-stdin", "--no-wait"],
        value.as_bytes(),
    );
    assert_eq!(ended.code, 0, "{ended}");
}

/// Waits until the server behind the session has this value.
pub(crate) fn until_it_has(run: &mut Run<'_>, value: &str) {
    until("the new value", || run.peek("TOKEN") == value.as_bytes());
}

/// Waits until the audit log has this many records of this event.
pub(crate) fn until_logged(test: &Test, event: &str, outcome: &str, count: usize) {
    until(&format!("{event} {outcome} in the log"), || {
        let records = test.audit();
        let wanted = |r: &&Value| r["event"] == event && r["outcome"] == outcome;
        records.iter().filter(wanted).count() >= count
    });
}

/// Waits until no process of the test has this value in its environment.
fn until_no_process_has(test: &Test, value: &str) {
    let has = |pid: nix::unistd::Pid| {
        let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        memchr::memmem::find(&bytes, value.as_bytes()).is_some()
    };
    until("the old value is in no process", || {
        !process::of_test(&test.dir).iter().any(|(pid, _)| has(*pid))
    });
}

/// A call that its server does not answer.
pub(crate) fn endless_call(run: &mut Run<'_>) -> u64 {
    let wait = json!({"name": "wait", "arguments": {"ms": 600_000}});
    run.ask("tools/call", &wait)
}

/// The argument for a server that needs a port, with a free one.
fn needs_a_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("bind={}", listener.local_addr().unwrap().port())
}

#[test]
fn a_rotation_reaches_the_running_server_and_the_old_value_is_in_no_process() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let tools = run.request("tools/list", &json!({}));
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    rotate(&test, NEW);
    until_it_has(&mut run, NEW);
    until_no_process_has(&test, OLD);
    assert_eq!(
        run.request("tools/list", &json!({}))["result"],
        tools["result"]
    );
    let notices: Vec<_> = run.others.iter().map(|m| m["method"].clone()).collect();
    assert!(notices.contains(&json!("notifications/tools/list_changed")));
    assert_eq!(run.finish().code, 0);
    let renewals = test.audit();
    let renewal = renewals.iter().find(|r| r["event"] == "renew").unwrap();
    assert_eq!(
        (&renewal["outcome"], &renewal["reason"]),
        (&json!("ok"), &json!("rotate"))
    );
}

/// The drain loses none of them.
#[test]
fn a_thousand_requests_in_flight_are_answered() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let first = run.ask(
        "tools/call",
        &json!({"name": "wait", "arguments": {"ms": 300}}),
    );
    for n in 1..1000 {
        run.ask(
            "tools/call",
            &json!({"name": "echo", "arguments": {"text": n.to_string()}}),
        );
    }
    rotate(&test, NEW);
    for n in 0..1000 {
        let answer = run.answer(first + n);
        let text = &answer["result"]["content"][0]["text"];
        let expected = if n == 0 {
            "waited".to_owned()
        } else {
            n.to_string()
        };
        assert_eq!(*text, expected, "{answer}");
    }
    until_it_has(&mut run, NEW);
    run.finish();
}

#[test]
fn a_call_longer_than_the_drain_fails_with_outcome_unknown() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let call = endless_call(&mut run);
    rotate(&test, NEW);
    run.server(2);
    let later = run.ask("tools/list", &json!({}));
    let failed = run.answer(call);
    assert_eq!(failed["error"]["code"], -32603);
    assert_eq!(
        failed["error"]["data"]["mcpwrap"],
        json!({"code": "renewed", "server": "fake", "outcome": "unknown"})
    );
    assert!(run.answer(later)["result"]["tools"].is_array());
    until_it_has(&mut run, NEW);
    run.finish();
}

#[test]
fn requests_of_a_draining_server_are_answered() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let call = run.ask("tools/call", &json!({"name": "ask"}));
    let question = run.message();
    assert_eq!(question["method"], "roots/list");
    rotate(&test, NEW);
    run.server(2);
    // The request waits for the new server; the answer after it does not.
    let later = run.ask("ping", &json!({}));
    run.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}}));
    let answer = run.answer(call);
    assert_eq!(
        answer["result"]["content"][0]["text"], "answered",
        "{answer}"
    );
    assert!(run.answer(later).get("result").is_some());
    until_it_has(&mut run, NEW);
    run.finish();
}

#[test]
fn a_rotation_during_the_start_is_applied() {
    let test = Test::new();
    test.secret("t/token", OLD);
    test.serve("fake", &["slow=400"], &slot("TOKEN", "t/token"));
    let mut run = test.run("fake");
    let client = json!({"name": "c", "version": "1"});
    let hello = run.ask(
        "initialize",
        &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}),
    );
    rotate(&test, NEW);
    assert!(run.answer(hello).get("result").is_some());
    run.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    until_it_has(&mut run, NEW);
    run.finish();
}

#[test]
fn a_server_that_needs_a_port_is_stopped_first() {
    let test = Test::new();
    let act = needs_a_port();
    let mut run = started(&test, &[&act], "[session]\nrenew = \"stop-first\"");
    let first = run.server(1);
    let before = run.ask(
        "tools/call",
        &json!({"name": "wait", "arguments": {"ms": 200}}),
    );
    rotate(&test, NEW);
    assert!(run.answer(before).get("result").is_some());
    until_it_has(&mut run, NEW);
    assert!(!process::alive(first));
    run.finish();
}

#[test]
fn a_server_that_needs_a_port_and_may_overlap_is_kept_with_a_warning() {
    let test = Test::new();
    let act = needs_a_port();
    let mut run = started(&test, &[&act], "");
    rotate(&test, NEW);
    run.heard("the port is in use");
    until_logged(&test, "renew", "failed", 1);
    run.heard("exited with code 5");
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    run.finish();
}

#[test]
fn a_manual_server_is_renewed_on_request_only() {
    let test = Test::new();
    let mut run = started(&test, &[], "[session]\nrenew = \"manual\"");
    rotate(&test, NEW);
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    test.ok(&["renew", "fake"]);
    assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
    run.finish();
}
