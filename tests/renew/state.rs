//! The state of a session across a renewal: subscriptions, levels, requests of the server, eras.

use serde_json::{Value, json};

use super::{NEW, OLD, rotate, started, until_it_has};
use crate::harness::{Run, Test, slot};

/// The lines of the log that the n-th server received.
fn heard(run: &Run<'_>, mark: &str) -> Vec<Value> {
    let text = run.heard(mark);
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("fake-server: heard "));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|message: &Value| message.to_string().contains(mark))
        .collect()
}

#[test]
fn level_and_subscriptions_are_repeated_exactly() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    run.request("resources/subscribe", &json!({"uri": "fake://gone"}));
    run.request("logging/setLevel", &json!({"level": "debug"}));
    run.request("resources/subscribe", &json!({"uri": "fake://kept"}));
    run.request("resources/unsubscribe", &json!({"uri": "fake://gone"}));
    run.request("logging/setLevel", &json!({"level": "error"}));
    rotate(&test, NEW);
    until_it_has(&mut run, NEW);
    let repeated = heard(&run, "mcpwrap-2-own");
    let told: Vec<_> = repeated
        .iter()
        .map(|m| (m["method"].as_str().unwrap(), &m["params"]))
        .collect();
    assert_eq!(
        told,
        [
            ("logging/setLevel", &json!({"level": "error"})),
            ("resources/subscribe", &json!({"uri": "fake://kept"})),
        ]
    );
    run.heard_times("notifications/initialized", 2);
    run.finish();
}

#[test]
fn an_open_request_of_the_server_is_cancelled_and_its_late_answer_dropped() {
    let test = Test::new();
    let mut run = started(&test, &["asks"], "");
    let old = run.message();
    assert_eq!(
        (&old["id"], &old["method"]),
        (&json!(0), &json!("roots/list"))
    );
    rotate(&test, NEW);
    until_it_has(&mut run, NEW);
    let cancelled = run
        .others
        .iter()
        .position(|m| m["method"] == "notifications/cancelled");
    let asked = run.others.iter().position(|m| m["method"] == "roots/list");
    let (cancelled, asked) = (cancelled.unwrap(), asked.unwrap());
    assert!(cancelled < asked);
    assert_eq!(run.others[cancelled]["params"]["requestId"], 0);
    let new = run.others[asked]["id"].clone();
    assert_ne!(new, 0);
    let answer = |id: &Value, name: &str| {
        let roots = json!([{"uri": "file:///x", "name": name}]);
        json!({"jsonrpc": "2.0", "id": id, "result": {"roots": roots}})
    };
    run.send(&answer(&old["id"], "late"));
    run.send(&answer(&new, "timely"));
    let heard = heard(&run, "timely");
    assert_eq!(heard[0]["id"], 0);
    assert!(!run.heard("timely").contains("late"));
    run.finish();
}

fn modern(id: u64, method: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "m", "version": "1"},
    });
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

#[test]
fn a_modern_session_is_probed_and_its_listen_continues() {
    let test = Test::new();
    test.secret("t/token", OLD);
    test.serve("fake", &[], &slot("TOKEN", "t/token"));
    let mut run = test.run("fake");
    run.send(&modern(1, "server/discover", &json!({})));
    assert!(run.answer(1)["result"]["supportedVersions"].is_array());
    let wishes = json!({"notifications": {"toolsListChanged": true}});
    run.send(&modern(2, "subscriptions/listen", &wishes));
    assert_eq!(
        run.message()["method"],
        "notifications/subscriptions/acknowledged"
    );
    rotate(&test, NEW);
    let changed = run.message();
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(
        changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        2
    );
    run.heard_times("subscriptions/listen", 2);
    let peek = json!({"name": "peek", "arguments": {"name": "TOKEN"}});
    run.send(&modern(3, "tools/call", &peek));
    let backwards: Vec<u8> = NEW.bytes().rev().collect();
    let digits = mcpwrap::testing::secret::hex(&backwards);
    assert_eq!(run.answer(3)["result"]["content"][0]["text"], digits);
    // The second acknowledgement was for mcpwrap.
    assert!(run.others.is_empty(), "{:?}", run.others);
    assert!(!run.finish().stderr.contains("\"initialize\""));
}
