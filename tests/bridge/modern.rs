//! The modern era (2026-07-28): headers, refusals, subscriptions, cancellation.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::driver::{Driver, Start};
use super::web::{Asked, Reply, Then, Web, well};

const VERSION: &str = "2026-07-28";

fn with_meta(mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "driver", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    params
}

fn call(driver: &mut Driver, id: &str, method: &str, params: Value) -> Value {
    driver.call(id, method, &with_meta(params))
}

/// The tools of a server of this era: one with headers, one with an invalid annotation.
fn tools() -> Value {
    json!({"tools": [
        {"name": "bad", "inputSchema": {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}}},
        {"name": "good", "inputSchema": {"properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"properties": {"count": {"type": "integer", "x-mcp-header": "Count"}}},
            "flag": {"type": "boolean", "x-mcp-header": "Flag"},
        }}},
    ]})
}

fn modern(asked: &Asked, reply: &mut Reply<'_>) -> Then {
    match asked.rpc().as_str() {
        "tools/list" => reply.result(asked, &tools()),
        "server/discover" => reply.result(asked, &json!({"supportedVersions": [VERSION]})),
        "unknown" => reply.json(
            404,
            "",
            &json!({
                "jsonrpc": "2.0", "id": asked.id(), "error": {"code": -32601, "message": "what?"},
            }),
        ),
        _ => return well(asked, reply),
    }
    Then::Keep
}

#[test]
fn requests_have_the_headers_of_this_revision() {
    let web = Web::start(modern);
    let mut driver = Start::at(&web.url()).go();
    call(&mut driver, "d", "server/discover", json!({}));
    call(&mut driver, "r", "resources/read", json!({"uri": "a:é"}));
    call(&mut driver, "p", "prompts/get", json!({"name": "p"}));
    call(&mut driver, "u", "unknown", json!({}));
    let asked = web.asked();
    let headers = |number: usize, name: &str| asked[number].header(name).map(str::to_owned);
    for (number, method, name) in [
        (0, "server/discover", None),
        (1, "resources/read", Some("=?base64?YTrDqQ==?=")),
        (2, "prompts/get", Some("p")),
        (3, "unknown", None),
    ] {
        assert_eq!(
            headers(number, "mcp-protocol-version").as_deref(),
            Some(VERSION)
        );
        assert_eq!(headers(number, "mcp-method").as_deref(), Some(method));
        assert_eq!(headers(number, "mcp-name").as_deref(), name);
        assert_eq!(headers(number, "mcp-session-id"), None);
    }
    // An unknown method is no lost session.
    assert_eq!(asked.len(), 4);
    let state = driver.report("state");
    assert_eq!(
        (&state["protocol"], &state["has_session"]),
        (&json!(VERSION), &json!(false))
    );
    let (_, left) = driver.finish();
    assert_eq!(left.len(), 0);
    // There is no session to end, and no stream to open.
    assert!(web.asked().iter().all(|one| one.method == "POST"));
}

#[test]
fn arguments_become_headers_also_of_a_tool_that_was_not_listed() {
    let web = Web::start(modern);
    let mut driver = Start::at(&web.url()).go();
    let arguments = json!({"region": "süd", "deep": {"count": 3}, "flag": true, "region2": "x"});
    let params = json!({"name": "good", "arguments": arguments});
    for id in ["1", "2"] {
        let answer = call(&mut driver, id, "tools/call", params.clone());
        assert_eq!(answer["result"]["asked"], "tools/call");
    }
    let asked = web.asked();
    let rpcs: Vec<_> = asked.iter().map(Asked::rpc).collect();
    assert_eq!(rpcs, ["tools/list", "tools/call", "tools/call"]);
    assert_eq!(asked[0].header("mcp-method"), Some("tools/list"));
    assert_eq!(asked[1].header("mcp-name"), Some("good"));
    assert_eq!(
        asked[1].header("mcp-param-region"),
        Some("=?base64?c8O8ZA==?=")
    );
    assert_eq!(asked[1].header("mcp-param-count"), Some("3"));
    assert_eq!(asked[1].header("mcp-param-flag"), Some("true"));
}

#[test]
fn an_invalid_tool_is_left_out() {
    let web = Web::start(modern);
    let mut driver = Start::at(&web.url()).go();
    let answer = call(&mut driver, "1", "tools/list", json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1);
    assert_eq!(tools[0]["name"], "good");
    let (said, _) = driver.finish();
    assert!(said.contains("left out 1 tool(s)"), "{said}");
}

#[test]
fn headers_that_do_not_fit_are_learnt_again() {
    let lists = AtomicU64::new(0);
    let web = Web::start(move |asked, reply| {
        match asked.rpc().as_str() {
            "tools/list" => {
                let name = if lists.fetch_add(1, Ordering::SeqCst) == 0 {
                    "Old"
                } else {
                    "New"
                };
                let schema = json!({"properties": {"a": {"type": "string", "x-mcp-header": name}}});
                reply.result(
                    asked,
                    &json!({"tools": [{"name": "t", "inputSchema": schema}]}),
                );
            }
            "tools/call" if asked.header("mcp-param-new").is_none() => {
                reply.json(400, "", &json!({
                    "jsonrpc": "2.0", "id": asked.id(), "error": {"code": -32020, "message": "no"},
                }));
            }
            _ => return modern(asked, reply),
        }
        Then::Keep
    });
    let mut driver = Start::at(&web.url()).go();
    let params = json!({"name": "t", "arguments": {"a": "x"}});
    let answer = call(&mut driver, "1", "tools/call", params);
    assert_eq!(answer["result"]["asked"], "tools/call");
    // One that stays wrong is told.
    let answer = call(
        &mut driver,
        "2",
        "tools/call",
        json!({"name": "t", "arguments": {}}),
    );
    assert_eq!(answer["error"]["code"], -32020);
}

