//! Tokens that could not be revoked at their issuer: they are kept, shown, and revoked later.

use serde_json::{Value, json};

use super::{Kind, Provider};
use crate::harness::{slot, until};

/// Logged in, with an issuer that does not revoke.
fn logged_in() -> Option<(Provider, String)> {
    let at = Provider::start(Kind::Oidc, 3600)?;
    at.policy("[oauth]\n");
    at.log_in(&[]);
    let stored = at.stored();
    let access = stored["access"].as_str().unwrap().to_owned();
    at.test.hide(&access);
    at.test.hide(stored["refresh"].as_str().unwrap());
    at.control("no-revocation");
    Some((at, access))
}

fn unrevoked(at: &Provider) -> Value {
    at.test.ok(&["status", "--json"]).json()["unrevoked"].clone()
}

/// As if the last try was long ago: nobody waits a minute in a test.
fn make_due(at: &Provider) {
    let path = at.test.root().join("state/oauth.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| {
        if line.starts_with("tried_at") {
            "tried_at = 1"
        } else {
            line
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    std::fs::write(&path, text + "\n").unwrap();
}

#[test]
fn a_logout_that_fails_is_kept_and_a_start_of_any_server_tries_again() {
    let Some((at, access)) = logged_in() else {
        return;
    };
    let ended = at.test.cli(&["logout", "s"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.stderr.contains("kept to be revoked later"), "{ended}");
    assert!(ended.text().contains("removed: the token of s"), "{ended}");
    // It is of no use for anything else.
    let refused = at.probe(&["current", "s"]).finish();
    assert!(refused.stderr.contains("error[login-needed]"), "{refused}");
    assert!(at.accepts(&access), "the issuer did not revoke it");
    let kept = unrevoked(&at);
    assert_eq!(kept[0]["server"], "s");
    assert_eq!(kept[0]["issuer"], at.url.trim_end_matches("/mcp"));
    assert!(kept[0]["since"].is_string() && kept[1].is_null(), "{kept}");
    let shown = at.test.ok(&["status"]);
    assert!(
        shown.text().contains("unrevoked  a token of s since "),
        "{shown}"
    );
    let listed = at.test.ok(&["secret", "list", "--json"]).json();
    let listed = listed.as_array().unwrap().iter();
    let kinds: Vec<_> = listed.map(|row| row["oauth"].clone()).collect();
    assert_eq!(kinds, ["registration", "unrevoked"]);

    // Still not: said, with the name, and the exit code.
    let ended = at.test.cli(&["revoke", "s"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.stderr.contains("of server `s` may still be valid at"),
        "{ended}"
    );

    // A session of another server starts while the issuer does not answer.
    at.test.serve("other", &[], "");
    make_due(&at);
    at.control("hold-revocation");
    let mut run = at.test.run("other");
    run.initialize();
    at.said("asked to revoke");
    assert!(at.accepts(&access));
    at.control("pass");
    until("the token is revoked", || !at.accepts(&access));
    until("it is forgotten", || unrevoked(&at) == json!([]));
    run.finish();
    let log = at.test.audit();
    let later = log
        .iter()
        .rfind(|record| record["event"] == "logout")
        .unwrap();
    assert_eq!(later["outcome"], "ok", "{later}");
    assert_eq!(
        later["detail"]["note"], "revoked at the issuer later",
        "{later}"
    );
}

#[test]
fn a_start_does_not_try_at_once_again() {
    let Some((at, access)) = logged_in() else {
        return;
    };
    at.test.cli(&["logout", "s"]);
    at.control("pass");
    drop(at.heard(""));
    at.test.serve("other", &[], "");
    let mut run = at.test.run("other");
    run.initialize();
    run.finish();
    assert_eq!(at.heard("/token/revocation"), [""; 0]);
    assert!(at.accepts(&access));
}

#[test]
fn a_login_revokes_what_was_kept_first() {
    let Some((at, access)) = logged_in() else {
        return;
    };
    at.test.cli(&["revoke", "s"]);
    assert!(at.accepts(&access));
    at.test.ok(&["grant", "s", "--yes"]);
    at.control("pass");
    let screen = at.log_in(&[]);
    assert!(screen.contains("revoked: the token of "), "{screen}");
    assert!(!at.accepts(&access));
    assert!(at.accepts(at.stored()["access"].as_str().unwrap()));
    assert_eq!(unrevoked(&at), json!([]));
}

#[test]
fn a_client_of_its_own_proves_itself_later() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.test.secret("client/key", "machine-secret-4711-x9");
    at.policy(&format!(
        "[oauth]\ngrant = \"client-credentials\"\nclient_id = \"machine\"\nclient_secret = \"{{secret.KEY}}\"\n\
         issuer = \"{}\"\nscopes = [\"read\"]\n{}",
        at.url.trim_end_matches("/mcp"),
        slot("KEY", "client/key"),
    ));
    at.current();
    let access = at.stored()["access"].as_str().unwrap().to_owned();
    at.control("no-revocation");
    let ended = at.test.cli(&["revoke", "s"]);
    assert_eq!(ended.code, 1, "{ended}");
    at.control("pass");
    let ended = at.test.ok(&["logout", "s"]);
    assert!(ended.text().contains("revoked: the token of "), "{ended}");
    assert!(!at.accepts(&access));
}

#[test]
fn a_removed_policy_leaves_no_token() {
    let Some((at, access)) = logged_in() else {
        return;
    };
    at.control("pass");
    let removed = at.test.ok(&["policy", "rm", "s", "--yes"]);
    let said = removed.text();
    for line in ["revoked: the token of s", "removed: the token of s"] {
        assert!(said.contains(line), "{said}");
    }
    assert!(!at.accepts(&access));
    let listed = at.test.ok(&["secret", "list"]);
    assert!(!listed.text().contains("oauth/s"), "{listed}");
}

/// The tokens of the old client would be in nobody's hands, and valid.
#[test]
fn a_login_with_another_client_revokes_the_tokens_of_the_old_one() {
    let Some((at, access)) = logged_in() else {
        return;
    };
    at.control("pass");
    at.policy("[oauth]\nclient_id = \"another\"\n");
    let refused = at.probe(&["current", "s"]).finish();
    let said = "is not for the address, the issuer and the client that the policy names now";
    assert!(refused.stderr.contains(said), "{refused}");
    at.test.secret("client/key", "machine-secret-4711-x9");
    at.policy(&format!(
        "[oauth]\ngrant = \"client-credentials\"\nclient_id = \"machine\"\nclient_secret = \"{{secret.KEY}}\"\n\
         issuer = \"{}\"\nscopes = [\"read\"]\n{}",
        at.url.trim_end_matches("/mcp"),
        slot("KEY", "client/key")
    ));
    let screen = at.log_in(&[]);
    assert!(screen.contains("revoked: the token of "), "{screen}");
    assert!(!at.accepts(&access));
    assert!(at.accepts(at.stored()["access"].as_str().unwrap()));
    assert_eq!(unrevoked(&at), json!([]));
}
