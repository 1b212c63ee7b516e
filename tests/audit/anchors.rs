//! Anchors in the journal: what was done to the log by somebody who can change all files of the user.
//!
//! Each test starts its own `systemd-journald` in a mount namespace with an empty `/run`.

use std::path::Path;

use serde_json::Value;

use crate::harness::place::copy_program;
use crate::harness::{Ended, TOKEN, Test, golden, skip, slot};

/// Starts the journal. `"$0"` is mcpwrap, `$HOME/mcpwrap` has all its files. Descriptor 3 is a client
/// that says nothing. `verify` waits until the journal has stored what was sent.
const BEGIN: &str = r#"
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal || exit 77
/usr/lib/systemd/systemd-journald >/dev/null 2>&1 & journald=$!
trap 'kill $journald; wait $journald' EXIT
tries=0
until [ -S /run/systemd/journal/socket ]; do
  tries=$((tries + 1)); [ $tries -lt 300 ] || exit 77
  sleep 0.1
done
mkfifo client && exec 3<>client
run() { "$0" run "$1" <&3 >/dev/null || exit 3; }
verify() { journalctl --sync; "$0" log verify "$@"; }
audit=$HOME/mcpwrap/state/audit
"#;

/// The steps between a good log and what is found. The one argument is the state before.
const STEAL: &str = "run fake\n";

/// Runs a script beside a journal; the last command is the result. `None`: it does not start here.
fn with_journal(test: &Test, script: &str) -> Option<Ended> {
    let installed = Path::new("/usr/lib/systemd/systemd-journald").exists();
    if !(installed && nix::unistd::geteuid().is_root()) {
        skip("journald", "only root can start `systemd-journald`");
        return None;
    }
    let mut command = test.command("/usr/bin/unshare");
    command
        .args(["--mount", "/bin/sh", "-c", &format!("{BEGIN}{script}")])
        .arg(test.program());
    let ended = test.start(&mut command).finish();
    if ended.code == 77 {
        skip("journald", "`systemd-journald` does not start here");
        return None;
    }
    Some(ended)
}

/// A test with a server that ends at once, and its secret.
fn machine() -> Test {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    test.policy("fake", &["true"], &slot("TOKEN", "github/token"));
    test
}

/// The log of yesterday and the whole vault of yesterday are put back after a release.
#[test]
fn a_directory_of_yesterday_is_found() {
    let test = machine();
    let script = format!(
        "run fake; cp -a $HOME/mcpwrap before\n{STEAL}rm -r $HOME/mcpwrap; mv before $HOME/mcpwrap\nverify"
    );
    let Some(ended) = with_journal(&test, &script) else {
        return;
    };
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.text().contains("truncated: records 7 to 10"),
        "{ended}"
    );
    assert!(ended.text().contains("anchored to record 6 "), "{ended}");
}

/// New records follow the log of yesterday, more than were lost, and one of them is anchored.
#[test]
fn a_directory_of_yesterday_is_found_after_more_records() {
    let test = machine();
    let script = format!(
        "run fake; cp -a $HOME/mcpwrap before\n{STEAL}rm -r $HOME/mcpwrap; mv before $HOME/mcpwrap\n\
         run fake; run fake; verify"
    );
    let Some(ended) = with_journal(&test, &script) else {
        return;
    };
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.text().contains("edited: records 8 to 10"), "{ended}");
}

/// An old anchor is sent again, as if the log had ended there, and one with a wrong MAC.
#[test]
fn anchors_that_are_sent_again_or_forged_change_nothing() {
    let test = machine();
    let script = format!(
        "run fake; journalctl --sync; cp -a $HOME/mcpwrap before\n\
         journalctl -o export -r MESSAGE_ID=6d63707772617000616e63686f720001 | \
           grep -a -m6 '^M[EC][SP][SW][AR]' > entry\n\
         {STEAL}rm -r $HOME/mcpwrap; mv before $HOME/mcpwrap\n\
         grep -q MCPWRAP_MAC entry || exit 4\n\
         logger --journald=entry; sed 's/HEAD=6/HEAD=99/' entry > forged; logger --journald=forged\n\
         verify"
    );
    let Some(ended) = with_journal(&test, &script) else {
        return;
    };
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.text().contains("truncated: records 7 to 10"),
        "{ended}"
    );
}

/// The launch is replaced by refusals that look as if the store had been locked.
#[test]
fn a_tail_of_unsealed_records_is_found() {
    let test = machine();
    let script = format!(
        "run fake; cp -a $HOME/mcpwrap before\n{STEAL}rm -r $HOME/mcpwrap; mv before $HOME/mcpwrap\n\
         mv $HOME/vault.key away\n\
         for n in 1 2 3 4 5; do \"$0\" revoke fake >/dev/null; done\n\
         mv away $HOME/vault.key; verify"
    );
    let Some(ended) = with_journal(&test, &script) else {
        return;
    };
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.text().contains("edited: records 8 to 10"), "{ended}");
}