#[test]
fn closing_the_answer_cancels() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/call" {
            return modern(asked, reply);
        }
        reply.stream();
        reply.event(&json!({"jsonrpc": "2.0", "method": "begun"}));
        reply.wait_for_close();
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.ask("1", "tools/call", &with_meta(json!({"name": "good"})));
    assert_eq!(driver.message()["method"], "begun");
    driver.notify("notifications/cancelled", &json!({"requestId": "1"}));
    call(&mut driver, "2", "ping", json!({}));
    assert!(
        web.asked()
            .iter()
            .all(|asked| asked.rpc() != "notifications/cancelled")
    );
    let (_, left) = driver.finish();
    assert_eq!(left.len(), 0, "{left:?}");
}

#[test]
fn a_subscription_is_opened_again_and_acknowledged_once() {
    let opened = AtomicU64::new(0);
    let web = Web::start(move |asked, reply| {
        if asked.rpc() != "subscriptions/listen" {
            return modern(asked, reply);
        }
        let number = opened.fetch_add(1, Ordering::SeqCst);
        reply.stream();
        let acknowledged = "notifications/subscriptions/acknowledged";
        reply.event(&json!({"jsonrpc": "2.0", "method": acknowledged, "params": {}}));
        reply.event(&json!({"jsonrpc": "2.0", "method": format!("change/{number}")}));
        if number == 1 {
            reply.event(&json!({"jsonrpc": "2.0", "id": asked.id(), "result": {}}));
        }
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.ask(
        "s",
        "subscriptions/listen",
        &with_meta(json!({"notifications": {}})),
    );
    assert_eq!(
        driver.message()["method"],
        "notifications/subscriptions/acknowledged"
    );
    assert_eq!(driver.message()["method"], "change/0");
    assert_eq!(driver.message()["method"], "change/1");
    assert_eq!(
        driver.message(),
        json!({"jsonrpc": "2.0", "id": "s", "result": {}})
    );
    assert_eq!(
        web.asked()[0].header("mcp-method"),
        Some("subscriptions/listen")
    );
}

#[test]
fn a_broken_answer_is_not_resumed() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/call" {
            return modern(asked, reply);
        }
        reply.stream();
        reply.raw("id: 1\ndata:\n\n");
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    let answer = call(&mut driver, "1", "tools/call", json!({"name": "good"}));
    assert_eq!(answer["error"]["data"]["mcpwrap"]["outcome"], "unknown");
    assert!(web.asked().iter().all(|asked| asked.method == "POST"));
}

#[test]
fn a_request_of_the_server_is_dropped() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/call" {
            return modern(asked, reply);
        }
        reply.stream();
        reply.event(&json!({"jsonrpc": "2.0", "id": 0, "method": "roots/list"}));
        reply.event(&json!({"jsonrpc": "2.0", "id": asked.id(), "result": {}}));
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.ask("1", "tools/call", &with_meta(json!({"name": "good"})));
    assert_eq!(driver.message()["id"], "1");
    let (said, left) = driver.finish();
    assert!(
        said.contains("dropped a message") && left.is_empty(),
        "{said}"
    );
}

/// A server of the older revisions, which does not know a request before `initialize`.
fn older(asked: &Asked, reply: &mut Reply<'_>) -> Then {
    if asked.rpc() == "initialize" || asked.header("mcp-session-id").is_some() {
        return well(asked, reply);
    }
    reply.json(400, "", &json!({
        "jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "No valid session ID"},
    }));
    Then::Keep
}

#[test]
fn a_client_of_both_eras_goes_on_with_an_older_server() {
    let web = Web::start(older);
    let mut driver = Start::at(&web.url()).go();
    let answer = call(&mut driver, "1", "server/discover", json!({}));
    assert_eq!(answer["error"]["code"], -32601);
    let answer = call(&mut driver, "2", "tools/list", json!({}));
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(
        text.contains("speaks only older revisions of MCP"),
        "{text}"
    );
    assert!(driver.initialize()["result"].is_object());
    assert_eq!(
        driver.call(3, "ping", &json!({}))["result"]["asked"],
        "ping"
    );
    assert_eq!(web.asked().last().unwrap().header("mcp-method"), None);
}

#[test]
fn an_older_client_is_told_what_a_newer_server_speaks() {
    let web = Web::start(|asked, reply| {
        reply.json(
            400,
            "",
            &json!({
                "jsonrpc": "2.0", "id": asked.id(),
                "error": {"code": -32022, "message": "no", "data": {"supported": [VERSION]}},
            }),
        );
        Then::Keep
    });
    let mut driver = Start::at(&web.url()).go();
    let answer = driver.call(1, "initialize", &json!({"protocolVersion": "2025-11-25"}));
    assert_eq!(answer["error"]["code"], -32603);
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(
        text.contains("newer revisions of MCP") && text.contains(VERSION),
        "{text}"
    );
    assert_eq!(web.asked().len(), 1);
}
