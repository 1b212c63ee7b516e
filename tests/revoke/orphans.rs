//! What runs is found without its socket, its supervisor, its guard, or its records.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::no_server_is_alive;
use crate::harness::process::{guard, parent};
use crate::harness::{DEADLINE, Run, TOKEN, Test, process, slot, until};
use crate::renew::started;

/// A server whose own process and child outlive their parents if nobody ends them.
const BELOW_A_SHELL: &str = "trap '' TERM INT HUP; sh -c \"trap '' TERM INT HUP; $0 $*; :\"; :";

/// `client → supervisor → guard → sh → sh → server`, with the last three ignoring signals.
fn below_a_shell<'a>(test: &'a Test, fence: &str) -> (Run<'a>, Pid) {
    test.secret("test/token", TOKEN);
    let server = crate::harness::fake_server().display().to_string();
    let command = [
        "/bin/sh",
        "-c",
        BELOW_A_SHELL,
        &server,
        "ignore=term,int,hup,eof",
    ];
    test.policy(
        "fake",
        &command,
        &format!("{fence}{}", slot("TOKEN", "test/token")),
    );
    let mut run = test.run("fake");
    run.initialize();
    let pid = run.server(1);
    (run, pid)
}

fn ps(test: &Test) -> Vec<Value> {
    let ps = test.ok(&["ps", "--json"]).json();
    ps["servers"].as_array().unwrap().clone()
}

/// A hostile server, or the kernel when memory is short, kills both at once.
fn killed_supervisor_and_guard(test: &Test) -> Pid {
    let (run, server) = below_a_shell(test, "fence = false\n");
    let (supervisor, guard) = (run.pid(), guard(server));
    // The record with the server's process is written right after its start.
    until("recorded", || {
        test.audit()
            .iter()
            .any(|record| record["detail"]["started"].is_number())
    });
    process::kill_both(guard, supervisor);
    drop(run);
    process::wait_for_end(guard, DEADLINE);
    assert!(process::alive(server), "it lives on");
    server
}

#[test]
fn a_server_without_supervisor_and_guard_is_shown_and_ended() {
    let test = Test::new();
    let server = killed_supervisor_and_guard(&test);
    let shown = ps(&test);
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(
        (&shown[0]["state"], &shown[0]["server"]),
        (&"orphaned".into(), &"fake".into())
    );
    let tree = shown[0]["tree"].as_array().unwrap();
    assert!(tree.contains(&server.as_raw().into()), "{shown:?}");
    let check = test.cli(&["check", "--json"]);
    assert!(check.text().contains("without their supervisor"), "{check}");
    let ended = test.ok(&["revoke", "fake"]);
    assert!(
        ended.text().contains("fake (supervisor killed): "),
        "{ended}"
    );
    assert!(!process::alive(server), "{ended}");
    no_server_is_alive(&test);
    assert!(ps(&test).is_empty());
}

/// The mark says which run, the record of the launch says which session.
#[test]
fn an_orphan_whose_leader_is_gone_is_found_by_its_mark() {
    let test = Test::new();
    let server = killed_supervisor_and_guard(&test);
    // The leader of the session is the outer shell.
    let leader = Pid::from_raw(nix::unistd::getsid(Some(server)).unwrap().as_raw());
    kill(leader, Signal::SIGKILL).ok();
    kill(parent(server).unwrap(), Signal::SIGKILL).ok();
    process::wait_for_end(leader, DEADLINE);
    test.ok(&["revoke", "--all"]);
    assert!(!process::alive(server));
}

