//! Secrets in headers: they arrive, they come out masked, and a new value is used at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::servers::{BEARER, RemoteServer, digest, grant, has};
use crate::harness::{Run, TOKEN, Test, until};
use crate::renew::NEW;

/// Two headers with a secret each.
const TWO: &str = r#"
[headers]
X-API-Key = "{secret.KEY}"
Authorization = "Token {secret.TOKEN}"
[secrets.TOKEN]
from = "secret:t/token"
[secrets.KEY]
from = "secret:t/key"
"#;

/// What the server got as credentials: hashed and, masked, in clear.
fn credentials(run: &mut Run<'_>) -> Value {
    serde_json::from_str(&run.call("credentials", &json!({}))).unwrap()
}

/// A client in a session with a server that gets the secret `t/token` as a bearer token.
fn started<'a>(test: &'a Test, server: &RemoteServer<'_>) -> Run<'a> {
    test.secret("t/token", TOKEN);
    grant(test, "remote", &server.url, BEARER);
    let mut run = test.run("remote");
    assert!(run.initialize()["result"].is_object());
    run
}

/// How often a session was begun at the server.
fn sessions(server: &RemoteServer<'_>) -> usize {
    let begins = |request: &&Value| request["method"] == "POST" && request["session"] == false;
    server.requests().iter().filter(begins).count()
}

