//! Credentials: where they go, and what happens when the server refuses them.

use serde_json::{Value, json};

use super::driver::{Driver, Start, credentials};
use super::web::{Asked, Reply, Then, Web, well};

/// A server that accepts one token only.
fn only(token: &'static str) -> impl Fn(&Asked, &mut Reply<'_>) -> Then + Send + Sync {
    move |asked, reply| {
        let expected = format!("Bearer {token}");
        if asked.header("authorization") == Some(expected.as_str()) {
            return well(asked, reply);
        }
        let challenge = "WWW-Authenticate: Bearer error=\"invalid_token\", scope=\"a b\"\r\n\
                         WWW-Authenticate: Basic realm=\"x\"\r\n";
        reply.body(401, challenge, "{\"error\":\"invalid_token\"}");
        Then::Keep
    }
}

fn initialize() -> Value {
    json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "d"}})
}

/// The supervisor has no other credentials than generation 1.
fn refused(line: &str) -> Value {
    json!({"refused": {"generation": 1, "code": "login-needed", "line": line, "hint": null}})
}

#[test]
fn a_refused_request_waits_for_newer_credentials() {
    let web = Web::start(only("token-2"));
    let mut start = Start::at(&web.url());
    start.renewable = true;
    let mut driver = start.go();
    driver.ask(1, "initialize", &initialize());
    let rejected = driver.report("rejected");
    assert_eq!(
        (&rejected["generation"], &rejected["status"]),
        (&json!(1), &json!(401))
    );
    let challenge = json!([
        "Bearer error=\"invalid_token\", scope=\"a b\"",
        "Basic realm=\"x\""
    ]);
    assert_eq!(rejected["challenge"], challenge);
    driver.down(&json!({"credentials": credentials(&web.url(), 2, "token-2", true)}));
    assert!(driver.answer(1)["result"].is_object());
    driver.notify("notifications/initialized", &json!({}));
    driver.call(2, "tools/list", &json!({}));
    assert!(driver.has_no_report("rejected"));
}

#[test]
fn a_generation_is_reported_once() {
    let web = Web::start(only("token-2"));
    let mut start = Start::at(&web.url());
    start.renewable = true;
    let mut driver = start.go();
    for id in 0..8 {
        driver.ask(id, "ping", &json!({}));
    }
    driver.report("rejected");
    let count = |asked: &Asked| asked.number >= 7;
    web.wait_for("all of them", count);
    driver.down(&json!({"credentials": credentials(&web.url(), 2, "token-2", true)}));
    for id in 0..8 {
        assert_eq!(driver.answer(id)["result"]["asked"], "ping");
    }
    assert!(driver.has_no_report("rejected"));
}

#[test]
fn a_request_is_sent_with_newer_credentials_twice() {
    // The newer ones can have ended, too, before the request arrives.
    for (third, is_accepted) in [("token-9", true), ("token-3", false)] {
        let web = Web::start(only("token-9"));
        let mut start = Start::at(&web.url());
        start.renewable = true;
        let mut driver = start.go();
        driver.ask(1, "initialize", &initialize());
        for (generation, newer) in [(1, "token-2"), (2, third)] {
            assert_eq!(driver.report("rejected")["generation"], generation);
            let newer = credentials(&web.url(), generation + 1, newer, true);
            driver.down(&json!({"credentials": newer}));
        }
        let answer = driver.answer(1);
        assert_eq!(answer["result"].is_object(), is_accepted, "{answer}");
        if !is_accepted {
            let code = &answer["error"]["data"]["mcpwrap"]["code"];
            assert_eq!((code, web.asked().len()), (&json!("remote-refused"), 3));
        }
    }
}

#[test]
fn a_refusal_of_the_supervisor_is_the_answer() {
    let web = Web::start(only("token-2"));
    let mut start = Start::at(&web.url());
    start.renewable = true;
    let mut driver = start.go();
    driver.ask(1, "initialize", &initialize());
    driver.report("rejected");
    driver.down(&refused("run `mcpwrap login web`"));
    let answer = driver.answer(1);
    let text = answer["error"]["message"].as_str().unwrap();
    assert_eq!(answer["error"]["code"], -32603);
    assert_eq!(text, "run `mcpwrap login web`");
    assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], "login-needed");
    // The next one is tried, and answered at once.
    driver.call(2, "ping", &json!({}));
    assert_eq!(web.asked().len(), 2);
    assert!(driver.has_no_report("rejected"));
    driver.down(&json!({"credentials": credentials(&web.url(), 2, "token-2", true)}));
    assert!(driver.call(3, "ping", &json!({}))["result"].is_object());
}

#[test]
fn without_renewal_nobody_is_asked() {
    let web = Web::start(only("token-2"));
    let mut driver = Start::at(&web.url()).go();
    let answer = driver.call(1, "initialize", &initialize());
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(
        text.contains("refused the credentials (HTTP status 401)"),
        "{text}"
    );
    assert!(!answer.to_string().contains("token-1"));
    assert!(driver.has_no_report("rejected"));
}

