//! Copies of records, received by real daemons.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::harness::{DEADLINE, Test, skip};

/// Runs in its own mount namespace with an empty `/run`, so that the journal of this machine is not
/// used. The last line is the journal's entry of mcpwrap.
const WITH_JOURNAL: &str = r#"
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal || exit 77
/usr/lib/systemd/systemd-journald >/dev/null 2>&1 & journald=$!
tries=0
until [ -S /run/systemd/journal/socket ]; do
  tries=$((tries + 1)); [ $tries -lt 300 ] || exit 77
  sleep 0.1
done
"$0" revoke github --reason 'a test' || exit 3
tries=0
until journalctl -D /run/log/journal -o json MCPWRAP_EVENT=revoke 2>/dev/null | grep MCPWRAP; do
  tries=$((tries + 1)); [ $tries -lt 300 ] || exit 4
  sleep 0.1
done
kill $journald; wait $journald
exit 0
"#;

#[test]
fn the_journal_receives_records_as_fields() {
    let installed = Path::new("/usr/lib/systemd/systemd-journald").exists();
    if !(installed && nix::unistd::geteuid().is_root()) {
        return skip("journald", "only root can start `systemd-journald`");
    }
    let test = Test::new();
    test.init();
    forward_to(&test, "forward = [\"journald\"]");
    let mut command = test.command("/usr/bin/unshare");
    command
        .args(["--mount", "/bin/sh", "-c", WITH_JOURNAL])
        .arg(test.program());
    let ended = test.start(&mut command).finish();
    if ended.code == 77 {
        return skip("journald", "`systemd-journald` does not start here");
    }
    assert_eq!(ended.code, 0, "{ended}");
    let entry: serde_json::Value =
        serde_json::from_str(ended.text().lines().last().unwrap()).unwrap();
    let written = test.ok(&["log", "--json", "--event", "revoke"]).stdout;
    let written = String::from_utf8(written).unwrap();
    assert_eq!(entry["MCPWRAP_RECORD"], written.trim());
    let record: serde_json::Value = serde_json::from_str(&written).unwrap();
    for (field, value) in [
        ("MCPWRAP_SERVER", "github"),
        ("MCPWRAP_OUTCOME", "ok"),
        ("MCPWRAP_SEQ", &record["seq"].to_string()),
        ("SYSLOG_IDENTIFIER", "mcpwrap"),
        ("MESSAGE", "mcpwrap: revoke github ok"),
        ("PRIORITY", "6"),
        ("_TRANSPORT", "journal"),
    ] {
        assert_eq!(entry[field], value, "{field}");
    }
}

/// Writes a policy that can be revoked, and the settings of the sinks.
fn forward_to(test: &Test, settings: &str) {
    let path = test.root().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\n[audit]\n{settings}\n")).unwrap();
    test.write_policy("github", "version = 1\ncommand = [\"true\"]\n");
}

/// Waits until a file contains this text.
fn wait_for(path: &Path, text: &str) -> String {
    let begin = Instant::now();
    loop {
        let found = std::fs::read_to_string(path).unwrap_or_default();
        if found.contains(text) {
            return found;
        }
        assert!(
            begin.elapsed() < DEADLINE,
            "no `{text}` in {}: {found}",
            path.display()
        );
        std::thread::yield_now();
    }
}

#[test]
fn rsyslog_receives_records_as_rfc_5424() {
    let daemon = Path::new("/usr/sbin/rsyslogd");
    if !daemon.exists() {
        return skip("syslog", "`rsyslogd` is not installed");
    }
    let test = Test::new();
    let dir = &test.dir;
    let (socket, output) = (dir.join("log.sock"), dir.join("received"));
    let config = format!(
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
         input(type=\"imuxsock\" Socket=\"{}\" UseSpecialParser=\"off\" ParseHostname=\"on\")\n\
         template(name=\"t\" type=\"string\" string=\"%protocol-version%|%pri-text%|%app-name%|%msgid%|%msg%\\n\")\n\
         action(type=\"omfile\" file=\"{}\" template=\"t\" asyncWriting=\"off\" flushOnTXEnd=\"on\")\n",
        socket.display(),
        output.display()
    );
    std::fs::write(dir.join("rsyslog.conf"), config).unwrap();
    let mut rsyslog = Command::new(daemon)
        .args(["-n", "-iNONE", "-f"])
        .arg(dir.join("rsyslog.conf"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while !socket.exists() && begin.elapsed() < DEADLINE {
        std::thread::yield_now();
    }
    test.init();
    let socket = socket.display();
    forward_to(
        &test,
        &format!("forward = [\"syslog\"]\nsyslog = \"{socket}\""),
    );
    test.ok(&["revoke", "github", "--reason", "a test"]);
    let received = wait_for(&output, "|revoke|");
    rsyslog.kill().unwrap();
    rsyslog.wait().unwrap();
    let line = received
        .lines()
        .find(|line| line.contains("|revoke|"))
        .unwrap();
    let [version, priority, name, event, record] =
        line.splitn(5, '|').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(
        (version, priority, name, event),
        ("1", "authpriv.info", "mcpwrap", "revoke")
    );
    let written = test.ok(&["log", "--json", "--event", "revoke"]).stdout;
    assert_eq!(
        record.trim(),
        String::from_utf8(written).unwrap().trim(),
        "the whole record"
    );

    // Without the daemon, commands still work, and undelivered copies are counted.
    test.ok(&["revoke", "github"]);
    let shown = test.cli(&["log", "verify"]);
    assert!(
        shown.text().contains("1 record not delivered to syslog"),
        "{shown}"
    );
}
