//! The token of an account for a local server: one login, then refreshed behind the session.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Kind, Provider};
use crate::harness::{Run, Test, example, slot, until};

/// Where the store has it.
const ITEM: &str = "oauth/s/mint/acct";

/// A policy `s` of a local server with such a token. `more`: lines of the mint.
fn policy(at: &Provider, more: &str) {
    at.test.serve(
        "s",
        &[],
        &format!(
            "[secrets.TOKEN]\nfrom = \"mint:acct\"\n[mint.acct]\ntype = \"oauth\"\nissuer = \"{}\"\n\
             scopes = [\"read\"]\nresource = \"{}\"\nmin_life = \"2s\"\n{more}",
            at.url.trim_end_matches("/mcp"),
            at.url,
        ),
    );
}

fn token(at: &Provider, run: &mut Run<'_>) -> String {
    let token = String::from_utf8(run.peek("TOKEN")).unwrap();
    at.test.hide(&token);
    token
}

fn stored(at: &Provider) -> Value {
    at.stored_at(ITEM)
}

fn code(answer: &Value) -> &str {
    answer["error"]["data"]["mcpwrap"]["code"]
        .as_str()
        .unwrap_or_default()
}

#[test]
fn a_login_is_enough_for_a_local_server() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    policy(&at, "");
    let shown = at.test.ok(&["policy", "show", "s"]);
    for part in ["OAuth token of http://127.0.0.1:", "scopes read"] {
        assert!(shown.text().contains(part), "{part}\n{shown}");
    }
    let screen = at.log_in(&[]);
    for part in [
        "login for `mint:acct` of server `s`",
        "scopes     read offline_access",
        "logged in: s (mint:acct), by http://127.0.0.1:",
    ] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    let mut run = at.test.run("s");
    run.initialize();
    let token = token(&at, &mut run);
    assert!(at.accepts(&token));
    assert_eq!(token, stored(&at)["access"]);
    at.test.hide(stored(&at)["refresh"].as_str().unwrap());
    let leaked = run.call(
        "leak",
        &json!({"name": "TOKEN", "as": "raw", "stream": "stdout"}),
    );
    assert!(leaked.contains("[secret mint:acct"), "{leaked}");
    let ps = at.test.ok(&["ps"]);
    assert!(ps.text().contains("credential ends"), "{ps}");
    let status = at.test.ok(&["status", "--json"]).json();
    let login = &status["logins"][0];
    assert_eq!(
        (&login["server"], &login["mint"], &login["state"]),
        (&json!("s"), &json!("acct"), &json!("ok"))
    );
    run.close();
    assert_eq!(run.end().code, 0);
    // Other sessions have it, too: the end of one withdraws nothing.
    assert!(at.accepts(&token));
    let records = at.test.audit();
    let made = records.iter().find(|one| one["event"] == "mint").unwrap();
    assert_eq!(made["reason"], "made");
    assert!(
        made["detail"]["note"].as_str().unwrap().contains("read"),
        "{made}"
    );
}

#[test]
fn tokens_are_refreshed_behind_two_sessions_and_no_call_fails() {
    let Some(at) = Provider::start(Kind::Oidc, 6) else {
        return;
    };
    policy(&at, "");
    at.log_in(&[]);
    let mut runs: Vec<_> = (0..2).map(|_| at.test.run("s")).collect();
    for run in &mut runs {
        run.initialize();
    }
    drop(at.heard(""));
    let (mut seen, mut calls) = (std::collections::BTreeSet::new(), 0);
    while seen.len() < 4 {
        for run in &mut runs {
            let token = String::from_utf8(run.peek("TOKEN")).unwrap();
            assert!(at.accepts(&token), "after {calls} calls");
            seen.insert(token);
            calls += 1;
        }
    }
    for token in &seen {
        at.test.hide(token);
    }
    assert!(calls > 100, "{calls}");
    // One refresh for both, each time.
    let refreshes = at.heard("asked").len();
    assert!(refreshes <= seen.len(), "{refreshes} for {}", seen.len());
    for run in runs {
        // Not the exit code: the server may be killed on a slow machine.
        run.finish();
    }
    let records = at.test.audit();
    let mut refreshes = records.iter().filter(|one| one["event"] == "refresh");
    assert!(refreshes.all(|one| one["secret"]["name"] == "mint:acct"));
    at.test.hide(stored(&at)["refresh"].as_str().unwrap());
}

