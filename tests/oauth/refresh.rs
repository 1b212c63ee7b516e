//! Refreshes: one for all who ask, none that loses a token.

use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use super::{Kind, Provider, Token};
use crate::harness::process::of_test;
use crate::harness::{skip, until};
use crate::messages::message;

/// Logged in, with a token that has ended.
fn expired(seconds: u32) -> Option<(Provider, Token)> {
    let at = Provider::start(Kind::Oidc, seconds)?;
    at.policy("[oauth]\n");
    at.log_in(&[]);
    let first = at.current();
    until("the token ends", || first.is_over());
    Some((at, first))
}

#[test]
fn an_ended_token_is_refreshed_with_rotation() {
    let Some((at, first)) = expired(3) else {
        return;
    };
    let before = at.stored();
    let second = at.current();
    assert!(second.generation > first.generation && second.digest != first.digest);
    assert_eq!(second.identity, first.identity);
    let after = at.stored();
    assert_ne!(after["refresh"], before["refresh"], "rotated");
    assert!(at.accepts(after["access"].as_str().unwrap()));
    until("the token ends", || second.is_over());
    let third = at.current();
    assert!(third.generation > second.generation);
    assert!(at.test.events().iter().any(|event| event == "refresh"));
}

#[test]
fn five_at_once_make_one_refresh() {
    let Some((at, _)) = expired(10) else { return };
    drop(at.heard(""));
    let probes: Vec<_> = (0..5).map(|_| at.probe(&["current", "s"])).collect();
    let tokens: Vec<_> = probes
        .into_iter()
        .map(|probe| Token::read(&probe.finish()))
        .collect();
    assert!(tokens.iter().all(|token| token == &tokens[0]), "{tokens:?}");
    let asked = at.heard("asked");
    assert_eq!(asked.len(), 1, "{asked:?}");
}

/// Kills what refreshes, and its exchange, while the provider holds the request.
fn kill_refresh(at: &Provider) {
    let is_one = |line: &str| line.contains("__refresh") || line.contains("__exchange");
    let found = || {
        of_test(&at.test.dir)
            .into_iter()
            .filter(|(_, line)| is_one(line))
    };
    // First the one that would report the end of the other.
    for name in ["__refresh", "__exchange"] {
        for (pid, _) in found().filter(|(_, line)| line.contains(name)) {
            kill(pid, Signal::SIGKILL).ok();
        }
    }
    until("the refresh is dead", || found().next().is_none());
}

#[test]
fn a_refresh_outlives_who_asked() {
    let Some((at, first)) = expired(10) else {
        return;
    };
    at.control("hold-before");
    let probe = at.probe(&["current", "s"]);
    at.said("asked hold-before");
    let pid = probe.pid();
    kill(pid, Signal::SIGKILL).unwrap();
    drop(probe);
    at.control("pass");
    until("the refresh is stored", || {
        at.stored()["generation"].as_u64().unwrap() > first.generation
    });
    assert!(at.current().generation > first.generation);
}

#[test]
fn a_kill_before_the_provider_decides_loses_nothing() {
    if !nix::unistd::geteuid().is_root() {
        return skip(
            "root",
            "only root sees which test a hidden process belongs to",
        );
    }
    let Some((at, first)) = expired(10) else {
        return;
    };
    at.control("hold-before");
    let probe = at.probe(&["current", "s"]);
    at.said("asked hold-before");
    kill_refresh(&at);
    let ended = probe.finish();
    assert_eq!(ended.code, 2, "{ended}");
    message(&at.test, "oauth-unreachable", &ended);
    let stored = at.stored();
    assert_eq!(stored["generation"].as_u64().unwrap(), first.generation);
    assert!(
        stored["refreshing"].is_i64(),
        "the store was written before anything was sent"
    );
    // The request never arrived: the old refresh token is good.
    at.control("drop");
    assert!(at.current().generation > first.generation);
}

