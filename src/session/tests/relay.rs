//! IDs and answers in both directions, across generations.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Talk, id, line, messages, trouble};
use crate::session::answer::STATUS_TOOL;
use crate::session::envelope::{Id, Scanner};
use crate::session::{FromClient, FromServer};

fn asks(number: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": number, "method": "roots/list"})
}

fn answers(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"roots": []}})
}

fn sent_instead(verdict: FromServer) -> Value {
    match verdict {
        FromServer::Replace(line) => messages(&line).remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_names_its_request() {
    let mut talk = Talk::legacy();
    talk.ask(1, "tools/call", &json!({"name": "search"}));
    let FromServer::Answers(answered) = talk.answer(1, &json!(1), &json!({"isError": true})) else {
        panic!("no answer");
    };
    assert_eq!(
        (answered.method.as_str(), answered.tool.as_deref()),
        ("tools/call", Some("search"))
    );
    assert!(answered.tool_error && answered.error.is_none());
    // The server handles a second answer itself.
    assert_eq!(talk.answer(1, &json!(1), &json!({})), FromServer::Forward);
}

/// Two servers that both use ID 0 are not mixed up.
#[test]
fn both_servers_ask_under_id_0_and_no_answer_is_mixed_up() {
    let mut talk = Talk::legacy();
    assert_eq!(talk.server(1, &asks(0)), FromServer::Forward);
    let told = talk.bring_up(2, &super::welcome());
    assert_eq!(told.len(), 2, "{told:?}");
    let shown = sent_instead(talk.server(2, &asks(0)));
    assert!(shown["id"].as_str().unwrap().starts_with("mcpwrap-2-"));
    let (_, to_client) = talk.take_over(2);
    assert_eq!(to_client[0]["method"], "notifications/cancelled");
    assert_eq!(to_client[0]["params"]["requestId"], 0);
    // A late answer is dropped.
    assert_eq!(talk.client(&answers(&json!(0))), FromClient::Drop);
    let FromClient::Replace(sent) = talk.client(&answers(&shown["id"])) else {
        panic!("not passed on");
    };
    assert_eq!(messages(&sent)[0]["id"], 0);
}

#[test]
fn the_type_of_a_servers_id_is_restored() {
    let mut talk = Talk::legacy();
    talk.renew(2);
    for written in [json!(7), json!("7"), json!(-1), json!("a\"b")] {
        let request = json!({"id": written, "jsonrpc": "2.0", "method": "sampling/createMessage"});
        let shown = sent_instead(talk.server(2, &request));
        let FromClient::Replace(sent) = talk.client(&answers(&shown["id"])) else {
            panic!("not passed on");
        };
        assert_eq!(messages(&sent)[0]["id"], written);
    }
}

#[test]
fn a_server_can_cancel_its_request() {
    let mut talk = Talk::legacy();
    talk.renew(2);
    let shown = sent_instead(talk.server(2, &asks(3)));
    let back =
        json!({"method": "notifications/cancelled", "params": {"reason": "x", "requestId": 3}});
    let cancelled = sent_instead(talk.server(2, &back));
    assert_eq!(cancelled["params"]["requestId"], shown["id"]);
    assert_eq!(cancelled["params"]["reason"], "x");
    // The answer is no longer expected, and a cancellation of nothing is dropped.
    assert_eq!(talk.client(&answers(&shown["id"])), FromClient::Drop);
    assert_eq!(talk.server(2, &back), FromServer::Drop);
}

#[test]
fn lines_of_a_former_generation_are_dropped() {
    let mut talk = Talk::legacy();
    talk.ask(1, "tools/call", &json!({"name": "long"}));
    talk.renew(2);
    let progress =
        json!({"method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}});
    for late in [answers(&json!(1)), progress, asks(9)] {
        assert_eq!(talk.server(1, &late), FromServer::Drop, "{late}");
    }
    let cancel = json!({"method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(talk.client(&cancel), FromClient::Drop);
    talk.ask(2, "tools/call", &json!({"name": "long"}));
    let cancel = json!({"method": "notifications/cancelled", "params": {"requestId": 2}});
    assert_eq!(talk.client(&cancel), FromClient::Forward);
}

#[test]
fn a_late_answer_of_the_old_server_does_not_answer_the_repeated_request() {
    let mut talk = Talk::legacy();
    talk.ask(1, "tools/list", &json!({}));
    let (to_server, to_client) = talk.renew(2);
    assert_eq!(to_server[0]["id"], 1);
    assert!(to_client.iter().all(|message| message["id"].is_null()));
    assert_eq!(talk.answer(1, &json!(1), &json!({})), FromServer::Drop);
    assert!(!talk.0.is_drained());
    assert!(matches!(
        talk.answer(2, &json!(1), &json!({})),
        FromServer::Answers(_)
    ));
}

#[test]
fn a_candidate_answers_only_mcpwrap() {
    let mut talk = Talk::legacy();
    talk.ask(1, "tools/call", &json!({"name": "t"}));
    talk.bring_up(2, &super::welcome());
    assert_eq!(talk.answer(2, &json!(1), &json!({})), FromServer::Drop);
    assert!(matches!(
        talk.answer(1, &json!(1), &json!({})),
        FromServer::Answers(_)
    ));
}

#[test]
fn while_a_server_drains_answers_pass_and_requests_wait() {
    let mut talk = Talk::legacy();
    talk.ask(1, "tools/call", &json!({"name": "asks"}));
    talk.server(1, &asks(0));
    let passes = |message: Value| {
        let line = line(&message);
        talk.0.is_for_current(&Scanner::scan(&line), &line)
    };
    assert!(passes(answers(&json!(0))));
    assert!(passes(
        json!({"method": "notifications/cancelled", "params": {"requestId": 1}})
    ));
    assert!(!passes(
        json!({"method": "notifications/cancelled", "params": {"requestId": 2}})
    ));
    assert!(!passes(json!({"id": 2, "method": "tools/list"})));
    assert!(!passes(json!({"method": "notifications/initialized"})));
}

#[test]
fn open_requests_fail_in_the_order_of_arrival() {
    let mut talk = Talk::legacy();
    for number in 1..=100 {
        talk.ask(number, "tools/call", &json!({"name": "t"}));
    }
    talk.server(1, &asks(5));
    let refused = HashSet::from([Id::new(b"7")]);
    let failed = messages(&talk.0.fail_pending(&trouble(), &refused));
    assert_eq!(failed[0]["params"]["requestId"], 5);
    let order: Vec<_> = failed[1..]
        .iter()
        .map(|m| m["id"].as_u64().unwrap())
        .collect();
    assert_eq!(order, (1..=100).collect::<Vec<_>>());
    assert_eq!(failed[1]["error"]["data"]["mcpwrap"]["outcome"], "unknown");
    assert_eq!(
        failed[7]["error"]["data"]["mcpwrap"]["outcome"],
        Value::Null
    );
    assert!(talk.0.is_drained());
}

#[test]
fn a_late_answer_to_a_failed_request_is_dropped() {
    let mut talk = Talk::legacy();
    talk.ask(1, "tools/call", &json!({"name": "t"}));
    assert_eq!(
        messages(&talk.0.fail_pending(&trouble(), &HashSet::new())).len(),
        1
    );
    assert!(matches!(
        talk.server(1, &answers(&json!(1))),
        FromServer::Drop
    ));
    talk.bring_up(2, &super::welcome());
    talk.take_over(2);
    talk.ask(2, "tools/call", &json!({"name": "t"}));
    assert!(!matches!(
        talk.server(2, &answers(&json!(2))),
        FromServer::Drop
    ));
}

#[test]
fn a_crash_does_not_affect_a_candidate() {
    let mut talk = Talk::legacy();
    talk.bring_up(2, &super::welcome());
    let shown = sent_instead(talk.server(2, &asks(0)));
    assert!(talk.0.fail_pending(&trouble(), &HashSet::new()).is_empty());
    talk.take_over(2);
    assert!(matches!(
        talk.client(&answers(&shown["id"])),
        FromClient::Replace(_)
    ));
}

fn suspended(talk: &mut Talk, message: &Value, stub: bool) -> Option<Value> {
    let line = line(message);
    let answer = talk
        .0
        .answer_suspended(&Scanner::scan(&line), Some(&line), &trouble(), stub);
    answer.map(|line| messages(&line).remove(0))
}

#[test]
fn without_a_server_requests_get_the_error_and_ping_is_answered() {
    let mut talk = Talk::legacy();
    let ask = |method: &str| json!({"jsonrpc": "2.0", "id": "q", "method": method});
    let pong = suspended(&mut talk, &ask("ping"), false).unwrap();
    assert_eq!(pong, json!({"jsonrpc": "2.0", "id": "q", "result": {}}));
    let error = suspended(&mut talk, &ask("tools/call"), false).unwrap();
    assert_eq!(error["error"]["code"], -32603);
    assert_eq!(
        error["error"]["data"]["mcpwrap"],
        json!({"code": "revoked", "server": "x"})
    );
    let note = json!({"method": "notifications/cancelled", "params": {"requestId": 1}});
    assert!(suspended(&mut talk, &note, false).is_none());
    assert!(suspended(&mut talk, &answers(&json!(1)), false).is_none());
}

#[test]
fn any_server_may_follow_the_replacement_server() {
    let mut talk = Talk::default();
    let hello =
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": super::hello()});
    let answer = suspended(&mut talk, &hello, true).unwrap();
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert!(suspended(&mut talk, &ready, true).is_none());
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let listed = suspended(&mut talk, &call, true).unwrap();
    assert_eq!(listed["result"]["tools"][0]["name"], STATUS_TOOL);

    // A server without `listChanged`, and of another version.
    let plain = json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}});
    let told = talk.bring_up(2, &plain);
    assert_eq!(told[1]["method"], "notifications/initialized");
    let (_, to_client) = talk.take_over(2);
    assert_eq!(to_client[0]["method"], "notifications/tools/list_changed");
    talk.bring_up(3, &plain);
    talk.take_over(3);
}

#[test]
fn ids_of_any_kind_are_kept_apart() {
    let mut talk = Talk::legacy();
    for (n, written) in [json!(1), json!("1"), json!(1.5)].iter().enumerate() {
        let request = json!({"jsonrpc": "2.0", "id": written, "method": "tools/call", "params": {"name": n.to_string()}});
        talk.client(&request);
        assert!(talk.0.is_open(&id(written)));
    }
    let FromServer::Answers(answered) = talk.answer(1, &json!("1"), &json!({})) else {
        panic!("no answer");
    };
    assert_eq!(answered.tool.as_deref(), Some("1"));
}