#[test]
fn a_session_waits_for_the_login_and_ends_with_the_logout() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    policy(&at, "");
    let mut run = at.test.run("s");
    assert_eq!(code(&run.initialize()), "login-needed");
    at.log_in(&[]);
    until("the login wakes it", || {
        code(&run.request("ping", &json!({}))).is_empty()
    });
    let first = token(&at, &mut run);
    assert!(at.accepts(&first));
    let out = at.test.ok(&["logout", "s"]);
    assert!(
        out.text().contains("revoked: the token of s (mint:acct)"),
        "{out}"
    );
    assert!(!at.accepts(&first));
    until("the server is gone", || {
        code(&run.request("tools/list", &json!({}))) == "login-needed"
    });
    at.log_in(&[]);
    until("it is back", || {
        code(&run.request("tools/list", &json!({}))).is_empty()
    });
    let second = token(&at, &mut run);
    assert!(at.accepts(&second) && second != first);

    // The kill switch takes the token, too.
    let revoked = at.test.ok(&["revoke", "s"]);
    assert!(
        revoked
            .text()
            .contains("revoked: the token of s (mint:acct)"),
        "{revoked}"
    );
    assert!(!at.accepts(&second));
    assert_eq!(code(&run.request("tools/list", &json!({}))), "revoked");
    run.finish();
}

#[test]
fn an_issuer_that_fails_is_asked_again_and_one_that_refuses_is_not() {
    let Some(at) = Provider::start(Kind::Oidc, 6) else {
        return;
    };
    policy(&at, "");
    at.log_in(&[]);
    let mut run = at.test.run("s");
    run.initialize();
    let first = token(&at, &mut run);
    let renewals = || at.test.ok(&["ps", "--json"]).json()["servers"][0]["renewals"].clone();
    let before = renewals();
    at.control("fail");
    at.said("asked fail");
    assert_eq!(token(&at, &mut run), first, "it is good until its end");
    until("its end", || {
        code(&run.request("tools/list", &json!({}))) == "credential-ended"
    });
    assert_eq!(renewals(), before, "no server got it twice");
    at.control("pass");
    until("it wakes by itself", || {
        code(&run.request("tools/list", &json!({}))).is_empty()
    });
    assert!(at.accepts(&token(&at, &mut run)));

    at.control("refuse");
    at.said("asked refuse");
    until("only the user can go on", || {
        code(&run.request("tools/list", &json!({}))) == "login-needed"
    });
    drop(at.heard(""));
    let answer = run.request("tools/list", &json!({}));
    assert!(
        answer.to_string().contains("run `mcpwrap login s`"),
        "{answer}"
    );
    assert_eq!(at.heard("asked"), [""; 0]);
    at.control("pass");
    let (login, screen) = at.terminal(&[]).end();
    assert_eq!(login, 0, "{screen}");
    until("the login wakes it", || {
        code(&run.request("tools/list", &json!({}))).is_empty()
    });
    run.finish();
}

/// What reads like a refusal of the service leads to another token, once; then only the user can help.
#[test]
fn a_token_that_its_service_refuses_is_refreshed() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    policy(&at, "");
    at.log_in(&[]);
    // One that was not just obtained.
    let mut item = stored(&at);
    item["obtained_at"] = json!(item["obtained_at"].as_i64().unwrap() - 60);
    at.test.hide(item["access"].as_str().unwrap());
    let mut probe = at.test.command(example("store-probe"));
    let mut put = at.test.start(probe.args(["put", ITEM]));
    put.send_raw(item.to_string().as_bytes());
    assert_eq!(put.finish().code, 0);
    let mut run = at.test.run("s");
    run.initialize();
    let first = token(&at, &mut run);
    let refusal = json!({"name": "fail", "arguments": {"text": "401 Unauthorized"}});
    until("it is refreshed", || {
        run.request("tools/call", &refusal);
        token(&at, &mut run) != first
    });
    let needs_login = || {
        let report = at.test.cli(&["check", "--json"]).json();
        let all = report["findings"].as_array().unwrap();
        all.iter().any(|one| {
            one["what"].as_str().unwrap().contains("looks refused")
                && one["fix"] == "mcpwrap login s"
        })
    };
    until("the new one is refused, too", || {
        run.request("tools/call", &refusal);
        needs_login()
    });
    assert_eq!(at.heard("asked").len(), 2, "the login and one refresh");
    run.finish();
}

