//! What is right in an incident: values that other programs changed, rotations that are waited for, what
//! still has a removed value, and what a client is told.

use serde_json::json;

use crate::harness::{Run, Test, process, slot};

const OLD: &str = "old-Kq3vX8sT5wZ1pL6mB9";
const NEW: &str = "new-Hj7cR2nY4dF0gA8uE5";

fn started<'a>(test: &'a Test, acts: &[&str], rules: &str) -> Run<'a> {
    let rest = format!("{rules}\n{}", slot("TOKEN", "t/token"));
    test.serve("fake", acts, &rest);
    let mut run = test.run("fake");
    run.initialize();
    run
}

fn rotate(test: &Test, value: &str) -> crate::harness::Ended {
    test.hide(value);
    let args = ["secret", "rotate", "t/token", "--from-stdin"];
    test.feed(&args, value.as_bytes())
}

#[test]
fn a_value_that_another_program_changed_is_known_after_a_renewal() {
    let test = Test::new();
    test.secret("t/token", NEW);
    let vault = test.root().join("data/vault.age");
    let with_new = std::fs::read(&vault).unwrap();
    assert_eq!(rotate(&test, OLD).code, 0);
    let mut run = started(&test, &[], "");
    let listed = || test.ok(&["secret", "list", "--json"]).json()[0].clone();
    let before = listed();
    // Another program replaces the value, and the index does not know.
    std::fs::write(&vault, with_new).unwrap();
    assert_eq!(listed()["fingerprint"], before["fingerprint"]);
    test.ok(&["renew", "fake"]);
    assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
    let after = listed();
    assert_ne!(after["fingerprint"], before["fingerprint"]);
    assert_eq!(after["created"], before["created"]);
    let holders = test.ok(&["log", "who-has", "t/token", "--json"]).json();
    assert_eq!(holders["current"], after["fingerprint"]);
    assert_eq!(holders["now"][0]["fingerprint"], after["fingerprint"]);
    assert_eq!(holders["now"][0]["old"], false);
    // The new row of the index causes no other renewal.
    let count = run.server(2);
    assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
    assert!(process::alive(count));
    run.finish();
}

#[test]
fn a_rotation_is_waited_for_and_reported() {
    let test = Test::new();
    test.secret("t/token", OLD);
    let mut one = started(&test, &[], "");
    let mut two = test.run("fake");
    two.initialize();
    let ended = rotate(&test, NEW);
    assert_eq!(ended.code, 0, "{ended}");
    assert_eq!(
        ended.text().matches("renewed: fake (supervisor ").count(),
        2,
        "{ended}"
    );
    for run in [&mut one, &mut two] {
        assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
    }
    one.finish();
    two.finish();
}

#[test]
fn a_rotation_says_which_server_is_renewed_by_hand() {
    let test = Test::new();
    test.secret("t/token", OLD);
    let mut run = started(&test, &[], "session.renew = \"manual\"");
    let ended = rotate(&test, NEW);
    assert_eq!(ended.code, 0, "{ended}");
    assert!(
        ended.stderr.contains("until `mcpwrap renew fake`"),
        "{ended}"
    );
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    run.finish();
}

#[test]
fn removing_names_what_still_has_the_value() {
    let test = Test::new();
    test.secret("t/token", OLD);
    test.secret("t/copy", OLD);
    let run = started(&test, &[], "");
    let server = run.server(1);
    let ended = test.ok(&["secret", "rm", "t/token", "--yes"]);
    let said = format!("server `fake` (process {server}) still has the value of `t/token`");
    assert!(ended.stderr.contains(&said), "{ended}");
    assert!(ended.stderr.contains("still stored as `t/copy`"), "{ended}");
    run.finish();
    let ended = test.ok(&["secret", "rm", "t/copy", "--yes"]);
    assert!(!ended.stderr.contains("still"), "{ended}");
}

#[test]
fn a_cancelled_question_has_the_true_reason() {
    let test = Test::new();
    test.secret("t/token", OLD);
    let mut run = started(&test, &[], "");
    run.ask("tools/call", &json!({"name": "ask", "arguments": {}}));
    let question = run.message();
    assert!(question["method"].is_string(), "{question}");
    test.ok(&["revoke", "fake", "--reason", "leaked"]);
    let cancelled = run.message();
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], question["id"]);
    let reason = cancelled["params"]["reason"].as_str().unwrap();
    assert!(reason.contains("server `fake` is revoked"), "{reason}");
    run.finish();
}
