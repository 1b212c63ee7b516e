//! A session that the server lost is started again inside the bridge.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::driver::{Driver, Start};
use super::web::{Asked, Reply, Then, Web, well};

/// How a server says that it does not know a session.
#[derive(Clone, Copy)]
enum Says {
    NotFound,
    BadRequest,
}

/// A server that forgets its session when a call has the argument `forget`. The result of `initialize` of
/// the n-th session is what `result` makes.
fn forgetful(
    says: Says,
    result: impl Fn(u64) -> Value + Send + Sync,
) -> impl Fn(&Asked, &mut Reply<'_>) -> Then + Send + Sync {
    let current = AtomicU64::new(0);
    move |asked: &Asked, reply: &mut Reply<'_>| {
        if asked.rpc() == "initialize" {
            let number = current.fetch_add(1, Ordering::SeqCst) + 1;
            let body = json!({"jsonrpc": "2.0", "id": asked.id(), "result": result(number)});
            reply.json(200, &format!("Mcp-Session-Id: s{number}\r\n"), &body);
            return Then::Keep;
        }
        let number = current.load(Ordering::SeqCst);
        let is_known = asked.header("mcp-session-id") == Some(format!("s{number}").as_str());
        let forgets = asked.json()["params"]["arguments"]["forget"] == true && number == 1;
        if is_known && !forgets {
            return well(asked, reply);
        }
        match says {
            Says::NotFound => reply.status(404),
            Says::BadRequest => reply.json(400, "", &json!({
                "jsonrpc": "2.0", "id": null,
                "error": {"code": -32000, "message": "Bad Request: No valid session ID provided"},
            })),
        }
        Then::Keep
    }
}

fn result(tools: &Value, version: &str) -> Value {
    json!({
        "protocolVersion": version, "capabilities": {"tools": tools, "logging": {}},
        "serverInfo": {"name": "web", "version": "1"},
    })
}

fn forget(driver: &mut Driver) -> Value {
    driver.call(
        "forget",
        "tools/call",
        &json!({"name": "x", "arguments": {"forget": true}}),
    )
}

#[test]
fn the_refused_call_is_sent_again_in_a_new_session() {
    for says in [Says::NotFound, Says::BadRequest] {
        let web = Web::start(forgetful(says, |_| {
            result(&json!({"listChanged": true}), "2025-11-25")
        }));
        let mut driver = Start::at(&web.url()).go();
        driver.initialize();
        driver.call(1, "logging/setLevel", &json!({"level": "debug"}));
        driver.call(2, "resources/subscribe", &json!({"uri": "a:1"}));
        driver.call(3, "resources/subscribe", &json!({"uri": "a:2"}));
        driver.call(4, "resources/unsubscribe", &json!({"uri": "a:1"}));
        assert_eq!(forget(&mut driver)["result"]["asked"], "tools/call");
        assert_eq!(
            driver.message()["method"],
            "notifications/tools/list_changed"
        );
        let asked = web.asked();
        let again: Vec<_> = asked
            .iter()
            .filter(|one| one.method == "POST" && one.header("mcp-session-id") == Some("s2"))
            .map(|one| (one.rpc(), one.json()["params"]["uri"].clone()))
            .collect();
        let names: Vec<_> = again.iter().map(|(rpc, _)| rpc.as_str()).collect();
        let expected = [
            "notifications/initialized",
            "logging/setLevel",
            "resources/subscribe",
            "tools/call",
        ];
        assert_eq!(names, expected);
        assert_eq!(again[2].1, "a:2");
        let second = asked
            .iter()
            .filter(|one| one.rpc() == "initialize")
            .nth(1)
            .unwrap();
        assert_eq!(second.header("mcp-session-id"), None);
        let (_, left) = driver.finish();
        assert_eq!(left.len(), 0, "{left:?}");
    }
}

