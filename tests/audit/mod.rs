//! The audit log: its content, its queries, and its behaviour on faults.

mod anchors;
mod export;
pub(crate) mod faults;
mod questions;
mod samples;
mod sinks;
mod verify;

use mcpwrap::testing::audit::{ChainKey, User};
use mcpwrap::testing::audit::{Detail, Event, Hash, Log, Record};

use crate::harness::{Ended, Test, golden};

/// Writes one record of each event into the log of a test, as another mcpwrap would.
fn write_samples(test: &Test) {
    let log = Log::at(test.root().join("state/audit"), String::new(), None).unwrap();
    for event in Event::ALL {
        log.append(&[samples::sample(*event)]).unwrap();
    }
}

/// Expects that the log is intact up to its end, whose head is known, as to a user who stored it elsewhere.
#[track_caller]
pub(crate) fn verify_intact(test: &Test) -> Ended {
    let head = test.ok(&["log", "head"]).text().trim().to_owned();
    let ended = test.cli(&["log", "verify", "--head", &head]);
    assert_eq!(ended.code, 0, "{ended}");
    ended
}

/// One golden line per event. The chain starts again for each.
#[test]
fn each_event_has_its_line() {
    let time = "2026-11-23T14:03:05.123456Z".parse().unwrap();
    let user = User {
        id: 1000,
        name: Some("ana".to_owned()),
    };
    for event in Event::ALL {
        let record = Record::new(&samples::sample(*event), 42, time, &user, Hash::START);
        let (line, _) = record.line(Some(&ChainKey::new(&samples::keys()))).unwrap();
        let text = String::from_utf8(line).unwrap() + "\n";
        golden::check(&format!("audit/{event}.jsonl"), &text);
    }
}

/// A release has a second form, which other code writes: a secret goes back into a client config.
#[test]
fn a_release_by_undo_has_its_line() {
    let record = |entry| {
        let time = "2026-11-23T14:03:05.123456Z".parse().unwrap();
        Record::new(
            &entry,
            42,
            time,
            &User {
                id: 1000,
                name: None,
            },
            Hash::START,
        )
    };
    let (line, _) = record(samples::release_by_undo())
        .line(Some(&ChainKey::new(&samples::keys())))
        .unwrap();
    let text = String::from_utf8(line).unwrap() + "\n";
    golden::check("audit/release-undo.jsonl", &text);
}

#[test]
fn the_document_has_every_event_and_field() {
    let document = std::fs::read_to_string(golden::path("../../docs/audit.md")).unwrap();
    let row = |name: &str| document.contains(&format!("| `{name}` |"));
    for event in Event::ALL {
        assert!(row(event.name()), "{event}");
        assert!(
            document.contains(event.meaning()),
            "{event}: {}",
            event.meaning()
        );
    }
    let full = Detail {
        program: Some(String::new()),
        path: Some(String::new()),
        digest: Some(String::new()),
        pid: Some(1),
        started: Some(1),
        generation: Some(1),
        fence: Some(String::new()),
        group: Some(true),
        mark: Some(String::new()),
        supervisor: Some(1),
        supervisor_started: Some(1),
        to: Some(String::new()),
        code: Some(1),
        signal: Some(1),
        duration_ms: Some(1),
        by: Some(String::new()),
        agent: Some(String::new()),
        note: Some(String::new()),
        file: Some(String::new()),
        package: Some(String::new()),
        method: Some(String::new()),
        tool: Some(String::new()),
        id: Some(String::new()),
        error: Some(1),
        records: Some(1),
        bytes: Some(1),
        first: Some(1),
        last: Some(1),
        hash: Some(String::new()),
        host: Some(String::new()),
    };
    let details = serde_json::to_value(full).unwrap();
    for name in details.as_object().unwrap().keys() {
        assert!(row(&format!("detail.{name}")), "detail.{name}");
    }
    for name in [
        "v", "seq", "time", "event", "server", "run", "policy", "profile", "client", "uid", "user",
        "secret", "outcome", "reason", "detail", "prev", "mac",
    ] {
        assert!(row(name), "{name}");
    }
}

/// End to end: a real supervisor writes, and the queries read.
#[test]
fn a_session_is_found_by_all_three_queries() {
    use crate::harness::{TOKEN, slot};
    let test = Test::new();
    test.secret("github/token", TOKEN);
    test.serve("github", &[], &slot("GITHUB_TOKEN", "github/token"));
    let mut run = test.run("github");
    run.initialize();
    run.call("echo", &serde_json::json!({ "text": "hello" }));
    let has = || -> serde_json::Value {
        test.ok(&["log", "who-has", "github/token", "--json"])
            .json()
    };
    let begin = std::time::Instant::now();
    let mut calls = Vec::new();
    while calls.is_empty() && begin.elapsed() < crate::harness::DEADLINE {
        calls = test.ok(&["log", "calls", "--since", "1h", "--json"]).stdout;
    }
    assert!(String::from_utf8_lossy(&calls).contains("\"tool\":\"echo\""));
    let holder = has()["now"][0].clone();
    assert_eq!(
        (&holder["server"], &holder["old"]),
        (&"github".into(), &false.into())
    );
    let uses: serde_json::Value = test
        .ok(&["log", "secrets", "--since", "24h", "--json"])
        .json();
    assert_eq!(uses[0]["times"], 1);
    run.finish();
    assert_eq!(has()["now"], serde_json::Value::Array(Vec::new()));
    let ended = verify_intact(&test);
    assert!(ended.text().contains("the log is intact"), "{ended}");
}
