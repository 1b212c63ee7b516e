//! What the client is told when there is no answer: once, in time, with the host and the reason.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::driver::{Driver, Start};
use super::web::{Then, Web, well};

/// A request fails with this text, and the outcome is as known as it says.
#[track_caller]
fn fails(answer: &Value, text: &str, is_unknown: bool) {
    let error = &answer["error"];
    assert_eq!(error["code"], -32603, "{answer}");
    assert!(
        error["message"].as_str().unwrap().contains(text),
        "{answer}"
    );
    let data = &error["data"]["mcpwrap"];
    assert_eq!(data["server"], "web");
    assert_eq!(data["outcome"] == "unknown", is_unknown, "{answer}");
    // Neither the path nor the query nor a header.
    let shown = answer.to_string();
    assert!(!shown.contains("token-1") && !shown.contains("/mcp") && !shown.contains("key="));
}

fn started(web: &Web) -> Driver {
    let mut driver = Start::at(&format!("{}?key=hidden", web.url())).go();
    driver.initialize();
    driver
}

#[test]
fn a_server_that_is_not_there() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut driver = Start::at(&format!("http://127.0.0.1:{port}/mcp?key=hidden")).go();
    let answer = driver.call(1, "initialize", &json!({}));
    fails(
        &answer,
        &format!("cannot reach 127.0.0.1:{port}: connection refused"),
        false,
    );
    assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], "remote-failed");
    let mut driver = Start::at("http://mcp.invalid/mcp").go();
    let answer = driver.call(1, "initialize", &json!({}));
    fails(
        &answer,
        "cannot reach mcp.invalid:80: cannot resolve the name",
        false,
    );
}

#[test]
fn a_server_that_accepts_nobody() {
    // The backlog is full, so further connections wait.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..5000 {
        match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => break,
        }
    }
    let mut driver = Start::at(&format!("http://{address}/mcp")).go();
    let begin = Instant::now();
    let answer = driver.call(1, "initialize", &json!({}));
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "{:?}",
        begin.elapsed()
    );
    fails(&answer, "no answer in time", false);
}

#[test]
fn statuses_are_told_or_their_error_is_kept() {
    let web = Web::start(|asked, reply| {
        let Some(status) = asked.json()["params"]["status"].as_u64() else {
            return well(asked, reply);
        };
        let status = u16::try_from(status).unwrap();
        match asked.json()["params"]["body"].as_str() {
            Some(body) => reply.body(status, "Content-Type: application/json\r\n", body),
            None => reply.body(status, "Content-Type: text/html\r\n", "<html>"),
        }
        Then::Keep
    });
    let mut driver = started(&web);
    for (n, (status, text, is_unknown)) in [
        (400, "answered with HTTP status 400 Bad Request", false),
        (
            415,
            "answered with HTTP status 415 Unsupported Media Type",
            false,
        ),
        (
            500,
            "answered with HTTP status 500 Internal Server Error",
            true,
        ),
        (502, "answered with HTTP status 502 Bad Gateway", true),
        (
            200,
            "answered with `text/html` and not with a message of MCP",
            true,
        ),
        (202, "answered with `text/html`", true),
        (
            304,
            "redirects to an invalid address (HTTP status 304)",
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = driver.call(n, "tools/call", &json!({"name": "x", "status": status}));
        fails(&answer, text, is_unknown);
    }
    for (n, body) in [
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"m","data":{"d":[1]}}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"m","data":{"d":[1]}}}"#,
        r#"{"jsonrpc":"2.0","id":"other","error":{"code":-32000,"message":"m","data":{"d":[1]}}}"#,
    ]
    .iter()
    .enumerate()
    {
        let answer = driver.call(
            format!("e{n}"),
            "tools/call",
            &json!({"name": "x", "status": 400, "body": body}),
        );
        let error = json!({"code": -32000, "message": "m", "data": {"d": [1]}});
        assert_eq!(answer["error"], error);
    }
}

#[test]
fn a_pause_is_told_and_reported() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/call" {
            return well(asked, reply);
        }
        reply.body(429, "Retry-After: 120\r\n", "");
        Then::Keep
    });
    let mut driver = started(&web);
    assert_eq!(driver.report("state")["paused_until"], Value::Null);
    let answer = driver.call(1, "tools/call", &json!({"name": "x"}));
    fails(&answer, "asks to wait 120 s (HTTP status 429", false);
    assert!(driver.report("state")["paused_until"].as_i64().unwrap() > 1_700_000_000);
    driver.call(2, "ping", &json!({}));
    assert_eq!(driver.report("state")["paused_until"], Value::Null);
}

