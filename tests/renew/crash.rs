//! Servers that exit by themselves.

use serde_json::json;

use super::{OLD, started};
use crate::harness::Test;

fn crash(run: &mut crate::harness::Run<'_>) -> serde_json::Value {
    let call = json!({"name": "do", "arguments": {"act": "exit=7"}});
    run.request("tools/call", &call)
}

#[test]
fn the_client_learns_how_its_server_exited_and_gets_another() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let leak = json!({"name": "TOKEN", "as": "raw", "stream": "stderr"});
    run.call("leak", &leak);
    let error = crash(&mut run);
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("exited with code 7"), "{text}");
    assert!(
        text.contains("[secret t/token") && !text.contains(OLD),
        "{text}"
    );
    let data = &error["error"]["data"]["mcpwrap"];
    assert_eq!(
        (&data["code"], &data["outcome"]),
        (&json!("server-exited"), &json!("unknown"))
    );
    super::until_logged(&test, "renew", "ok", 1);
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    run.finish();
}

#[test]
fn a_server_that_keeps_crashing_is_restarted_only_on_request() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    for nth in 1..=5 {
        super::until_logged(&test, "renew", "ok", nth - 1);
        let error = crash(&mut run);
        let text = error["error"]["message"].as_str().unwrap();
        assert!(text.contains("exited with code 7"), "{text}");
    }
    let error = run.request("tools/list", &json!({}));
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("5 exits within a minute"), "{text}");
    let injected = test
        .events()
        .iter()
        .filter(|event| *event == "inject")
        .count();
    assert_eq!(injected, 5);
    assert_eq!(run.request("ping", &json!({}))["result"], json!({}));
    test.ok(&["renew", "fake"]);
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    run.finish();
}

#[test]
fn with_restart_never_the_session_ends_with_its_server() {
    let test = Test::new();
    let mut run = started(&test, &[], "[session]\nrestart = \"never\"");
    let error = crash(&mut run);
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("exited with code 7"), "{text}");
    assert_eq!(run.end().code, 7);
}

#[test]
fn output_before_an_exit_reaches_a_slow_client() {
    let test = Test::new();
    test.serve("fake", &[], "");
    let mut command = test.command(test.program());
    command
        .args(["run", "fake"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let line = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":\"{}\"}}\n",
        "y".repeat(900)
    );
    let hex = mcpwrap::testing::secret::hex(line.repeat(120).as_bytes());
    let say = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "say", "arguments": {"stream": "stdout", "hex": hex}}});
    let end = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "do", "arguments": {"act": "exit=0"}}});
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("{say}\n{end}\n").as_bytes()).unwrap();
    let server_is_gone = || {
        let left = crate::harness::process::of_test(&test.dir);
        left.iter().all(|(_, line)| !line.contains("fake-server"))
    };
    // The client reads nothing until well after the server has exited.
    let mut stdout = child.stdout.take().unwrap();
    let mut one = [0];
    std::io::Read::read_exact(&mut stdout, &mut one).unwrap();
    while !server_is_gone() {
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    std::thread::park_timeout(std::time::Duration::from_millis(900));
    let mut said = Vec::new();
    std::io::Read::read_to_end(&mut stdout, &mut said).unwrap();
    let lines = said
        .split(|b| *b == b'\n')
        .filter(|l| l.ends_with(b"y\"}"))
        .count();
    assert_eq!(lines, 120);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stub_tells_the_agent_what_is_wrong_until_the_server_starts() {
    let test = Test::new();
    test.serve("fake", &[], "[session]\non_failure = \"stub\"");
    test.ok(&["revoke", "fake"]);
    let mut run = test.run("fake");
    assert_eq!(run.initialize()["result"]["serverInfo"]["name"], "mcpwrap");
    let tools = run.request("tools/list", &json!({}));
    assert_eq!(tools["result"]["tools"][0]["name"], "mcpwrap_status");
    let text = run.call("mcpwrap_status", &json!({}));
    assert!(text.contains("mcpwrap grant fake"), "{text}");
    test.ok(&["grant", "fake", "--yes"]);
    run.server(1);
    let changed = run.message();
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    run.heard("notifications/initialized");
    assert_eq!(run.call("echo", &json!({"text": "now"})), "now");
    run.finish();
}

/// The settings of the client are not the server's, so it may not reach anything. Only then the error
/// names them.
#[test]
fn a_server_that_cannot_connect_is_told_about_network_settings() {
    for (line, named) in [
        ("Error: connect ECONNREFUSED 203.0.113.7:443", true),
        ("Error: missing API key", false),
    ] {
        let test = Test::new();
        test.set("HTTPS_PROXY", "http://127.0.0.1:3128");
        let say = format!("err={line}");
        test.serve("fake", &[&say, "exit=1"], "");
        let mut run = test.run("fake");
        let initialize = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "c", "version": "1"}});
        let error = run.request("initialize", &initialize);
        let data = error["error"]["data"]["mcpwrap"].to_string();
        let hint = "the server needs the client's HTTPS_PROXY";
        assert_eq!(data.contains(hint), named, "{line}: {data}");
        run.close();
        run.end();
    }
}
