//! `adopt` never approves what was revoked, or what changed after it was granted.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Ended, Test};

const KEY: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

fn write(path: &Path, key: &str) {
    let entry = json!({"command": "/bin/cat", "env": {"API_KEY": key}});
    let file = json!({"mcpServers": {"a": entry}});
    std::fs::write(path, file.to_string()).unwrap();
}

/// A home in which server `a` was adopted and granted.
fn case() -> (Test, PathBuf) {
    let test = Test::new();
    test.init();
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    write(&file, KEY);
    test.ok(&["adopt", "--yes"]);
    assert_eq!(status(&test, "a").as_deref(), Some("granted"));
    (test, file)
}

fn status(test: &Test, server: &str) -> Option<String> {
    let list = test.ok(&["policy", "list", "--json"]).json();
    let mut list = list.as_array().unwrap().iter();
    let entry = list.find(|entry| entry["server"] == server)?;
    Some(entry["status"].as_str().unwrap().to_owned())
}

/// Puts the old entry back and adopts it again.
fn again(test: &Test, file: &Path, key: &str) -> Ended {
    write(file, key);
    let ended = test.cli(&["adopt", "--yes"]);
    assert!(!std::fs::read_to_string(file).unwrap().contains(key));
    ended
}

#[track_caller]
fn withheld(ended: &Ended, why: &str) {
    assert_eq!(ended.code, 1, "{ended}");
    // In the plan, and at the end.
    for text in [ended.text(), &ended.stderr] {
        assert!(text.contains(&format!("not granted: {why}")), "{ended}");
        assert!(text.contains("run `mcpwrap grant a"), "{ended}");
    }
}

#[test]
fn a_revoked_server_is_not_granted_again() {
    let (test, file) = case();
    test.ok(&["revoke", "a"]);
    withheld(&again(&test, &file, KEY), "it was revoked");
    assert_eq!(status(&test, "a").as_deref(), Some("revoked"));
    assert_eq!(test.run("a").refused().code, 125);
    // Neither if its policy is gone.
    std::fs::remove_file(test.root().join("policies/a.toml")).unwrap();
    withheld(&again(&test, &file, KEY), "it was revoked");
    assert_eq!(status(&test, "a").as_deref(), Some("revoked"));
    // The user can allow it again.
    test.ok(&["grant", "a", "--yes"]);
    assert_eq!(status(&test, "a").as_deref(), Some("granted"));
}

/// The old token is no longer in the store, so that the entry gets a policy of its own.
#[test]
fn nor_under_another_name() {
    let (test, file) = case();
    let new = "0d9e1f2a-7425-40de-944b-e07fc1f90ae7";
    let rotate = ["secret", "rotate", "a/api-key", "--from-stdin"];
    assert_eq!(test.feed(&rotate, new.as_bytes()).code, 0);
    test.ok(&["revoke", "a"]);
    let why = "it has the same command as `a`, and it was revoked";
    withheld(&again(&test, &file, KEY), why);
    assert_eq!(status(&test, "a-2").as_deref(), Some("not-granted"));
}

#[test]
fn a_changed_policy_is_not_granted_again() {
    let (test, file) = case();
    let path = test.root().join("policies/a.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    test.write_policy("a", &format!("{text}\n[limits]\nmask = []\n"));
    let why = "its policy changed after it was granted";
    withheld(&again(&test, &file, KEY), why);
    assert_eq!(status(&test, "a").as_deref(), Some("changed"));
}

/// It allows more than what adopt shows.
#[test]
fn a_policy_that_was_never_granted_is_not_granted() {
    let (test, file) = case();
    let path = test.root().join("policies/a.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(test.root().join("state/grants/a.toml")).unwrap();
    test.write_policy("a", &format!("{text}\n[limits]\nmask = []\n"));
    let why = "its policy exists and was never granted";
    withheld(&again(&test, &file, KEY), why);
    assert_eq!(status(&test, "a").as_deref(), Some("not-granted"));
}