#[test]
fn a_secret_in_a_header_arrives_and_comes_out_masked() {
    if !has(&["fastmcp"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &[]);
    let mut run = started(&test, &server);
    let seen = credentials(&mut run);
    let sent = format!("Bearer {TOKEN}");
    assert_eq!(seen["hashed"]["authorization"], digest(&sent), "{seen}");
    let shown = seen["clear"]["authorization"].as_str().unwrap();
    assert!(shown.contains("[secret "), "{shown}");
    // Text that has the value but never was a header.
    assert!(!run.call("echo", &json!({"text": TOKEN})).contains(TOKEN));
    run.finish();
    let with = |request: &Value| request["authorization"] == digest(&sent);
    let requests = server.requests();
    assert!(requests.iter().all(with), "{requests:#?}");
    let ends = |request: &Value| request["method"] == "DELETE" && request["status"] == 200;
    assert!(requests.iter().any(ends), "{requests:#?}");
    server.end();
}

/// `mcpwrap test` starts it as a client does.
#[test]
fn a_remote_server_is_tested() {
    if !has(&["fastmcp"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &[]);
    test.secret("t/token", TOKEN);
    grant(&test, "remote", &server.url, BEARER);
    let tested = test.ok(&["test", "remote", "--json"]).json();
    assert_eq!((&tested["ok"], &tested["exit"]), (&json!(true), &json!(0)));
    let names = tested["tools"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"echo"), "{tested:#}");
    assert_eq!(tested["not_passed_on"], json!([]));
    let sent = digest(&format!("Bearer {TOKEN}"));
    let requests = server.requests();
    let with = |request: &Value| request["authorization"] == sent;
    assert!(
        !requests.is_empty() && requests.iter().all(with),
        "{requests:#?}"
    );

    test.ok(&["revoke", "remote"]);
    let refused = test.cli(&["test", "remote"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("error[revoked]"), "{refused}");
    server.end();
}

#[test]
fn a_secret_in_two_headers_and_the_address_is_masked() {
    if !has(&["fastmcp"]) {
        return;
    }
    let test = Test::new();
    test.secret("t/token", TOKEN);
    test.secret("t/key", NEW);
    let server = RemoteServer::fastmcp(&test, &[]);
    let url = format!("{}?key={{secret.KEY}}", server.url);
    grant(&test, "remote", &url, TWO);
    let mut run = test.run("remote");
    run.initialize();
    let seen = credentials(&mut run);
    assert_eq!(seen["hashed"]["x-api-key"], digest(NEW), "{seen}");
    let sent = digest(&format!("Token {TOKEN}"));
    assert_eq!(seen["hashed"]["authorization"], sent, "{seen}");
    run.finish();
    server.end();
}

#[test]
fn a_rotated_secret_is_in_the_next_request_of_the_same_session() {
    if !has(&["fastmcp"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &[]);
    let mut run = started(&test, &server);
    credentials(&mut run);
    test.hide(NEW);
    let rotate = ["secret", "rotate", "t/token", "--from-stdin"];
    let rotated = test.feed(&rotate, NEW.as_bytes());
    assert_eq!(rotated.code, 0, "{rotated}");
    let sent = digest(&format!("Bearer {NEW}"));
    let seen = credentials(&mut run);
    assert_eq!(seen["hashed"]["authorization"], sent, "{seen}");
    // Both are masked: the old one may still be in what the server says.
    let both = run.call("echo", &json!({"text": format!("{TOKEN} {NEW}")}));
    assert!(!both.contains(TOKEN) && !both.contains(NEW), "{both}");
    assert_eq!(sessions(&server), 1, "no renewal");
    run.finish();
    server.end();
}

/// What the server decodes is a secret, too.
#[test]
fn the_password_of_basic_authentication_is_masked() {
    if !has(&["fastmcp"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &[]);
    let value = STANDARD.encode(format!("user:{NEW}"));
    test.secret("t/basic", &value);
    let headers = "[headers]\nAuthorization = \"Basic {secret.BASIC}\"\n[secrets.BASIC]\nfrom = \"secret:t/basic\"\n";
    grant(&test, "remote", &server.url, headers);
    let mut run = test.run("remote");
    run.initialize();
    let seen = credentials(&mut run);
    assert_eq!(
        seen["hashed"]["authorization"],
        digest(&format!("Basic {value}"))
    );
    let said = run.call("echo", &json!({"text": format!("{value} user:{NEW}")}));
    assert!(!said.contains(NEW) && !said.contains(&value), "{said}");
    assert!(said.contains("user:[secret "), "{said}");
    run.finish();
    server.end();
}

/// A value that cannot be sent is told, and the server goes on with the old one.
#[test]
fn a_rotation_to_an_unusable_value_is_not_called_done() {
    if !has(&["fastmcp"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &[]);
    let mut run = started(&test, &server);
    let sent = digest(&format!("Bearer {TOKEN}"));
    let long = "q9Kx".repeat(20_000);
    for (value, reason) in [
        (
            long.as_str(),
            "the longest secret is `t/token`, 80000 bytes",
        ),
        (
            "two\nlines-of-4711",
            "expected printable ASCII without line breaks",
        ),
    ] {
        let rotate = ["secret", "rotate", "t/token", "--from-stdin"];
        let rotated = test.feed(&rotate, value.as_bytes());
        assert_eq!(rotated.code, 1, "{rotated}");
        assert!(rotated.stderr.contains(reason), "{rotated}");
        assert_eq!(credentials(&mut run)["hashed"]["authorization"], sent);
    }
    let renewed = test
        .audit()
        .into_iter()
        .any(|record| record["event"] == "renew" && record["outcome"] == "ok");
    assert!(!renewed);
    run.finish();
    server.end();
}

#[test]
fn revoke_answers_the_call_and_closes_the_connection() {
    if !has(&["fastmcp"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &[]);
    let mut run = started(&test, &server);
    let call = run.ask(
        "tools/call",
        &json!({"name": "wait", "arguments": {"seconds": 60},
            "_meta": {"progressToken": "p"}}),
    );
    // It runs.
    while run.message()["method"] != "notifications/progress" {}
    assert!(connections(server.port()) > 0);
    let ended = test.ok(&["revoke", "remote", "--reason", "left the project"]);
    let answer = run.answer(call);
    let about = &answer["error"]["data"]["mcpwrap"];
    assert_eq!(about["outcome"], "unknown", "{answer}\n{ended}");
    until("no connection is left", || connections(server.port()) == 0);
    let before = server.requests().len();
    let refused = run.request("tools/list", &json!({}));
    assert_eq!(
        refused["error"]["data"]["mcpwrap"]["code"], "revoked",
        "{refused}"
    );
    assert_eq!(run.request("ping", &json!({}))["result"], json!({}));
    assert_eq!(server.requests().len(), before, "nothing was sent");

    test.ok(&["grant", "remote", "--yes"]);
    let sent = digest(&format!("Bearer {TOKEN}"));
    until("the session is back", || {
        let asked = json!({"name": "credentials", "arguments": {}});
        let answer = run.request("tools/call", &asked);
        let text = answer["result"]["content"][0]["text"].as_str();
        text.is_some_and(|text| text.contains(&sent))
    });
    run.finish();
    server.end();
}

/// The established connections to this port.
fn connections(port: u16) -> usize {
    let remote = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_open = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.get(2).is_some_and(|peer| peer.ends_with(&remote)) && fields.get(3) == Some(&"01")
    };
    table.lines().filter(is_open).count()
}
