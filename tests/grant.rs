//! Grants: what is shown, who may approve, what is logged, and what revokes a grant.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::apart::without_terminal;
use crate::harness::golden::{self, stable};
use crate::harness::place::copy_program;
use crate::harness::{Test, fake_server, skip, slot};
use crate::messages::message;
use crate::policy::with_etc;

const POLICY: &str = "version = 1\ncommand = [\"npx\", \"-y\", \"server@1.2.3\", \"two words\"]\n\
                      [env]\nset = { LOG_LEVEL = \"info\" }\n";

fn status(test: &Test, server: &str) -> String {
    let list = test.ok(&["policy", "list", "--json"]).json();
    let entry = list
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["server"] == server);
    entry.unwrap()["status"].as_str().unwrap().to_owned()
}

/// Makes a program the only `npx` on PATH, so that all machines show the same.
fn set_npx(test: &Test) {
    copy_program(&fake_server(), "", &test.programs().join("npx"));
    test.set("PATH", test.programs());
}

/// The lines of a question without the breaks that make them fit: paths differ between machines.
pub(crate) fn unwrapped(text: &str) -> String {
    text.replace(&format!("\n{}", " ".repeat(13)), "")
}

/// The text of a terminal as plain lines, with the times removed.
fn screen(test: &Test, text: &str) -> String {
    let text = stable(test, text).replace('\r', "");
    let text = unwrapped(&text).replace(&test.programs().display().to_string(), "PROGRAMS");
    let lines = text
        .lines()
        .map(|line| match line.split_once("revoked on ") {
            Some((start, rest)) => format!(
                "{start}revoked on TIME{}\n",
                &rest["2026-01-01 00:00 UTC".len()..]
            ),
            None => format!("{line}\n"),
        });
    lines.collect()
}

#[test]
fn grant_shows_everything_and_asks_for_the_name() {
    let test = Test::new();
    test.init();
    set_npx(&test);
    test.write_policy(
        "github",
        &format!("{POLICY}{}", slot("TOKEN", "github/token")),
    );
    let mut terminal = test.terminal(&["grant", "github"]);
    terminal
        .expect("type `github` to confirm: ")
        .enter("github");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    golden::check("grant/first.txt", &screen(&test, &shown));
    assert_eq!(status(&test, "github"), "granted");

    // After a change, the change is shown.
    test.write_policy("github", &POLICY.replace("1.2.3", "1.2.4"));
    assert_eq!(status(&test, "github"), "changed");
    test.ok(&["revoke", "github", "--reason", "token leaked"]);
    let mut terminal = test.terminal(&["grant", "github"]);
    terminal.expect("to confirm: ").enter("github");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    golden::check("grant/changed.txt", &screen(&test, &shown));
    assert_eq!(status(&test, "github"), "granted");
    assert_eq!(test.events(), ["grant", "revoke", "grant"]);
    let records = test.audit();
    assert_eq!(records[0]["detail"]["by"], "terminal");
    assert_eq!(records[1]["detail"]["note"], "token leaked");
}

#[test]
fn another_answer_grants_nothing() {
    let test = Test::new();
    test.init();
    test.write_policy("github", POLICY);
    for answer in ["", "y", "yes", "githu", "GITHUB"] {
        let mut terminal = test.terminal(&["grant", "github"]);
        terminal.expect("to confirm: ").enter(answer);
        let (code, shown) = terminal.end();
        assert_eq!(code, 1, "{answer}: {shown}");
        assert!(shown.contains("error[declined]"), "{shown}");
    }
    assert_eq!(status(&test, "github"), "not-granted");
}

#[test]
fn a_pipe_cannot_approve() {
    let test = Test::new();
    test.init();
    test.write_policy("github", POLICY);
    let mut run = without_terminal(&test, &["grant", "github"]);
    run.send_raw(b"github\n");
    let ended = run.end();
    assert_eq!(ended.code, 2, "{ended}");
    message(&test, "no-terminal", &ended);
    assert_eq!(status(&test, "github"), "not-granted");
}

