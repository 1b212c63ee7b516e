//! HTTP+SSE, and how it is found.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::driver::Start;
use super::web::{Asked, Reply, Then, Web};

type Events = Arc<Mutex<Option<Sender<String>>>>;

/// A server of the older transport, whose `endpoint` is this. A call of the tool `end` ends the stream.
fn older(endpoint: &'static str) -> impl Fn(&Asked, &mut Reply<'_>) -> Then + Send + Sync {
    let events = Events::default();
    move |asked: &Asked, reply: &mut Reply<'_>| {
        match (asked.method.as_str(), asked.target.as_str()) {
            ("GET", "/mcp") => {
                let (sender, messages) = channel();
                *events.lock().unwrap() = Some(sender);
                reply.stream();
                reply.raw(format!("event: endpoint\ndata: {endpoint}\n\n"));
                for message in messages {
                    if !reply.raw(format!("event: message\r\ndata: {message}\r\n\r\n")) {
                        break;
                    }
                }
                return Then::Close;
            }
            ("POST", "/message?session=1") => {
                reply.body(202, "", "Accepted");
                let mut events = events.lock().unwrap();
                if asked.json()["params"]["name"] == "end" {
                    *events = None;
                    return Then::Keep;
                }
                let result = match asked.rpc().as_str() {
                    "initialize" => json!({"protocolVersion": "2024-11-05", "capabilities": {}}),
                    rpc => json!({"asked": rpc}),
                };
                if !asked.id().is_null() {
                    let answer = json!({"jsonrpc": "2.0", "id": asked.id(), "result": result});
                    if let Some(events) = &*events {
                        events.send(answer.to_string()).unwrap();
                    }
                }
            }
            _ => reply.status(405),
        }
        Then::Keep
    }
}

#[test]
fn it_is_found_and_used() {
    for transport in ["auto", "sse"] {
        let web = Web::start(older("/message?session=1"));
        let mut start = Start::at(&web.url());
        start.transport = transport;
        let mut driver = start.go();
        assert_eq!(
            driver.initialize()["result"]["protocolVersion"],
            "2024-11-05"
        );
        assert_eq!(
            driver.call(1, "tools/list", &json!({}))["result"]["asked"],
            "tools/list"
        );
        assert_eq!(driver.report("state")["transport"], "sse");
        let tried = web
            .asked()
            .iter()
            .any(|asked| asked.target == "/mcp" && asked.method == "POST");
        assert_eq!(tried, transport == "auto");
        let (said, left) = driver.finish();
        assert_eq!((said.as_str(), left.len()), ("", 0));
    }
}

#[test]
fn an_ended_stream_is_told_and_the_session_starts_again() {
    let web = Web::start(older("message?session=1"));
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    let answer = driver.call(1, "tools/call", &json!({"name": "end"}));
    let error = &answer["error"];
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("ended its stream of events"),
        "{error}"
    );
    assert_eq!(error["data"]["mcpwrap"]["outcome"], "unknown");
    let answer = driver.call(2, "tools/call", &json!({"name": "x"}));
    assert_eq!(answer["result"]["asked"], "tools/call");
    let rpcs: Vec<_> = web.asked().iter().map(Asked::rpc).collect();
    assert_eq!(
        rpcs.iter().filter(|rpc| *rpc == "initialize").count(),
        3,
        "{rpcs:?}"
    );
    assert_eq!(
        rpcs.iter()
            .filter(|rpc| *rpc == "notifications/initialized")
            .count(),
        2
    );
}

/// What a client tells a session that is over starts the next one, like a request, and only once.
#[test]
fn a_notification_between_two_streams_disturbs_nothing() {
    let web = Web::start(older("/message?session=1"));
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    driver.call(1, "tools/call", &json!({"name": "end"}));
    for _ in 0..3 {
        driver.notify("notifications/roots/list_changed", &json!({}));
    }
    driver.notify("notifications/cancelled", &json!({"requestId": 1}));
    let answer = driver.call(2, "tools/list", &json!({}));
    assert_eq!(answer["result"]["asked"], "tools/list", "{answer}");
    driver.notify("notifications/roots/list_changed", &json!({}));
    web.wait_for("the notification", |asked| {
        asked.rpc() == "notifications/roots/list_changed"
    });
    let streams = web.asked();
    let streams = streams.iter().filter(|asked| asked.method == "GET");
    assert_eq!(streams.count(), 2);
    let (_, left) = driver.finish();
    assert_eq!(left.len(), 0, "{left:?}");
}

#[test]
fn messages_go_to_the_same_origin_only() {
    let web = Web::start(older("http://127.0.0.1:9/message"));
    let mut start = Start::at(&web.url());
    start.transport = "sse";
    let mut driver = start.go();
    let answer = driver.call(1, "initialize", &json!({}));
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("wants messages at http://127.0.0.1:9, where no credentials are sent"));
}

#[test]
fn a_server_that_is_neither_is_told_by_its_first_answer() {
    let web = Web::start(|asked, reply| {
        reply.status(if asked.method == "GET" { 404 } else { 405 });
        Then::Keep
    });
    let mut driver = Start::at(&web.url()).go();
    let answer = driver.call(1, "initialize", &json!({}));
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(
        text.contains("HTTP status 405 Method Not Allowed"),
        "{text}"
    );
    // Pinned to the newer transport, no stream is tried.
    let mut start = Start::at(&web.url());
    start.transport = "streamable-http";
    let before = web.asked().len();
    let answer = start.go().call(1, "initialize", &json!({}));
    assert_ne!(answer["error"], Value::Null);
    assert_eq!(web.asked().len(), before + 1);
}
