//! What passes, unchanged, and what is added on the way.

use serde_json::json;

use super::driver::Start;
use super::web::{Then, Web, well};
use crate::harness::until;

#[test]
fn a_session_has_its_headers() {
    let web = Web::start(well);
    let mut driver = Start::at(&web.url()).go();
    let answer = driver.initialize();
    assert_eq!(answer["result"]["serverInfo"]["name"], "web");
    assert_eq!(
        driver.call(1, "tools/list", &json!({}))["result"]["asked"],
        "tools/list"
    );
    let state = driver.report("state");
    assert_eq!(state["protocol"], "2025-11-25");
    assert_eq!(state["has_session"], true);
    // The server's stream is asked for beside the calls.
    until("the stream is asked for", || {
        web.asked().iter().any(|one| one.method == "GET")
    });
    let (said, left) = driver.finish();
    assert_eq!((said.as_str(), left.len()), ("", 0));
    let asked = web.asked();
    let first = &asked[0];
    assert_eq!(
        (first.method.as_str(), first.target.as_str()),
        ("POST", "/mcp")
    );
    assert_eq!(
        first.header("accept"),
        Some("application/json, text/event-stream")
    );
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(
        first.header("host"),
        Some(format!("127.0.0.1:{}", web.port).as_str())
    );
    for absent in [
        "mcp-session-id",
        "mcp-protocol-version",
        "accept-encoding",
        "mcp-method",
    ] {
        assert_eq!(first.header(absent), None, "{absent}");
    }
    assert_eq!(asked[1].rpc(), "notifications/initialized");
    for later in &asked[1..] {
        assert_eq!(
            later.header("mcp-session-id"),
            Some("session-1"),
            "{later:?}"
        );
        assert_eq!(
            later.header("mcp-protocol-version"),
            Some("2025-11-25"),
            "{later:?}"
        );
    }
    assert!(
        asked
            .iter()
            .all(|one| one.header("authorization") == Some("Bearer token-1"))
    );
    assert_eq!(asked.last().unwrap().method, "DELETE");
}

#[test]
fn lines_pass_byte_for_byte() {
    let odd = r#"{ "result":{"text":"\u00e9é\\n😀","n":1.0,"big":12345678901234567890,"n":2} ,"id":7,"jsonrpc":"2.0"}"#;
    let pretty = "{\r\n  \"jsonrpc\": \"2.0\",\n\t\"id\": 8,\r  \"result\": {}\n}\n";
    let web = Web::start(move |asked, reply| {
        match asked.id().as_i64() {
            Some(7) => reply.body(
                200,
                "Content-Type: application/json; charset=utf-8\r\n",
                odd,
            ),
            Some(8) => reply.body(200, "Content-Type: APPLICATION/JSON\r\n", pretty),
            _ => return well(asked, reply),
        }
        Then::Keep
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    let line = r#"{"method":"tools/list" , "id":7,"params":{"x":"\u0041"},"jsonrpc":"2.0"}"#;
    driver.send_raw(line);
    assert_eq!(String::from_utf8(driver.line()).unwrap(), odd);
    assert_eq!(web.wait_for("the line", |asked| asked.id() == 7).body, line);
    driver.ask(8, "tools/list", &json!({}));
    let expected = pretty.replace(['\r', '\n'], " ");
    assert_eq!(String::from_utf8(driver.line()).unwrap(), expected);
}

#[test]
fn arrays_become_lines_both_ways() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/list" {
            return well(asked, reply);
        }
        let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}});
        let answer = json!({"jsonrpc": "2.0", "id": asked.id(), "result": {}});
        reply.json(200, "", &json!([note, answer]));
        Then::Keep
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    driver.send(&json!([
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 2, "method": "ping"},
    ]));
    assert_eq!(driver.answer(1)["result"], json!({}));
    assert_eq!(driver.answer(2)["result"]["asked"], "ping");
    assert_eq!(driver.message()["method"], "notifications/message");
    assert!(web.asked().iter().all(|asked| !asked.body.starts_with('[')));
}

#[test]
fn ids_are_compared_by_meaning_and_come_back_as_written() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "ping" {
            return well(asked, reply);
        }
        let id = if asked.id() == "a" {
            "\"\\u0061\""
        } else {
            "5.0"
        };
        let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}");
        reply.body(200, "Content-Type: application/json\r\n", body);
        Then::Keep
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    for id in ["5", "\"a\""] {
        driver.send_raw(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}"
        ));
        let expected = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}");
        assert_eq!(String::from_utf8(driver.line()).unwrap(), expected);
    }
}

#[test]
fn a_request_of_the_server_is_answered_by_a_post() {
    let web = Web::start(|asked, reply| {
        if asked.rpc() != "tools/call" {
            return well(asked, reply);
        }
        reply.stream();
        reply.event(&json!({"jsonrpc": "2.0", "id": 0, "method": "roots/list"}));
        reply.event(&json!({"jsonrpc": "2.0", "id": asked.id(), "result": {}}));
        Then::Close
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    driver.ask(3, "tools/call", &json!({"name": "x"}));
    assert_eq!(driver.message()["method"], "roots/list");
    driver.send(&json!({"jsonrpc": "2.0", "id": 0, "result": {"roots": []}}));
    driver.answer(3);
    let answer = web.wait_for("the answer", |asked| {
        asked.json()["result"]["roots"].is_array()
    });
    assert_eq!(answer.id(), 0);
}

#[test]
fn it_ends_with_its_supervisor_and_its_client() {
    let web = Web::start(|asked, reply| {
        if asked.method == "DELETE" || asked.rpc() == "tools/call" {
            reply.wait_for_close();
            return Then::Close;
        }
        well(asked, reply)
    });
    // The server does not answer the end of the session.
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    let begin = std::time::Instant::now();
    driver.finish();
    assert!(begin.elapsed().as_millis() < 1000, "{:?}", begin.elapsed());
    web.wait_for("the end of the session", |asked| asked.method == "DELETE");
    // Nor a call, which the supervisor does not wait for.
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    driver.ask(1, "tools/call", &json!({"name": "x"}));
    web.wait_for("the call", |asked| asked.rpc() == "tools/call");
    driver.abandon();
    driver.ended();
}

#[test]
fn what_was_asked_before_the_end_of_stdin_is_answered() {
    let (sender, ended) = std::sync::mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let web = Web::start(move |asked, reply| {
        if asked.rpc() == "tools/call" {
            ended.lock().unwrap().recv().unwrap();
        }
        well(asked, reply)
    });
    let mut driver = Start::at(&web.url()).go();
    driver.initialize();
    driver.ask(1, "tools/call", &json!({"name": "x"}));
    driver.close_input();
    web.wait_for("the call", |asked| asked.rpc() == "tools/call");
    sender.send(()).unwrap();
    assert_eq!(driver.answer(1)["result"]["asked"], "tools/call");
    driver.ended();
    web.wait_for("the end of the session", |asked| asked.method == "DELETE");
}

#[test]
fn another_build_is_refused() {
    let mut start = Start::at("http://127.0.0.1:9/");
    start.build = "0.0.0 1".to_owned();
    let (said, left) = start.go().finish();
    assert!(said.contains("mcpwrap was replaced while it ran"), "{said}");
    assert_eq!(left.len(), 0);
}
