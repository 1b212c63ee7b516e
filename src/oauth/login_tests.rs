//! Tests of logins in a home of their own, against a scripted internet.

use serde_json::json;

use super::approval;
use super::exchange::script::Script;
use super::home_tests::{
    Home, MCP, REGISTER, RESOURCE, TOKEN, granted, internet, logged_in, parameter,
};
use super::index::OAuthIndex;
use super::login::plan;
use super::owner::TokenOwner;
use crate::error::Code;

#[test]
fn a_login_registers_asks_and_stores() {
    let home = logged_in();
    let item = home.item();
    assert_eq!(
        (item.access.as_str(), item.client.id.as_str()),
        ("at-1", "c1")
    );
    assert_eq!(item.scope.to_string(), "read");
    let index = OAuthIndex::load(&home.dirs).unwrap();
    let row = index
        .find(&TokenOwner::remote(&home.policy.server, None))
        .unwrap();
    assert!(row.renewable && row.generation == item.generation);
    // The same issuer, the same registration.
    let script = internet(&json!({})).answer(TOKEN, 200, &granted(2, 3600));
    let again = home.log_in(&script, &["code=c&state=STATE"]).unwrap();
    assert!(again.generation > item.generation);
    assert!(!script.asked().contains(&format!("POST {REGISTER}")));
    assert!(
        script
            .sent(TOKEN)
            .contains("resource=https%3A%2F%2Fmcp.example%2Fmcp")
    );
}

#[test]
fn an_unknown_client_is_registered_once_more() {
    let home = logged_in();
    let script = internet(&json!({}))
        .answer(TOKEN, 401, r#"{"error": "invalid_client"}"#)
        .answer(REGISTER, 201, r#"{"client_id": "c2"}"#)
        .answer(TOKEN, 200, &granted(2, 3600));
    let item = home
        .log_in(&script, &["code=c&state=STATE", "code=d&state=STATE"])
        .unwrap();
    assert_eq!(item.client.id, "c2");
    let script = internet(&json!({}))
        .answer(TOKEN, 401, r#"{"error": "invalid_client"}"#)
        .answer(REGISTER, 201, r#"{"client_id": "c3"}"#)
        .answer(TOKEN, 401, r#"{"error": "invalid_client"}"#);
    let error = home
        .log_in(&script, &["code=c&state=STATE", "code=d&state=STATE"])
        .unwrap_err();
    assert_eq!(error.code, Code::OAuthFailed);
}

#[test]
fn an_answer_of_another_issuer_redeems_nothing() {
    let names_itself = json!({"authorization_response_iss_parameter_supported": true});
    for answer in [
        &["code=c&state=STATE"][..],
        &["code=c&state=STATE&iss=https%3A%2F%2Fevil.example"],
        &["error=evil_words&state=STATE&iss=https%3A%2F%2Fas.example%2F"],
    ] {
        let home = Home::new("");
        let script = internet(&names_itself).answer(REGISTER, 201, r#"{"client_id": "c1"}"#);
        let error = home.log_in(&script, answer).unwrap_err();
        assert_eq!(error.code, Code::OAuthFailed);
        assert!(!error.to_string().contains("evil_words"), "{error}");
        assert_eq!(script.sent(TOKEN), "");
    }
}

#[test]
fn the_client_is_that_of_the_policy_or_its_document() {
    let home = Home::new("client_id = \"pre\"\nscopes = [\"write\"]\n");
    let script = internet(&json!({"scopes_supported": ["offline_access"]}));
    let plan = home.plan(&script).unwrap();
    assert_eq!(plan.terms.client_id.as_deref(), Some("pre"));
    assert_eq!(
        plan.terms.scope.to_string(),
        "write",
        "the policy's scopes win"
    );

    let home = Home::new("client_metadata_url = \"https://mcpwrap.example/client.json\"\n");
    let document = json!({"client_id_metadata_document_supported": true, "scopes_supported": ["offline_access"]});
    let plan = home.plan(&internet(&document)).unwrap();
    assert_eq!(
        plan.terms.client_id.as_deref(),
        Some("https://mcpwrap.example/client.json")
    );
    assert_eq!(plan.terms.scope.to_string(), "read offline_access");
    let plan = home.plan(&internet(&json!({}))).unwrap();
    assert_eq!(
        plan.terms.client_id, None,
        "not supported: mcpwrap registers itself"
    );
    let script = internet(&json!({"registration_endpoint": null}));
    assert_eq!(home.plan(&script).unwrap_err().code, Code::OAuthFailed);
}

/// The user is not asked, and no client is registered, for a login that cannot end well.
#[test]
fn unusable_endpoints_are_refused_before_the_question() {
    for (field, value) in [
        ("token_endpoint", json!("http://as.example/token")),
        ("token_endpoint", json!(null)),
        ("authorization_endpoint", json!("authorize")),
        ("revocation_endpoint", json!("https://u@as.example/revoke")),
    ] {
        let home = Home::new("");
        let script = internet(&json!({field: value}));
        let error = home.plan(&script).unwrap_err();
        assert_eq!(error.code, Code::OAuthFailed);
        assert!(error.reasons().contains(field), "{error}");
        assert!(!script.asked().contains(&format!("POST {REGISTER}")));
    }
}

/// Without them, there is no refresh token.
#[test]
fn what_a_known_issuer_needs_in_addition_is_sent() {
    for (issuer, expected) in [
        ("https://accounts.google.com", ["offline", "consent"]),
        ("https://as.example", ["", ""]),
    ] {
        let home = Home::new(&format!(
            "client_id = \"pre\"\nissuer = \"{issuer}\"\nscopes = [\"write\"]\n"
        ));
        let metadata = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": TOKEN, "code_challenge_methods_supported": ["S256"],
        });
        let resource = json!({"resource": MCP, "authorization_servers": [issuer]});
        let well_known = format!("{issuer}/.well-known/oauth-authorization-server");
        let script = Script::default()
            .answer(MCP, 401, "")
            .answer(RESOURCE, 200, &resource.to_string())
            .answer(&well_known, 200, &metadata.to_string())
            .answer(TOKEN, 200, &granted(1, 3600));
        let mut sent = Vec::new();
        let mut seen = |address: &str| {
            sent = ["access_type", "prompt"]
                .map(|name| parameter(address, name))
                .to_vec();
        };
        home.log_in_shown(&script, &["code=c&state=STATE"], &mut seen)
            .unwrap();
        assert_eq!(sent, expected, "{issuer}");
    }
}

#[test]
fn an_approval_is_for_these_terms() {
    let home = Home::new("");
    let first = home.plan(&internet(&json!({}))).unwrap();
    assert!(!first.is_approved);
    let name = home.place().name().unwrap();
    approval::approve(&home.dirs, &home.keys, &name, &first.terms).unwrap();
    assert!(home.plan(&internet(&json!({}))).unwrap().is_approved);
    let wider = internet(&json!({"scopes_supported": ["offline_access"]}));
    assert!(!home.plan(&wider).unwrap().is_approved);
    assert!(
        !plan(&home.place(), &home.keys, &internet(&json!({})), true)
            .unwrap()
            .is_approved
    );
}
