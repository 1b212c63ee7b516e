//! The end of a client that does not close our stdin, and of one that closes it and still reads.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::harness::{Run, TOKEN, Test, example, process, slot};

/// A client is noticed within 2 s. The limit is longer because a test machine may be busy.
const NOTICED: Duration = Duration::from_secs(15);

fn prepared(acts: &[&str]) -> Test {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    test.serve("fake", acts, &slot("TOKEN", "test/token"));
    test
}

/// A careless client with this kind of heir, and its command: its run, the heir's pid, the command's.
fn careless<'a>(test: &'a Test, heir: &str, command: &[&str]) -> (Run<'a>, Pid, Pid) {
    let program = test.program().display().to_string();
    let command: Vec<_> = command
        .iter()
        .map(|word| word.replace("MCPWRAP", &program))
        .collect();
    let run = test.start(
        test.command(example("fake-client"))
            .arg(heir)
            .args(&command),
    );
    let text = run.heard(&format!("fake-client: {heir} "));
    let line = text.split("fake-client: ").nth(1).unwrap();
    let line = line.lines().next().unwrap();
    let pids: Vec<_> = line
        .split(' ')
        .skip(1)
        .map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect();
    (run, pids[0], pids[1])
}

#[test]
fn a_killed_client_is_noticed_although_another_process_holds_its_pipes() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    for command in [
        &["MCPWRAP", "run", "fake"][..],
        // A shell between, which inherits the pipes too and waits.
        &["/bin/sh", "-c", "MCPWRAP run fake; :"],
    ] {
        let test = prepared(&["ignore=term,eof"]);
        let (client, sibling, _) = careless(&test, "silent", command);
        let server = client.server(1);
        client.signal(Signal::SIGKILL);
        process::wait_for_end(server, NOTICED);
        assert!(process::alive(sibling), "the pipes are still held");
        kill(sibling, Signal::SIGKILL).unwrap();
        let left = process::wait_for_none(&test.dir, NOTICED);
        assert!(left.is_empty(), "{left:#?}");
    }
}

#[test]
fn a_client_that_hands_its_pipes_on_keeps_its_session() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let test = prepared(&[]);
    let (mut client, heir, _) = careless(&test, "heir", &["MCPWRAP", "run", "fake"]);
    let server = client.server(1);
    client.signal(Signal::SIGKILL);
    client.heard("fake-client: asked");
    client.send_raw(b"still here\n");
    client.heard("still here");
    assert!(process::alive(server));
    // The heir is the client now.
    kill(heir, Signal::SIGKILL).unwrap();
    process::wait_for_end(server, NOTICED);
    let left = process::wait_for_none(&test.dir, NOTICED);
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_parent_that_is_not_the_client_may_leave() {
    let test = prepared(&[]);
    // The shell leaves at once, so mcpwrap has another parent.
    let mut run = test.shell("exec 3<&0; \"$0\" run fake <&3 & exit 0");
    run.initialize();
    let server = run.server(1);
    assert_eq!(run.call("echo", &json!({"text": "alive"})), "alive");
    run.close();
    process::wait_for_end(server, NOTICED);
    run.end();
}

#[test]
fn a_reader_of_stdout_that_is_gone_is_noticed() {
    let test = prepared(&["ignore=term,eof"]);
    let mut command = test.command(test.program());
    command
        .args(["run", "fake"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take();
    let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let ready = std::io::BufRead::lines(stderr)
        .map_while(Result::ok)
        .find(|line| line.contains("ready"));
    assert!(ready.is_some());
    drop(child.stdout.take());
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let end = std::thread::spawn(move || child.wait().unwrap());
    process::wait_for_end(pid, NOTICED);
    end.join().unwrap();
    drop(stdin);
}

#[test]
fn a_call_that_runs_at_the_end_of_stdin_gets_its_answer() {
    let test = prepared(&[]);
    let mut run = test.run("fake");
    run.initialize();
    // Longer than a server without open requests may take after the end of stdin.
    let call = run.ask(
        "tools/call",
        &json!({"name": "wait", "arguments": {"ms": 2500}}),
    );
    run.close();
    assert!(run.answer(call)["result"].is_object());
    assert_eq!(run.end().code, 0);
}

#[test]
fn requests_and_the_end_of_stdin_in_one_write_are_answered() {
    let test = prepared(&[]);
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
    let wait = json!({"name": "wait", "arguments": {"ms": 2000}});
    let lines = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": wait}),
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}),
    ];
    let input = lines.map(|line| line.to_string()).join("\n");
    let ended = test.feed(&["run", "fake"], input.as_bytes());
    assert_eq!(ended.text().lines().count(), 3, "{ended}");
    assert_eq!(ended.code, 0, "{ended}");
}

#[test]
fn a_server_that_does_not_end_is_ended_after_its_last_answer() {
    let test = prepared(&["ignore=term,eof"]);
    let mut run = test.run("fake");
    run.initialize();
    let server = run.server(1);
    let call = run.ask(
        "tools/call",
        &json!({"name": "wait", "arguments": {"ms": 300}}),
    );
    run.close();
    run.answer(call);
    process::wait_for_end(server, NOTICED);
    assert_eq!(run.end().code, 137);
}

#[test]
fn a_signal_and_a_revocation_cut_the_last_call_short() {
    for end in ["signal", "revoke"] {
        let test = prepared(&["ignore=term"]);
        let mut run = test.run("fake");
        run.initialize();
        let server = run.server(1);
        let call = run.ask(
            "tools/call",
            &json!({"name": "wait", "arguments": {"ms": 60_000}}),
        );
        run.close();
        if end == "signal" {
            run.signal(Signal::SIGTERM);
        } else {
            test.ok(&["revoke", "fake"]);
            let answer = run.answer(call);
            assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], "revoked");
        }
        process::wait_for_end(server, NOTICED);
        run.end();
    }
}

#[test]
fn an_undrained_stderr_stops_neither_the_server_nor_a_revocation() {
    let test = prepared(&[]);
    // The shell holds both ends of the pipe and reads nothing.
    let script = "mkfifo pipe; exec 3<>pipe; \"$0\" run fake 2>&3";
    let mut run = test.shell(script);
    run.initialize();
    run.call("do", &json!({"act": format!("err-fill={}", 1 << 20)}));
    assert_eq!(run.call("echo", &json!({"text": "alive"})), "alive");
    test.ok(&["revoke", "fake"]);
    let answer = run.request("tools/list", &json!({}));
    assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], "revoked");
    run.finish();
}

#[test]
fn what_a_late_reader_of_stderr_missed_is_counted() {
    let test = prepared(&[]);
    let script = "mkfifo pipe; exec 3<>pipe; \"$0\" run fake 2>&3";
    let mut run = test.shell(script);
    run.initialize();
    run.call("do", &json!({"act": format!("err-fill={}", 1 << 20)}));
    // A reader comes, and the next text has room again.
    let mut reader = test.start(test.command("/bin/cat").arg("pipe"));
    reader.line().expect("it has read what the pipe held");
    run.call("do", &json!({"act": "err=again"}));
    let text = loop {
        let line = String::from_utf8(reader.line().unwrap()).unwrap();
        if line.contains("mcpwrap: warning: ") {
            break line;
        }
    };
    assert!(text.contains("bytes of stderr were dropped"), "{text}");
    run.finish();
    kill(reader.pid(), Signal::SIGKILL).unwrap();
    reader.end();
}
