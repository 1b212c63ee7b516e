//! `revoke`, the kill switch.

mod arguments;
mod files;
mod hung;
mod orphans;
mod unwritable;

use mcpwrap::testing::config::Config;
use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::store;
use serde_json::json;

use crate::harness::{DEADLINE, Run, TOKEN, Test, process, skip, slot, until};
use crate::renew::{NEW, OLD, endless_call, rotate, started, until_it_has};

/// A process tree like npx → sh → node with a daemon, all ignoring signals.
const STUBBORN: &[&str] = &["ignore=term,hup,int,eof", "child", "daemon"];

/// Whether no process of any server of the test is alive.
fn no_server_is_alive(test: &Test) {
    let left = process::of_test(&test.dir);
    let servers = left.iter().filter(|(_, line)| line.contains("fake-server"));
    assert_eq!(servers.count(), 0, "{left:#?}");
}

/// The error that a request gets, and after which time.
fn refused(run: &mut Run<'_>, code: &str) -> String {
    let answer = run.request("tools/list", &json!({}));
    let error = &answer["error"];
    assert_eq!(error["code"], -32603, "{answer}");
    assert_eq!(error["data"]["mcpwrap"]["code"], code, "{answer}");
    error["message"].as_str().unwrap().to_owned()
}

#[test]
fn revoke_ends_the_tree_and_keeps_the_session() {
    let test = Test::new();
    let mut run = started(&test, STUBBORN, "");
    let server = run.server(1);
    let call = endless_call(&mut run);
    let ended = test.ok(&["revoke", "fake", "--reason", "left the project"]);
    assert!(
        ended.text().contains("stopped by its supervisor"),
        "{ended}"
    );
    let failed = run.answer(call);
    assert_eq!(failed["error"]["data"]["mcpwrap"]["outcome"], "unknown");
    assert!(!process::alive(server));
    no_server_is_alive(&test);
    assert_eq!(run.request("ping", &json!({}))["result"], json!({}));
    let text = refused(&mut run, "revoked");
    assert!(
        text.contains("mcpwrap grant fake") && text.contains("left the project"),
        "{text}"
    );

    let mut other = test.run("fake");
    assert_eq!(
        other.initialize()["error"]["data"]["mcpwrap"]["code"],
        "revoked"
    );
    other.finish();

    // The running supervisor starts a server again only after a new approval.
    test.ok(&["grant", "fake", "--yes"]);
    run.server(2);
    until_it_has(&mut run, OLD);
    run.finish();
}

#[test]
fn each_request_of_a_batch_gets_the_error() {
    let test = Test::new();
    let mut run = started(&test, STUBBORN, "");
    let wait = |id: &str| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "wait", "arguments": {"ms": 60_000}}})
    };
    // The fake server does not support batches and does not answer this one, like some real
    // servers.
    run.send(&json!([wait("one"), wait("two")]));
    assert!(run.request("ping", &json!({})).get("result").is_some());
    test.ok(&["revoke", "fake"]);
    for id in ["one", "two"] {
        let failed = run.message();
        assert_eq!(failed["id"], id, "{failed}");
        let data = &failed["error"]["data"]["mcpwrap"];
        assert_eq!(data["code"], "revoked");
        assert_eq!(data["outcome"], "unknown");
    }
    run.send(&json!([wait("three"), {"jsonrpc": "2.0", "id": 4, "method": "ping"}]));
    let answers = run.message();
    assert_eq!(answers[0]["error"]["data"]["mcpwrap"]["code"], "revoked");
    assert_eq!(answers[1], json!({"jsonrpc": "2.0", "id": 4, "result": {}}));
    run.finish();
}

#[test]
fn every_request_around_a_revocation_is_answered() {
    let test = Test::new();
    test.serve("fake", &[], "");
    for _ in 0..10 {
        test.ok(&["grant", "fake", "--yes"]);
        let mut run = test.run("fake");
        run.initialize();
        let echo = json!({"name": "echo", "arguments": {"text": "x"}});
        let before: Vec<_> = (0..50).map(|_| run.ask("tools/call", &echo)).collect();
        std::fs::remove_file(test.root().join("state/grants/fake.toml")).unwrap();
        let after: Vec<_> = (0..500).map(|_| run.ask("tools/call", &echo)).collect();
        for id in before.into_iter().chain(after) {
            run.answer(id);
        }
        run.finish();
    }
}

