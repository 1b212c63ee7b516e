//! Streams of events: in any pieces, resumed, cancelled, and the one on which a server speaks unasked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::driver::Start;
use super::web::{Then, Web, well};

#[test]
fn events_come_in_any_pieces() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/call" {
            return well(asked, reply);
        }
        reply.stream();
        let text = format!(
            "\u{feff}: hello\r\nid: 1\r\ndata:\r\n\r\nretry: 10\r\n\r\n\
             event: message\r\ndata: {{\"jsonrpc\":\"2.0\",\r\ndata: \"method\":\"é\"}}\r\n\r\n\
             event: other\r\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"hidden\"}}\r\n\r\n\
             data:{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}\r\n\r\n",
            asked.id(),
        );
        for byte in text.as_bytes() {
            reply.raw([*byte]);
        }
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    driver.ask(1, "tools/call", &json!({"name": "x"}));
    let line = String::from_utf8(driver.line()).unwrap();
    assert_eq!(line, "{\"jsonrpc\":\"2.0\", \"method\":\"é\"}");
    assert_eq!(
        driver.message(),
        json!({"jsonrpc": "2.0", "id": 1, "result": {}})
    );
}

#[test]
fn a_broken_answer_is_resumed_after_the_last_event() {
    let web = Web::start(|asked, reply| {
        let last = asked.header("last-event-id");
        match (asked.method.as_str(), asked.rpc().as_str(), last) {
            ("POST", "tools/call", _) => {
                reply.stream();
                reply.raw("id: e1\nretry: 300\ndata:\n\n");
            }
            ("GET", _, Some("e1")) => {
                reply.stream();
                reply.raw("id: e2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"between\"}\n\n");
            }
            ("GET", _, Some("e2")) => {
                reply.stream();
                reply.event(&json!({"jsonrpc": "2.0", "id": 1, "result": {"late": true}}));
            }
            _ => return well(asked, reply),
        }
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    let begin = Instant::now();
    driver.ask(1, "tools/call", &json!({"name": "x"}));
    assert_eq!(driver.message()["method"], "between");
    assert_eq!(driver.message()["result"]["late"], true);
    // Twice the time that the server asked for.
    assert!(
        begin.elapsed() >= Duration::from_millis(600),
        "{:?}",
        begin.elapsed()
    );
    let resumed = web.wait_for("the rest", |asked| {
        asked.header("last-event-id") == Some("e2")
    });
    assert_eq!(resumed.header("mcp-session-id"), Some("session-1"));
    assert_eq!(resumed.header("accept"), Some("text/event-stream"));
    let calls = web
        .asked()
        .iter()
        .filter(|asked| asked.rpc() == "tools/call")
        .count();
    assert_eq!(calls, 1);
}

#[test]
fn a_stream_that_cannot_be_resumed_is_unknown() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/call" {
            return well(asked, reply);
        }
        reply.stream();
        reply.raw("id: e1\nretry: 50\ndata:\n\n");
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    let answer = driver.call(1, "tools/call", &json!({"name": "x"}));
    assert_eq!(answer["error"]["data"]["mcpwrap"]["outcome"], "unknown");
}

#[test]
fn a_cancelled_call_may_still_be_answered() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/call" {
            return well(asked, reply);
        }
        reply.stream();
        reply.event(&json!({"jsonrpc": "2.0", "method": "begun"}));
        reply.wait_for_close();
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    driver.ask(1, "tools/call", &json!({"name": "x"}));
    assert_eq!(driver.message()["method"], "begun");
    driver.notify("notifications/cancelled", &json!({"requestId": 1}));
    let sent = web.wait_for("the cancellation", |asked| {
        asked.rpc() == "notifications/cancelled"
    });
    assert_eq!(sent.json()["params"]["requestId"], 1);
    // The bridge answers nothing itself.
    driver.call(2, "ping", &json!({}));
    let (_, left) = driver.finish();
    assert_eq!(left.len(), 0, "{left:?}");
}

#[test]
fn the_servers_own_stream_is_read_and_opened_again() {
    let opened = AtomicU64::new(0);
    let web = Web::start(move |asked, reply| {
        if asked.method != "GET" {
            return well(asked, reply);
        }
        reply.stream();
        let number = opened.fetch_add(1, Ordering::SeqCst);
        reply.raw(format!("id: g{number}\n"));
        reply.event(&json!({"jsonrpc": "2.0", "method": format!("push/{number}")}));
        if number > 0 {
            reply.wait_for_close();
        }
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    assert_eq!(driver.message()["method"], "push/0");
    assert_eq!(driver.message()["method"], "push/1");
    let again = web.wait_for("the stream again", |asked| {
        asked.method == "GET" && asked.header("last-event-id").is_some()
    });
    assert_eq!(again.header("last-event-id"), Some("g0"));
    driver.call(1, "ping", &json!({}));
}

#[test]
fn a_server_without_a_stream_is_left_alone() {
    for status in [400, 404, 405, 406, 501, 200] {
        let web = Web::start(move |asked, reply| {
            if asked.method != "GET" {
                return well(asked, reply);
            }
            reply.body(status, "Content-Type: text/html\r\n", "<html>");
            Then::Keep
        });
        let mut driver = Start::at(&web.url()).go();
        driver.initialize();
        web.wait_for("the stream", |asked| asked.method == "GET");
        driver.call(1, "ping", &json!({}));
        let (said, left) = driver.finish();
        assert_eq!((said.as_str(), left.len()), ("", 0), "{status}");
        assert_eq!(
            web.asked()
                .iter()
                .filter(|asked| asked.method == "GET")
                .count(),
            1
        );
    }
}

#[test]
fn requests_do_not_wait_for_the_stream() {
    let web = Web::start(|asked, reply| {
        if asked.method == "GET" {
            // Not even its head.
            reply.wait_for_close();
            return Then::Close;
        }
        well(asked, reply)
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    web.wait_for("the stream", |asked| asked.method == "GET");
    assert!(driver.call(1, "tools/list", &json!({}))["result"].is_object());
}
