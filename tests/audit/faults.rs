//! Faults: full disks, killed writers, logrotate, manual edits.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::write_samples;
use crate::harness::{Ended, Test, skip};
use crate::messages::message;

fn dir(test: &Test) -> PathBuf {
    test.root().join("state/audit")
}

/// A test with a policy that can be revoked, which writes one record without the store.
fn revocable() -> Test {
    let test = Test::new();
    test.init();
    test.write_policy("github", "version = 1\ncommand = [\"true\"]\n");
    test
}

/// The segment that is currently written to.
fn segment(test: &Test) -> PathBuf {
    let files = std::fs::read_dir(dir(test))
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .into_iter()
        .find(|path| path.extension().is_some_and(|kind| kind == "jsonl"))
        .unwrap()
}

#[track_caller]
fn verify_intact(test: &Test) -> Ended {
    let ended = test.cli(&["log", "verify"]);
    assert_eq!(ended.code, 0, "{ended}");
    ended
}

fn count(test: &Test, event: &str) -> usize {
    let lines = test.ok(&["log", "--json", "--event", event]).stdout;
    String::from_utf8_lossy(&lines).lines().count()
}

fn start(test: &Test, args: &[&str]) -> Child {
    let mut command = test.command(test.program());
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Ten supervisors write at once.
#[test]
fn ten_processes_lose_and_tear_nothing() {
    let test = revocable();
    let mut writers: Vec<_> = Vec::new();
    for _ in 0..10 {
        writers.extend((0..10).map(|_| start(&test, &["revoke", "github"])));
        for writer in writers.drain(..) {
            let ended = writer.wait_with_output().unwrap();
            assert!(
                ended.status.success(),
                "{}",
                String::from_utf8_lossy(&ended.stderr)
            );
        }
    }
    assert_eq!(count(&test, "revoke"), 100);
    verify_intact(&test);
}

#[test]
fn a_writer_that_is_killed_leaves_a_readable_log() {
    use std::io::{BufRead as _, BufReader};
    let test = revocable();
    for n in 0..40_u32 {
        let mut writer = start(&test, &["revoke", "github"]);
        // The record is written just after this line is printed.
        let mut line = String::new();
        BufReader::new(writer.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        // At a different moment each time, without a clock.
        (0..n * 2000).for_each(|_| std::hint::spin_loop());
        // It may have exited by itself.
        let _ended = kill(
            Pid::from_raw(i32::try_from(writer.id()).unwrap()),
            Signal::SIGKILL,
        );
        writer.wait().unwrap();
    }
    test.ok(&["revoke", "github"]);
    verify_intact(&test);
}

/// A full disk refuses the launch, and an incomplete record is removed afterwards.
#[test]
fn a_full_disk_refuses_the_launch_and_leaves_no_torn_record() {
    let test = revocable();
    let audit = dir(&test);
    let mount = |args: &[&str]| {
        Command::new("mount")
            .args(args)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    std::fs::create_dir_all(&audit).unwrap();
    if !mount(&[
        "-t",
        "tmpfs",
        "-o",
        "size=32k,mode=0700",
        "tmpfs",
        audit.to_str().unwrap(),
    ]) {
        return skip("root", "a small file system can only be mounted as root");
    }
    let unmount = Unmount(audit.clone());
    test.serve("fake", &[], "");
    let mut refused = None;
    for _ in 0..200 {
        let ended = test.cli(&["revoke", "github", "--reason", &"x".repeat(250)]);
        if ended.stderr.contains("error[audit-unwritable]") {
            refused = Some(ended);
            break;
        }
    }
    let refused = refused.expect("the disk is full at some time");
    // There is no room for even the shortest record.
    while test.cli(&["revoke", "github"]).stderr.is_empty() {}
    assert!(refused.stderr.contains("no space left"), "{refused}");
    // No launch either, because it needs the same log.
    let ended = test.cli(&["grant", "github", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[audit-unwritable]"), "{ended}");
    let ended = test.run("fake").refused();
    assert_eq!(ended.code, 125, "{ended}");
    assert!(ended.stderr.contains("error[audit-unwritable]"), "{ended}");
    assert!(!ended.stderr.contains("fake-server: ready"), "{ended}");
    let before = count(&test, "revoke");
    assert!(mount(&["-o", "remount,size=256k", audit.to_str().unwrap()]));
    test.ok(&["revoke", "github"]);
    assert_eq!(count(&test, "revoke"), before + 1);
    verify_intact(&test);
    drop(unmount);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// Both modes of logrotate, with logrotate itself.
#[test]
fn logrotate_loses_nothing() {
    if !Path::new("/usr/sbin/logrotate").exists() {
        return skip("syslog", "`logrotate` is not installed");
    }
    for habit in ["copytruncate", "create", "create\n compress"] {
        let test = revocable();
        for _ in 0..3 {
            test.ok(&["revoke", "github"]);
            let config = test.dir.join("logrotate.conf");
            let log = segment(&test);
            let text = format!(
                "{} {{\n rotate 9\n {habit}\n missingok\n}}\n",
                log.display()
            );
            std::fs::write(&config, text).unwrap();
            let rotated = Command::new("/usr/sbin/logrotate")
                .args(["-f", "-s"])
                .arg(test.dir.join("status"))
                .arg(&config)
                .status()
                .unwrap();
            assert!(rotated.success());
        }
        test.ok(&["revoke", "github"]);
        assert_eq!(count(&test, "revoke"), 4, "{habit}");
        let shown = verify_intact(&test);
        assert!(shown.text().contains(" in 4 files"), "{habit}: {shown}");
    }
}

#[test]
fn an_unsupported_compression_is_reported() {
    let test = revocable();
    test.ok(&["revoke", "github"]);
    let name = "2026-01-01.jsonl.2.xz";
    std::fs::write(dir(&test).join(name), "packed").unwrap();
    let ended = test.cli(&["log"]);
    assert_eq!(ended.code, 1, "{ended}");
    let said = format!("cannot read `{name}`: compressed by another program");
    assert!(ended.stderr.contains(&said), "{ended}");
    let ended = test.cli(&["log", "verify"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.text().contains("unreadable: ") && ended.text().contains(name));
}

#[test]
fn manual_changes_are_reported_by_number_and_kind() {
    let case = |change: fn(&mut Vec<String>), said: &str| {
        let test = revocable();
        for _ in 0..5 {
            test.ok(&["revoke", "github"]);
        }
        change_lines(&test, change);
        let ended = test.cli(&["log", "verify"]);
        assert_eq!(ended.code, 1, "{ended}");
        assert!(ended.text().contains(said), "expected {said}: {ended}");
        // The log continues, and still reports it.
        test.ok(&["revoke", "github"]);
        let again = test.cli(&["log", "verify"]);
        assert_eq!(again.code, 1, "{again}");
        assert!(count(&test, "log") >= 1);
    };
    case(
        |lines| lines[2] = lines[2].replace("\"ok\"", "\"failed\""),
        "edited: record 3,",
    );
    case(|lines| drop(lines.remove(1)), "removed: record 2,");
    case(|lines| lines.swap(1, 2), "reordered: record 2,");
    case(|lines| lines.truncate(3), "truncated: records 4 to 5");
}

/// Changes the log's records in place.
fn change_lines(test: &Test, change: impl FnOnce(&mut Vec<String>)) {
    let path = segment(test);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
}

/// Changes the log's records, and removes the note that would reveal a truncation.
fn change_lines_and_note(test: &Test, change: impl FnOnce(&mut Vec<String>)) {
    change_lines(test, change);
    std::fs::remove_file(dir(test).join("head")).unwrap();
}

/// Removes the last record, and the note that would reveal it.
pub(crate) fn cut_the_last_record(test: &Test) {
    change_lines_and_note(test, |lines| drop(lines.pop()));
}

#[test]
fn truncation_after_adopt_is_detected() {
    let test = Test::new();
    test.init();
    let token = "ghp_Zk3vX8sT5wZ1pL6mB9Hj7cR2nY4dF01n0Ypd";
    test.hide(token);
    let config = test.dir.join("servers.json");
    let entry = serde_json::json!({"command": "/bin/cat", "env": {"GITHUB_TOKEN": token}});
    let servers = serde_json::json!({"mcpServers": {"github": entry}});
    std::fs::write(&config, servers.to_string()).unwrap();
    test.set("PATH", format!("{}:/usr/bin:/bin", test.dir.display()));
    test.ok(&["adopt", "--yes", "--config", config.to_str().unwrap()]);
    assert_eq!(count(&test, "adopt"), 1);
    cut_the_last_record(&test);
    let ended = test.cli(&["log", "verify"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.text().contains("truncated: record"), "{ended}");
}

/// The head note does not help against a program that edits it too; the head in the store does.
#[test]
fn truncation_is_detected_without_the_note() {
    let test = revocable();
    for _ in 0..5 {
        test.ok(&["revoke", "github"]);
    }
    change_lines_and_note(&test, |lines| lines.truncate(3));
    // The next command would replace the head in the store; it reports the truncation instead.
    let ended = test.ok(&["revoke", "github"]);
    message(&test, "audit-broken", &ended);
    let ended = test.cli(&["log", "verify"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.text().contains("truncated: record 5"), "{ended}");
}

/// The first `log verify` keeps a new head in the store, which must not hide the second change.
#[test]
fn each_of_two_changes_is_still_reported_by_the_next_verification() {
    let test = revocable();
    for _ in 0..5 {
        test.ok(&["revoke", "github"]);
    }
    change_lines_and_note(&test, |lines| {
        lines[1] = lines[1].replace("\"ok\"", "\"failed\"");
        lines.truncate(4);
    });
    for _ in 0..2 {
        let ended = test.cli(&["log", "verify", "--json"]);
        assert_eq!(ended.code, 1, "{ended}");
    }
    let told = test.cli(&["log", "verify", "--json"]).json()["told"].clone();
    assert_eq!(told, serde_json::json!([2, 5]));
}

#[test]
fn a_deleted_log_is_detected() {
    let test = revocable();
    test.ok(&["revoke", "github"]);
    test.ok(&["revoke", "github"]);
    std::fs::remove_dir_all(dir(&test)).unwrap();
    let ended = test.cli(&["log", "verify"]);
    assert_eq!(ended.code, 1, "{ended}");
    test.ok(&["revoke", "github"]);
}

#[test]
fn a_hundred_thousand_records_are_read_in_bounded_memory() {
    use mcpwrap::testing::audit::{Event, Log, NewRecord, Outcome};
    let test = revocable();
    write_samples(&test);
    let log = Log::at(dir(&test), String::new(), None).unwrap();
    let entry = NewRecord::new(Event::Call, Outcome::Ok).server(&"github".parse().unwrap());
    let batch = vec![entry; 2000];
    for _ in 0..50 {
        log.append(&batch).unwrap();
    }
    // 100 MB of address space in total, including the program; the log alone is 25 MB.
    let limited = |args: &[&str]| {
        let mut command = test.command("/bin/sh");
        let program = test.program();
        command
            .args(["-c", "ulimit -v 100000; exec \"$0\" \"$@\""])
            .arg(program)
            .args(args);
        command.output().unwrap()
    };
    let verified = limited(&["log", "verify", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(
        report["records"],
        100_000 + Event::ALL.len(),
        "{verified:?}"
    );
    assert_eq!(report["result"], "intact");
    let listed = limited(&["log", "--json", "--event", "call"]).stdout;
    assert_eq!(String::from_utf8_lossy(&listed).lines().count(), 100_001);
}
