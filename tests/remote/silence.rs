//! A network that falls silent: packets are dropped, and nobody says so. The server is on a machine of its
//! own, which is a network namespace behind a cable that the test pulls out.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::front::certificates;
use super::servers::{BEARER, RemoteServer, grant, has};
use crate::harness::own_network::{alone, ip};
use crate::harness::process::stop;
use crate::harness::{Run, TOKEN, Test, until};

/// How long a dead connection may go unnoticed.
const NOTICED: Duration = Duration::from_secs(30);
/// How long an answer may take if the network is at fault.
const ANSWERED: Duration = Duration::from_secs(8);

const HERE: &str = "10.77.0.1";
const THERE: &str = "10.77.0.2";
const PORT: &str = "8443";

/// The other machine, at the end of the cable.
struct Machine<'a> {
    test: &'a Test,
    /// Keeps its network.
    run: Run<'a>,
}

impl<'a> Machine<'a> {
    fn new(test: &'a Test) -> Self {
        let mut command = test.command("/usr/bin/unshare");
        let script = "ip link set lo up && echo is up >&2 && read -r _";
        let run = test.start(command.args(["--net", "/bin/sh", "-c", script]));
        run.heard("is up");
        let machine = Self { test, run };
        let pid = machine.run.pid();
        let ends = [
            ("near", HERE, "02:00:00:00:00:01"),
            ("far", THERE, "02:00:00:00:00:02"),
        ];
        let [(near, _, near_at), (far, _, far_at)] = ends;
        assert!(ip(&format!(
            "link add name {near} address {near_at} type veth peer name {far} address {far_at} netns {pid}"
        )));
        // Both know the other end for ever: a search for it would end with an error.
        machine.there(&format!("addr add {THERE}/24 dev {far}"));
        machine.there(&format!("link set {far} up"));
        machine.there(&format!(
            "neigh add {HERE} lladdr {near_at} dev {far} nud permanent"
        ));
        assert!(ip(&format!("addr add {HERE}/24 dev {near}")));
        assert!(ip(&format!("link set {near} up")));
        assert!(ip(&format!(
            "neigh add {THERE} lladdr {far_at} dev {near} nud permanent"
        )));
        machine
    }

    /// The words that start a program there.
    fn at(&self) -> [String; 2] {
        let network = format!("--net=/proc/{}/ns/net", self.run.pid());
        ["/usr/bin/nsenter".to_owned(), network]
    }

    fn there(&self, words: &str) {
        let [program, network] = self.at();
        let mut command = self.test.command(program);
        let words = words.split(' ');
        let status = command.arg(network).arg("ip").args(words).status();
        assert!(status.unwrap().success());
    }

    /// Pulls the cable out.
    fn cut(&self) {
        self.there("link set far down");
    }

    fn mend(&self) {
        self.there("link set far up");
        self.there(&format!(
            "neigh replace {HERE} lladdr 02:00:00:00:00:01 dev far nud permanent"
        ));
    }

    fn server(&self) -> RemoteServer<'a> {
        let at = self.at();
        let [program, network] = at.each_ref().map(String::as_str);
        let file = |name: &str| self.test.dir.join(name).display().to_string();
        let options = [
            "--host",
            THERE,
            "--port",
            PORT,
            "--tls",
            &file("leaf.pem"),
            &file("leaf.key"),
        ];
        RemoteServer::fastmcp_by(self.test, &[program, network], &options)
    }

    /// A client in a session with the server.
    fn session(&self, server: &RemoteServer<'_>) -> Run<'a> {
        let test = self.test;
        test.secret("t/token", TOKEN);
        grant(test, "remote", &server.url, BEARER);
        let mut run = test.run("remote");
        assert!(run.initialize()["result"].is_object());
        run
    }
}

fn prepared(test: &Test) -> Machine<'_> {
    let authority = certificates(&test.dir, THERE);
    test.init();
    test.set("SSL_CERT_FILE", authority);
    test.ok(&["config", "network", "--yes"]);
    test.unset("SSL_CERT_FILE");
    Machine::new(test)
}

/// A process with all below it.
fn family(first: Pid) -> Vec<Pid> {
    let mut all = vec![first];
    let mut at = 0;
    while at < all.len() {
        for task in std::fs::read_dir(format!("/proc/{}/task", all[at])).unwrap() {
            let children = std::fs::read_to_string(task.unwrap().path().join("children"));
            let pids = children.unwrap_or_default();
            let pids = pids.split_whitespace().map(|pid| pid.parse().unwrap());
            all.extend(pids.map(Pid::from_raw));
        }
        at += 1;
    }
    all
}

