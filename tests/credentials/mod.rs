//! What a remote server gets: the granted headers, their replacement in a live session, and the end.

mod kill;
mod life;
mod proxied;
mod server;

use serde_json::{Value, json};

use self::server::HttpServer;
use crate::harness::{Run, TOKEN, Test, golden, until};

const NEW: &str = "tok-9f8e7d6c5b4a39281706-second-value";
const HEADER: &str = "Authorization = \"Bearer {secret.TOKEN}\"";

/// A granted policy with this `[headers]` table and `[secrets.TOKEN]`.
fn policy(test: &Test, url: &str, headers: &str, optional: bool) {
    let text = format!(
        "version = 1\nurl = \"{url}\"\n[headers]\n{headers}\n[secrets.TOKEN]\n\
         from = \"secret:linear/token\"\noptional = {optional}\n"
    );
    test.write_policy("linear", &text);
    test.ok(&["grant", "linear", "--yes"]);
}

fn set_up(test: &Test, server: &HttpServer) {
    test.secret("linear/token", TOKEN);
    policy(test, &server.url(), HEADER, false);
}

fn header(run: &mut Run<'_>) -> String {
    run.call("header", &json!({"name": "authorization"}))
}

/// The header with this token, as a client sees it.
fn masked(token: &str) -> String {
    let end = token.get(token.len() - 4..).unwrap();
    format!("Bearer [secret linear/token …{end}]")
}

/// The process of the bridge.
fn pid(test: &Test) -> Value {
    test.ok(&["ps", "--json"]).json()["servers"][0]["pid"].clone()
}

/// The fingerprint that `ps` shows.
fn fingerprint(test: &Test) -> Value {
    let state = test.ok(&["ps", "--json"]).json();
    state["servers"][0]["secrets"][0]["fingerprint"].clone()
}

fn rotate(test: &Test, value: &str) {
    test.hide(value);
    let ended = test.feed(
        &["secret", "rotate", "linear/token", "--from-stdin"],
        value.as_bytes(),
    );
    assert_eq!(ended.code, 0, "{ended}");
}

#[test]
fn the_granted_header_arrives_and_comes_out_masked() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    set_up(&test, &server);
    let mut run = test.run("linear");
    run.initialize();
    assert_eq!(header(&mut run), masked(TOKEN));
    assert_eq!(
        run.call("header", &json!({"name": "accept-encoding"})),
        "absent"
    );
    let state = test.ok(&["ps", "--json"]).json();
    let remote = &state["servers"][0]["remote"];
    assert_eq!(remote["host"], server.host());
    assert_eq!(remote["transport"], "streamable-http");
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid(&test))).unwrap();
    assert!(status.contains("\nSeccomp:\t2\n"), "{status}");
    run.finish();
    assert_eq!(server.refused(), 0);
    let audit = test.audit();
    let of = |event: &str| audit.iter().find(|one| one["event"] == event).unwrap();
    assert_eq!(of("launch")["detail"]["host"], server.host());
    assert_eq!(of("inject")["detail"]["to"], "header");
    assert_eq!(of("inject")["detail"]["host"], server.host());
    assert_eq!(of("inject")["secret"]["variable"], "Authorization");
}

#[test]
fn a_rotated_secret_is_in_the_next_request_and_nothing_restarts() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    set_up(&test, &server);
    let mut run = test.run("linear");
    run.initialize();
    header(&mut run);
    let before = fingerprint(&test);
    let bridge = pid(&test);
    server.accept(&[NEW]);
    rotate(&test, NEW);
    assert_eq!(header(&mut run), masked(NEW));
    assert_ne!(fingerprint(&test), before);
    assert_eq!((server.initializes(), server.refused()), (1, 0));
    assert_eq!(pid(&test), bridge);
    run.finish();
    let audit = test.audit();
    let injections = audit.iter().filter(|one| one["event"] == "inject");
    assert_eq!(injections.count(), 2);
    let renewed = audit.iter().find(|one| one["event"] == "renew").unwrap();
    assert_eq!(renewed["reason"], "credentials");
}

#[test]
fn a_refused_secret_is_said_and_its_successor_needs_no_restart() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    set_up(&test, &server);
    let mut run = test.run("linear");
    run.initialize();
    server.accept(&[NEW]);
    let refused = run.request(
        "tools/call",
        &json!({"name": "header", "arguments": {"name": "accept"}}),
    );
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("[credentials-refused]"), "{refused}");
    assert!(
        message.contains("mcpwrap secret rotate linear/token"),
        "{refused}"
    );
    assert_eq!(refused["error"]["code"], -32603);
    rotate(&test, NEW);
    assert_eq!(header(&mut run), masked(NEW));
    assert_eq!(server.initializes(), 1);
    let ended = run.finish();
    // The notification before the call may have been refused, too, which the bridge says.
    let of_session = |line: &&str| !line.starts_with("mcpwrap: server `linear` refused");
    let lines: Vec<_> = ended.stderr.lines().filter(of_session).collect();
    golden::check(
        "messages/credentials-refused.txt",
        &(lines.join("\n") + "\n").replace(&server.host(), "<host>"),
    );
}

#[test]
fn a_revoke_closes_the_connection_and_answers_what_is_in_flight() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    set_up(&test, &server);
    let mut run = test.run("linear");
    run.initialize();
    let id = run.ask("tools/call", &json!({"name": "wait", "arguments": {}}));
    server.wait_for_call("wait");
    test.ok(&["revoke", "linear"]);
    let answer = run.answer(id);
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["code"], "revoked",
        "{answer}"
    );
    until("the connection is closed", || server.is_aborted());
    let later = run.request("tools/list", &json!({}));
    assert_eq!(
        later["error"]["data"]["mcpwrap"]["code"], "revoked",
        "{later}"
    );
    test.ok(&["grant", "linear", "--yes"]);
    until("the session has a server again", || {
        let state = test.ok(&["ps", "--json"]).json();
        state["servers"][0]["state"] == "running"
    });
    assert_eq!(header(&mut run), masked(TOKEN));
    run.finish();
}

#[test]
fn a_secret_in_the_url_is_encoded_and_hidden() {
    let test = Test::new();
    let server = HttpServer::start(&[]);
    let value = "pa/th?x=1&tok#en-0123456789";
    test.secret("linear/token", value);
    let url = format!("{}?key={{secret.TOKEN}}", server.url());
    policy(&test, &url, "X-Plain = \"yes\"", false);
    let mut run = test.run("linear");
    run.initialize();
    let path = run.call("path", &json!({}));
    assert_eq!(path, "POST /mcp?key=[secret linear/token …6789] HTTP/1.1");
    assert_eq!(run.call("header", &json!({"name": "x-plain"})), "yes");
    run.finish();
}

#[test]
fn the_header_of_an_absent_optional_secret_is_not_sent() {
    let test = Test::new();
    test.init();
    let server = HttpServer::start(&[]);
    policy(&test, &server.url(), HEADER, true);
    let mut run = test.run("linear");
    run.initialize();
    assert_eq!(header(&mut run), "absent");
    run.finish();
}