#[test]
fn many_refused_calls_start_one_session() {
    let web = Web::start(forgetful(Says::NotFound, |_| {
        result(&json!({}), "2025-11-25")
    }));
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    for id in 0..8 {
        driver.ask(
            id,
            "tools/call",
            &json!({"name": "x", "arguments": {"forget": true}}),
        );
    }
    for id in 0..8 {
        assert_eq!(driver.answer(id)["result"]["asked"], "tools/call");
    }
    let count = web
        .asked()
        .iter()
        .filter(|asked| asked.rpc() == "initialize")
        .count();
    assert_eq!(count, 2);
}

#[test]
fn another_server_in_its_place_is_refused() {
    for (second, text) in [
        (
            result(&json!({"listChanged": true}), "2025-06-18"),
            "it has another version of MCP",
        ),
        (
            result(&json!({}), "2025-11-25"),
            "it lacks the capability `tools.listChanged`",
        ),
    ] {
        let web = Web::start(forgetful(Says::NotFound, move |number| match number {
            1 => result(&json!({"listChanged": true}), "2025-11-25"),
            _ => second.clone(),
        }));
        let mut driver = Start::at(&web.url()).go();
        driver.initialize();
        let answer = forget(&mut driver);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("lost the session") && message.contains(text),
            "{message}"
        );
        assert_eq!(answer["error"]["data"]["mcpwrap"]["outcome"], Value::Null);
    }
}

#[test]
fn a_404_without_a_session_is_an_error_of_the_server() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() == "initialize" {
            reply.result(asked, &result(&json!({}), "2025-11-25"));
        } else if asked.rpc() == "tools/call" {
            reply.status(404);
        } else {
            return well(asked, reply);
        }
        Then::Keep
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    let answer = driver.call(1, "tools/call", &json!({"name": "x"}));
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("HTTP status 404")
    );
    assert_eq!(
        web.asked()
            .iter()
            .filter(|asked| asked.rpc() == "initialize")
            .count(),
        1
    );
}

#[test]
fn a_session_id_comes_only_from_a_successful_handshake() {
    let web = Web::start(|asked, reply| {
        let body = match asked.rpc().as_str() {
            "initialize" => json!({
                "jsonrpc": "2.0", "id": asked.id(), "error": {"code": -32602, "message": "no"},
            }),
            _ => return well(asked, reply),
        };
        reply.json(200, "Mcp-Session-Id: wrong\r\n", &body);
        Then::Keep
    });
    let mut driver = Start::at(&web.url()).go();
    assert_eq!(
        driver.call(1, "initialize", &json!({}))["error"]["code"],
        -32602
    );
    driver.call(2, "ping", &json!({}));
    assert_eq!(web.asked()[1].header("mcp-session-id"), None);
}

#[test]
fn requests_of_a_second_session_have_other_ids() {
    let inner = forgetful(Says::NotFound, |_| result(&json!({}), "2025-11-25"));
    let web = Web::start(move |asked, reply| {
        let asks = asked.json()["params"]["arguments"]["ask"] == true;
        if asked.rpc() != "tools/call" || !asks {
            return inner(asked, reply);
        }
        reply.stream();
        reply.event(&json!({"jsonrpc": "2.0", "id": 0, "method": "roots/list"}));
        reply.event(&json!({"jsonrpc": "2.0", "id": asked.id(), "result": {}}));
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    let ask = json!({"name": "x", "arguments": {"ask": true}});
    driver.ask(1, "tools/call", &ask);
    assert_eq!(driver.message()["id"], 0);
    driver.answer(1);
    forget(&mut driver);
    let cancelled = driver.message();
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], 0);
    driver.ask(2, "tools/call", &ask);
    let request = driver.message();
    assert_eq!(request["method"], "roots/list");
    assert_ne!(request["id"], 0);
    // The late answer to the first session's request goes nowhere.
    driver.send(&json!({"jsonrpc": "2.0", "id": 0, "result": {"late": true}}));
    driver.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": {"new": true}}));
    let answer = web.wait_for("the answer", |asked| asked.json()["result"]["new"] == true);
    assert_eq!(answer.id(), 0);
    assert_eq!(answer.header("mcp-session-id"), Some("s2"));
    driver.answer(2);
    assert!(
        web.asked()
            .iter()
            .all(|asked| asked.json()["result"]["late"] != true)
    );
}
