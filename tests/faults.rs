//! Failures: each has its message, and nothing starts without a record.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Run, TOKEN, Test, process, slot};

pub(crate) fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn granted() -> Test {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    test.serve("fake", &[], &slot("TOKEN", "test/token"));
    test
}

#[test]
fn no_record_no_launch() {
    type Break = fn(&Path);
    let breaks: &[(&str, Break)] = &[
        ("a full disk", |audit| {
            for entry in std::fs::read_dir(audit).unwrap().map(Result::unwrap) {
                std::fs::remove_file(entry.path()).unwrap();
                symlink("/dev/full", entry.path()).unwrap();
            }
        }),
        ("a file where the directory belongs", |audit| {
            std::fs::remove_dir_all(audit).unwrap();
            std::fs::write(audit, "").unwrap();
        }),
        ("a directory that others can write", |audit| {
            chmod(audit, 0o777);
        }),
        ("a FIFO in the place of the log", |audit| {
            for entry in std::fs::read_dir(audit).unwrap().map(Result::unwrap) {
                std::fs::remove_file(entry.path()).unwrap();
                nix::unistd::mkfifo(&entry.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
            }
        }),
    ];
    for (name, broken) in breaks {
        let test = granted();
        let audit = test.root().join("state/audit");
        broken(&audit);
        let ended = test.run("fake").refused();
        assert_eq!(ended.code, 125, "{name}: {ended}");
        assert!(
            ended.stderr.contains("error[audit-unwritable]"),
            "{name}: {ended}"
        );
        assert!(
            !ended.stderr.contains("fake-server: ready"),
            "{name}: {ended}"
        );
    }
}

#[test]
fn a_deleted_log_directory_is_recreated() {
    let test = granted();
    std::fs::remove_dir_all(test.root().join("state/audit")).unwrap();
    let mut run = test.run("fake");
    run.initialize();
    assert_eq!(run.finish().code, 0);
    assert!(test.events().contains(&"launch".to_owned()));
}

#[test]
fn a_kill_at_any_time_leaves_a_readable_log() {
    let test = granted();
    for moment in 0..12 {
        let mut run = test.run("fake");
        match moment % 4 {
            0 => {}
            1 => {
                run.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}));
            }
            2 => drop(run.server(1)),
            _ => drop(run.initialize()),
        }
        run.signal(Signal::SIGKILL);
        drop(run);
        assert!(process::wait_for_none(&test.dir, std::time::Duration::from_secs(5)).is_empty());
    }
    let mut run = test.run("fake");
    run.initialize();
    run.finish();
    crate::audit::verify_intact(&test);
}

#[test]
fn every_launch_is_recorded_before_it_happens() {
    let test = granted();
    let mut run = test.run("fake");
    run.server(1);
    let events = test.events();
    assert!(events.contains(&"launch".to_owned()) && events.contains(&"inject".to_owned()));
    run.initialize();
    run.finish();
    assert_eq!(test.events().last().unwrap(), "exit");
}

#[test]
fn eight_parallel_launches_are_recorded_intact() {
    let test = granted();
    let mut runs: Vec<_> = (0..8).map(|_| test.run("fake")).collect();
    for run in &mut runs {
        run.initialize();
    }
    for run in runs {
        assert_eq!(run.finish().code, 0);
    }
    let is_intent = |record: &&Value| record["event"] == "launch" && record["outcome"] == "intent";
    assert_eq!(test.audit().iter().filter(is_intent).count(), 8);
    crate::audit::verify_intact(&test);
}

#[test]
fn a_hostile_name_cannot_write_into_the_log() {
    let test = granted();
    let name = "x\n{\"event\":\"grant\"}\u{1b}[31m";
    let ended = test.run(name).refused();
    assert_eq!(ended.code, 125, "{ended}");
    assert!(ended.stderr.contains("error[name-invalid]"), "{ended}");
    let mut run = test.run("fake");
    let client = json!({"name": name, "version": name});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    run.request("initialize", &params);
    run.finish();
    for record in test.audit() {
        assert_ne!(record["event"], "\u{1b}[31m");
    }
    crate::audit::verify_intact(&test);
    let shown = test.cli(&["log"]);
    assert!(!shown.text().contains('\u{1b}'), "{shown}");
}

#[test]
fn few_descriptors_are_enough() {
    let test = granted();
    let mut run = under(&test, "ulimit -n 32");
    run.initialize();
    assert_eq!(run.call("echo", &json!({"text": "here"})), "here");
    assert_eq!(run.finish().code, 0);
}

#[test]
fn a_too_low_limit_is_reported_and_nothing_starts() {
    for (limit, code, hint) in [
        (
            "ulimit -n 20",
            // Whatever needs one more first.
            "",
            "hint: raise the limit of open files",
        ),
        ("ulimit -f 0", "audit-unwritable", "file too large"),
    ] {
        let test = granted();
        let ended = under(&test, limit).refused();
        assert_eq!(ended.code, 125, "{limit}: {ended}");
        let code = format!("error[{code}");
        assert!(ended.stderr.contains(&code), "{limit}: {ended}");
        assert!(ended.stderr.contains(hint), "{limit}: {ended}");
        assert!(
            !ended.stderr.contains("fake-server: ready"),
            "{limit}: {ended}"
        );
    }
}

