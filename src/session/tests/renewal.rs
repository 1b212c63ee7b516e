//! Renewals: what a new server gets, and what the client sees.

use serde_json::{Value, json};

use super::{Talk, line, meta, welcome};
use crate::session::FromServer;

fn methods(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message["method"].as_str().unwrap_or("-"))
        .collect()
}

/// Subscriptions, cancelled subscriptions and the log level are replayed exactly.
#[test]
fn the_state_of_the_session_is_repeated_exactly() {
    let mut talk = Talk::legacy();
    for (n, (method, params)) in [
        ("resources/subscribe", json!({"uri": "a"})),
        ("resources/subscribe", json!({"uri": "b"})),
        ("logging/setLevel", json!({"level": "debug"})),
        ("resources/unsubscribe", json!({"uri": "a"})),
        ("logging/setLevel", json!({"level": "error"})),
        ("resources/subscribe", json!({"uri": "c"})),
    ]
    .iter()
    .enumerate()
    {
        let number = n as u64 + 1;
        talk.ask(number, method, params);
        talk.answer(1, &json!(number), &json!({}));
    }
    let told = talk.bring_up(2, &welcome());
    assert_eq!(
        methods(&told),
        [
            "initialize",
            "notifications/initialized",
            "logging/setLevel",
            "resources/subscribe",
            "resources/subscribe"
        ]
    );
    assert_eq!(told[2]["params"]["level"], "error");
    assert_eq!(
        (&told[3]["params"]["uri"], &told[4]["params"]["uri"]),
        (&json!("b"), &json!("c"))
    );
    let (to_server, to_client) = talk.take_over(2);
    assert!(to_server.is_empty(), "{to_server:?}");
    assert_eq!(methods(&to_client), ["notifications/tools/list_changed"]);
}

#[test]
fn changes_during_the_start_of_a_new_server_reach_it() {
    let mut talk = Talk::legacy();
    talk.ask(1, "resources/subscribe", &json!({"uri": "old"}));
    talk.bring_up(2, &welcome());
    talk.ask(2, "resources/unsubscribe", &json!({"uri": "old"}));
    talk.ask(3, "resources/subscribe", &json!({"uri": "new"}));
    talk.ask(4, "logging/setLevel", &json!({"level": "info"}));
    for number in 1..=4 {
        talk.answer(1, &json!(number), &json!({}));
    }
    let (to_server, _) = talk.take_over(2);
    assert_eq!(
        methods(&to_server),
        [
            "logging/setLevel",
            "resources/subscribe",
            "resources/unsubscribe"
        ]
    );
    assert_eq!(to_server[2]["params"]["uri"], "old");
    for message in &to_server {
        assert!(
            message["id"]
                .as_str()
                .unwrap()
                .starts_with("mcpwrap-2-own-")
        );
        let answer = talk.answer(2, &message["id"], &json!({}));
        assert!(matches!(answer, FromServer::Internal(_)));
    }
}