#[test]
fn a_kill_after_the_provider_decided_needs_a_login() {
    let Some((at, first)) = expired(10) else {
        return;
    };
    at.control("hold-after");
    let probe = at.probe(&["current", "s"]);
    at.said("decided");
    kill_refresh(&at);
    assert_eq!(probe.finish().code, 2);
    at.control("pass");
    let ended = at.probe(&["current", "s"]).finish();
    assert!(ended.stderr.contains("error[login-needed]"), "{ended}");
    assert!(
        ended.stderr.contains("an earlier refresh was interrupted"),
        "{ended}"
    );
    // The dead refresh token is not sent again.
    drop(at.heard(""));
    let ended = at.probe(&["current", "s"]).finish();
    assert!(ended.stderr.contains("error[login-needed]"), "{ended}");
    assert_eq!(at.heard("asked"), [""; 0]);
    let (code, screen) = at.terminal(&[]).end();
    assert_eq!(code, 0, "{screen}");
    assert!(at.current().generation > first.generation);
}

/// The provider has made new tokens that nobody has read: only the refresh can take them back.
#[test]
fn a_revoke_during_a_refresh_takes_back_its_tokens() {
    let Some((at, _)) = expired(3) else { return };
    at.control("hold-after");
    let run = at.test.run("s");
    at.said("decided");
    let revoked = at.test.ok(&["revoke", "s"]);
    assert!(
        revoked.text().contains("revoked: the token of s"),
        "{revoked}"
    );
    drop(at.heard(""));
    at.control("pass");
    at.said("token 200");
    at.said("/token/revocation 200");
    let listed = at.test.ok(&["secret", "list"]);
    assert!(!listed.text().contains("oauth/s"), "{listed}");
    run.finish();
}

#[test]
fn faults_change_nothing_and_refusals_end_it() {
    let Some((at, first)) = expired(3) else {
        return;
    };
    let before = at.stored()["refresh"].clone();
    at.control("fail");
    let ended = at.probe(&["current", "s"]).finish();
    assert!(ended.stderr.contains("error[oauth-unreachable]"), "{ended}");
    assert!(ended.stderr.contains("HTTP status 503"), "{ended}");
    assert_eq!(at.stored()["refresh"], before);
    at.control("refuse");
    let ended = at.probe(&["current", "s"]).finish();
    assert!(ended.stderr.contains("`invalid_grant`"), "{ended}");
    assert!(ended.stderr.contains("error[login-needed]"), "{ended}");
    assert!(at.stored()["generation"].as_u64().unwrap() > first.generation);
}

/// The client may safely send again what the server refused, and nothing else.
#[test]
fn requests_that_were_refused_are_no_unknown_ones() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n");
    at.log_in(&[]);
    let mut run = at.test.run("s");
    run.initialize();
    let endless = run.ask("tools/call", &json!({"name": "endless"}));
    at.said("endless");
    at.control("refuse-all");
    let refused = run.ask("tools/call", &json!({"name": "refused"}));
    for (id, outcome) in [(endless, json!("unknown")), (refused, Value::Null)] {
        let answer = run.answer(id);
        let about = &answer["error"]["data"]["mcpwrap"];
        assert_eq!(
            (&about["code"], &about["outcome"]),
            (&json!("login-needed"), &outcome),
            "{answer}"
        );
    }
    run.finish();
}

#[test]
fn a_refused_token_is_refreshed_once() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n");
    at.log_in(&[]);
    let first = at.current();
    // It is new: another one would be refused as well.
    let generation = first.generation.to_string();
    let ended = at.probe(&["renew", &generation, "s"]).finish();
    assert!(ended.stderr.contains("error[login-needed]"), "{ended}");
    // Somebody else has a newer one.
    let older = (first.generation - 1).to_string();
    assert_eq!(
        Token::read(&at.probe(&["renew", &older, "s"]).finish()),
        first
    );
}

#[test]
fn an_unwritable_store_sends_nothing() {
    let Some((at, _)) = expired(3) else { return };
    drop(at.heard(""));
    let vault = at.test.root().join("data");
    if nix::unistd::geteuid().is_root() {
        // Root writes into any directory: a file stands where the lock of the vault belongs.
        let lock = vault.join("vault.lock");
        std::fs::remove_file(&lock).unwrap();
        std::fs::create_dir(&lock).unwrap();
    } else {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&vault, std::fs::Permissions::from_mode(0o500)).unwrap();
    }
    let ended = at.probe(&["current", "s"]).finish();
    assert_eq!(ended.code, 2, "{ended}");
    assert_eq!(at.heard("asked"), [""; 0], "{ended}");
}
