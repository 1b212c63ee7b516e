//! Unusual lines and servers during a renewal.

use nix::sys::signal::{Signal, kill};
use serde_json::json;

use super::{
    NEW, OLD, endless_call, rotate, started, until_it_has, until_logged, until_no_process_has,
};
use crate::harness::{Test, process, until};

/// A sleeping machine stops every process, and no event is delivered.
#[test]
fn a_session_is_renewed_once_after_a_sleep() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let session = process::of_test(&test.dir);
    assert!(session.len() >= 2, "supervisor and server: {session:?}");
    until("the start is recorded", || {
        let mut records = test.audit().into_iter();
        records.any(|record| record["detail"]["started"].is_number())
    });
    // A stopped supervisor must not hold this lock.
    let lock = test.lock_audit();
    for (pid, _) in &session {
        process::stop(*pid);
    }
    drop(lock);
    rotate(&test, "between-Lw4tB8nQ2xK7");
    rotate(&test, NEW);
    for (pid, _) in &session {
        kill(*pid, Signal::SIGCONT).unwrap();
    }
    until_it_has(&mut run, NEW);
    until_no_process_has(&test, OLD);
    assert_eq!(run.finish().code, 0);
    let renewals = test.audit();
    let renewals: Vec<_> = renewals.iter().filter(|r| r["event"] == "renew").collect();
    assert_eq!(renewals.len(), 1, "{renewals:#?}");
}

#[test]
fn a_long_line_is_not_torn_by_a_renewal() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let text = "z".repeat(3 << 20);
    let call = json!({"jsonrpc": "2.0", "id": "long", "method": "tools/call",
        "params": {"name": "echo", "arguments": {"text": text}}})
    .to_string();
    let (head, tail) = call.split_at(2 << 20);
    run.send_raw(head.as_bytes());
    rotate(&test, NEW);
    run.server(2);
    run.heard_times("notifications/initialized", 2);
    run.send_raw(tail.as_bytes());
    run.send_raw(b"\n");
    let answer = loop {
        let message = run.message();
        if message["id"] == "long" {
            break message;
        }
    };
    assert_eq!(answer["result"]["content"][0]["text"], text);
    until_it_has(&mut run, NEW);
    run.finish();
}

#[test]
fn an_incomplete_long_line_of_a_dead_server_does_not_corrupt_the_next() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let half = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":\"{}",
        "y".repeat(2 << 20)
    );
    let hex = mcpwrap::testing::secret::hex(half.as_bytes());
    run.call("say", &json!({"stream": "stdout", "hex": ""}));
    run.ask(
        "tools/call",
        &json!({"name": "say", "arguments": {"stream": "stdout", "hex": hex}}),
    );
    let call = run.ask(
        "tools/call",
        &json!({"name": "do", "arguments": {"act": "exit=7"}}),
    );
    // The incomplete line, terminated by mcpwrap, and the answer that the server wrote after it.
    let first = run.line().unwrap();
    assert!(first.len() > 2 << 20);
    let error = run.answer(call);
    assert_eq!(error["error"]["code"], -32603, "{error}");
    run.finish();
}

#[test]
fn many_requests_are_repeated_without_blocking_the_supervisor() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    // More than is written without blocking.
    endless_call(&mut run);
    for n in 0..1000 {
        run.ask(
            "resources/read",
            &json!({"uri": format!("fake://{n}/{}", "u".repeat(500))}),
        );
    }
    rotate(&test, NEW);
    run.server(2);
    let last = run.ask("tools/list", &json!({}));
    assert!(run.answer(last).get("result").is_some());
    run.finish();
}

#[test]
fn a_long_answer_after_a_renewal_gets_the_original_id() {
    let test = Test::new();
    let mut run = started(&test, &["asks"], "");
    run.message();
    test.ok(&["renew", "fake"]);
    // The second server sends the same request, which the client sees under another ID.
    let question = loop {
        let message = run.message();
        if message["method"] == "roots/list" {
            break message;
        }
    };
    assert_ne!(question["id"], 0);
    let root = json!({"uri": "file:///x", "name": "n".repeat(3 << 20)});
    // Its ID comes last, as in some clients.
    run.send_raw(
        format!(
            "{{\"jsonrpc\":\"2.0\",\"result\":{{\"roots\":[{root}]}},\"id\":{}}}\n",
            question["id"]
        )
        .as_bytes(),
    );
    run.heard("\"id\":0,\"jsonrpc\":\"2.0\",\"result\":{\"roots\"");
    assert_eq!(run.call("echo", &json!({"text": "on"})), "on");
    run.finish();
}

#[test]
fn a_server_that_puts_its_secret_in_an_id_is_ended() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let server = run.server(1);
    let question = json!({"jsonrpc": "2.0", "id": format!("x-{OLD}"), "method": "roots/list"});
    let hex = mcpwrap::testing::secret::hex(format!("{question}\n").as_bytes());
    let call = run.ask("tools/call", &json!({"name": "ask"}));
    assert_eq!(run.message()["method"], "roots/list");
    run.ask(
        "tools/call",
        &json!({"name": "say", "arguments": {"stream": "stdout", "hex": hex}}),
    );
    let failed = run.answer(call);
    let data = &failed["error"]["data"]["mcpwrap"];
    assert_eq!(data["code"], "secret-in-id", "{failed}");
    let id = run.others[0]["id"].as_str().unwrap();
    assert!(id.starts_with("x-[secret t/token"), "{id}");
    process::wait_for_end(server, crate::harness::DEADLINE);
    until_logged(&test, "suspend", "ok", 1);
    let suspended = test.audit();
    let suspended = suspended.iter().find(|r| r["event"] == "suspend").unwrap();
    assert_eq!(suspended["reason"], "secret-in-id");
    // A changed file does not restart it; only a request does.
    test.ok(&["grant", "fake", "--yes"]);
    let refused = run.request("tools/list", &json!({}));
    assert_eq!(refused["error"]["data"]["mcpwrap"]["code"], "secret-in-id");
    test.ok(&["renew", "fake"]);
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    let ended = run.finish();
    crate::messages::message(&test, "secret-in-id", &ended);
}

/// The new server may read it from a file of the old one.
#[test]
fn a_former_value_stays_masked_for_the_rest_of_the_session() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    rotate(&test, NEW);
    until_it_has(&mut run, NEW);
    until_no_process_has(&test, OLD);
    until_logged(&test, "exit", "ok", 1);
    let line = json!({"jsonrpc": "2.0", "method": "x", "params": {"was": OLD, "is": NEW}});
    let hex = mcpwrap::testing::secret::hex(format!("{line}\n").as_bytes());
    run.call("say", &json!({"stream": "stdout", "hex": hex}));
    let said = run.others.iter().find(|m| m["method"] == "x").unwrap();
    let text = said["params"].to_string();
    assert_eq!(text.matches("[secret t/token").count(), 2, "{text}");
    run.finish();
}
