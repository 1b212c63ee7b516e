//! Tokens for a client of its own, without a person, and the end of tokens by `revoke`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Kind, Provider};
use crate::bridge::web::{Then, Web};
use crate::harness::{Test, slot, until};
use crate::messages::message;

/// A policy with the client credentials of this client.
fn policy(at: &Provider, client: &str, field: &str) {
    at.policy(&format!(
        "[oauth]\ngrant = \"client-credentials\"\nclient_id = \"{client}\"\n{field} = \"{{secret.KEY}}\"\n\
         issuer = \"{}\"\nscopes = [\"read\"]\n{}",
        at.url.trim_end_matches("/mcp"),
        slot("KEY", "client/key"),
    ));
}

#[test]
fn a_secret_obtains_tokens_again_and_again() {
    let Some(at) = Provider::start(Kind::Oidc, 3) else {
        return;
    };
    at.test.secret("client/key", "machine-secret-4711-x9");
    policy(&at, "machine", "client_secret");
    // The granted policy names the issuer: no login is needed.
    let first = at.current();
    assert!(at.accepts(at.stored()["access"].as_str().unwrap()));
    assert_eq!(at.stored()["client"]["secret"], serde_json::Value::Null);
    until("the token ends", || first.is_over());
    let second = at.current();
    assert!(second.generation > first.generation && second.digest != first.digest);
    assert_eq!(second.identity, first.identity);
}

#[test]
fn a_private_key_signs() {
    // ES256, then RS256.
    for (client, nth) in [("signer", 0), ("signer-rsa", 1)] {
        let Some(at) = Provider::start(Kind::Oidc, 60) else {
            return;
        };
        let key = STANDARD.decode(at.key.split(' ').nth(nth).unwrap());
        at.test.secret("client/key", key.unwrap());
        policy(&at, client, "private_key");
        at.current();
        let token = at.stored()["access"].as_str().unwrap().to_owned();
        assert!(at.accepts(&token), "{client}");
    }
}

#[test]
fn a_wrong_secret_is_refused_and_not_repeated() {
    let Some(at) = Provider::start(Kind::Oidc, 60) else {
        return;
    };
    at.test.secret("client/key", "machine-secret-that-is-wrong");
    policy(&at, "machine", "client_secret");
    let ended = at.probe(&["current", "s"]).finish();
    assert_eq!(ended.code, 2, "{ended}");
    message(&at.test, "oauth-failed", &ended);
}

/// Masking it would corrupt messages, so it is not masked, and the user hears of it.
#[test]
fn a_weak_token_is_named() {
    let web = Web::start(|asked, reply| {
        let origin = format!("http://{}", asked.header("host").unwrap());
        match asked.target.as_str() {
            "/.well-known/oauth-authorization-server" => reply.json(
                200,
                "",
                &json!({
                    "issuer": origin, "token_endpoint": format!("{origin}/token"),
                    "code_challenge_methods_supported": ["S256"],
                }),
            ),
            "/token" => reply.json(
                200,
                "",
                &json!({"access_token": "20261129", "token_type": "bearer"}),
            ),
            _ => reply.status(405),
        }
        Then::Keep
    });
    let test = Test::new();
    test.secret("client/key", "machine-secret-4711-x9");
    let text = format!(
        "version = 1\nurl = \"{0}/mcp\"\n[oauth]\ngrant = \"client-credentials\"\nclient_id = \"machine\"\n\
         client_secret = \"{{secret.KEY}}\"\nissuer = \"{0}\"\n{1}",
        web.origin(),
        slot("KEY", "client/key"),
    );
    test.write_policy("s", &text);
    test.ok(&["grant", "s", "--yes"]);
    let mut run = test.run("s");
    run.initialize();
    let said = "`oauth/s` is not masked, because its value has only digits";
    run.heard(said);
    run.finish();
}

#[test]
fn a_policy_that_is_not_granted_gets_no_token() {
    let Some(at) = Provider::start(Kind::Oidc, 60) else {
        return;
    };
    at.test.secret("client/key", "machine-secret-4711-x9");
    policy(&at, "machine", "client_secret");
    at.test.ok(&["revoke", "s"]);
    drop(at.heard(""));
    let ended = at.probe(&["current", "s"]).finish();
    assert!(ended.stderr.contains("error[revoked]"), "{ended}");
    assert_eq!(at.heard("asked"), [""; 0]);
}

#[test]
fn all_tokens_of_a_server_are_revoked() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n[profile.prod]\n");
    at.log_in(&[]);
    at.log_in(&["--profile", "prod"]);
    let access = at.stored()["access"].as_str().unwrap().to_owned();
    assert!(at.accepts(&access));
    let ended = at.probe(&["revoke", "s"]).finish();
    assert_eq!(ended.text(), "true true\ntrue true\n", "{ended}");
    assert!(!at.accepts(&access));
    assert!(!at.index().contains("[tokens.\""), "{}", at.index());
}