#[test]
fn a_deleted_log_is_found_without_the_head_in_the_store() {
    let test = machine();
    let script = "cp -a $HOME/mcpwrap before; rm -r before/state/audit\nrun fake\n\
                  rm -r $HOME/mcpwrap; mv before $HOME/mcpwrap; verify";
    let Some(ended) = with_journal(&test, script) else {
        return;
    };
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.text().contains("truncated: records 1 to 6"),
        "{ended}"
    );
    assert!(
        ended
            .text()
            .contains("the newest in the journal is of record 6"),
        "{ended}"
    );
}

/// What was found once stays a finding, and is recorded once.
#[test]
fn a_found_rollback_is_recorded_once() {
    let test = machine();
    let script = format!(
        "run fake; cp -a $HOME/mcpwrap before\n{STEAL}rm -r $HOME/mcpwrap; mv before $HOME/mcpwrap\n\
         verify >/dev/null; verify >/dev/null; run fake; verify --json"
    );
    let Some(ended) = with_journal(&test, &script) else {
        return;
    };
    assert_eq!(ended.code, 1, "{ended}");
    let report = ended.json();
    assert_eq!(report["told"], serde_json::json!([7]));
    assert_eq!(report["breaks"], serde_json::json!([]));
}

/// The JSON of each answer; scripts read it.
#[test]
fn an_intact_log_is_anchored() {
    let test = machine();
    let Some(ended) = with_journal(&test, "run fake; verify --json") else {
        return;
    };
    assert_eq!(ended.code, 0, "{ended}");
    check(&ended, "anchored");
    let Some(ended) = with_journal(&test, "rm client; verify") else {
        return;
    };
    // The journal of that namespace is new and empty.
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.text().contains("no anchor: "), "{ended}");
    assert!(ended.text().contains("no change found"), "{ended}");
}

#[test]
fn without_an_anchor_the_log_is_not_called_intact() {
    let test = machine();
    let config = test.root().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[audit]\nanchor = \"off\"\n")).unwrap();
    let Some(ended) = with_journal(&test, "run fake; verify --json") else {
        return;
    };
    assert_eq!(ended.code, 2, "{ended}");
    check(&ended, "none");
}

/// An ordinary user cannot read the system's journal.
#[test]
fn a_journal_that_this_user_cannot_read_is_not_no_anchor() {
    let test = Test::new();
    // The program and the home must be reachable for that user.
    copy_program(&test.program(), "", &test.dir.join("copy"));
    let script = r#"
chmod 711 .; chmod 755 copy; rm client
mkdir other && chown 65534:65534 other && chmod 700 other && cd other
as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups \
  env HOME=$PWD MCPWRAP_HOME=$PWD/mcpwrap ../copy "$@"; }
chmod 750 /run/log/journal/*; chmod 640 /run/log/journal/*/*
as_user init --store file --key-file $PWD/key >/dev/null 2>&1
mkdir -m 700 mcpwrap/policies; printf 'version = 1\ncommand = ["true"]\n' > policy
install -o 65534 -m 600 policy mcpwrap/policies/x.toml; chown -R 65534 mcpwrap
as_user revoke x >/dev/null; journalctl --sync
as_user log verify --json
"#;
    let Some(ended) = with_journal(&test, script) else {
        return;
    };
    assert_eq!(ended.code, 2, "{ended}");
    check(&ended, "unreadable");
}

/// The daemon is gone and its socket is still there.
#[test]
fn an_anchor_that_is_not_taken_is_counted_and_shown() {
    let test = machine();
    let script = "kill $journald; wait $journald; run fake; \"$0\" status --json";
    let Some(ended) = with_journal(&test, script) else {
        return;
    };
    let anchor = &ended.json()["anchor"];
    assert_eq!(anchor["setting"], "auto");
    assert!(anchor["undelivered"].as_u64().unwrap() >= 2, "{ended}");
    let shown = test.ok(&["status"]);
    assert!(shown.text().contains(" not delivered"), "{shown}");
}

/// Compares the JSON with its golden file, without what differs between runs.
#[track_caller]
fn check(ended: &Ended, name: &str) {
    let mut report = ended.json();
    report["bytes"] = Value::from(1000);
    let seq = report["records"].clone();
    assert_eq!(
        report["head"].as_str().unwrap().split(':').next(),
        Some(seq.to_string().as_str())
    );
    report["head"] = Value::from(format!("{seq}:HASH"));
    if report["anchor"]["time"].is_string() {
        report["anchor"]["time"] = Value::from("2026-11-23T14:03:05.123456Z");
    }
    if let Some(cause) = report["anchor"]["cause"].as_str() {
        let machine = cause
            .split('/')
            .nth(4)
            .unwrap()
            .trim_end_matches("`:")
            .to_owned();
        report["anchor"]["cause"] =
            Value::from(cause.replace(machine.split('`').next().unwrap(), "MACHINE"));
    }
    let text = serde_json::to_string_pretty(&report).unwrap() + "\n";
    golden::check(&format!("verify/{name}.json"), &text);
}
