//! Tests of tokens that are kept to be revoked, against a scripted internet.

use super::client::ClientSource::{Policy, Registered};
use super::client::{AuthMethod, OAuthClient};
use super::exchange::Exchange;
use super::exchange::script::Script;
use super::home_tests::{Home, logged_in};
use super::index::OAuthIndex;
use super::owner::TokenOwner;
use super::unrevoked::{RetriedToken, Tries, has_any, is_worth_keeping, keep, retry};
use crate::error::{Code, Error};

const REVOKE: &str = "https://as.example/revoke";

/// Logged in, and the token is kept since the time 1000.
fn kept() -> Home {
    let home = logged_in();
    let owner = &TokenOwner::remote(&home.policy.server, None);
    keep(&home.dirs, &*home.store, owner, home.item(), 1_000).unwrap();
    home
}

fn tried(home: &Home, script: &Script, tries: Tries, now: i64) -> Vec<RetriedToken> {
    let exchange: &dyn Exchange = script;
    retry(&home.dirs, &*home.store, &Ok(exchange), tries, now).unwrap()
}

fn names(home: &Home) -> Vec<String> {
    let names = home.store.names().unwrap().into_iter();
    let names = names.map(|name| name.to_string());
    names
        .filter(|name| name.starts_with("oauth-revoke/"))
        .collect()
}

#[test]
fn it_is_tried_less_and_less_often() {
    let home = kept();
    let refusal = || {
        Script::default()
            .answer(REVOKE, 503, "")
            .answer(REVOKE, 503, "")
    };
    assert!(!has_any(&home.dirs, Tries::Due, 1_059));
    assert!(tried(&home, &Script::default(), Tries::Due, 1_059).is_empty());
    let done = tried(&home, &refusal(), Tries::Due, 1_060);
    assert_eq!(
        done[0].result.as_ref().unwrap_err().code,
        Code::OAuthUnreachable
    );
    assert!(done[0].record().is_none());
    assert!(!has_any(&home.dirs, Tries::Due, 1_060 + 119));
    assert!(has_any(&home.dirs, Tries::Due, 1_060 + 120));
    // The user does not wait, and the clock may be set back.
    assert!(has_any(&home.dirs, Tries::All, 1_061) && has_any(&home.dirs, Tries::Due, 5));
    for _ in 0..40 {
        assert_eq!(tried(&home, &refusal(), Tries::All, 2_000).len(), 1);
    }
    assert!(has_any(&home.dirs, Tries::Due, 2_000 + 24 * 60 * 60));
    let answer = Script::default()
        .answer(REVOKE, 200, "")
        .answer(REVOKE, 200, "");
    let done = tried(&home, &answer, Tries::All, 2_000);
    assert!(done[0].result.is_ok() && done[0].record().is_some() && done[0].since == 1_000);
    assert!(answer.sent(REVOKE).contains("token_type_hint"));
    assert_eq!(names(&home), [""; 0]);
    assert!(OAuthIndex::load(&home.dirs).unwrap().unrevoked.is_empty());
}

#[test]
fn a_token_that_ended_is_forgotten() {
    let home = logged_in();
    let mut token = home.item();
    token.refresh = None;
    token.expires_at = Some(1_500);
    let owner = &TokenOwner::remote(&home.policy.server, None);
    keep(&home.dirs, &*home.store, owner, token.clone(), 1_000).unwrap();
    assert_eq!(names(&home).len(), 1);
    let script = Script::default();
    assert!(tried(&home, &script, Tries::All, 1_500).is_empty());
    assert!(script.asked().is_empty() && names(&home).is_empty());
    let offline = Error::new(Code::OAuthUnreachable, "x");
    assert!(
        is_worth_keeping(&offline, &token, 1_499) && !is_worth_keeping(&offline, &token, 1_500)
    );
    assert!(!is_worth_keeping(
        &Error::new(Code::OAuthFailed, "x"),
        &token,
        1_000
    ));
    token.endpoints.revocation = None;
    assert!(!is_worth_keeping(&offline, &token, 1_000));
}

#[test]
fn the_secret_of_another_client_is_not_sent() {
    let home = Home::new(
        "client_id = \"c1\"\nclient_secret = \"{secret.KEY}\"\n[secrets.KEY]\nfrom = \"secret:k\"\n",
    );
    let place = home.place();
    let secret = crate::secret::Secret::new(b"the-secret-of-c1".to_vec());
    let item = crate::store::SecretItem::plain(secret);
    home.store.put(&"k".parse().unwrap(), &item).unwrap();
    let client = |id: &str, source| OAuthClient {
        id: id.to_owned(),
        source,
        method: AuthMethod::ClientSecretBasic,
        secret: None,
    };
    assert!(
        place
            .credentials_of(&client("c1", Policy))
            .unwrap()
            .secret
            .is_some()
    );
    assert!(place.credentials_of(&client("c2", Policy)).is_none());
    assert!(place.credentials_of(&client("c1", Registered)).is_none());
}
