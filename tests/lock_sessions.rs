//! `lock --sessions`: every server ends, no other starts, and `unlock` brings them back.

use serde_json::json;

use crate::harness::{DEADLINE, Run, TOKEN, Test, process, slot, until};
use crate::messages::message;

const STUBBORN: &[&str] = &["ignore=term,int,hup,eof"];

fn code(run: &mut Run<'_>) -> String {
    let answer = run.request("tools/list", &json!({}));
    let code = answer["error"]["data"]["mcpwrap"]["code"].as_str();
    code.unwrap_or_default().to_owned()
}

#[test]
fn all_servers_end_and_come_back_with_the_unlock() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    test.serve("one", STUBBORN, &slot("TOKEN", "test/token"));
    test.serve("two", &[], "");
    let mut runs: Vec<_> = ["one", "two", "one"].map(|name| test.run(name)).into();
    for run in &mut runs {
        run.initialize();
    }
    let servers: Vec<_> = runs.iter().map(|run| run.server(1)).collect();
    // A stopped supervisor does not save its server.
    process::stop(runs[2].pid());
    let locked = test.ok(&["lock", "--sessions"]);
    assert!(
        locked
            .text()
            .contains("`mcpwrap unlock` lets the servers run again")
            && locked.text().contains("did not answer"),
        "{locked}"
    );
    for server in servers {
        assert!(!process::alive(server), "{locked}");
    }
    assert_eq!(locked.text().matches(" processes: ").count(), 3, "{locked}");
    runs[2].signal(nix::sys::signal::Signal::SIGCONT);
    for run in &mut runs {
        assert_eq!(code(run), "sessions-locked");
    }
    // Neither by a command nor by a new session.
    assert_eq!(test.cli(&["renew", "one"]).code, 1);
    let ended = test.run("two").finish();
    message(&test, "sessions-locked", &ended);
    test.ok(&["grant", "two", "--yes"]);
    assert_eq!(code(&mut runs[1]), "sessions-locked");
    let status = test.ok(&["status"]);
    assert!(status.text().contains("sessions are locked"), "{status}");

    let unlocked = test.ok(&["unlock"]);
    assert!(
        unlocked.text().contains("unlocked: the sessions"),
        "{unlocked}"
    );
    for run in &mut runs {
        until("the server is back", || code(run).is_empty());
    }
    assert_eq!(runs[0].peek("TOKEN"), TOKEN.as_bytes());
    for run in runs {
        run.finish();
    }
}

#[test]
fn sessions_that_cannot_be_locked_end_all_the_same() {
    let test = Test::new();
    test.serve("one", STUBBORN, "");
    let mut run = test.run("one");
    run.initialize();
    let server = run.server(1);
    // A directory stands in the way of the file.
    let path = test.root().join("state/sessions.locked");
    std::fs::create_dir_all(path.join("x")).unwrap();
    // It counts as locked, because nobody knows.
    until("it looks", || code(&mut run) == "sessions-locked");
    process::wait_for_end(server, DEADLINE);
    let locked = test.cli(&["lock", "--sessions"]);
    assert_eq!(locked.code, 1, "{locked}");
    assert!(
        locked.stderr.contains("cannot lock the sessions"),
        "{locked}"
    );
    run.finish();
}

#[test]
fn an_agent_may_lock_and_not_unlock() {
    let test = Test::new();
    test.serve("one", &[], "");
    let mut run = test.run("one");
    run.initialize();
    test.set("CLAUDECODE", "1");
    test.ok(&["lock", "--sessions"]);
    let refused = test.cli(&["unlock"]);
    assert!(
        refused
            .stderr
            .contains("error[agent-refused]: `mcpwrap unlock` refused"),
        "{refused}"
    );
    assert_eq!(code(&mut run), "sessions-locked");
    test.unset("CLAUDECODE");
    test.ok(&["unlock"]);
    until("the server is back", || code(&mut run).is_empty());
    run.finish();
}
