//! A session whose token expires again and again: the client notices nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::servers::{RemoteServer, grant, has};
use crate::harness::{Test, until};

/// How long a token of this server is valid (s).
const LIFE: u64 = 3;
/// So many that some tokens expire meanwhile.
const CALLS: usize = 10_000;

/// The user's browser follows the address to the end. The server asks no question.
const BROWSER: &str = "#!/bin/sh\nexec curl --silent --location --output /dev/null \"$1\"\n";

fn log_in(test: &Test, server: &str) {
    test.set("BROWSER", test.program_file("browser", BROWSER));
    let mut terminal = test.terminal(&["login", server]);
    terminal.expect("go on? [y/n] ").enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
}

#[test]
fn tokens_expire_and_no_call_fails() {
    if !has(&["fastmcp"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &["--oauth", &LIFE.to_string()]);
    grant(&test, "remote", &server.url, "[oauth]\n");
    log_in(&test, "remote");
    let mut run = test.run("remote");
    assert!(run.initialize()["result"].is_object());
    let start = Instant::now();
    let mut done = 0;
    while done < CALLS || start.elapsed() < Duration::from_secs(3 * LIFE) {
        let text = format!("call {done}");
        assert_eq!(run.call("echo", &json!({"text": text})), text);
        done += 1;
    }
    let took = start.elapsed().as_secs();
    run.finish();
    let requests = server.requests();
    let tokens: BTreeSet<_> = requests
        .iter()
        .filter(|request| request["path"] == "/mcp")
        .filter_map(|request| request["authorization"].as_str())
        .collect();
    let refreshed = u64::try_from(tokens.len()).unwrap();
    assert!(refreshed >= took / LIFE, "{refreshed} tokens in {took} s");
    // One refresh for each, whoever notices first.
    let is_asked = |request: &&serde_json::Value| request["path"] == "/token";
    let asked = requests.iter().filter(is_asked).count();
    assert!(asked <= tokens.len() + 1, "{asked} for {refreshed} tokens");
    server.end();
}

#[test]
fn a_session_waits_for_the_login_and_is_ended_by_the_logout() {
    if !has(&["fastmcp"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &["--oauth", "600"]);
    grant(&test, "remote", &server.url, "[oauth]\n");
    let mut run = test.run("remote");
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    let refused = run.request("initialize", &hello);
    let code = |answer: &serde_json::Value| answer["error"]["data"]["mcpwrap"]["code"].clone();
    assert_eq!(code(&refused), "login-needed", "{refused}");
    let hint = refused["error"]["data"]["mcpwrap"]["hint"]
        .as_str()
        .unwrap();
    assert!(hint.starts_with("run `mcpwrap login remote`"), "{hint}");
    let state = || test.ok(&["ps", "--json"]).json()["servers"][0].clone();
    assert_eq!(state()["code"], "login-needed");
    log_in(&test, "remote");
    until("the session has a server", || state()["state"] == "running");
    assert!(run.initialize()["result"].is_object());
    assert_eq!(run.call("echo", &json!({"text": "here"})), "here");
    assert!(state()["remote"]["token_expires"].is_i64(), "{}", state());
    let shown = test.ok(&["ps"]);
    assert!(
        shown.text().contains(" (legacy, session, token ends "),
        "{shown}"
    );
    assert_eq!(state()["secrets"][0]["name"], "oauth/remote");

    test.ok(&["logout", "remote"]);
    until("the session waits", || state()["code"] == "login-needed");
    let refused = run.request("tools/list", &json!({}));
    assert_eq!(code(&refused), "login-needed", "{refused}");
    log_in(&test, "remote");
    until("the session has a server again", || {
        state()["state"] == "running"
    });
    assert_eq!(run.call("echo", &json!({"text": "again"})), "again");
    let revoked = test.ok(&["revoke", "remote"]);
    let said = "removed: the token of remote from the store";
    assert!(revoked.text().contains(said), "{revoked}");
    assert_eq!(code(&run.request("tools/list", &json!({}))), "revoked");
    run.finish();
    server.end();
}