/// Begins a call that takes a minute, and waits until it runs.
fn long_call(run: &mut Run<'_>) -> u64 {
    let params = json!({
        "name": "wait", "arguments": {"seconds": 60}, "_meta": {"progressToken": "p"},
    });
    let call = run.ask("tools/call", &params);
    while run.message()["method"] != "notifications/progress" {}
    call
}

#[track_caller]
fn fails(answer: &Value, since: Instant, limit: Duration, is_unknown: bool) {
    let took = since.elapsed();
    let error = &answer["error"];
    assert_eq!(error["code"], -32603, "{answer}");
    assert!(
        error["message"].as_str().unwrap().contains(THERE),
        "{answer}"
    );
    let outcome = &error["data"]["mcpwrap"]["outcome"];
    assert_eq!(outcome == "unknown", is_unknown, "{answer}");
    assert!(took < limit, "{took:?}: {answer}");
}

/// No second answer to any of these requests.
fn nothing_is_left(mut run: Run<'_>, answered: &[u64]) {
    run.close();
    while let Some(line) = run.line() {
        let message: Value = serde_json::from_slice(&line).unwrap();
        let is_second = answered.iter().any(|id| message["id"] == *id);
        assert!(!is_second || message.get("method").is_some(), "{message}");
    }
    run.finish();
}

#[test]
fn every_request_is_answered_once_while_nothing_arrives() {
    if !has(&["fastmcp"]) {
        return;
    }
    alone(|| {
        let test = Test::new();
        let machine = prepared(&test);
        let server = machine.server();
        let mut run = machine.session(&server);
        let call = long_call(&mut run);
        let echo = json!({"name": "echo", "arguments": {"text": "x"}});
        // Their connections wait for the next requests. A connection is free a moment after its answer: when
        // the last one is answered, one of the others is.
        let mut calls = vec![call];
        let mut settle = |count: usize| {
            let asked: Vec<u64> = (0..count).map(|_| run.ask("tools/call", &echo)).collect();
            for id in &asked {
                assert!(run.answer(*id)["result"].is_object());
            }
            calls.extend(asked);
        };
        settle(3);
        settle(1);
        machine.cut();
        let cut = Instant::now();
        // On a connection that waited.
        let other = run.ask("tools/call", &echo);
        fails(&run.answer(other), cut, ANSWERED, true);
        let new = Instant::now();
        let list = run.ask("tools/list", &json!({}));
        fails(&run.answer(list), new, ANSWERED, false);
        fails(&run.answer(call), cut, NOTICED, true);
        let again = Instant::now();
        let last = run.ask("tools/call", &echo);
        fails(&run.answer(last), again, ANSWERED, false);
        machine.mend();
        calls.extend([list, other, last]);
        until("the server is reached again", || {
            let id = run.ask("tools/call", &echo);
            calls.push(id);
            run.answer(id)["result"].is_object()
        });
        nothing_is_left(run, &calls);
        server.end();
    });
}

/// The lid is closed in a call. Meanwhile the server starts again, and nobody can tell this machine.
#[test]
fn a_machine_that_slept_in_a_call_goes_on() {
    if !has(&["fastmcp"]) {
        return;
    }
    alone(|| {
        let test = Test::new();
        let machine = prepared(&test);
        let server = machine.server();
        let mut run = machine.session(&server);
        let call = long_call(&mut run);
        let asleep = family(run.pid());
        assert!(
            asleep.len() >= 3,
            "supervisor, guard and bridge: {asleep:?}"
        );
        for pid in &asleep {
            stop(*pid);
        }
        machine.cut();
        server.end();
        machine.mend();
        let server = machine.server();
        for pid in &asleep {
            kill(*pid, Signal::SIGCONT).unwrap();
        }
        let woke = Instant::now();
        // At once, as a user does who opens the lid.
        let echo = json!({"name": "echo", "arguments": {"text": "awake"}});
        let first = run.ask("tools/call", &echo);
        let mut calls = vec![call, first];
        fails(&run.answer(call), woke, NOTICED, true);
        run.answer(first);
        until("the session goes on", || {
            let id = run.ask("tools/call", &echo);
            calls.push(id);
            run.answer(id)["result"].is_object()
        });
        nothing_is_left(run, &calls);
        server.end();
    });
}