#[test]
fn a_cut_answer_is_unknown_unless_it_is_safe_to_repeat() {
    let seen = AtomicU64::new(0);
    let web = Web::start(move |asked, reply| {
        let cuts = asked.json()["params"]["cuts"].as_u64().unwrap_or(0);
        if cuts <= seen.fetch_add(u64::from(cuts > 0), Ordering::Relaxed) {
            return well(asked, reply);
        }
        match asked.json()["params"]["where"].as_str() {
            Some("head") => reply.raw("HTTP/1.1 200 OK\r\nContent-"),
            Some("body") => reply.raw(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
            ),
            Some("event") => {
                reply.stream();
                reply.raw("data: {\"jsonrpc\":\"2.0\"")
            }
            _ => true,
        };
        Then::Close
    });
    let mut driver = started(&web);
    for (n, place) in ["nowhere", "head", "body", "event"].iter().enumerate() {
        let params = json!({"name": "x", "cuts": 9, "where": place});
        let answer = driver.call(n, "tools/call", &params);
        fails(&answer, "127.0.0.1", true);
    }
    // Each call was sent once.
    let calls = web
        .asked()
        .iter()
        .filter(|asked| asked.rpc() == "tools/call")
        .count();
    assert_eq!(calls, 4);
    let params = json!({"cuts": 9});
    let answer = driver.call("list", "tools/list", &params);
    fails(&answer, "127.0.0.1", true);
    let lists = web
        .asked()
        .iter()
        .filter(|asked| asked.rpc() == "tools/list")
        .count();
    assert_eq!(lists, 2);
    let answer = driver.call("again", "prompts/list", &json!({"cuts": 7}));
    assert_eq!(answer["result"]["asked"], "prompts/list");
}

#[test]
fn a_connection_that_the_server_closed_is_not_used_again() {
    let web = Web::start(|asked, reply| {
        well(asked, reply);
        Then::Close
    });
    let mut driver = started(&web);
    for n in 0..20 {
        let answer = driver.call(n, "tools/call", &json!({"name": "x"}));
        assert_eq!(answer["result"]["asked"], "tools/call", "{answer}");
        // A request that meets the close on its way may have run.
        web.wait_until_closed();
    }
}

#[test]
fn a_connection_is_used_again() {
    let web = Web::start(well);
    let mut driver = started(&web);
    for n in 0..20 {
        driver.call(n, "tools/call", &json!({"name": "x"}));
    }
    // One for requests, one that tried to open the stream.
    assert!(
        web.asked().iter().all(|asked| asked.connection < 3),
        "{:#?}",
        web.asked()
    );
}

#[test]
fn redirects_stay_in_the_origin() {
    let other = Web::start(well);
    let to_other = other.url();
    let web = Web::start(move |asked, reply| {
        let to = match (asked.target.as_str(), asked.json()["params"]["to"].as_str()) {
            ("/mcp?key=hidden", Some("same")) => (307, "/moved".to_owned()),
            ("/mcp?key=hidden", Some("post")) => (302, "/moved".to_owned()),
            ("/mcp?key=hidden", Some("other")) => (308, to_other.clone()),
            (_, Some("loop")) => (307, "/mcp?key=hidden".to_owned()),
            _ => return well(asked, reply),
        };
        reply.body(to.0, &format!("Location: {}\r\n", to.1), "");
        Then::Keep
    });
    let mut driver = started(&web);
    let call = |driver: &mut Driver, to: &str| {
        driver.call(to, "tools/call", &json!({"name": "x", "to": to}))
    };
    assert_eq!(call(&mut driver, "same")["result"]["asked"], "tools/call");
    let moved = web.wait_for("the new address", |asked| asked.target == "/moved");
    assert_eq!(moved.header("authorization"), Some("Bearer token-1"));
    let port = other.port;
    fails(
        &call(&mut driver, "other"),
        &format!("redirects to http://127.0.0.1:{port}, where no credentials are sent"),
        false,
    );
    fails(
        &call(&mut driver, "post"),
        "redirects with HTTP status 302",
        false,
    );
    fails(
        &call(&mut driver, "loop"),
        "redirects more than 3 times",
        false,
    );
    assert_eq!(other.asked().len(), 0);
}
