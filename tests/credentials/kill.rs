//! The kill switch and processes that die, with a remote server: the same cases as in `revoke` and `renew`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::server::HttpServer;
use super::{header, masked, pid, set_up};
use crate::harness::{DEADLINE, Run, TOKEN, Test, process, until};
use crate::renew::until_logged;

/// A session that has been used, and the process of its bridge.
fn started<'a>(test: &'a Test, server: &HttpServer) -> (Run<'a>, Pid) {
    set_up(test, server);
    let mut run = test.run("linear");
    run.initialize();
    header(&mut run);
    (run, bridge(test))
}

fn bridge(test: &Test) -> Pid {
    Pid::from_raw(i32::try_from(pid(test).as_i64().unwrap()).unwrap())
}

/// The guard above the bridge.
fn guard(bridge: Pid) -> Pid {
    let stat = fs::read_to_string(format!("/proc/{bridge}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let guard: i32 = rest.split(' ').nth(1).unwrap().parse().unwrap();
    let line = fs::read(format!("/proc/{guard}/cmdline")).unwrap();
    assert!(String::from_utf8_lossy(&line).contains("__guard"));
    Pid::from_raw(guard)
}

/// Asks for something that is not answered, and waits until the server has it.
fn endless(run: &mut Run<'_>, server: &HttpServer, tool: &str) -> u64 {
    let id = run.ask("tools/call", &json!({"name": tool, "arguments": {}}));
    server.wait_for_call(tool);
    id
}

#[track_caller]
fn is_refused(answer: &Value, code: &str) {
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], code, "{answer}");
}

/// The server has begun its answer, and does not go on.
#[test]
fn a_revoke_does_not_wait_for_a_server_that_stalls() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    let (mut run, bridge) = started(&test, &server);
    let call = endless(&mut run, &server, "stall");
    test.ok(&["revoke", "linear"]);
    let failed = run.answer(call);
    is_refused(&failed, "revoked");
    assert_eq!(failed["error"]["data"]["mcpwrap"]["outcome"], "unknown");
    assert!(!process::alive(bridge));
    until("the connection is closed", || server.is_aborted());
    assert_eq!(run.request("ping", &json!({}))["result"], json!({}));
    run.finish();
}

/// Not even the answer to `initialize` has come.
#[test]
fn a_revoke_ends_a_session_that_has_not_begun() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    server.hold_initialize();
    set_up(&test, &server);
    let mut run = test.run("linear");
    let client = json!({"name": "c", "version": "1"});
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let call = run.ask("initialize", &hello);
    server.wait_for_method("initialize");
    test.ok(&["revoke", "linear"]);
    is_refused(&run.answer(call), "revoked");
    until("the connection is closed", || server.is_aborted());
    run.finish();
}

#[test]
fn a_killed_supervisor_leaves_neither_bridge_nor_connection() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    let (mut run, bridge) = started(&test, &server);
    let guard = guard(bridge);
    endless(&mut run, &server, "wait");
    run.signal(Signal::SIGKILL);
    for pid in [bridge, guard] {
        process::wait_for_end(pid, DEADLINE);
    }
    until("the connection is closed", || server.is_aborted());
    drop(run);
    assert!(process::wait_for_none(&test.dir, DEADLINE).is_empty());
}

/// Nobody is left who could end the bridge: it ends because its channel is closed.
#[test]
fn without_supervisor_and_guard_the_bridge_ends_itself() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    let (mut run, bridge) = started(&test, &server);
    let (supervisor, guard) = (run.pid(), guard(bridge));
    endless(&mut run, &server, "wait");
    process::kill_both(guard, supervisor);
    process::wait_for_end(bridge, DEADLINE);
    until("the connection is closed", || server.is_aborted());
    drop(run);
    assert!(process::wait_for_none(&test.dir, DEADLINE).is_empty());
}

/// Kills one of the processes behind the session; the session goes on with others.
fn goes_on_without(victim: impl Fn(Pid) -> Pid) {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    let (mut run, bridge) = started(&test, &server);
    let call = endless(&mut run, &server, "wait");
    kill(victim(bridge), Signal::SIGKILL).unwrap();
    let failed = run.answer(call);
    assert_eq!(
        failed["error"]["data"]["mcpwrap"]["outcome"], "unknown",
        "{failed}"
    );
    process::wait_for_end(bridge, DEADLINE);
    until_logged(&test, "renew", "ok", 1);
    assert_eq!(header(&mut run), masked(TOKEN));
    assert_eq!(server.initializes(), 2, "the session was opened again");
    assert_ne!(self::bridge(&test), bridge);
    run.finish();
    assert_eq!(server.refused(), 0);
}

#[test]
fn a_killed_bridge_is_started_again_behind_the_session() {
    goes_on_without(|bridge| bridge);
}

#[test]
fn a_killed_guard_takes_its_bridge_along_and_the_session_goes_on() {
    goes_on_without(guard);
}

/// What cannot be written does not stand between `revoke` and the server.
#[test]
fn a_folder_of_grants_that_others_can_write_does_not_save_the_bridge() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    let (mut run, bridge) = started(&test, &server);
    let call = endless(&mut run, &server, "wait");
    let grants = test.root().join("state/grants");
    fs::set_permissions(&grants, Permissions::from_mode(0o777)).unwrap();
    let ended = test.ok(&["revoke", "linear"]);
    assert!(ended.stderr.contains("was erased"), "{ended}");
    assert!(!process::alive(bridge), "{ended}");
    assert!(run.answer(call)["error"].is_object());
    until("the connection is closed", || server.is_aborted());
    drop(run);
    let mut other = test.run("linear");
    assert!(other.initialize()["error"].is_object());
    other.finish();
    assert_eq!(server.initializes(), 1);
}

#[test]
fn a_stopped_supervisor_does_not_save_the_bridge() {
    let test = Test::new();
    let server = HttpServer::start(&[TOKEN]);
    let (mut run, bridge) = started(&test, &server);
    endless(&mut run, &server, "wait");
    run.signal(Signal::SIGSTOP);
    until("stopped", || {
        test.ok(&["ps", "--json"]).json()["servers"][0]["state"] == "stopped"
    });
    let ended = test.ok(&["revoke", "linear"]);
    assert!(ended.text().contains("did not answer"), "{ended}");
    assert!(!process::alive(bridge), "{ended}");
    until("the connection is closed", || server.is_aborted());
    run.signal(Signal::SIGCONT);
    is_refused(&run.request("tools/list", &json!({})), "revoked");
    run.finish();
}
