//! Short-lived credentials: made, replaced behind the session, withdrawn.

mod github;
mod store;

use std::time::{Duration, Instant};

use serde_json::json;

use self::github::{APP, Github};
use crate::harness::{Run, Test, until};

/// A policy with a token of the App. `more`: lines of the mint.
fn policy(github: &Github, more: &str) -> String {
    format!(
        "[secrets.GH_TOKEN]\nfrom = \"mint:gh\"\n[mint.gh]\ntype = \"github-app\"\napp = \"{APP}\"\n\
         installation = \"acme\"\nkey = \"secret:github/app-key\"\nrepositories = [\"docs\"]\n\
         permissions = {{ contents = \"read\" }}\napi = \"{}\"\n{more}\n",
        github.origin().replace("localhost", "127.0.0.1")
    )
}

fn granted(test: &Test, github: &Github, more: &str) {
    // The test's own check for secrets works with lines.
    test.init();
    let ended = test.feed(
        &["secret", "set", "github/app-key", "--from-stdin"],
        github.key.as_bytes(),
    );
    assert_eq!(ended.code, 0, "{ended}");
    test.serve("github", &[], &policy(github, more));
}

fn started<'a>(test: &'a Test, github: &Github) -> Run<'a> {
    let mut run = test.run("github");
    run.initialize();
    github.hide(test);
    run
}

fn until_withdrawn(github: &Github, left: usize) {
    until("withdrawn at the issuer", || github.left() == left);
}

#[test]
fn a_server_gets_a_narrow_token_that_ends_with_it() {
    let test = Test::new();
    let Some(github) = Github::start(3600) else {
        return;
    };
    granted(&test, &github, "");
    let mut run = started(&test, &github);
    let token = run.peek("GH_TOKEN");
    assert!(github.accepts(&token));
    let expected = json!({"repositories": ["docs"], "permissions": {"contents": "read"}});
    assert_eq!(github.wanted(), expected);
    assert!(!String::from_utf8_lossy(&run.peek("PATH")).contains("app-key"));
    // What withdraws it is kept, and no list shows it.
    let listed = test.ok(&["secret", "list"]);
    assert!(!listed.text().contains("withdraw"), "{listed}");
    let ps = test.ok(&["ps"]);
    assert!(ps.text().contains("credential ends"), "{ps}");
    let leaked = run.call(
        "leak",
        &json!({"name": "GH_TOKEN", "as": "raw", "stream": "stdout"}),
    );
    assert!(
        leaked.contains("[secret mint:gh") && !leaked.contains("ghs_0_"),
        "{leaked}"
    );
    run.close();
    assert_eq!(run.end().code, 0);
    assert_eq!((github.made(), github.left()), (1, 0));
    let records = test.audit();
    let of = |reason: &str| {
        records
            .iter()
            .find(|record| record["event"] == "mint" && record["reason"] == reason)
            .unwrap_or_else(|| panic!("no {reason} in {records:?}"))
    };
    assert!(
        of("made")["detail"]["note"]
            .as_str()
            .unwrap()
            .contains("contents: read")
    );
    assert_eq!(of("withdrawn")["secret"]["name"], "mint:gh");
    let inject = records
        .iter()
        .find(|record| record["event"] == "inject")
        .unwrap();
    assert_eq!(inject["secret"]["name"], "mint:gh");
}

#[test]
fn tokens_are_replaced_behind_the_session_and_no_call_fails() {
    let test = Test::new();
    let Some(github) = Github::start(4) else {
        return;
    };
    granted(&test, &github, "min_life = \"2s\"");
    let mut run = started(&test, &github);
    let mut calls = 0;
    while github.made() < 4 {
        let before = Instant::now();
        let token = run.peek("GH_TOKEN");
        assert!(
            github.accepted(&token, before),
            "a token that had ended, after {calls} calls"
        );
        calls += 1;
    }
    github.hide(&test);
    assert!(calls > 100, "{calls}");
    // Those of servers that are gone are withdrawn; one or two are in use.
    until("old tokens are withdrawn", || github.left() <= 2);
    run.close();
    assert_eq!(run.end().code, 0);
    github.hide(&test);
    assert_eq!(github.left(), 0);
}

