//! Tokens that end: what `check` and `status` say about them, without the store and without a server.

use serde_json::{Value, json};

use super::{Kind, Provider};
use crate::harness::{Test, until};

/// The findings about logins: what, and the fix.
fn findings(test: &Test) -> Vec<(String, String)> {
    let report = test.cli(&["check", "--json"]).json();
    let all = report["findings"].as_array().unwrap().iter();
    let own = all.filter(|one| one["check"] == "expired-credential");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    own.map(|one| (text(&one["what"]), text(&one["fix"])))
        .collect()
}

fn status(test: &Test) -> Value {
    test.ok(&["status", "--json"]).json()["logins"].clone()
}

#[test]
fn a_login_that_is_needed_is_reported() {
    let Some(at) = Provider::start(Kind::Oidc, 3) else {
        return;
    };
    at.policy("[oauth]\n");
    let needed = [(
        "nobody has logged in: the server gets no token".to_owned(),
        "mcpwrap login s".to_owned(),
    )];
    assert_eq!(findings(&at.test), needed);
    assert_eq!(status(&at.test), json!([]));

    at.log_in(&[]);
    let first = at.current();
    assert_eq!(findings(&at.test), [], "it is refreshed");
    assert_eq!(status(&at.test)[0]["state"], "ok");
    assert_eq!(status(&at.test)[0]["fix"], Value::Null);

    until("the token ends", || first.is_over());
    assert_eq!(findings(&at.test), [], "it will be refreshed");
    at.control("fail");
    at.probe(&["current", "s"]).finish();
    let found = findings(&at.test);
    assert!(
        found[0]
            .0
            .contains("the last refresh of the token of `s` failed"),
        "{found:?}"
    );
    assert_eq!(status(&at.test)[0]["state"], "refresh-failed");
    at.control("refuse");
    at.probe(&["current", "s"]).finish();
    let found = findings(&at.test);
    assert!(
        found[0].0.contains("refused to refresh it (oauth-failed)"),
        "{found:?}"
    );
    assert_eq!(found[0].1, "mcpwrap login s");
    let shown = at.test.ok(&["status"]);
    assert!(
        shown
            .text()
            .contains("refused (oauth-failed): run `mcpwrap login s`"),
        "{shown}"
    );

    // What was revoked needs no login.
    at.control("pass");
    at.test.ok(&["revoke", "s"]);
    assert_eq!(findings(&at.test), []);
}

#[test]
fn what_is_granted_again_names_the_logins() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n[profile.prod]\n[profile.dev]\n");
    at.log_in(&["--profile", "prod"]);
    // Nobody has logged in to this one, which is another server for mcpwrap.
    let text = format!("version = 1\nurl = \"{}\"\n[oauth]\n", at.url);
    at.test.write_policy("new", &text);
    let granted = at.test.ok(&["grant", "new", "--yes"]);
    let said = "not logged in yet: run `mcpwrap login new`\n";
    assert!(granted.stderr.contains(said), "{granted}");
    at.test.serve("local", &[], "");
    at.test.ok(&["revoke", "--all"]);
    let commands = "log in again:\n  mcpwrap login s --profile prod\n  mcpwrap login new\n";
    let ended = at.test.ok(&["grant", "--again", "--yes"]);
    assert!(ended.text().ends_with(commands), "{ended}");
    // Also later, until it is done.
    let ended = at.test.ok(&["grant", "--again", "--yes"]);
    assert_eq!(
        ended.text(),
        "log in again:\n  mcpwrap login s --profile prod\n"
    );
    at.log_in(&["--profile", "prod"]);
    let ended = at.test.ok(&["grant", "--again", "--yes"]);
    assert_eq!(ended.text(), "");
    let granted = at.test.ok(&["grant", "s", "--yes"]);
    assert!(!granted.stderr.contains("not logged in"), "{granted}");
}
