//! What must hold at any moment and all at once: kills at random, revocations in the middle of
//! starts, many processes, a server that tries everything. A few rounds here; `cargo xtask soak` runs
//! all of them.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::harness::process::parent;
use crate::harness::{Run, TOKEN, Test, process, slot};
use crate::process::started;

const LIMIT: Duration = Duration::from_secs(30);
/// Ignores all signals that it can, and the end of stdin.
const STUBBORN: &[&str] = &["ignore=term,int,hup,quit,eof", "child"];

fn rounds(few: u32, all: u32) -> u32 {
    if std::env::var_os("MCPWRAP_TEST_SOAK").is_some() {
        all
    } else {
        few
    }
}

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }
}

/// Gives up the processor a number of times, which takes longer on a busy machine.
fn a_moment(yields: u64) {
    (0..yields).for_each(|_| std::thread::yield_now());
}

/// Goes on to a random point of a session.
fn advance(run: &mut Run<'_>, numbers: &mut Numbers) -> Option<Pid> {
    let stage = numbers.below(4);
    if stage == 0 {
        a_moment(numbers.below(2000));
        return None;
    }
    if stage > 1 {
        run.initialize();
    }
    let server = run.server(1);
    if stage > 2 {
        let wait = json!({"name": "wait", "arguments": {"ms": 60_000}});
        run.ask("tools/call", &wait);
        a_moment(numbers.below(200));
    }
    Some(server)
}

/// Without a journal, the end of the log has no anchor.
fn log_is_whole(test: &Test) {
    let verified = test.cli(&["log", "verify"]);
    assert!(matches!(verified.code, 0 | 2), "{verified}");
    assert!(!verified.stdout.is_empty(), "{verified}");
}

#[test]
fn kills_at_random_leave_no_process() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    test.serve("fake", STUBBORN, &slot("TOKEN", "test/token"));
    let mut numbers = Numbers(7);
    for round in 0..rounds(20, 500) {
        let mut run = test.run("fake");
        let server = advance(&mut run, &mut numbers);
        let guard = server.and_then(parent).filter(|pid| *pid != run.pid());
        let victims = match numbers.below(5) {
            0 => vec![server],
            1 => vec![guard],
            2 => vec![guard, server],
            3 => vec![guard, Some(run.pid())],
            _ => vec![Some(run.pid())],
        };
        for victim in victims.iter().flatten() {
            // It may have ended already.
            kill(*victim, Signal::SIGKILL).ok();
        }
        run.signal(Signal::SIGKILL);
        run.end_within(LIMIT);
        if victims.contains(&guard) && guard.is_some() {
            // Nobody is left to end the children of the server: the kill switch finds them. Before
            // the start was logged it only names them, because their session is not known.
            let revoked = test.cli(&["revoke", "fake"]);
            for (pid, _) in process::of_test(&test.dir) {
                let named = revoked.stderr.contains(&format!("kill -9 {pid}"));
                assert!(named, "round {round}: {pid}: {revoked}");
                kill(pid, Signal::SIGKILL).ok();
            }
            test.ok(&["grant", "fake", "--yes"]);
        }
        let left = process::wait_for_none(&test.dir, LIMIT);
        assert!(left.is_empty(), "round {round}: {left:#?}");
    }
    log_is_whole(&test);
}

#[test]
fn revocations_during_starts_leave_no_server() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    test.serve("fake", STUBBORN, &slot("TOKEN", "test/token"));
    let mut numbers = Numbers(11);
    for round in 0..rounds(10, 80) {
        let run = test.run("fake");
        a_moment(numbers.below(20_000));
        test.ok(&["revoke", "fake"]);
        let left = process::of_test(&test.dir);
        let servers = left.iter().filter(|(_, line)| line.contains("fake-server"));
        assert_eq!(servers.count(), 0, "round {round}: {left:#?}");
        run.signal(Signal::SIGTERM);
        run.end_within(LIMIT);
        test.ok(&["grant", "fake", "--yes"]);
    }
}

#[test]
fn many_processes_are_ended_at_once() {
    let test = Test::new();
    let (mut run, server) = started(&test, STUBBORN);
    for _ in 0..rounds(30, 124) {
        run.call("do", &json!({"act": "child"}));
    }
    run.call("do", &json!({"act": "chain-start=400"}));
    test.ok(&["revoke", "fake"]);
    assert!(!process::alive(server));
    let left = process::of_test(&test.dir);
    let servers = left.iter().filter(|(_, line)| line.contains("fake-server"));
    assert_eq!(servers.count(), 0, "{left:#?}");
    run.finish();
}

#[test]
fn a_server_that_tries_everything_shows_nothing_and_is_ended() {
    let test = Test::new();
    let (mut victim, other) = started(&test, &[]);
    test.serve("hostile", STUBBORN, &slot("TOKEN", "test/token"));
    let mut hostile = test.run("hostile");
    hostile.initialize();
    let own = hostile.server(1);
    // What it says.
    for form in ["raw", "json", "base64", "hex", "url"] {
        for stream in ["stdout", "stderr"] {
            let leak = json!({"name": "TOKEN", "as": form, "stream": stream});
            hostile.call("leak", &leak);
        }
    }
    let environment = hostile.call("env", &json!({}));
    test.no_secret_in("its environment", environment.as_bytes());
    // Whom it attacks. Root may look at any process that no fence keeps it from.
    let fenced = test.cli(&["status", "--json"]).json()["fence"] == "full";
    for outside in [hostile.pid(), other, victim.pid()] {
        let given = json!({"pid": outside.as_raw(), "signals": fenced});
        hostile.call("attack", &given);
    }
    // What it starts.
    for act in [
        "daemon",
        "child",
        "chain-start=200",
        "ignore=term,int,hup,quit",
    ] {
        hostile.call("do", &json!({"act": act}));
    }
    // What it takes away: its socket.
    let sockets = std::fs::read_dir(test.root().join("run")).unwrap();
    let sockets: Vec<_> = sockets
        .map(|socket| socket.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("hostile."))
        .collect();
    assert_eq!(sockets.len(), 1);
    std::fs::remove_file(&sockets[0]).unwrap();
    test.ok(&["revoke", "hostile"]);
    assert!(!process::alive(own));
    for (pid, line) in process::of_test(&test.dir) {
        let ours = pid == other || !line.contains("fake-server");
        assert!(ours, "{pid} {line}");
    }
    assert_eq!(victim.call("echo", &json!({"text": "here"})), "here");
    let refused = hostile.request("tools/list", &json!({}));
    assert_eq!(refused["error"]["data"]["mcpwrap"]["code"], "revoked");
    hostile.finish();
    victim.finish();
    log_is_whole(&test);
}