#[test]
fn revoke_withdraws_at_the_issuer_and_says_what_is_left() {
    let test = Test::new();
    let Some(github) = Github::start(3600) else {
        return;
    };
    granted(&test, &github, "");
    let mut run = started(&test, &github);
    let revoked = test.ok(&["revoke", "github"]);
    assert!(revoked.text().contains("withdrawn: `mint:gh`"), "{revoked}");
    assert_eq!(github.left(), 0);
    let refused = run.request(
        "tools/call",
        &json!({"name": "peek", "arguments": {"name": "GH_TOKEN"}}),
    );
    assert_eq!(refused["error"]["data"]["mcpwrap"]["code"], "revoked");

    // An issuer that fails keeps the token valid: that is said, and tried again.
    test.ok(&["grant", "github", "--yes"]);
    until("a new token", || github.made() == 2);
    github.hide(&test);
    let id = run.ask("tools/list", &json!({}));
    run.answer(id);
    github.change(|moods| moods.revoke_status = Some(503));
    let revoked = test.cli(&["revoke", "github"]);
    assert_eq!(revoked.code, 1, "{revoked}");
    assert!(
        revoked.stderr.contains("is still valid") && revoked.stderr.contains("ends by itself"),
        "{revoked}"
    );
    run.close();
    run.end();
    assert_eq!(github.left(), 1);
    let status = test.ok(&["status"]);
    assert!(
        status.text().contains("not withdrawn (store-unavailable)"),
        "{status}"
    );
    github.change(|moods| moods.revoke_status = None);
    let again = test.ok(&["revoke", "github"]);
    assert!(again.text().contains("withdrawn: `mint:gh`"), "{again}");
    assert_eq!(github.left(), 0);
}

#[test]
fn what_a_killed_run_left_is_withdrawn_by_the_next() {
    let test = Test::new();
    let Some(github) = Github::start(3600) else {
        return;
    };
    granted(&test, &github, "");
    let run = started(&test, &github);
    run.signal(nix::sys::signal::Signal::SIGKILL);
    run.end();
    assert_eq!(github.left(), 1);
    let status = test.ok(&["status"]);
    assert!(
        status.stderr.contains("withdrawn now: `mint:gh`"),
        "{status}"
    );
    assert_eq!(github.left(), 0);
    let run = started(&test, &github);
    run.signal(nix::sys::signal::Signal::SIGKILL);
    run.end();
    assert_eq!(github.left(), 1);
    let mut next = started(&test, &github);
    until_withdrawn(&github, 1);
    let token = next.peek("GH_TOKEN");
    assert!(github.accepts(&token), "the wrong one was withdrawn");
    next.close();
    next.end();
    assert_eq!(github.left(), 0);
}

#[test]
fn an_issuer_that_refuses_is_explained_and_nothing_starts() {
    let test = Test::new();
    let Some(github) = Github::start(60) else {
        return;
    };
    granted(&test, &github, "");
    let refused = |code: &str, cause: &str| {
        let ended = test.run("github").refused();
        assert!(ended.stderr.contains(&format!("error[{code}]")), "{ended}");
        assert!(ended.stderr.contains(cause), "{ended}");
        assert!(!ended.stderr.contains("secret words"), "{ended}");
        assert!(ended.stderr.contains("hint: "), "{ended}");
        assert_eq!(github.left(), 0, "{cause}");
    };
    refused("mint-refused", "lives too short");
    // One that has ended is not one without an end.
    github.change(|moods| moods.life = -60);
    refused("mint-refused", "gave it 0 s");
    github.change(|moods| {
        moods.life = 3600;
        moods.wider = true;
    });
    refused(
        "mint-refused",
        "more than the policy allows; it was withdrawn",
    );
    github.change(|moods| {
        moods.wider = false;
        moods.status = Some(422);
    });
    refused("mint-refused", "not these repositories or permissions");
    github.change(|moods| moods.status = Some(503));
    refused("store-unavailable", "status 503");
    github.change(|moods| moods.status = Some(403));
    refused("store-throttled", "asked too often (status 403)");
    github.change(|moods| moods.status = Some(429));
    refused("store-throttled", "asked too often (status 429)");
    github.change(|moods| moods.status = Some(201));
    refused("mint-refused", "its answer has no token");
    github.change(|moods| {
        moods.status = None;
        moods.ahead = 7200;
    });
    refused("store-denied", "clock is 7200 s off");

    // A token that is too much and cannot be withdrawn is not called withdrawn.
    github.change(|moods| {
        moods.ahead = 0;
        moods.wider = true;
        moods.revoke_status = Some(503);
    });
    let ended = test.run("github").refused();
    let cause = "more than the policy allows; it could not be withdrawn, and ends by itself";
    assert!(ended.stderr.contains(cause), "{ended}");
    assert_eq!(github.left(), 1);
}