/// `run fake` after a shell command.
fn under<'a>(test: &'a Test, first: &str) -> Run<'a> {
    let mut command = test.command("/bin/sh");
    command
        .args(["-c", &format!("{first}; exec \"$0\" run fake")])
        .arg(test.program());
    test.start(&mut command)
}

#[test]
fn a_missing_proc_or_a_read_only_disk_is_reported() {
    if !nix::unistd::geteuid().is_root() {
        return crate::harness::skip("root", "only root can take mounts away");
    }
    for (mounts, said) in [
        ("umount -l /proc", "Is /proc mounted?"),
        (
            "mount --bind \"$MCPWRAP_HOME\" \"$MCPWRAP_HOME\" && mount -o remount,ro,bind \"$MCPWRAP_HOME\"",
            "read-only file system",
        ),
    ] {
        let test = granted();
        let mut command = test.command("/usr/bin/unshare");
        command
            .args(["--mount", "/bin/sh", "-c"])
            .arg(format!("{mounts} && exec \"$0\" run fake"))
            .arg(test.program());
        let ended = test.start(&mut command).refused();
        assert_eq!(ended.code, 125, "{mounts}: {ended}");
        assert!(ended.stderr.contains(said), "{mounts}: {ended}");
        assert!(
            !ended.stderr.contains("fake-server: ready"),
            "{mounts}: {ended}"
        );
    }
}

#[test]
fn the_home_of_another_user_is_not_used() {
    if !nix::unistd::geteuid().is_root() {
        return crate::harness::skip("root", "only root can give a directory away");
    }
    let test = Test::new();
    test.unset("MCPWRAP_HOME");
    let nobody = Some(nix::unistd::Uid::from_raw(65_534));
    nix::unistd::chown(&test.home, nobody, None).unwrap();
    let ended = test.run("fake").refused();
    assert_eq!(ended.code, 125, "{ended}");
    assert!(ended.stderr.contains("error[home-unusable]"), "{ended}");
    assert!(ended.stderr.contains("without `sudo`"), "{ended}");
    let left: Vec<_> = std::fs::read_dir(&test.home).unwrap().collect();
    assert!(left.is_empty(), "nothing was written: {left:?}");
}

#[test]
fn without_its_runtime_directory_a_session_continues_and_can_be_revoked() {
    let test = granted();
    let mut run = test.run("fake");
    run.initialize();
    std::fs::remove_dir_all(test.root().join("run")).unwrap();
    assert_eq!(run.call("echo", &json!({"text": "here"})), "here");
    let mut other = test.run("fake");
    other.initialize();
    assert_eq!(other.finish().code, 0);
    let revoked = test.cli(&["revoke", "fake"]);
    // The session no longer has a socket: it detects the change of the grant, and its process is
    // found.
    assert_eq!(revoked.code, 0, "{revoked}");
    let answer = run.request(
        "tools/call",
        &json!({"name": "echo", "arguments": {"text": "x"}}),
    );
    assert_eq!(
        answer.pointer("/error/data/mcpwrap/code"),
        Some(&json!("revoked")),
        "{answer}"
    );
    run.finish();
}

#[test]
fn a_client_that_closes_our_stdout_ends_the_session() {
    let test = granted();
    // The reader reads one line and exits; the writer stays.
    let mut run = test.shell("exec 9>&2; \"$0\" run fake | head -n 1 >&9");
    run.ask("ping", &json!({}));
    run.ask("ping", &json!({}));
    for _ in 0..200 {
        run.send(&json!({"jsonrpc": "2.0", "id": "x", "method": "tools/list"}));
    }
    run.end();
}

#[test]
fn a_closed_stderr_does_not_stop_a_session() {
    let test = granted();
    let mut run = test.shell("exec \"$0\" run fake 2>&-");
    run.initialize();
    assert_eq!(run.call("echo", &json!({"text": "here"})), "here");
    assert_eq!(run.finish().code, 0);
}

#[test]
fn a_flood_on_stderr_does_not_stop_the_session() {
    let test = granted();
    let mut run = test.run("fake");
    run.initialize();
    for _ in 0..20 {
        run.call("do", &json!({"act": "err-fill=1000000"}));
    }
    assert_eq!(run.call("echo", &json!({"text": "here"})), "here");
    let ended = run.finish();
    assert!(ended.stderr_bytes.len() >= 20_000_000);
}

#[test]
fn a_client_that_does_not_read_costs_no_memory() {
    let test = granted();
    let mut command = test.command(test.program());
    let mut child = command
        .args(["run", "fake"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let fill = json!({"name": "fill", "arguments": {"bytes": 64 << 20}});
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": fill});
    writeln!(stdin, "{line}").unwrap();
    let status = format!("/proc/{}/status", child.id());
    // The first bytes of the answer are being written; the rest is not read.
    let mut stdout = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut stdout, &mut [0; 1024]).unwrap();
    let text = std::fs::read_to_string(status).unwrap();
    let kib = |name: &str| -> u64 {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().trim_end_matches(" kB").parse().unwrap()
    };
    // The pages of the program itself are no cost of the line.
    let own = kib("VmHWM:").saturating_sub(kib("RssFile:"));
    assert!(own < 16 * 1024, "{own} KiB for a line of 64 MiB");
    drop((stdin, stdout));
    child.wait().unwrap();
}
