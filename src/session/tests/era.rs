//! Detection of the client's era.

use serde_json::json;

use super::{Talk, hello, meta};
use crate::session::{Era, FromServer};

#[test]
fn the_first_message_decides_the_era() {
    let legacy = Talk::legacy();
    assert_eq!(legacy.0.era(), Some(Era::Legacy));
    assert_eq!(legacy.0.client().name.as_deref(), Some("c"));
    let modern = Talk::modern();
    assert_eq!(modern.0.era(), Some(Era::Modern));
    assert_eq!(modern.0.client().version.as_deref(), Some("2"));
    let mut unknown = Talk::default();
    unknown.ask(1, "ping", &json!({}));
    assert_eq!(unknown.0.era(), None);
}

#[test]
fn a_client_falls_back_to_legacy_after_a_modern_error() {
    let mut talk = Talk::default();
    talk.ask(0, "server/discover", &json!({"_meta": meta()}));
    let refusal = json!({"jsonrpc": "2.0", "id": 0, "error": {"code": -32601, "message": "no"}});
    assert!(matches!(talk.server(1, &refusal), FromServer::Answers(_)));
    assert_eq!(talk.0.era(), None);
    talk.ask(1, "initialize", &hello());
    assert_eq!(talk.0.era(), Some(Era::Legacy));
}

#[test]
fn an_unanswered_modern_probe_is_not_sent_to_a_legacy_server() {
    let mut talk = Talk::default();
    talk.ask(0, "server/discover", &json!({"_meta": meta()}));
    talk.ask(1, "initialize", &hello());
    talk.answer(1, &json!(1), &super::welcome());
    assert!(talk.0.is_drained());
    let (to_server, _) = talk.renew(2);
    assert!(
        to_server.iter().all(|m| m["method"] != "server/discover"),
        "{to_server:?}"
    );
}

#[test]
fn a_meta_in_a_legacy_session_changes_nothing() {
    let mut talk = Talk::legacy();
    talk.ask(
        1,
        "tools/call",
        &json!({"name": "t", "_meta": {"progressToken": 1}}),
    );
    talk.ask(2, "tools/list", &json!({"_meta": meta()}));
    assert_eq!(talk.0.era(), Some(Era::Legacy));
}

#[test]
fn the_probe_uses_the_era_of_the_client() {
    for (mut talk, method) in [
        (Talk::legacy(), "initialize"),
        (Talk::modern(), "server/discover"),
    ] {
        let first = talk.0.handshake(2).unwrap();
        let first = super::messages(&first).remove(0);
        assert_eq!(first["method"], method);
        assert!(first["id"].as_str().unwrap().starts_with("mcpwrap-2-own-"));
        if method == "initialize" {
            assert_eq!(first["params"], hello());
        } else {
            assert_eq!(first["params"]["_meta"], meta());
        }
    }
}

#[test]
fn an_unanswered_handshake_is_not_repeated() {
    let mut talk = Talk::default();
    assert!(talk.0.handshake(2).is_none());
    talk.ask(0, "initialize", &hello());
    assert!(talk.0.handshake(2).is_none());
    let mut talk = Talk::default();
    talk.ask(0, "server/discover", &json!({"_meta": meta()}));
    assert!(talk.0.handshake(2).is_none());
    assert!(!talk.0.is_established());
}
