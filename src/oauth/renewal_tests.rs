//! Tests of refreshes, revocations and step-ups, against a scripted internet.

use serde_json::json;

use super::exchange::script::Script;
use super::exchange::{Exchange, ExchangeAnswer, ExchangeRequest};
use super::home_tests::{Home, REVOKE, TOKEN, granted, internet, logged_in};
use super::index::OAuthIndex;
use super::item::{self};
use super::owner::TokenOwner;
use super::place::TokenPlace;
use super::renewal::{RenewalOrder, Renewed, renew};
use super::step_up;
use super::{revoke, revoke_at};
use crate::error::{Code, Result};
use crate::policy::load::parse_text;
use crate::secret::Secret;
use crate::store::{self};

#[test]
fn a_refresh_keeps_what_the_answer_leaves_out() {
    let home = logged_in();
    let first = home.item();
    let now = first.obtained_at + 3_590;
    let script =
        Script::default().answer(TOKEN, 200, r#"{"access_token": "at-2", "expires_in": 10}"#);
    assert_eq!(
        home.renew(&script, first.generation, false, now),
        Ok(Renewed::Refreshed)
    );
    let second = home.item();
    assert_eq!(second.access.as_str(), "at-2");
    assert_eq!(second.refresh, first.refresh);
    assert_eq!(second.expires_at, Some(now + 10));
    assert!(second.generation > first.generation && second.refreshing.is_none());
    // Another process was faster.
    assert_eq!(
        home.renew(&Script::default(), first.generation, false, now),
        Ok(Renewed::Found)
    );
    assert_eq!(
        home.renew(&Script::default(), first.generation, true, now),
        Ok(Renewed::Found)
    );
}

/// A local server keeps its token for a while; a remote one gets another with the next request.
#[test]
fn a_local_server_needs_a_token_that_lives() {
    let home = logged_in();
    let policy = parse_text(
        "version = 1\ncommand = [\"/bin/true\"]\n[secrets.T]\nfrom = \"mint:m\"\n[mint.m]\ntype = \"oauth\"\n\
         issuer = \"https://as.example\"\nscopes = [\"read\"]\n",
    );
    let policy = policy.unwrap();
    let owner = TokenOwner::of_policy(&policy).remove(0);
    let local = TokenPlace::of(&home.dirs, &*home.store, &policy, &owner).unwrap();
    let (remote, item) = (home.place(), home.item());
    let half = item.obtained_at + 1_980;
    assert!(local.is_due(&item, half) && !remote.is_due(&item, half));
    let end = item.expires_at.unwrap();
    assert!(local.is_usable(&item, end - 120) && !local.is_usable(&item, end - 119));
    assert!(remote.is_usable(&item, end - 1) && !remote.is_usable(&item, end));
}

/// An authorization server in front of which the user logs out while it is asked for a token.
struct Leaving<'a>(&'a Home, Script);

impl Exchange for Leaving<'_> {
    fn send(&self, request: &ExchangeRequest) -> Result<ExchangeAnswer> {
        if request.address.as_str() == TOKEN {
            let place = self.0.place();
            revoke::remove(place.dirs, place.store, &place.name()?)?;
        }
        self.1.send(request)
    }
}

/// The logout has revoked the old tokens, and told the user that none is left.
#[test]
fn a_logout_during_a_refresh_wins() {
    let refused = r#"{"error": "invalid_grant"}"#.to_owned();
    for (status, answer, requests) in [(200, granted(2, 3600), 3), (400, refused, 1)] {
        let home = logged_in();
        let now = home.item().expires_at.unwrap();
        let script = Script::default().answer(TOKEN, status, &answer);
        let script = script.answer(REVOKE, 200, "").answer(REVOKE, 200, "");
        let leaving = Leaving(&home, script);
        let order = RenewalOrder {
            seen: 0,
            is_rejected: false,
        };
        let done = renew(&home.place(), &home.keys, &leaving, order, &|| now);
        assert_eq!(done.unwrap_err().code, Code::LoginNeeded);
        assert_eq!(home.place().item().unwrap(), None, "{status}");
        assert!(OAuthIndex::load(&home.dirs).unwrap().tokens.is_empty());
        // Both new tokens are revoked.
        assert_eq!(leaving.1.asked().len(), requests);
    }
}

#[test]
fn a_rejected_token_is_refreshed_once_in_half_a_minute() {
    let home = logged_in();
    let first = home.item();
    let young = home.renew(
        &Script::default(),
        first.generation,
        true,
        first.obtained_at + 29,
    );
    assert_eq!(young.unwrap_err().code, Code::LoginNeeded);
    let now = first.obtained_at + 30;
    let script = Script::default().answer(TOKEN, 503, "");
    let failed = home
        .renew(&script, first.generation, true, now)
        .unwrap_err();
    assert_eq!(failed.code, Code::OAuthUnreachable);
    let again = home
        .renew(&Script::default(), first.generation, true, now + 29)
        .unwrap_err();
    assert!(again.to_string().contains("29 s ago"), "{again}");
    let script = Script::default().answer(TOKEN, 200, &granted(2, 3600));
    assert_eq!(
        home.renew(&script, first.generation, true, now + 30),
        Ok(Renewed::Refreshed)
    );
}