#[test]
fn a_changed_grant_file_alone_revokes_immediately() {
    let test = Test::new();
    let mut run = started(&test, STUBBORN, "");
    let server = run.server(1);
    let call = endless_call(&mut run);
    let grant = test.root().join("state/grants/fake.toml");
    std::fs::remove_file(&grant).unwrap();
    // `cargo bench` measures the limits of 50 ms and 1 s, which hold on an idle machine.
    let failed = run.answer(call);
    assert_eq!(failed["error"]["data"]["mcpwrap"]["code"], "not-granted");
    process::wait_for_end(server, DEADLINE);
    run.finish();
}

#[test]
fn a_start_revoked_in_progress_does_not_happen() {
    for when in ["at once", "started", "asked"] {
        let test = Test::new();
        test.secret("t/token", OLD);
        let slot = slot("TOKEN", "t/token");
        test.serve("fake", &["child", "slow=60000"], &slot);
        let mut run = test.run("fake");
        if when == "asked" {
            run.ask(
                "initialize",
                &json!({"protocolVersion": "2025-11-25",
                "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}),
            );
        }
        if when != "at once" {
            until("the server begins", || {
                let all = process::of_test(&test.dir);
                all.iter().any(|(_, line)| line.contains("slow="))
            });
        }
        test.ok(&["revoke", "fake"]);
        assert_eq!(refused_after(&mut run, when), "revoked");
        no_server_is_alive(&test);
        run.finish();
    }
}

fn refused_after(run: &mut Run<'_>, when: &str) -> String {
    let answer = if when == "asked" {
        run.answer(1)
    } else {
        run.initialize()
    };
    let code = &answer["error"]["data"]["mcpwrap"]["code"];
    code.as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

#[test]
fn a_renewal_revoked_in_progress_leaves_no_server() {
    let test = Test::new();
    let acts = [STUBBORN, &["when-bad=mute"]].concat();
    let mut run = started(&test, &acts, "");
    rotate(&test, "bad-Tz5mV9xC3kQ7hN1rW8");
    let (old, new) = (run.server(1), run.server(2));
    test.ok(&["revoke", "fake"]);
    assert!(!process::alive(old) && !process::alive(new));
    refused(&mut run, "revoked");
    run.finish();
}

#[test]
fn a_revocation_before_the_server_is_ready_is_effective() {
    let test = Test::new();
    let mut run = started(&test, &["when-bad=mute"], "");
    test.ok(&["revoke", "fake"]);
    rotate(&test, "bad-Tz5mV9xC3kQ7hN1rW8");
    test.ok(&["grant", "fake", "--yes"]);
    let new = run.server(2);
    test.ok(&["revoke", "fake"]);
    process::wait_for_end(new, DEADLINE);
    refused(&mut run, "revoked");
    // A new grant works.
    rotate(&test, NEW);
    test.ok(&["grant", "fake", "--yes"]);
    until_it_has(&mut run, NEW);
    run.finish();
}

#[test]
fn revoke_ends_the_server_of_a_client_that_does_not_read() {
    let test = Test::new();
    let mut run = started(&test, STUBBORN, "");
    let server = run.server(1);
    // Unread answers: the pipe of the client, the relay and the server's own pipe are full.
    for _ in 0..64 {
        let arguments = json!({"stream": "stdout", "hex": "20".repeat(200_000)});
        run.send(&json!({"jsonrpc": "2.0", "id": "x", "method": "tools/call",
            "params": {"name": "say", "arguments": arguments}}));
    }
    test.ok(&["revoke", "fake"]);
    assert!(!process::alive(server));
    run.finish();
}

/// The limit is 3 s on an idle machine, which `cargo bench` measures. Here, none may be alive when
/// `revoke` says so; `revoke` itself gives up after 10 s.
#[test]
fn revoke_all_ends_two_hundred_servers() {
    let test = Test::new();
    test.serve("fake", &[], "");
    let mut runs: Vec<_> = (0..200).map(|_| test.run("fake")).collect();
    for run in &mut runs {
        run.initialize();
    }
    let ended = test.ok(&["revoke", "--all"]);
    // On a busy machine some supervisors do not answer in time; their servers are killed from
    // outside.
    let ends = |how: &str| ended.text().matches(how).count();
    let dead = ends(": stopped by its supervisor") + ends(": killed, because its supervisor");
    assert_eq!(dead, 200, "{ended}");
    for run in &mut runs {
        assert!(!process::alive(run.server(1)));
        refused(run, "revoked");
    }
    let late = runs
        .into_iter()
        .map(Run::finish)
        .filter(|ended| ended.stderr.contains("were not written in time"))
        .count();
    // They all write at once, like `revoke`. Records lost on a busy machine are reported.
    let told = !ended.stderr.contains("the audit log has no record of it");
    let events = test.events();
    let count = |event: &str| events.iter().filter(|found| *found == event).count();
    assert_eq!(count("revoke"), usize::from(told), "{ended}");
    for event in ["suspend", "exit"] {
        assert!(count(event) >= 200 - late, "{event}: {late} late");
    }
    crate::audit::verify_intact(&test);
}

#[test]
fn what_revoke_all_ended_is_granted_again_with_one_answer() {
    let test = Test::new();
    test.serve("one", &[], "");
    test.serve("two", &[], "");
    test.serve("refused", &[], "");
    test.ok(&["revoke", "refused"]);
    let ended = test.ok(&["revoke", "--all"]);
    assert!(ended.stderr.contains("mcpwrap grant --again"), "{ended}");
    // Nothing is granted now, so a second one changes nothing about that.
    test.ok(&["revoke", "--all"]);
    let mut terminal = test.terminal(&["grant", "--again"]);
    terminal.expect("this policy allows server `one`");
    terminal.expect("this policy allows server `two`");
    terminal.expect("type `again`").enter("again");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("refused"), "{screen}");
    let list = test.ok(&["policy", "list"]);
    assert_eq!(list.text().matches(" granted").count(), 2, "{list}");
    assert_eq!(list.text().matches("revoked").count(), 1, "{list}");
    let ended = test.ok(&["grant", "--again", "--yes"]);
    assert!(ended.stderr.contains("nothing to grant"), "{ended}");
}

#[test]
fn without_a_revoke_there_is_nothing_to_grant_again() {
    let test = Test::new();
    test.serve("one", &[], "");
    let ended = test.cli(&["grant", "--again", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[usage]"), "{ended}");
}

/// The session stays open, but the supervisor no longer needs the values.
#[test]
fn a_revoked_session_forgets_the_values() {
    if !cfg!(target_os = "linux") || !nix::unistd::geteuid().is_root() {
        return skip(
            "root",
            "only root can read the memory of a supervisor, through /proc",
        );
    }
    let test = Test::new();
    test.secret("test/token", TOKEN);
    test.serve("fake", &[], &slot("TOKEN", "test/token"));
    let mut run = test.run("fake");
    run.initialize();
    run.call(
        "leak",
        &json!({"name": "TOKEN", "as": "raw", "stream": "stderr"}),
    );
    let has_token = |run: &Run<'_>| is_in_memory(run.pid(), TOKEN.as_bytes());
    assert!(has_token(&run), "the masker has the value");
    test.ok(&["revoke", "fake"]);
    let answer = run.request("tools/list", &json!({}));
    assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], "revoked");
    until("the value is forgotten", || !has_token(&run));
    run.finish();
}

/// What seals grants and tells values apart is not in the process that reads the output of servers.
#[test]
fn a_session_keeps_only_the_key_of_the_log() {
    if !cfg!(target_os = "linux") || !nix::unistd::geteuid().is_root() {
        return skip(
            "root",
            "only root can read the memory of a supervisor, through /proc",
        );
    }
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let dirs = Dirs::under(&test.root());
    let mut config = Config::load(&dirs).unwrap();
    config.key_file = Some(test.home.join("vault.key").display().to_string());
    let store = store::open(&dirs, &config, store::Prompt::Never).unwrap();
    let keys = store::keys(&*store).unwrap();
    let has = |key: &[u8; 32]| is_in_memory(run.pid(), key);
    // A thread reads the store once more after a start.
    until("they are forgotten", || {
        let others = [&keys.seal, &keys.fingerprint, &keys.mark];
        !others.into_iter().any(|key| has(key))
    });
    run.call("echo", &json!({"text": "a call"}));
    assert_eq!(run.finish().code, 0);
}

/// Whether a process has these bytes in memory that it can write to.
pub(crate) fn is_in_memory(pid: nix::unistd::Pid, wanted: &[u8]) -> bool {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let writable = maps.lines().filter(|line| line.contains(" rw"));
    let regions = writable.filter_map(|line| line.split(' ').next()?.split_once('-'));
    regions
        .map(|(start, end)| {
            let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
            (number(start), number(end) - number(start))
        })
        .any(|(start, size)| {
            let mut bytes = vec![0; usize::try_from(size).unwrap()];
            let read = memory.read_at(&mut bytes, start).unwrap_or(0);
            memchr::memmem::find(&bytes[..read], wanted).is_some()
        })
}
