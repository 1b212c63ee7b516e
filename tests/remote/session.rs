//! What happens to a session when the server restarts, or when something between them closes.

use serde_json::json;

use super::front::Front;
use super::servers::{BEARER, RemoteServer, grant, has};
use crate::harness::{TOKEN, Test, until};

const ECHO: &str = "still here";

/// The server ends and starts at the same address, where nobody knows the session any more.
fn restarts<'a>(
    test: &'a Test,
    tool: &str,
    argument: &str,
    start: impl Fn(u16) -> RemoteServer<'a>,
) {
    let port = super::servers::free_port();
    let mut server = start(port);
    grant(test, "remote", &server.url, "");
    let mut run = test.run("remote");
    run.initialize();
    let mut echo = || run.call(tool, &json!({argument: ECHO}));
    assert!(echo().contains(ECHO));
    for _ in 0..2 {
        server.end();
        server = start(port);
        assert!(echo().contains(ECHO));
    }
    run.finish();
    server.end();
}

/// It says 404 to a session that it does not know.
#[test]
fn a_session_survives_a_restart_of_fastmcp() {
    if has(&["fastmcp"]) {
        let test = Test::new();
        let start = |port: u16| RemoteServer::fastmcp(&test, &["--port", &port.to_string()]);
        restarts(&test, "echo", "text", start);
    }
}

/// It says 400.
#[test]
fn a_session_survives_a_restart_of_the_reference_server() {
    if has(&["npm"]) {
        let test = Test::new();
        let start = |port| RemoteServer::everything_at(&test, "streamableHttp", port);
        restarts(&test, "echo", "message", start);
    }
}

/// It speaks only the older transport, in which the stream is the session.
#[test]
fn a_session_survives_a_restart_of_a_server_with_the_older_transport() {
    if has(&["npm"]) {
        let test = Test::new();
        let start = |port| RemoteServer::everything_at(&test, "sse", port);
        restarts(&test, "echo", "message", start);
    }
}

#[test]
fn an_idle_limit_between_client_and_server_is_not_noticed() {
    if !has(&["fastmcp", "nginx"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &[]);
    let front = Front::new(&test, &server);
    test.set("SSL_CERT_FILE", &front.authority);
    test.init();
    test.ok(&["config", "network", "--yes"]);
    test.unset("SSL_CERT_FILE");
    test.secret("t/token", TOKEN);
    grant(&test, "remote", &front.url, BEARER);
    let mut run = test.run("remote");
    run.initialize();
    let streams = || {
        let answers = front.answers();
        let is_stream = |answer: &&String| answer.starts_with("GET 200");
        answers.iter().filter(is_stream).count()
    };
    for cut in 1..=2 {
        // nginx writes it down when it has closed it.
        until("the idle stream is cut", || streams() >= cut);
        assert_eq!(run.call("echo", &json!({"text": ECHO})), ECHO);
    }
    let begun = server.requests();
    let begun = begun.iter().filter(|request| request["session"] == false);
    assert_eq!(begun.count(), 1, "one session all the time");
    run.finish();
    // Compression is for those who ask for it, and HTTP/1.1 suffices.
    let answers = front.answers();
    assert!(!answers.is_empty());
    let is_plain = |answer: &String| answer.ends_with("HTTP/1.1 -");
    assert!(answers.iter().all(is_plain), "{answers:#?}");
    server.end();
}

#[test]
fn without_the_approved_authority_nothing_is_sent() {
    if !has(&["fastmcp", "nginx"]) {
        return;
    }
    let test = Test::new();
    let server = RemoteServer::fastmcp(&test, &[]);
    let front = Front::new(&test, &server);
    // The variable of the client chooses no authority.
    test.set("SSL_CERT_FILE", &front.authority);
    test.secret("t/token", TOKEN);
    grant(&test, "remote", &front.url, BEARER);
    let mut run = test.run("remote");
    let answer = run.initialize();
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("certificate"), "{text}");
    run.finish();
    assert!(server.requests().is_empty());
    server.end();
}
