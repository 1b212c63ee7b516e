//! Supervisors that do not answer `revoke`: their servers are killed anyway.

use std::fs::File;

use nix::sys::signal::{Signal, kill};
use serde_json::json;

use super::{STUBBORN, no_server_is_alive, refused};
use crate::harness::{Run, Test, process, until};
use crate::renew::started;

const KILLED: &str = "killed, because its supervisor did not answer,";

/// Waits until `ps` reports this state of the only supervisor.
fn until_it_is(test: &Test, wanted: &str) {
    until(wanted, || {
        test.ok(&["ps", "--json"]).json()["servers"][0]["state"] == wanted
    });
}

#[test]
fn revoke_kills_the_server_of_a_stopped_supervisor() {
    let test = Test::new();
    let mut run = started(&test, STUBBORN, "");
    let server = run.server(1);
    run.signal(Signal::SIGSTOP);
    until_it_is(&test, "stopped");
    let ended = test.ok(&["revoke", "fake"]);
    assert!(ended.text().contains(KILLED), "{ended}");
    assert!(!process::alive(server));
    no_server_is_alive(&test);
    // It continues, detects the revocation and keeps the session.
    kill(run.pid(), Signal::SIGCONT).unwrap();
    refused(&mut run, "revoked");
    assert_eq!(run.request("ping", &json!({}))["result"], json!({}));
    run.finish();
}

#[test]
fn revoke_all_kills_for_stopped_supervisors_and_asks_the_others() {
    let test = Test::new();
    test.serve("fake", STUBBORN, "");
    let mut runs: Vec<_> = (0..4).map(|_| test.run("fake")).collect();
    for run in &mut runs {
        run.initialize();
    }
    for run in &runs[..2] {
        run.signal(Signal::SIGSTOP);
    }
    let ended = test.ok(&["revoke", "--all"]);
    let count = |text: &str| ended.text().matches(text).count();
    assert!(count(KILLED) >= 2, "{ended}");
    assert_eq!(count(" after "), 4, "{ended}");
    no_server_is_alive(&test);
    for run in &runs[..2] {
        kill(run.pid(), Signal::SIGCONT).unwrap();
    }
    for mut run in runs {
        refused(&mut run, "revoked");
        run.finish();
    }
}

/// A supervisor hangs during a renewal, because the audit log stays locked.
fn hung<'a>(test: &'a Test, acts: &[&str]) -> (Run<'a>, Run<'a>, File) {
    let run = started(test, acts, "");
    let lock = File::open(test.root().join("state/audit/.lock")).unwrap();
    lock.lock().unwrap();
    let renew = test.start(test.command(test.program()).args(["renew", "fake"]));
    until_it_is(test, "not answering");
    (run, renew, lock)
}

#[test]
fn revoke_kills_the_server_of_a_hung_supervisor() {
    // It hangs for four seconds. On a busy machine that may be over before `revoke` gets to it;
    // then it answers, and the attempt does not count.
    assert!((0..5).any(|_| revoked_while_it_hangs()));
}

fn revoked_while_it_hangs() -> bool {
    let test = Test::new();
    let (mut run, renew, lock) = hung(&test, STUBBORN);
    let server = run.server(1);
    let mut revoke = test.start(test.command(test.program()).args(["revoke", "fake"]));
    // The output comes before the record.
    let told = std::iter::from_fn(|| revoke.line())
        .map(|line| String::from_utf8(line).unwrap())
        .find(|line| line.contains(" after "))
        .unwrap();
    assert!(!told.contains("STILL"), "{told}");
    assert!(!process::alive(server));
    no_server_is_alive(&test);
    drop(lock);
    assert_eq!(revoke.end().code, 0);
    // The hung renewal fails, because the grant is checked directly before the launch.
    assert_ne!(renew.end().code, 0);
    refused(&mut run, "revoked");
    no_server_is_alive(&test);
    run.finish();
    told.contains(KILLED)
}

#[cfg(target_os = "linux")]
#[test]
fn a_launch_revoked_between_fork_and_exec_fails() {
    for step in crate::harness::trace::STEPS {
        let test = Test::new();
        let mut run = started(&test, &["ignore=term,hup,int,eof"], "");
        let Some(mut tracer) = crate::harness::trace::Tracer::new(run.pid()) else {
            drop(run);
            let why = "only root may trace a program that hides its memory";
            return crate::harness::skip("root", why);
        };
        let renew = test.start(test.command(test.program()).args(["renew", "fake"]));
        tracer.run_to(*step);
        // The supervisor waits five seconds for its guard, so `revoke` does the kill.
        test.ok(&["revoke", "fake"]);
        tracer.until_all_started_is_dead();
        assert_ne!(renew.end().code, 0, "{step:?}");
        refused(&mut run, "revoked");
        no_server_is_alive(&test);
        run.finish();
    }
}

/// The kernel takes 108 bytes for the path of a socket, and a runtime directory may be longer.
#[test]
fn a_stopped_supervisor_with_a_long_path_does_not_save_its_server() {
    let test = Test::new();
    test.unset("MCPWRAP_HOME");
    let runtime = test.home.join("r".repeat(110));
    std::fs::create_dir(&runtime).unwrap();
    std::fs::set_permissions(
        &runtime,
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    test.set("XDG_RUNTIME_DIR", &runtime);
    let run = started(&test, &["ignore=term,hup,int,eof"], "");
    let server = run.server(1);
    run.signal(Signal::SIGSTOP);
    until_it_is(&test, "stopped");
    let ended = test.ok(&["revoke", "fake"]);
    assert!(ended.text().contains(KILLED), "{ended}");
    assert!(!process::alive(server), "{ended}");
    drop(run);
}