#[test]
fn a_rotated_value_is_sent_from_the_next_request_on() {
    let web = Web::start(well);
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    driver.call(1, "ping", &json!({}));
    let url = format!("{}/other?key=new", web.origin());
    driver.down(&json!({"credentials": credentials(&url, 2, "token-2", false)}));
    // The channel and stdin are two streams: the change counts once it was seen.
    let mut id = 2;
    while web.asked().last().unwrap().header("authorization") == Some("Bearer token-1") {
        driver.call(id, "ping", &json!({}));
        id += 1;
        assert!(id < 100_000);
    }
    let last = web.asked().last().unwrap().clone();
    assert_eq!(last.header("authorization"), Some("Bearer token-2"));
    assert_eq!(last.target, "/other?key=new");
    assert_eq!(last.header("mcp-session-id"), Some("session-1"));
}

#[test]
fn a_403_counts_if_its_challenge_says_so() {
    let web = Web::start(|asked, reply| {
        let header = match asked.json()["params"]["scope"].as_str() {
            Some("named") => "WWW-Authenticate: Bearer error=\"insufficient_scope\"\r\n",
            Some(_) => "",
            None => return well(asked, reply),
        };
        reply.body(403, header, "");
        Then::Keep
    });
    let mut start = Start::at(&web.url());
    start.renewable = true;
    let mut driver = start.go();
    driver.initialize();
    let answer = driver.call(1, "tools/call", &json!({"name": "x", "scope": "other"}));
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("HTTP status 403 Forbidden")
    );
    driver.ask(2, "tools/call", &json!({"name": "x", "scope": "named"}));
    assert_eq!(driver.report("rejected")["status"], 403);
    driver.down(&refused("wider scopes are needed"));
    let answer = driver.answer(2);
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("wider scopes are needed")
    );
}

#[test]
fn a_401_of_the_stream_asks_nobody() {
    let web = Web::start(|asked, reply| {
        if asked.method == "GET" && asked.header("authorization") == Some("Bearer token-1") {
            reply.status(401);
            return Then::Keep;
        }
        well(asked, reply)
    });
    let mut start = Start::at(&web.url());
    start.renewable = true;
    let mut driver = start.go();
    driver.initialize();
    web.wait_for("the stream", |asked| asked.method == "GET");
    driver.call(1, "ping", &json!({}));
    assert!(driver.has_no_report("rejected"));
    driver.down(&json!({"credentials": credentials(&web.url(), 2, "token-2", true)}));
    web.wait_for("the stream again", |asked| {
        asked.method == "GET" && asked.header("authorization") == Some("Bearer token-2")
    });
}

/// A call whose answer breaks off, and whose rest is only for the second token.
fn resumed(asked: &Asked, reply: &mut Reply<'_>) -> Then {
    let is_new = asked.header("authorization") == Some("Bearer token-2");
    match (asked.method.as_str(), asked.rpc().as_str()) {
        ("POST", "tools/call") => {
            reply.stream();
            reply.raw("id: e1\nretry: 50\ndata:\n\n");
        }
        ("GET", _) if asked.header("last-event-id") != Some("e1") => reply.status(405),
        ("GET", _) if is_new => {
            reply.stream();
            reply.event(&json!({"jsonrpc": "2.0", "id": 1, "result": {"rest": true}}));
        }
        ("GET", _) => reply.status(401),
        _ => return well(asked, reply),
    }
    Then::Close
}

fn calls(web: &Web) -> usize {
    let asked = web.asked();
    asked
        .iter()
        .filter(|asked| asked.rpc() == "tools/call")
        .count()
}

/// A call whose answer is resumed, and refused.
fn rejected() -> (Web, Driver) {
    let web = Web::start(resumed);
    let mut start = Start::at(&web.url());
    start.renewable = true;
    let mut driver = start.go();
    driver.initialize();
    driver.ask(1, "tools/call", &json!({"name": "x"}));
    assert_eq!(driver.report("rejected")["generation"], 1);
    (web, driver)
}

#[test]
fn a_401_of_a_resumed_answer_is_asked_about() {
    let (web, mut driver) = rejected();
    driver.down(&json!({"credentials": credentials(&web.url(), 2, "token-2", true)}));
    assert_eq!(driver.answer(1)["result"]["rest"], true);
    assert_eq!(calls(&web), 1, "it ran once");
}

#[test]
fn a_resumed_answer_that_stays_refused_is_unknown_and_says_why() {
    let (web, mut driver) = rejected();
    driver.down(&refused("log in again"));
    let answer = driver.answer(1);
    let error = &answer["error"];
    assert_eq!(error["data"]["mcpwrap"]["outcome"], "unknown", "{answer}");
    let text = error["message"].as_str().unwrap();
    assert!(text.contains("log in again"), "{answer}");
    assert_eq!(calls(&web), 1, "it ran once");
}