#[test]
fn faults_keep_the_tokens_and_refusals_end_them() {
    let home = logged_in();
    let first = home.item();
    let late = first.obtained_at + 4_000;
    for script in [
        Script::default().silence(TOKEN),
        Script::default().answer(TOKEN, 500, ""),
        Script::default().answer(TOKEN, 400, r#"{"error": "invalid_request"}"#),
        Script::default().answer(TOKEN, 200, "<html>"),
    ] {
        let error = home
            .renew(&script, first.generation, false, late)
            .unwrap_err();
        assert!(
            matches!(error.code, Code::OAuthUnreachable | Code::OAuthFailed),
            "{error}"
        );
        let kept = home.item();
        assert_eq!(
            (&kept.refresh, kept.generation),
            (&first.refresh, first.generation)
        );
    }
    let script = Script::default().answer(TOKEN, 400, r#"{"error": "invalid_grant"}"#);
    let error = home
        .renew(&script, first.generation, false, late)
        .unwrap_err();
    assert_eq!(error.code, Code::LoginNeeded);
    let ended = home.item();
    assert!(ended.refresh.is_none() && ended.generation > first.generation);
    // The registration stays, and the dead token is not sent again.
    let script = Script::default();
    let error = home
        .renew(&script, ended.generation, false, late)
        .unwrap_err();
    assert_eq!((error.code, script.asked().len()), (Code::LoginNeeded, 0));
    assert_eq!(OAuthIndex::load(&home.dirs).unwrap().registrations.len(), 1);
}

#[test]
fn a_forgotten_client_is_forgotten_here() {
    let home = logged_in();
    let first = home.item();
    let script = Script::default().answer(TOKEN, 401, r#"{"error": "invalid_client"}"#);
    let error = home
        .renew(&script, first.generation, false, first.obtained_at + 4_000)
        .unwrap_err();
    assert_eq!(error.code, Code::LoginNeeded);
    assert_eq!(OAuthIndex::load(&home.dirs).unwrap().registrations.len(), 0);
}

#[test]
fn tokens_of_another_policy_count_as_none() {
    let home = logged_in();
    for rest in [
        "issuer = \"https://other.example\"\n",
        "client_id = \"pre\"\n",
        "resource = \"https://mcp.example/\"\n",
        "resource = \"omit\"\n",
    ] {
        let other = Home::new(rest);
        let name = other.place().name().unwrap();
        item::write(&*other.store, &name, &home.item()).unwrap();
        assert_eq!(other.place().item().unwrap(), None, "{rest}");
    }
    let other =
        Home::new("issuer = \"https://as.example\"\nresource = \"https://mcp.example/mcp\"\n");
    let name = other.place().name().unwrap();
    item::write(&*other.store, &name, &home.item()).unwrap();
    assert!(other.place().item().unwrap().is_some());
    other
        .store
        .put(
            &name,
            &store::SecretItem::plain(Secret::new(b"damaged".to_vec())),
        )
        .unwrap();
    assert_eq!(other.place().item().unwrap(), None);
}

#[test]
fn both_tokens_are_revoked_the_refresh_token_first() {
    let home = logged_in();
    let credentials = super::client::ClientCredentials::default();
    let script = Script::default()
        .answer(REVOKE, 200, "")
        .answer(REVOKE, 200, "");
    revoke_at::at_issuer(&script, &home.item(), &credentials).unwrap();
    assert!(script.is_done());
    assert!(script.sent(REVOKE).contains("token=at-1"));
    let script = Script::default()
        .answer(REVOKE, 503, "")
        .answer(REVOKE, 200, "");
    let error = revoke_at::at_issuer(&script, &home.item(), &credentials).unwrap_err();
    assert_eq!(error.code, Code::OAuthUnreachable);
    assert!(script.is_done(), "the access token is tried all the same");
    let name = home.place().name().unwrap();
    revoke::remove(&home.dirs, &*home.store, &name).unwrap();
    assert_eq!(home.place().item().unwrap(), None);
}

#[test]
fn a_step_up_asks_for_the_union() {
    let home = logged_in();
    let challenge = |text: &str| step_up::remember(&home.dirs, &home.policy, &[text.to_owned()]);
    assert_eq!(
        challenge("Bearer error=invalid_token, scope=admin"),
        Ok(false)
    );
    assert_eq!(
        challenge("Bearer error=insufficient_scope, scope=read"),
        Ok(false)
    );
    assert_eq!(
        challenge("Bearer error=insufficient_scope, scope=\"write admin\""),
        Ok(true)
    );
    assert_eq!(
        challenge("Bearer error=insufficient_scope, scope=write"),
        Ok(true)
    );
    let plan = home.plan(&internet(&json!({}))).unwrap();
    assert_eq!(plan.terms.scope.to_string(), "read write admin");
}
