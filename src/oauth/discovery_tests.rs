//! Tests of discovery against a scripted internet.

use serde_json::json;

use super::address::WebAddress;
use super::discovery::{Discovery, discover};
use super::exchange::script::Script;
use crate::error::{Code, Result};
use crate::policy::remote::{OAuthTable, Pkce, RemoteTransport};

const SERVER: &str = "https://mcp.example/v1/mcp";
const RESOURCE: &str = "https://mcp.example/.well-known/oauth-protected-resource/v1/mcp";
const RESOURCE_ROOT: &str = "https://mcp.example/.well-known/oauth-protected-resource";
const OAUTH: &str = "https://as.example/.well-known/oauth-authorization-server";
const OPENID: &str = "https://as.example/.well-known/openid-configuration";

fn resource(resource: &str, issuer: &str) -> String {
    json!({"resource": resource, "authorization_servers": [issuer], "scopes_supported": ["read", "write"]})
        .to_string()
}

fn issuer(issuer: &str) -> String {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
        "code_challenge_methods_supported": ["plain", "S256"],
    })
    .to_string()
}

fn run(script: &Script, rules: &OAuthTable) -> Result<Discovery> {
    let server = WebAddress::parse(SERVER).unwrap();
    discover(script, &server, rules, RemoteTransport::Auto)
}

/// The server refuses with this challenge.
fn refused(challenge: &str) -> Script {
    Script::default().answer_with(SERVER, 401, &[("www-authenticate", challenge)], "")
}

#[track_caller]
fn fails(script: &Script, rules: &OAuthTable) -> String {
    let error = run(script, rules).unwrap_err();
    assert_eq!(error.code, Code::OAuthFailed, "{error}");
    error.to_string()
}