#[test]
fn initialized_reaches_a_server_that_was_ready_before_it() {
    let mut talk = Talk::default();
    talk.ask(0, "initialize", &super::hello());
    talk.answer(1, &json!(0), &welcome());
    let told = talk.bring_up(2, &welcome());
    assert_eq!(methods(&told), ["initialize"]);
    talk.client(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let (to_server, _) = talk.take_over(2);
    assert_eq!(methods(&to_server), ["notifications/initialized"]);
}

#[test]
fn a_handshake_in_flight_goes_to_the_next_server() {
    let mut talk = Talk::default();
    talk.ask(0, "initialize", &super::hello());
    talk.0.nominate(2);
    assert!(talk.0.handshake(2).is_none());
    let (to_server, to_client) = talk.take_over(2);
    assert_eq!(
        (methods(&to_server), to_client.len()),
        (vec!["initialize"], 0)
    );
    assert_eq!(to_server[0]["id"], 0);
    assert_eq!(talk.answer(1, &json!(0), &welcome()), FromServer::Drop);
    talk.answer(2, &json!(0), &welcome());
    assert!(talk.0.is_established());
}

#[test]
fn open_requests_without_side_effects_are_repeated_and_calls_are_not() {
    let mut talk = Talk::legacy();
    let again = [
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "ping",
    ];
    let never = ["tools/call", "tasks/result", "something/else"];
    for (number, method) in again.iter().chain(&never).enumerate() {
        talk.ask(number as u64 + 10, method, &json!({}));
    }
    let (to_server, to_client) = talk.renew(2);
    assert_eq!(methods(&to_server), again);
    let failed: Vec<_> = to_client
        .iter()
        .filter(|m| m.get("error").is_some())
        .collect();
    assert_eq!(failed.len(), never.len());
    for error in failed {
        assert_eq!(error["error"]["code"], -32603);
        let data = &error["error"]["data"]["mcpwrap"];
        assert_eq!(
            (&data["code"], &data["outcome"]),
            (&json!("renewed"), &json!("unknown"))
        );
    }
}

#[test]
fn an_incompatible_server_does_not_take_over() {
    let case = |change: &dyn Fn(&mut Value), why: &str| {
        let mut talk = Talk::legacy();
        talk.0.nominate(2);
        talk.0.handshake(2).unwrap();
        let mut answer = json!({"jsonrpc": "2.0", "id": "mcpwrap-2-own-1", "result": welcome()});
        change(&mut answer);
        let judgement = talk.0.judge_handshake(&line(&answer));
        match why {
            "" => judgement.unwrap(),
            why => {
                let said = judgement.unwrap_err();
                assert!(said.contains(why) && !said.contains("ghp_x"), "{said}");
            }
        }
    };
    case(&|_| (), "");
    case(&|a| a["result"]["capabilities"]["prompts"] = json!({}), "");
    let refused = |data: Value| json!({"code": -32603, "message": "no", "data": data});
    let change = |a: &mut Value, data: Value| {
        *a = json!({"jsonrpc": "2.0", "id": a["id"], "error": refused(data)});
    };
    case(
        &|a| change(a, json!({"mcpwrap": {"code": "remote-refused"}})),
        "with error -32603 (`remote-refused`)",
    );
    case(
        &|a| change(a, json!({"mcpwrap": {"code": "ghp_x"}})),
        "with error -32603",
    );
    case(
        &|a| a["result"]["protocolVersion"] = json!("2024-11-05"),
        "2024-11-05",
    );
    case(
        &|a| {
            drop(
                a["result"]["capabilities"]
                    .as_object_mut()
                    .unwrap()
                    .remove("logging"),
            );
        },
        "logging",
    );
    case(
        &|a| a["result"]["capabilities"]["tools"]["listChanged"] = json!(false),
        "tools.listChanged",
    );
    case(&|a| a["result"] = json!({}), "is invalid");
    case(
        &|a| *a = json!({"id": 1, "error": {"code": -32603, "message": "bad credential"}}),
        "-32603",
    );
    let mut talk = Talk::modern();
    talk.0.handshake(2).unwrap();
    let other = json!({"id": 1, "result": {"supportedVersions": ["2027-01-01"]}});
    assert!(talk.0.judge_handshake(&line(&other)).is_err());
    let same = json!({"id": 1, "result": {"supportedVersions": ["2027-01-01", "2026-07-28"]}});
    talk.0.judge_handshake(&line(&same)).unwrap();
}

/// The acknowledgement is dropped once and the subscription ID stays.
#[test]
fn an_open_listen_is_opened_again_and_acknowledged_once() {
    let mut talk = Talk::modern();
    let wishes = json!({"_meta": meta(), "notifications": {"toolsListChanged": true}});
    talk.ask(7, "subscriptions/listen", &wishes);
    let acknowledged = json!({
        "method": "notifications/subscriptions/acknowledged",
        "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": 7}},
    });
    assert_eq!(talk.server(1, &acknowledged), FromServer::Forward);
    // It stays open by design, so the drain does not wait for it.
    assert!(talk.0.is_drained());
    let (to_server, to_client) = talk.take_over_modern(2);
    assert_eq!(to_server[0]["id"], 7);
    assert_eq!(to_server[0]["params"], wishes);
    assert_eq!(methods(&to_client), ["notifications/tools/list_changed"]);
    let meta = &to_client[0]["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/subscriptionId"], 7);
    assert_eq!(talk.server(2, &acknowledged), FromServer::Drop);
    assert_eq!(talk.server(2, &acknowledged), FromServer::Forward);
    // A finished one is not opened again.
    talk.answer(2, &json!(7), &json!({}));
    let (to_server, to_client) = talk.take_over_modern(3);
    assert!(to_server.is_empty() && to_client.is_empty());
}

#[test]
fn a_dropped_candidate_leaves_no_trace() {
    let mut talk = Talk::legacy();
    talk.0.nominate(2);
    talk.0.handshake(2).unwrap();
    assert!(!talk.0.is_replayed(2));
    talk.0.abandon(2);
    assert!(talk.0.is_replayed(2));
    let asks = json!({"jsonrpc": "2.0", "id": 0, "method": "roots/list"});
    assert_eq!(talk.server(2, &asks), FromServer::Drop);
    let (_, to_client) = talk.renew(3);
    assert_eq!(methods(&to_client), ["notifications/tools/list_changed"]);
}

impl Talk {
    fn take_over_modern(&mut self, generation: u32) -> (Vec<Value>, Vec<Value>) {
        self.bring_up(generation, &json!({"supportedVersions": ["2026-07-28"]}));
        self.take_over(generation)
    }
}
