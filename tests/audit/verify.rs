//! `mcpwrap log verify`: what it says when not everything can be verified.

use crate::harness::{TOKEN, Test, slot};

/// Without the key of the store only the hash chain can be verified, which anyone can rewrite.
#[test]
fn seals_that_could_not_be_verified_are_not_intact() {
    let test = Test::new();
    test.init();
    test.write_policy("github", "version = 1\ncommand = [\"true\"]\n");
    test.ok(&["revoke", "github"]);
    std::fs::rename(test.home.join("vault.key"), test.dir.join("away")).unwrap();
    let ended = test.cli(&["log", "verify"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(!ended.text().contains("intact"), "{ended}");
    assert!(
        ended.text().contains("the seals were not verified"),
        "{ended}"
    );
    let ended = test.cli(&["log", "verify", "--json"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert_eq!(ended.json()["result"], "unverified");
}

#[test]
fn an_empty_log_is_not_intact() {
    let test = Test::new();
    test.init();
    let ended = test.cli(&["log", "verify"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.text().contains("nothing was verified"), "{ended}");
    let ended = test.cli(&["log", "verify", "--json"]);
    assert_eq!(ended.json()["result"], "unverified");
}

/// A release moves the head in the store, so that its records cannot be cut off, even on a machine
/// without a journal.
#[test]
fn a_release_that_is_cut_off_is_found_by_the_head_in_the_store() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    test.serve("fake", &[], &slot("TOKEN", "github/token"));
    let before = test.audit().len();
    let mut run = test.run("fake");
    run.initialize();
    run.finish();
    let segment = std::fs::read_dir(test.root().join("state/audit"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|kind| kind == "jsonl"))
        .unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    let kept: Vec<_> = text.lines().take(before).collect();
    std::fs::write(&segment, kept.join("\n") + "\n").unwrap();
    std::fs::remove_file(test.root().join("state/audit/head")).unwrap();
    let ended = test.cli(&["log", "verify"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.text().contains("truncated: records 3 to "), "{ended}");
}

/// What was written while the store was locked could be written by anyone who runs as the user.
#[test]
fn records_without_a_seal_at_the_end_are_not_called_intact() {
    let test = Test::new();
    test.init();
    test.write_policy("github", "version = 1\ncommand = [\"true\"]\n");
    test.ok(&["revoke", "github"]);
    let (key, away) = (test.home.join("vault.key"), test.dir.join("away"));
    std::fs::rename(&key, &away).unwrap();
    test.ok(&["revoke", "github"]);
    std::fs::rename(&away, &key).unwrap();
    let verify = || test.cli(&["log", "verify", "--json"]);
    let ended = verify();
    assert_eq!(ended.code, 2, "{ended}");
    let report = ended.json();
    assert_eq!(
        (&report["result"], &report["uncovered_records"]),
        (&"unverified".into(), &1.into())
    );
    // The verification counted them in a sealed record.
    assert_eq!(verify().json()["uncovered_records"], 0);
    let counted = test.audit().pop().unwrap();
    assert_eq!(counted["reason"], "unsealed");
    assert_eq!(
        counted["detail"],
        serde_json::json!({"first": 2, "last": 2})
    );
}

/// A refusal is sealed, although it came before the store was opened for a launch.
#[test]
fn a_refusal_is_sealed_while_the_store_is_open() {
    let test = Test::new();
    test.init();
    test.write_policy("fake", "version = 1\ncommand = [\"true\"]\n");
    let ended = test.run("fake").refused();
    assert_eq!(ended.code, 125, "{ended}");
    let refusal = test.audit().pop().unwrap();
    assert_eq!(refusal["event"], "refuse");
    assert!(refusal["mac"].is_string(), "{refusal}");
}
