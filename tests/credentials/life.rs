//! Renewals, rotations under load, and policies that change, with a remote server.

use std::collections::VecDeque;

use serde_json::json;

use super::server::HttpServer;
use super::{HEADER, NEW, header, masked, pid, policy, set_up};
use crate::harness::{Run, TOKEN, Test, until};

fn started<'a>(test: &'a Test, server: &HttpServer) -> Run<'a> {
    set_up(test, server);
    let mut run = test.run("linear");
    run.initialize();
    assert_eq!(header(&mut run), masked(TOKEN));
    run
}

fn state(test: &Test) -> serde_json::Value {
    test.ok(&["ps", "--json"]).json()["servers"][0]["state"].clone()
}

/// How many rotations, and how many calls at least.
const ROTATIONS: usize = 50;
const CALLS: u32 = 2_000;

/// Four callers all the time: no call is lost, each value arrives, nothing is started again.
#[test]
fn fifty_rotations_under_load_lose_no_call() {
    let test = Test::new();
    let server = HttpServer::start(&[]);
    let mut run = started(&test, &server);
    let bridge = pid(&test);
    let values: Vec<String> = (0..ROTATIONS).map(|n| format!("{NEW}-{n:02}")).collect();
    let (mut open, mut calls, mut rotations) = (VecDeque::new(), 0_u32, Vec::new());
    let mut running: Option<Run<'_>> = None;
    while calls < CALLS || rotations.len() < values.len() {
        while open.len() < 4 {
            calls += 1;
            let arguments = json!({"text": calls.to_string()});
            let call = json!({"name": "echo", "arguments": arguments});
            open.push_back((run.ask("tools/call", &call), calls.to_string()));
        }
        let (id, text) = open.pop_front().unwrap();
        let answer = run.answer(id);
        assert_eq!(answer["result"]["content"][0]["text"], text, "{answer}");
        // One after the other, as the store has one lock, and each during calls.
        if calls.is_multiple_of(20) && rotations.len() < values.len() {
            if let Some(cli) = running.take() {
                let ended = cli.end();
                assert_eq!(ended.code, 0, "{ended}");
            }
            let value = &values[rotations.len()];
            test.hide(value);
            let mut command = test.command(test.program());
            let arguments = ["secret", "rotate", "linear/token", "--from-stdin"];
            let mut cli = test.start(command.args(arguments));
            cli.send_raw(value.as_bytes());
            cli.close();
            rotations.push(value);
            running = Some(cli);
        }
    }
    for (id, text) in open {
        assert_eq!(run.answer(id)["result"]["content"][0]["text"], text);
    }
    assert_eq!(running.unwrap().end().code, 0);
    let last = values.last().unwrap();
    let got = header(&mut run);
    assert!(got.starts_with("Bearer [secret linear/token"), "{got}");
    assert_eq!(server.tokens().last(), Some(last));
    assert_eq!(pid(&test), bridge, "no other bridge");
    assert_eq!(server.initializes(), 1, "no other session");
    run.finish();
    // A rotation ends when the bridge has the value, so each was sent.
    let sent = server.tokens();
    for value in &values {
        assert!(sent.contains(value), "{} values", sent.len());
    }
}

#[test]
fn a_renewal_starts_another_bridge_behind_the_session() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    let mut run = started(&test, &server);
    let before = pid(&test);
    let waiting = json!({"name": "echo", "arguments": {"text": "before"}});
    let call = run.ask("tools/call", &waiting);
    let ended = test.ok(&["renew", "linear"]);
    assert!(ended.text().contains("linear"), "{ended}");
    assert_eq!(
        run.answer(call)["result"]["content"][0]["text"],
        "before",
        "the call in flight"
    );
    assert_ne!(pid(&test), before);
    assert_eq!(header(&mut run), masked(TOKEN));
    assert_eq!(server.initializes(), 2);
    run.finish();
    assert_eq!(server.refused(), 0);
}

/// A session goes on under its grant; what was edited sends nothing until it is granted, and then from
/// the next bridge on.
#[test]
fn an_edited_policy_needs_another_grant() {
    let test = Test::new();
    let server = HttpServer::start(&[]);
    let elsewhere = HttpServer::start(&[]);
    let mut run = started(&test, &server);
    let bridge = pid(&test);
    let path = test.root().join("policies/linear.toml");
    let granted = std::fs::read_to_string(&path).unwrap();
    let more = format!("{HEADER}\nX-Team = \"blue\"");
    let edited = granted
        .replace(&server.url(), &elsewhere.url())
        .replace(HEADER, &more);
    assert_ne!(edited, granted);
    test.write_policy("linear", &edited);
    let refused = test.cli(&["renew", "linear"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("[policy-changed]"), "{refused}");
    test.hide(NEW);
    let value = NEW.as_bytes();
    let rotated = test.feed(&["secret", "rotate", "linear/token", "--from-stdin"], value);
    assert_eq!(rotated.code, 1, "{rotated}");
    assert_eq!(header(&mut run), masked(TOKEN), "the old grant counts");
    assert_eq!(pid(&test), bridge);
    assert!(elsewhere.tokens().is_empty(), "nothing was sent elsewhere");
    test.ok(&["grant", "linear", "--yes"]);
    test.ok(&["renew", "linear"]);
    assert_ne!(pid(&test), bridge);
    assert_eq!(header(&mut run), masked(NEW));
    let team = json!({"name": "x-team"});
    assert_eq!(run.call("header", &team), "blue");
    assert_eq!((server.initializes(), elsewhere.initializes()), (1, 1));
    run.finish();
}

#[test]
fn a_removed_policy_ends_the_bridge_and_comes_back() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    let mut run = started(&test, &server);
    let waits = json!({"name": "wait", "arguments": {}});
    let call = run.ask("tools/call", &waits);
    server.wait_for_call("wait");
    let path = test.root().join("policies/linear.toml");
    std::fs::remove_file(&path).unwrap();
    let failed = run.answer(call);
    let data = &failed["error"]["data"]["mcpwrap"];
    assert_eq!(data["code"], "policy-not-found", "{failed}");
    until("the connection is closed", || server.is_aborted());
    policy(&test, &server.url(), HEADER, false);
    until("it runs again", || state(&test) == "running");
    assert_eq!(header(&mut run), masked(TOKEN));
    run.finish();
}