/// The text of a policy must not control the terminal on which the user decides.
#[test]
fn control_characters_are_not_shown() {
    let test = Test::new();
    test.init();
    let text =
        "version = 1\ndescription = \"a\\u001b[2Kb\\rc\"\ncommand = [\"cat\", \"\\u001b[8m\"]\n";
    test.write_policy("github", text);
    let mut terminal = test.terminal(&["grant", "github"]);
    terminal.expect("to confirm: ").enter("no");
    let (_, shown) = terminal.end();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn yes_is_always_logged() {
    let test = Test::new();
    test.init();
    test.write_policy("github", POLICY);
    test.ok(&["grant", "github", "--yes"]);
    let record = test.audit().pop().unwrap();
    assert_eq!(
        (&record["outcome"], &record["detail"]["by"]),
        (&"ok".into(), &"yes".into())
    );
    assert_eq!(status(&test, "github"), "granted");
}

#[test]
fn without_a_record_nothing_is_granted() {
    let test = Test::new();
    test.init();
    test.write_policy("github", POLICY);
    let audit = test.root().join("state/audit");
    std::fs::remove_dir_all(&audit).ok();
    std::fs::write(&audit, "in the way").unwrap();
    let ended = test.cli(&["grant", "github", "--yes"]);
    assert!(ended.stderr.contains("error[audit-unwritable]"), "{ended}");
    assert_eq!(status(&test, "github"), "not-granted");
}

#[test]
fn revoking_needs_neither_the_store_nor_a_readable_policy() {
    let test = Test::new();
    test.policy("github", &["cat"], &slot("TOKEN", "github/token"));
    test.policy("other", &["cat"], "");
    std::fs::remove_file(test.home.join("vault.key")).unwrap();
    test.write_policy("other", "\u{1}broken");
    let ended = test.ok(&["revoke", "--all", "--dry-run"]);
    assert_eq!(
        ended.text(),
        "would revoke: github (0 running)\nwould revoke: other (0 running)\n"
    );
    assert_eq!(status(&test, "github"), "granted");
    let ended = test.ok(&["revoke", "--all"]);
    assert_eq!(ended.text(), "revoked: github\nrevoked: other\n");
    assert!(
        ended
            .stderr
            .contains("also rotate it at its provider: `github/token`"),
        "{ended}"
    );
    assert_eq!(status(&test, "github"), "revoked");
    test.write_policy("other", "version = 1\ncommand = [\"cat\"]\n");
    assert_eq!(status(&test, "other"), "revoked");
    assert_eq!(test.events(), ["grant", "grant", "revoke", "revoke"]);

    let unknown = test.cli(&["revoke", "gihtub"]);
    assert!(
        unknown.stderr.contains("did you mean `github`?"),
        "{unknown}"
    );
    // The grant can be revoked even if the policy was removed.
    std::fs::remove_file(test.root().join("policies/other.toml")).unwrap();
    test.ok(&["revoke", "other"]);
}

/// An AI agent may use the kill switch.
#[test]
fn an_agent_may_revoke() {
    let test = Test::new();
    test.policy("github", &["cat"], "");
    test.set("CLAUDECODE", "1");
    test.ok(&["revoke", "github"]);
    assert_eq!(test.audit().pop().unwrap()["detail"]["agent"], "CLAUDECODE");
}

#[test]
fn several_servers_are_granted_one_by_one() {
    let test = Test::new();
    test.init();
    test.write_policy("one", POLICY);
    test.write_policy("two", POLICY);
    let mut terminal = test.terminal(&["grant", "one", "two"]);
    terminal
        .expect("type `one`")
        .expect("confirm: ")
        .enter("one");
    terminal
        .expect("type `two`")
        .expect("confirm: ")
        .enter("no");
    assert_eq!(terminal.end().0, 1);
    assert_eq!(
        (status(&test, "one").as_str(), status(&test, "two").as_str()),
        ("granted", "not-granted")
    );
    // An invalid name is an error before the first question.
    let ended = test.cli(&["grant", "one", "three", "--yes"]);
    assert!(ended.stderr.contains("error[policy-not-found]"), "{ended}");
}

/// A grant covers the profiles, so they are shown.
#[test]
fn profiles_are_shown_too() {
    let test = Test::new();
    test.init();
    let text = "version = 1\ncommand = [\"cat\"]\n\
                [profile.dev.env]\nset = { NODE_OPTIONS = \"--require /tmp/x.js\" }\n";
    test.write_policy("github", text);
    let mut terminal = test.terminal(&["grant", "github"]);
    terminal
        .expect("--profile dev")
        .expect("NODE_OPTIONS = --require /tmp/x.js");
    terminal.expect("to confirm: ").enter("no");
    assert_eq!(terminal.end().0, 1);
}

#[test]
fn the_administrator_can_forbid_yes_to_everybody() {
    let test = Test::new();
    test.init();
    test.write_policy("github", POLICY);
    let dir = test.dir.join("etc/mcpwrap");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.toml"), "forbid_yes = true\n").unwrap();
    for path in [&dir, &test.dir.join("etc")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(dir.join("config.toml"), mode).unwrap();
    let Some(mut command) = with_etc(&test, &["grant", "github", "--yes"]) else {
        return skip("namespaces", "`unshare --mount` is not allowed here");
    };
    let ended = test.start(&mut command).end();
    message(&test, "yes-refused", &ended);
    assert!(ended.stderr.contains("/etc/mcpwrap/config.toml"), "{ended}");
    assert_eq!(status(&test, "github"), "not-granted");
}
