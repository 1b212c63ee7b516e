//! Copies of records, taken by real daemons.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::harness::{DEADLINE, Test, skip};

/// Waits until a file has this text.
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
fn rsyslog_takes_records_as_rfc_5424() {
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
    let path = test.root().join("config.toml");
    let mut settings = std::fs::read_to_string(&path).unwrap();
    let socket = socket.display();
    let section = format!(
        "
[audit]
forward = [\"syslog\"]
syslog = \"{socket}\"
"
    );
    settings.push_str(&section);
    std::fs::write(&path, settings).unwrap();
    test.write_policy("github", "version = 1\ncommand = [\"true\"]\n");
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

    // The daemon is gone: verbs go on, and what was not taken is counted.
    test.ok(&["revoke", "github"]);
    let shown = test.cli(&["log", "verify"]);
    assert!(
        shown.text().contains("1 copies were not taken by syslog"),
        "{shown}"
    );
}
