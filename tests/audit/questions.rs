//! `mcpwrap log` and its queries.

use serde_json::Value;

use super::write_samples;
use crate::harness::Test;

fn lines(test: &Test, args: &[&str]) -> Vec<Value> {
    let mut all = vec!["log"];
    all.extend(args);
    let text = test.ok(&all).stdout;
    String::from_utf8(text)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn events(test: &Test, args: &[&str]) -> Vec<String> {
    let events = lines(test, args).into_iter();
    events
        .map(|record| record["event"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn records_are_found_by_what_they_are_about() {
    let test = Test::new();
    write_samples(&test);
    let case = |args: &[&str], expected: &[&str]| {
        let mut all = vec!["--json"];
        all.extend(args);
        assert_eq!(events(&test, &all), expected, "{args:?}");
    };
    case(&["--event", "pin"], &["pin"]);
    case(
        &["--secret", "github/token"],
        &[
            "inject",
            "release",
            "secret-set",
            "secret-rotate",
            "secret-rm",
        ],
    );
    case(&["--secret", "github/toke"], &[]);
    let run = [
        "launch", "inject", "refuse", "exit", "suspend", "renew", "mint", "call",
    ];
    case(&["--run", "00f1e2"], &run);
    case(&["--client", "claude-code"], &run);
    case(&["--client", "node"], &run);
    case(&["--client", "cursor"], &["adopt", "undo"]);
    case(&["--server", "github", "--event", "call"], &["call"]);
    case(&["--server", "gitlab"], &[]);
    case(&["--since", "1h", "--event", "log"], &["log"]);
    case(&["--until", "1h"], &[]);
    case(&["--since", "2020-01-01Z", "--until", "2020-01-02Z"], &[]);
}

#[test]
fn the_table_is_readable() {
    let test = Test::new();
    write_samples(&test);
    let shown = test.ok(&["log"]);
    let text = shown.text();
    assert!(text.starts_with("TIME "), "{text}");
    assert!(
        text.contains("tools/call create_issue error -32603"),
        "{text}"
    );
    assert!(
        text.contains("github/token as GITHUB_PERSONAL_ACCESS_TOKEN"),
        "{text}"
    );
    assert_eq!(
        text.lines().count(),
        1 + mcpwrap::testing::audit::Event::ALL.len()
    );
}

/// Names with control characters.
#[test]
fn external_text_cannot_control_the_terminal() {
    use mcpwrap::testing::audit::{ClientIdentity, Event, Log, NewRecord, Outcome};
    let test = Test::new();
    let log = Log::at(test.root().join("state/audit"), String::new(), None).unwrap();
    let client = ClientIdentity {
        name: Some("a\u{1b}[2J\n{\"v\":1}\u{9b}\u{202e}".to_owned()),
        ..ClientIdentity::default()
    };
    log.append(&[NewRecord::new(Event::Call, Outcome::Ok).client(&client)])
        .unwrap();
    for args in [
        &["log"][..],
        &["log", "--json"],
        &["log", "export", "--format", "ocsf"],
    ] {
        let shown = test.ok(args).stdout;
        let text = String::from_utf8(shown).unwrap();
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{args:?}: {text}"
        );
        assert!(
            args.len() == 4 || !text.contains('\u{202e}'),
            "{args:?}: {text}"
        );
    }
    assert_eq!(lines(&test, &["--json"]).len(), 1);
}

#[test]
fn which_secrets_were_used_and_who_has_them() {
    let test = Test::new();
    write_samples(&test);
    let uses: Value = test
        .ok(&["log", "secrets", "--since", "24h", "--json"])
        .json();
    assert_eq!(uses[0]["secret"], "github/token");
    assert_eq!(
        (&uses[0]["server"], &uses[0]["times"]),
        (&"github".into(), &2.into()),
        "an injection and a release"
    );
    let shown = test.ok(&["log", "secrets"]);
    assert!(shown.text().contains("github/token"), "{shown}");

    let answer: Value = test
        .ok(&["log", "who-has", "github/token", "--json"])
        .json();
    assert_eq!(answer["ever"][0]["server"], "github");
    assert_eq!(answer["released"][0]["reason"], "probe");
    assert_eq!(answer["released"][0]["to"], "api.github.com");
    let shown = test.ok(&["log", "who-has", "github/token"]);
    assert!(
        shown.text().contains("released without a server:"),
        "{shown}"
    );
    assert!(shown.text().contains("api.github.com"), "{shown}");
    assert_eq!(answer["now"], Value::Array(Vec::new()), "its run has ended");
    assert_eq!(test.cli(&["log", "who-has", "github/other"]).code, 1);
}

/// A server that was started with a value still has it after a rotation.
#[test]
fn an_old_value_still_in_use_is_seen() {
    use mcpwrap::testing::audit::{Detail, Event, Log, NewRecord, Outcome, RunId, SecretUse};
    use mcpwrap::testing::secret::{Secret, ServerName};
    let test = Test::new();
    let log = Log::at(test.root().join("state/audit"), String::new(), None).unwrap();
    let print = |value: &str| super::samples::keys().fingerprint(&Secret::new(value.into()));
    let secret = |value| SecretUse {
        name: "db/url".parse().unwrap(),
        variable: None,
        fingerprint: Some(print(value)),
    };
    let server = ServerName::new("db").unwrap();
    let entry = |event, run: &RunId, (pid, started)| {
        let detail = Detail {
            pid,
            started,
            generation: Some(1),
            ..Detail::default()
        };
        NewRecord::new(event, Outcome::Ok)
            .server(&server)
            .run(run)
            .detail(detail)
    };
    let (old, new) = (RunId::random().unwrap(), RunId::random().unwrap());
    // The PID of this process, so that the server counts as running.
    let own = i32::try_from(std::process::id()).unwrap();
    let started = mcpwrap::testing::sys::started(own);
    let pid = (Some(std::process::id()), started);
    // A former server with the PID of this process, whose exit was not logged.
    let lost = RunId::random().unwrap();
    let other = (pid.0, started.map(|started| started - 1));
    log.append(&[
        entry(Event::Inject, &lost, (None, None)).secret(secret("value-one")),
        entry(Event::Launch, &lost, other),
        entry(Event::Inject, &old, (None, None)).secret(secret("value-one")),
        entry(Event::Launch, &old, pid),
        NewRecord::new(Event::SecretRotate, Outcome::Ok).secret(secret("value-two")),
        entry(Event::Inject, &new, (None, None)).secret(secret("value-two")),
        entry(Event::Launch, &new, pid),
    ])
    .unwrap();
    let answer = || -> Value { test.ok(&["log", "who-has", "db/url", "--json"]).json() };
    let holders = answer()["now"].as_array().unwrap().clone();
    let is_old = |run: &RunId| {
        holders
            .iter()
            .find(|holder| holder["run"] == run.as_str())
            .unwrap()["old"]
            == true
    };
    assert_eq!((is_old(&old), is_old(&new)), (true, false));
    assert_eq!(holders.len(), 2, "{holders:#?}");
    log.append(&[entry(Event::Exit, &old, pid)]).unwrap();
    assert_eq!(answer()["now"].as_array().unwrap().len(), 1);
    // A start in progress counts, a failed one does not.
    let third = RunId::random().unwrap();
    let begun = entry(Event::Inject, &third, (None, None)).secret(secret("value-two"));
    let suspended = entry(Event::Suspend, &third, (None, None));
    log.append(&[suspended.clone(), begun]).unwrap();
    assert_eq!(answer()["now"].as_array().unwrap().len(), 2);
    log.append(&[suspended]).unwrap();
    assert_eq!(answer()["now"].as_array().unwrap().len(), 1);
}

#[test]
fn which_server_made_the_call_at_a_time() {
    use mcpwrap::testing::audit::{Detail, Event, Log, NewRecord, Outcome};
    let test = Test::new();
    test.set("TZ", "Etc/GMT-2");
    let log = Log::at(test.root().join("state/audit"), String::new(), None).unwrap();
    let call = |server: &str, answered: &str, duration_ms| {
        let detail = Detail {
            method: Some("tools/call".to_owned()),
            tool: Some("query".to_owned()),
            duration_ms: Some(duration_ms),
            ..Detail::default()
        };
        let mut entry = NewRecord::new(Event::Call, Outcome::Ok)
            .server(&server.parse().unwrap())
            .detail(detail);
        entry.at = Some(answered.parse().unwrap());
        entry
    };
    let day = jiff::Timestamp::now()
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .date();
    let at = |time: &str| format!("{day}T{time}Z");
    log.append(&[
        call("early", &at("12:02:59"), 100),
        call("exact", &at("12:03:30"), 100),
        call("long", &at("12:10:00"), 600_000),
        call("late", &at("12:04:00"), 100),
    ])
    .unwrap();
    let servers = |when: &str| -> Vec<String> {
        let found = lines(&test, &["calls", "--json", "--at", when]).into_iter();
        found
            .map(|record| record["server"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(servers(&format!("{day} 14:03")), ["exact", "long", "late"]);
    assert_eq!(servers(&format!("{day} 12:03:30Z")), ["exact", "long"]);
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let test = Test::new();
    for _ in 0..200 {
        write_samples(&test);
    }
    let mut command = test.command(test.program());
    let mut child = command
        .args(["log"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(
        ended.status.success() && ended.stderr.is_empty(),
        "{ended:?}"
    );
}

#[test]
fn new_records_are_followed() {
    let test = Test::new();
    write_samples(&test);
    let mut run = test.start(
        test.command(test.program())
            .args(["log", "--follow", "--json", "--event", "call"]),
    );
    let first = run.message();
    assert_eq!(first["event"], "call");
    write_samples(&test);
    let next = run.message();
    assert!(next["seq"].as_u64() > first["seq"].as_u64(), "{next}");
    // Like logrotate.
    let dir = test.root().join("state/audit");
    for entry in std::fs::read_dir(&dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.extension().is_some_and(|kind| kind == "jsonl") {
            std::fs::rename(&path, path.with_extension("jsonl.1")).unwrap();
        }
    }
    write_samples(&test);
    let third = run.message();
    assert!(third["seq"].as_u64() > next["seq"].as_u64(), "{third}");
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.end();
}

#[test]
fn an_external_head_is_compared() {
    let test = Test::new();
    test.init();
    write_samples(&test);
    let head = test.ok(&["log", "head"]).text().trim().to_owned();
    test.ok(&["log", "verify", "--head", &head]);
    let (start, last) = head.split_at(head.len() - 1);
    let other = format!("{start}{}", if last == "0" { '1' } else { '0' });
    let ended = test.cli(&["log", "verify", "--head", &other]);
    assert_eq!(ended.code, 1, "{ended}");
    let wrong = test.cli(&["log", "verify", "--head", "nonsense"]);
    assert_eq!(wrong.code, 2, "{wrong}");
}

#[test]
fn on_a_terminal_a_pager_shows_the_table() {
    let test = Test::new();
    write_samples(&test);
    test.set("PAGER", "sed s/^/PAGED:/");
    let mut terminal = test.terminal(&["log"]);
    terminal.expect("PAGED:TIME");
    terminal.expect("create_issue");
    assert_eq!(terminal.end().0, 0);
    // Not if the output is a pipe.
    assert!(!test.ok(&["log"]).text().contains("PAGED"));
}

/// mcpwrap is killed between the record and the start.
#[test]
fn a_launch_that_never_started_is_shown_as_such() {
    use mcpwrap::testing::audit::{Event, Log, NewRecord, Outcome, RunId};
    let test = Test::new();
    let log = Log::at(test.root().join("state/audit"), String::new(), None).unwrap();
    let entry = |outcome, run: &RunId| {
        let mut entry = NewRecord::new(Event::Launch, outcome)
            .server(&"github".parse().unwrap())
            .run(run);
        entry.at = Some("2026-01-01T00:00:00Z".parse().unwrap());
        entry
    };
    let (lost, started) = (RunId::random().unwrap(), RunId::random().unwrap());
    log.append(&[
        entry(Outcome::Intent, &started),
        entry(Outcome::Ok, &started),
    ])
    .unwrap();
    assert!(!test.ok(&["log"]).text().contains("never run"));
    log.append(&[entry(Outcome::Intent, &lost)]).unwrap();
    let shown = test.ok(&["log"]);
    assert!(
        shown
            .text()
            .contains("launch recorded, never run: `github`"),
        "{shown}"
    );
}

/// The error for an invalid filter says what is accepted, and does not repeat the input.
#[test]
fn the_error_for_an_invalid_filter_says_what_is_accepted() {
    let test = Test::new();
    test.init();
    for (args, part) in [
        (&["log", "--since", "hunter2"][..], "`24h`"),
        (&["log", "calls", "--at", "25:99"], "`14:03`"),
        (
            &["log", "--event", "hunter2"],
            "expected one of: launch, inject",
        ),
        (&["log", "verify", "--head", "1:hunter2"], "NUMBER:HASH"),
        (
            &["pin", "s", "--before", "2025-99-01"],
            "`--before 2026-01-31`",
        ),
    ] {
        let ended = test.cli(args);
        assert_eq!(ended.code, 2, "{ended}");
        assert_eq!(ended.stderr.lines().count(), 3, "{ended}");
        assert!(ended.stderr.contains("error[usage]"), "{ended}");
        assert!(ended.stderr.contains(part), "{ended}");
        assert!(!ended.stderr.contains("hunter2"), "{ended}");
    }
}
