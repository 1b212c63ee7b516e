//! Lines and servers at the edges of a renewal.

use serde_json::json;

use super::{NEW, rotate, started, until_it_has};
use crate::harness::Test;

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
fn half_a_long_line_of_a_dead_server_does_not_spoil_the_next() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let half = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":\"{}",
        "y".repeat(2 << 20)
    );
    let hex = mcpwrap::secret::hex(half.as_bytes());
    run.call("say", &json!({"stream": "stdout", "hex": ""}));
    run.ask(
        "tools/call",
        &json!({"name": "say", "arguments": {"stream": "stdout", "hex": hex}}),
    );
    let call = run.ask(
        "tools/call",
        &json!({"name": "do", "arguments": {"act": "exit=7"}}),
    );
    // The half line, ended by us, and with it the answer that the server wrote behind it.
    let first = run.line().unwrap();
    assert!(first.len() > 2 << 20);
    let error = run.answer(call);
    assert_eq!(error["error"]["code"], -32603, "{error}");
    run.finish();
}

#[test]
fn many_requests_are_repeated_behind_the_supervisors_back() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    // More than is written at once.
    run.ask(
        "tools/call",
        &json!({"name": "wait", "arguments": {"ms": 60_000}}),
    );
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
