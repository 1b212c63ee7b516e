//! What `remove` takes away, and what stays.

use super::{CURSOR, Case};
use crate::harness::{TOKEN, slot};

fn added() -> Case {
    let case = Case::new(CURSOR);
    let ended = case.add(&["--client", "cursor"]);
    assert_eq!(ended.code, 0, "{ended}");
    case
}

#[test]
fn an_edited_entry_stays_with_what_it_starts() {
    let case = added();
    let edited = case
        .text()
        .replace("\"s\"]", "\"s\", \"--profile\", \"prod\"]");
    assert_ne!(edited, case.text());
    std::fs::write(&case.file, &edited).unwrap();
    let ended = case.test.cli(&["remove", "s", "--yes"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended
            .stderr
            .contains("`s` in ~/.cursor/mcp.json stays: changed since it was added"),
        "{ended}"
    );
    assert!(
        ended.stderr.contains("policy, grant and secrets stay"),
        "{ended}"
    );
    assert_eq!(case.text(), edited);
    assert!(case.policy("s").exists());
    // Removed by hand, it is no longer in the way.
    std::fs::write(&case.file, CURSOR).unwrap();
    case.test.ok(&["remove", "s", "--yes"]);
    assert!(!case.policy("s").exists());
}

/// A client that writes its file anew, in its own style.
#[test]
fn a_reformatted_entry_is_recognized() {
    let case = added();
    let value: serde_json::Value = serde_json::from_str(&case.text()).unwrap();
    std::fs::write(&case.file, value.to_string()).unwrap();
    case.test.ok(&["remove", "s", "--yes"]);
    assert_eq!(
        case.text(),
        "{\"mcpServers\":{\"other\":{\"command\":\"cat\"}}}"
    );
}

#[test]
fn one_client_at_a_time() {
    let case = Case::new(CURSOR);
    std::fs::create_dir(case.test.home.join(".codex")).unwrap();
    let ended = case.add(&["--client", "cursor", "--client", "codex"]);
    assert_eq!(ended.code, 0, "{ended}");
    let ended = case
        .test
        .ok(&["remove", "s", "--client", "cursor", "--yes"]);
    assert!(
        ended
            .stderr
            .contains("the server is still started by `s` in ~/.codex"),
        "{ended}"
    );
    assert_eq!(case.text(), CURSOR);
    assert!(case.policy("s").exists());
    case.test.ok(&["remove", "s", "--yes"]);
    assert!(!case.test.home.join(".codex/config.toml").exists());
    assert!(!case.policy("s").exists());
}

#[test]
fn secrets_that_others_name_stay() {
    let case = Case::new(CURSOR);
    case.test.secret("s/own", TOKEN);
    case.test.secret("shared/token", "q9Kx2LmP7vRt4WzB8nYc");
    let rest = format!("{}{}", slot("OWN", "s/own"), slot("SHARED", "shared/token"));
    case.test.serve("s", &[], &rest);
    case.test.serve("t", &[], &slot("SHARED", "shared/token"));
    case.test.ok(&["add", "s", "--yes", "--client", "cursor"]);
    let shown = case.test.ok(&["remove", "s", "--dry-run"]);
    assert!(
        shown
            .text()
            .contains("secret s/own, which no other policy names"),
        "{shown}"
    );
    assert!(!shown.text().contains("shared/token"), "{shown}");
    assert!(case.policy("s").exists(), "a dry run changes nothing");
    case.test.ok(&["remove", "s", "--keep-secrets", "--yes"]);
    let listed = case.test.ok(&["secret", "list"]);
    assert!(listed.text().contains("s/own"), "{listed}");

    case.test.serve("s", &[], &rest);
    case.test.ok(&["remove", "s", "--yes"]);
    let listed = case.test.ok(&["secret", "list"]);
    assert!(
        !listed.text().contains("s/own") && listed.text().contains("shared/token"),
        "{listed}"
    );
}

/// The policy is removed last, so that the same command can do the rest.
#[test]
fn what_failed_in_the_middle_is_done_by_the_next_one() {
    let case = Case::new(CURSOR);
    case.test.secret("s/own", TOKEN);
    case.test.serve("s", &[], &slot("OWN", "s/own"));
    case.test.ok(&["add", "s", "--yes", "--client", "cursor"]);
    // The vault cannot be written: even root cannot lock a directory.
    let lock = case.test.root().join("data/vault.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let ended = case.test.cli(&["remove", "s", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert_eq!(case.text(), CURSOR);
    assert!(case.policy("s").exists(), "{ended}");
    std::fs::remove_dir(&lock).unwrap();
    let ended = case.test.ok(&["remove", "s", "--yes"]);
    assert!(ended.text().contains("removed: secret s/own"), "{ended}");
    assert!(!case.policy("s").exists());
}

#[test]
fn adopted_and_unknown_servers() {
    let case = Case::new(CURSOR);
    let ended = case.test.cli(&["remove", "nothing", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[policy-not-found]"), "{ended}");
    case.test.ok(&[
        "adopt",
        "--server",
        "other",
        "--yes",
        "--no-pin",
        "--no-test",
    ]);
    let adopted = case.text();
    let ended = case.test.cli(&["remove", "other", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(
        ended
            .stderr
            .contains("run `mcpwrap adopt --undo --server other`"),
        "{ended}"
    );
    assert_eq!(case.text(), adopted);
}

#[test]
fn uninstall_takes_new_entries_out() {
    let case = added();
    let listed = case.test.ok(&["uninstall", "--dry-run"]);
    assert!(
        listed.text().contains("  s in ~/.cursor/mcp.json\n"),
        "{listed}"
    );
    let ended = case.test.ok(&["uninstall", "--yes"]);
    assert_eq!(case.text(), CURSOR, "{ended}");
}

/// A line of the journal that mcpwrap did not write is not followed.
#[test]
fn a_forged_record_removes_nothing() {
    let case = added();
    let journal = case.test.root().join("state/undo.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    assert!(text.contains("\"comma\":true"), "{text}");
    std::fs::write(&journal, text.replace("\"comma\":true", "\"comma\":false")).unwrap();
    let before = case.text();
    let ended = case.test.cli(&["remove", "s", "--yes"]);
    assert_ne!(ended.code, 0, "{ended}");
    assert!(ended.stderr.contains("error[journal-broken]"), "{ended}");
    assert_eq!(case.text(), before);
}