/// A session that waits for a token watches the index, which its own attempts change.
#[test]
fn a_session_that_waits_does_not_wake_itself() {
    let Some(at) = Provider::start(Kind::Oidc, 3) else {
        return;
    };
    policy(&at, "");
    at.log_in(&[]);
    let end = stored(&at)["expires_at"].as_i64().unwrap();
    until("its end", || jiff::Timestamp::now().as_second() >= end);
    at.control("fail");
    drop(at.heard(""));
    let begun = Instant::now();
    let mut run = at.test.run("s");
    let first = run.initialize();
    assert_eq!(code(&first), "oauth-unreachable", "{first}");
    for _ in 0..5 {
        at.said("asked fail");
    }
    // Once at the start, once for the failure that was noted, then after growing pauses.
    assert!(begun.elapsed() > Duration::from_secs(2), "{begun:?}");
    at.control("pass");
    until("it wakes by itself", || {
        code(&run.request("tools/list", &json!({}))).is_empty()
    });
    run.finish();
}

#[test]
fn an_issuer_of_lives_that_are_too_short_is_asked_once() {
    let Some(at) = Provider::start(Kind::Oidc, 6) else {
        return;
    };
    policy(&at, "");
    let path = at.test.root().join("policies/s.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    at.test.write_policy("s", &text.replace("2s", "2m"));
    at.test.ok(&["grant", "s", "--yes"]);
    at.log_in(&[]);
    drop(at.heard(""));
    let mut run = at.test.run("s");
    let first = run.initialize();
    assert_eq!(code(&first), "mint-refused", "{first}");
    assert!(first.to_string().contains("`min_life`"), "{first}");
    for _ in 0..5 {
        at.test.cli(&["check"]);
    }
    assert_eq!(at.heard("asked"), [""; 0], "another one is no better");
    run.finish();
}

#[test]
fn a_machine_needs_no_login() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.test.secret("client/key", "machine-secret-4711-x9");
    policy(
        &at,
        "grant = \"client-credentials\"\nclient_id = \"machine\"\n\
         client_secret = \"secret:client/key\"\n",
    );
    let mut run = at.test.run("s");
    run.initialize();
    assert!(at.accepts(&token(&at, &mut run)));
    run.finish();
}

/// What is wrong in a policy is said with its line, before anything is asked of an issuer.
#[test]
fn mistakes_in_the_policy_are_named() {
    let test = Test::new();
    let at = "issuer = \"https://as.example\"\nscopes = [\"read\"]\n";
    for (lines, part) in [
        ("scopes = [\"read\"]\n", "needs `issuer`"),
        ("issuer = \"https://as.example\"\n", "needs `scopes`"),
        ("issuer = \"as.example\"\nscopes = [\"a\"]\n", "HOST/PATH"),
        (
            "issuer = \"google\"\nscopes = [\"a\"]\n",
            "needs `client_id`",
        ),
        (
            &format!("{at}client_secret = \"hunter2-hunter2\"\nclient_id = \"c\"\n"),
            "does not belong in a policy",
        ),
        (
            &format!("{at}client_secret = \"secret:a/b\"\n"),
            "needs `client_id`",
        ),
        (&format!("{at}store = \"corp\"\n"), "not for `type"),
        (&format!("{at}life = \"1h\"\n"), "the authorization server"),
        (
            &format!("{at}grant = \"client-credentials\"\n"),
            "needs `client_id`",
        ),
        (
            &format!("{at}redirect = \"https://example.com/\"\n"),
            "127.0.0.1:PORT",
        ),
        (
            "issuer = \"https://as.example\"\nscopes = [\"a b\"]\n",
            "is no scope",
        ),
    ] {
        let text = format!(
            "version = 1\ncommand = [\"/bin/true\"]\n[secrets.T]\nfrom = \"mint:m\"\n[mint.m]\n\
             type = \"oauth\"\n{lines}"
        );
        test.write_policy("s", &text);
        let ended = test.cli(&["policy", "lint", "s"]);
        assert!(
            ended.code != 0 && ended.stderr.contains(part),
            "{part}: {ended}"
        );
        assert!(!ended.stderr.contains("hunter2"), "{ended}");
    }
    let text = format!(
        "version = 1\ncommand = [\"/bin/true\"]\n[secrets.T]\nfrom = \"mint:m#refresh_token\"\n\
         [mint.m]\ntype = \"oauth\"\n{at}"
    );
    test.write_policy("s", &text);
    let ended = test.cli(&["policy", "lint", "s"]);
    assert!(ended.stderr.contains("is kept from servers"), "{ended}");
    let text = format!(
        "version = 1\ncommand = [\"/bin/true\"]\n{}[mint.m]\ntype = \"exec\"\nstore = \"c\"\npath = \"p\"\n\
         client_id = \"c\"\n",
        slot("T", "a/b")
    );
    test.write_policy("s", &text);
    let ended = test.cli(&["policy", "lint", "s"]);
    assert!(
        ended.stderr.contains("only for `type = \"oauth\"`"),
        "{ended}"
    );
}
