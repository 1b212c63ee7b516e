//! Lines with several messages.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Talk, line, messages, trouble};
use crate::session::envelope::Scanner;
use crate::session::{FromClient, FromServer};

fn request(id: u64, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"name": "x"}})
}

fn result(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {}})
}

#[test]
fn each_request_of_a_batch_fails_with_its_server() {
    let mut talk = Talk::legacy();
    let batch = json!([
        request(7, "tools/call"),
        {"jsonrpc": "2.0", "method": "notifications/x"},
        request(8, "tools/list"),
        request(9, "tools/call"),
    ]);
    assert_eq!(talk.client(&batch), FromClient::Forward);
    assert!(!talk.0.is_drained());
    let FromServer::Batch {
        line: None,
        answered,
    } = talk.server(1, &json!([result(8)]))
    else {
        panic!("a batch that passes as it came");
    };
    assert_eq!(answered[0].method, "tools/list");
    let errors = messages(&talk.0.fail_pending(&trouble(), &HashSet::new()));
    let ids: Vec<_> = errors.iter().map(|error| error["id"].clone()).collect();
    assert_eq!(ids, [json!(7), json!(9)]);
    assert!(talk.0.is_drained());
}

#[test]
fn a_batch_may_be_answered_one_by_one() {
    let mut talk = Talk::legacy();
    talk.client(&json!([request(7, "tools/call"), request(8, "tools/call")]));
    for id in [7, 8] {
        assert!(matches!(
            talk.server(1, &result(id)),
            FromServer::Answers(_)
        ));
    }
    assert!(talk.0.is_drained());
}

#[test]
fn ids_in_batches_are_rewritten_per_generation() {
    let mut talk = Talk::legacy();
    talk.renew(2);
    let asked = talk.server(2, &json!([request(0, "roots/list"), result(99)]));
    let FromServer::Batch {
        line: Some(shown), ..
    } = asked
    else {
        panic!("{asked:?}");
    };
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let id = shown[0]["id"].clone();
    assert_ne!(id, 0);
    assert_eq!(shown[1], result(99));
    assert!(talk.0.rewrites_answers());
    // The second one is a late answer to the server that is gone.
    let answers = json!([{"jsonrpc": "2.0", "id": id, "result": {}}, result(0)]);
    let FromClient::Replace(told) = talk.client(&answers) else {
        panic!("its id is the server's own");
    };
    assert_eq!(told, line(&json!([result(0)])));
    assert_eq!(talk.client(&json!([result(0)])), FromClient::Drop);
    assert!(!talk.0.rewrites_answers());
}

#[test]
fn a_batch_of_a_replaced_server_is_dropped() {
    let mut talk = Talk::legacy();
    talk.renew(2);
    assert_eq!(talk.server(1, &json!([result(1)])), FromServer::Drop);
}

#[test]
fn a_batch_without_a_server_is_answered_as_a_batch() {
    let mut talk = Talk::legacy();
    let mut answer = |batch: &Value| {
        let bytes = line(batch);
        let envelope = Scanner::scan(&bytes);
        talk.0
            .answer_suspended(&envelope, Some(&bytes), &trouble(), false)
    };
    let answers = answer(&json!([request(1, "ping"), request(2, "tools/list")])).unwrap();
    let answers: Value = serde_json::from_slice(&answers).unwrap();
    assert_eq!(answers[0], result(1));
    assert_eq!(answers[1]["error"]["data"]["mcpwrap"]["code"], "revoked");
    assert_eq!(answer(&json!([{"jsonrpc": "2.0", "method": "x"}])), None);
    assert_eq!(answer(&json!([])), None);
}
