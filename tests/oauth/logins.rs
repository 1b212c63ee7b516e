//! Several logins of one policy: for two mints, and with profiles.

use super::{Kind, Provider};
use crate::harness::Test;

/// A policy `s` of a local server with the tokens of these mints. `more`: lines of each.
fn policy(at: &Provider, mints: &[&str], more: &str) {
    let issuer = at.url.trim_end_matches("/mcp");
    let tables = mints.iter().map(|mint| {
        let variable = mint.to_uppercase();
        format!(
            "[secrets.{variable}]\nfrom = \"mint:{mint}\"\n[mint.{mint}]\ntype = \"oauth\"\n\
             issuer = \"{issuer}\"\nscopes = [\"read\"]\nresource = \"{}\"\n{more}",
            at.url
        )
    });
    let text: Vec<_> = tables.collect();
    at.test
        .serve("s", &[], &format!("{}[profile.prod]\n", text.concat()));
}

/// The records of these events: event, mint, profile.
fn records(test: &Test, events: &[&str]) -> Vec<String> {
    let log = test.audit();
    let own = log.iter().filter(|one| {
        let event = one["event"].as_str().unwrap();
        events.contains(&event) && one["outcome"] == "ok"
    });
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let line = |one: &serde_json::Value| {
        let words = [&one["event"], &one["secret"]["name"], &one["profile"]];
        words.map(text).join(" ")
    };
    own.map(line).collect()
}

#[test]
fn a_login_keeps_the_tokens_that_are_valid() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    policy(&at, &["one"], "");
    at.log_in(&[]);
    let first = at.stored_at("oauth/s/mint/one");
    policy(&at, &["one", "two"], "");
    let screen = at.log_in(&[]);
    for part in [
        "still logged in: s (mint:one); `mcpwrap login s --fresh` logs in again",
        "logged in: s (mint:two)",
    ] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    assert_eq!(at.stored_at("oauth/s/mint/one"), first);
    // Both are, so nothing is asked.
    let ended = at.test.ok(&["login", "s"]);
    assert_eq!(
        ended.stderr.matches("still logged in: ").count(),
        2,
        "{ended}"
    );

    let mut terminal = at.terminal(&["--fresh"]);
    terminal.expect("go on? [y/n] ").enter("y");
    terminal.expect("logged in: s (mint:one)");
    terminal.expect("go on? [y/n] ").enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert_ne!(at.stored_at("oauth/s/mint/one"), first);

    // Other scopes are another login.
    let path = at.test.root().join("policies/s.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replacen("scopes = [\"read\"]", "scopes = [\"read\", \"write\"]", 1);
    at.test.write_policy("s", &text);
    at.test.ok(&["grant", "s", "--yes"]);
    let screen = at.log_in(&[]);
    assert!(screen.contains("scopes     read write"), "{screen}");
    assert!(screen.contains("still logged in: s (mint:two)"), "{screen}");

    at.test.ok(&["logout", "s"]);
    let all = records(&at.test, &["login", "logout"]);
    let of = |event: &str, mint: &str| {
        let line = format!("{event} mint:{mint} -");
        all.iter().filter(|one| **one == line).count()
    };
    assert_eq!((of("login", "one"), of("login", "two")), (3, 2), "{all:?}");
    // A new registration is another client: the tokens of the one before it were revoked.
    assert_eq!(
        (of("logout", "one"), of("logout", "two")),
        (3, 2),
        "{all:?}"
    );
    assert_eq!(all.len(), 10, "{all:?}");
}

#[test]
fn a_logout_is_for_one_profile_and_names_the_others() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    policy(&at, &["one"], "");
    at.log_in(&["--profile", "prod"]);
    let ended = at.test.ok(&["logout", "s"]);
    let note = "nobody is logged in to server `s` without a profile, but there is a login with profile `prod`, \
                which `mcpwrap logout s --profile prod` ends";
    assert!(ended.stderr.contains(note), "{ended}");
    assert_eq!(ended.text(), "");
    at.log_in(&[]);
    let own = at.stored_at("oauth/s/mint/one");
    let token = own["access"].as_str().unwrap();
    at.test.hide(token);
    at.test.ok(&["logout", "s", "--profile", "prod"]);
    assert!(at.accepts(token), "it is of no profile");
    let ended = at.test.ok(&["logout", "s", "--profile", "prod"]);
    let note = "with profile `prod`, but there is a login without a profile, which `mcpwrap logout s` ends";
    assert!(ended.stderr.contains(note), "{ended}");
    at.test.ok(&["logout", "s"]);
    assert!(!at.accepts(token));
    let expected = ["logout mint:one prod", "logout mint:one -"];
    assert_eq!(records(&at.test, &["logout"]), expected);
    let ended = at.test.ok(&["logout", "s"]);
    assert!(
        ended
            .stderr
            .ends_with("nobody is logged in to server `s`\n"),
        "{ended}"
    );
}

/// Without the secret of its client, the issuer does not revoke a token.
#[test]
fn a_mint_that_left_the_policy_cannot_be_revoked_and_what_to_do_is_said() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.test.secret("client/key", "machine-secret-4711-x9");
    let client = "grant = \"client-credentials\"\nclient_id = \"machine\"\nclient_secret = \"secret:client/key\"\n";
    policy(&at, &["one"], client);
    let mut run = at.test.run("s");
    run.initialize();
    let token = String::from_utf8(run.peek("ONE")).unwrap();
    at.test.hide(&token);
    run.finish();
    at.test.serve("s", &[], "");
    let ended = at.test.cli(&["logout", "s"]);
    assert_eq!(ended.code, 1, "{ended}");
    let issuer = at.url.trim_end_matches("/mcp");
    for part in [
        "the token of `mint:one` of server `s` may still be valid",
        "the policy of server `s` gives no `mint.one.client_secret`, which the issuer wants for a revocation",
        &format!("remove the access of client `machine` in your account at {issuer}"),
    ] {
        assert!(ended.stderr.contains(part), "{part}\n{ended}");
    }
    assert!(
        ended.text().contains("removed: the token of s (mint:one)"),
        "{ended}"
    );
    assert!(at.accepts(&token));
}