#[test]
fn a_failing_issuer_is_borne_until_the_end_and_the_session_wakes() {
    let test = Test::new();
    let Some(github) = Github::start(5) else {
        return;
    };
    granted(&test, &github, "min_life = \"2s\"");
    let mut run = started(&test, &github);
    github.change(|moods| moods.status = Some(503));
    let before = github.made();
    // The old server serves while its token lives.
    let began = Instant::now();
    loop {
        let arguments = json!({"name": "peek", "arguments": {"name": "GH_TOKEN"}});
        let answer = run.request("tools/call", &arguments);
        if answer.get("result").is_none() {
            // Not before its end: lives are counted in whole seconds.
            assert_eq!(
                answer["error"]["data"]["mcpwrap"]["code"],
                "credential-ended"
            );
            assert!(began.elapsed() >= Duration::from_secs(3), "{answer}");
            break;
        }
    }
    until("the session is suspended", || {
        let answer = run.request("tools/list", &json!({}));
        answer["error"]["data"]["mcpwrap"]["code"] == "credential-ended"
    });
    assert_eq!(github.made(), before);
    github.change(|moods| moods.status = None);
    until("the session wakes", || {
        run.request("tools/list", &json!({}))
            .get("result")
            .is_some()
    });
    github.hide(&test);
    assert!(github.accepts(&run.peek("GH_TOKEN")));
    github.hide(&test);
    run.close();
    run.end();
    github.hide(&test);
    let records = test.audit();
    let renewed = records.iter().rfind(|record| record["event"] == "renew");
    assert_eq!(renewed.unwrap()["reason"], "recover", "{records:?}");
}

#[test]
fn a_policy_with_a_mint_is_shown_and_its_mistakes_are_named() {
    let test = Test::new();
    test.init();
    let Some(github) = Github::start(3600) else {
        return;
    };
    granted(&test, &github, "");
    let shown = test.ok(&["policy", "show", "github"]);
    for text in [
        "mint:gh = token of GitHub App",
        "repositories docs",
        "contents: read",
        "key secret:github/app-key",
    ] {
        assert!(shown.text().contains(text), "{text}: {shown}");
    }
    let base = policy(&github, "");
    let case = |from: &str, to: &str, expected: &str| {
        let text = base.replace(from, to);
        assert_ne!(text, base, "{from}");
        test.write_policy(
            "github",
            &format!("version = 1\ncommand = [\"/bin/true\"]\n{text}"),
        );
        let ended = test.cli(&["policy", "lint", "github"]);
        assert_eq!(ended.code, 1, "{ended}");
        assert!(ended.stderr.contains(expected), "{expected}: {ended}");
        assert!(ended.stderr.contains("hint: "), "{expected}: {ended}");
    };
    case("\nrepositories = [\"docs\"]", "", "needs `repositories`");
    case(
        "permissions = { contents = \"read\" }",
        "",
        "needs `permissions`",
    );
    case(
        "contents = \"read\"",
        "contents = \"all\"",
        "`read`, `write` or `admin`",
    );
    case(
        "key = \"secret:github/app-key\"",
        "key = \"-----BEGIN\"",
        "expected `secret:NAME`",
    );
    case(
        "mint:gh",
        "mint:other",
        "`mint:other` without `[mint.other]`",
    );
    case(
        "[mint.gh]",
        "[session]\nrenew = \"manual\"\n[mint.gh]",
        "a credential that has ended",
    );
    case("github-app", "vault", "only for `type = \"github-app\"`");
    case(
        "secret:github/app-key",
        "secret:withdraw/x",
        "gets by itself",
    );
}
