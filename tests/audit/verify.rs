//! `mcpwrap log verify`: what it says when not everything can be verified.

use crate::harness::Test;

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