#[test]
fn the_challenge_leads_to_both_documents() {
    let script = refused(r#"Bearer scope="read", resource_metadata="/meta""#)
        .answer(
            "https://mcp.example/meta",
            200,
            &resource(SERVER, "https://as.example"),
        )
        .answer(OAUTH, 200, &issuer("https://as.example"));
    let found = run(&script, &OAuthTable::default()).unwrap();
    assert_eq!(found.resource.as_deref(), Some(SERVER));
    assert_eq!(found.issuer.issuer, "https://as.example");
    assert_eq!(found.challenged.unwrap().to_string(), "read");
    assert_eq!(found.supported.unwrap().to_string(), "read write");
    assert_eq!(script.asked().len(), 3);
}

/// A server that refuses only what comes after the first request.
#[test]
fn the_challenge_may_come_with_the_second_request() {
    let challenge = r#"Bearer scope="read", resource_metadata="/meta""#;
    let script = Script::default()
        .answer(SERVER, 200, "{}")
        .answer_with(SERVER, 401, &[("www-authenticate", challenge)], "")
        .answer(
            "https://mcp.example/meta",
            200,
            &resource(SERVER, "https://as.example"),
        )
        .answer(OAUTH, 200, &issuer("https://as.example"));
    let found = run(&script, &OAuthTable::default()).unwrap();
    assert_eq!(found.challenged.unwrap().to_string(), "read");
    assert!(script.is_done());
}

#[test]
fn documents_are_found_in_each_place() {
    for (place, base) in [(RESOURCE, SERVER), (RESOURCE_ROOT, "https://mcp.example")] {
        for document in [OAUTH, OPENID] {
            let script = Script::default()
                .answer(SERVER, 401, "")
                .answer(place, 200, &resource(base, "https://as.example"))
                .answer(document, 200, &issuer("https://as.example"));
            let found = run(&script, &OAuthTable::default()).unwrap();
            assert_eq!(found.resource.as_deref(), Some(base));
            assert!(script.is_done());
        }
    }
    // A page of HTML with 200 is no document.
    let script = Script::default()
        .answer(SERVER, 200, "")
        .answer(RESOURCE, 200, "<html>")
        .answer(
            RESOURCE_ROOT,
            200,
            &resource("https://mcp.example/", "https://as.example"),
        )
        .answer(OAUTH, 200, "<html>")
        .answer(OPENID, 200, &issuer("https://as.example"));
    let found = run(&script, &OAuthTable::default()).unwrap();
    assert_eq!(found.resource.as_deref(), Some("https://mcp.example/"));
}

#[test]
fn an_issuer_with_a_path_has_three_places() {
    for place in [
        "https://as.example/.well-known/oauth-authorization-server/t",
        "https://as.example/.well-known/openid-configuration/t",
        "https://as.example/t/.well-known/openid-configuration",
    ] {
        let script = Script::default()
            .answer(SERVER, 401, "")
            .answer(RESOURCE, 200, &resource(SERVER, "https://as.example/t"))
            .answer(place, 200, &issuer("https://as.example/t"));
        assert!(run(&script, &OAuthTable::default()).is_ok(), "{place}");
    }
}

#[test]
fn another_resource_or_issuer_stops() {
    for wrong in [
        "https://mcp.example/other",
        "https://evil.example/",
        "http://mcp.example",
    ] {
        let script = Script::default().answer(SERVER, 401, "").answer(
            RESOURCE,
            200,
            &resource(wrong, "https://as.example"),
        );
        fails(&script, &OAuthTable::default());
    }
    for wrong in ["https://evil.example", "https://as.example/t", ""] {
        let script = Script::default()
            .answer(SERVER, 401, "")
            .answer(RESOURCE, 200, &resource(SERVER, "https://as.example"))
            .answer(OAUTH, 200, &issuer(wrong));
        fails(&script, &OAuthTable::default());
    }
    // The slash of an empty path may differ; the document's spelling is kept.
    let script = Script::default()
        .answer(SERVER, 401, "")
        .answer(RESOURCE, 200, &resource(SERVER, "https://as.example"))
        .answer(OAUTH, 200, &issuer("https://as.example/"));
    let found = run(&script, &OAuthTable::default()).unwrap();
    assert_eq!(found.issuer.issuer, "https://as.example/");
}

#[test]
fn the_policy_names_the_issuer() {
    let rules = OAuthTable {
        issuer: Some("https://real.example".to_owned()),
        ..OAuthTable::default()
    };
    let script = Script::default()
        .answer(SERVER, 401, "")
        .answer(RESOURCE, 200, &resource(SERVER, "https://as.example"))
        .answer(OAUTH, 200, &issuer("https://real.example"));
    assert_eq!(
        run(&script, &rules).unwrap().issuer.issuer,
        "https://real.example"
    );
    let script = Script::default()
        .answer(SERVER, 401, "")
        .answer(RESOURCE, 200, &resource(SERVER, "https://as.example"))
        .answer(OAUTH, 200, &issuer("https://as.example"));
    fails(&script, &rules);
}

#[test]
fn servers_of_2025_03_26() {
    let place = "https://mcp.example/.well-known/oauth-authorization-server";
    let script = Script::default().answer(SERVER, 401, "").answer(
        place,
        200,
        &issuer("https://mcp.example"),
    );
    let found = run(&script, &OAuthTable::default()).unwrap();
    assert_eq!(
        found.issuer.token_endpoint.as_deref(),
        Some("https://as.example/token")
    );
    assert_eq!(found.resource.as_deref(), Some(SERVER));
    let script = Script::default().answer(SERVER, 401, "");
    let found = run(&script, &OAuthTable::default()).unwrap();
    assert_eq!(
        found.issuer.token_endpoint.as_deref(),
        Some("https://mcp.example/token")
    );
    assert_eq!(
        found.issuer.authorization_endpoint.as_deref(),
        Some("https://mcp.example/authorize")
    );
}

#[test]
fn a_server_that_asks_for_no_token_needs_no_login() {
    let script = Script::default()
        .answer(SERVER, 200, "{}")
        .answer(SERVER, 200, "{}");
    let error = fails(&script, &OAuthTable::default());
    assert!(error.contains("answers without a token"), "{error}");
    // It may say later who grants one.
    let script = Script::default()
        .answer(SERVER, 200, "{}")
        .answer(SERVER, 200, "{}")
        .answer(RESOURCE, 200, &resource(SERVER, "https://as.example"))
        .answer(OAUTH, 200, &issuer("https://as.example"));
    run(&script, &OAuthTable::default()).unwrap();
}

#[test]
fn pkce_must_be_announced_or_assumed() {
    let plain = json!({
        "issuer": "https://as.example", "token_endpoint": "https://as.example/token",
        "code_challenge_methods_supported": ["plain"],
    });
    let script = || {
        Script::default()
            .answer(SERVER, 401, "")
            .answer(RESOURCE, 200, &resource(SERVER, "https://as.example"))
            .answer(OAUTH, 200, &plain.to_string())
    };
    assert!(fails(&script(), &OAuthTable::default()).contains("pkce"));
    let rules = OAuthTable {
        pkce: Pkce::Assume,
        resource: Some("omit".to_owned()),
        ..OAuthTable::default()
    };
    assert_eq!(run(&script(), &rules).unwrap().resource, None);
}

#[test]
fn faults_are_no_evidence() {
    let script = Script::default()
        .answer(SERVER, 401, "")
        .answer(RESOURCE, 503, "");
    let error = run(&script, &OAuthTable::default()).unwrap_err();
    assert_eq!(error.code, Code::OAuthUnreachable);
    let script = Script::default().silence(SERVER);
    assert_eq!(
        run(&script, &OAuthTable::default()).unwrap_err().code,
        Code::OAuthUnreachable
    );
}