/// Without the log nothing says that the session is the run's, so the process is named, not killed.
#[test]
fn a_process_that_only_has_the_mark_is_named_and_not_ended() {
    let test = Test::new();
    let server = killed_supervisor_and_guard(&test);
    fs::remove_dir_all(test.root().join("state/audit")).unwrap();
    crate::control_group::leave(server);
    let shown = ps(&test);
    assert!(
        shown.iter().all(|one| one["state"] == "outside"),
        "{shown:?}"
    );
    let ended = test.cli(&["revoke", "fake"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.text().contains("revoked: fake"), "{ended}");
    assert!(
        ended.stderr.contains(&format!("pid {server}: `")),
        "{ended}"
    );
    assert!(process::alive(server), "{ended}");
    for one in shown {
        let pid = i32::try_from(one["pid"].as_i64().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
    process::wait_for_end(server, DEADLINE);
}

/// Another service starts something for a server: it has the environment, but not the parents.
#[test]
fn what_a_server_started_elsewhere_is_named() {
    let test = Test::new();
    test.init();
    let script = "echo \"mark $MCPWRAP_RUN.\" >&2; cat";
    test.policy("fake", &["/bin/sh", "-c", script], "");
    let run = test.run("fake");
    let heard = run.heard(".\n");
    let mark = heard
        .split("mark ")
        .nth(1)
        .unwrap()
        .split('.')
        .next()
        .unwrap();
    let mut service = test.command("/bin/sleep");
    service.env("MCPWRAP_RUN", mark).arg("60");
    let mut service = service.spawn().unwrap();
    // A mark with a wrong MAC, and one of another home, say nothing.
    let forged = |text: String| {
        let mut command = test.command("/bin/sleep");
        command.env("MCPWRAP_RUN", text).arg("60").spawn().unwrap()
    };
    let (rest, mac) = mark.rsplit_once(':').unwrap();
    let (run_part, _) = rest.rsplit_once(':').unwrap();
    let mut others = [
        forged(format!("{rest}:{}", "0".repeat(mac.len()))),
        forged(format!("{run_part}:0123456789:{mac}")),
    ];
    let ended = test.cli(&["revoke", "fake"]);
    let still = service.try_wait().unwrap().is_none();
    for child in others.iter_mut().chain([&mut service]) {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(still);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(
        ended.text().contains("stopped by its supervisor"),
        "{ended}"
    );
    let named = ended.stderr.matches("pid ").count();
    assert_eq!(named, 1, "{ended}");
    assert!(
        ended.stderr.contains(&format!("pid {}: `", service.id())),
        "{ended}"
    );
    run.finish();
}

/// A stopped supervisor without its socket; without the log, only the process table has it.
#[test]
fn a_stopped_supervisor_without_a_socket_does_not_save_its_server() {
    for with_log in [true, false] {
        let test = Test::new();
        let run = started(&test, &["ignore=term,int,hup,eof", "child"], "");
        let server = run.server(1);
        process::stop(run.pid());
        fs::remove_dir_all(test.root().join("run")).unwrap();
        if !with_log {
            fs::remove_dir_all(test.root().join("state/audit")).unwrap();
        }
        until("stopped", || {
            ps(&test).iter().any(|one| one["state"] == "stopped")
        });
        let ended = test.ok(&["revoke", "fake"]);
        assert!(
            ended
                .text()
                .contains("killed, because its supervisor did not answer"),
            "{ended}"
        );
        assert!(!process::alive(server), "{ended}");
        no_server_is_alive(&test);
        kill(run.pid(), Signal::SIGCONT).unwrap();
        run.finish();
    }
}

#[test]
fn a_supervisor_with_another_runtime_directory_is_found() {
    let test = Test::new();
    test.unset("MCPWRAP_HOME");
    let runtime = |name: &str| {
        let dir = test.home.join(name);
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        dir
    };
    test.set("XDG_RUNTIME_DIR", runtime("one"));
    let run = started(&test, &["ignore=term,int,hup,eof"], "");
    let server = run.server(1);
    test.set("XDG_RUNTIME_DIR", runtime("two"));
    let shown = ps(&test);
    assert_eq!(shown.len(), 1, "{shown:?}");
    let ended = test.ok(&["revoke", "fake"]);
    assert!(!process::alive(server), "{ended}");
    run.finish();
}

/// A guard that is stopped cannot see that its supervisor is gone; the kernel continues it.
#[test]
fn a_stopped_guard_ends_its_server_when_the_supervisor_is_killed() {
    let test = Test::new();
    let (run, server) = below_a_shell(&test, "");
    let guard = guard(server);
    process::stop(guard);
    run.signal(Signal::SIGKILL);
    process::wait_for_end(guard, DEADLINE);
    process::wait_for_end(server, DEADLINE);
    drop(run);
}

#[test]
fn a_session_without_a_server_is_said_to_have_none() {
    let test = Test::new();
    let run = started(&test, &[], "");
    test.ok(&["revoke", "fake"]);
    let ended = test.ok(&["revoke", "fake"]);
    assert!(ended.text().contains("no server was running"), "{ended}");
    assert!(!ended.text().contains("killed"), "{ended}");
    run.finish();
}
