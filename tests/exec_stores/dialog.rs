//! Stores whose own dialog may open while a session waits.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::fake::FakeStore;
use super::launch::define;
use crate::harness::{Run, TOKEN, Test, until};
use crate::messages::message;

/// A store of 1Password whose program waits for the user, who answers by a file.
struct AskingStore<'a> {
    test: &'a Test,
    asked: PathBuf,
    answer: PathBuf,
}

impl<'a> AskingStore<'a> {
    fn new(test: &'a Test, servers: &[&str]) -> Self {
        test.hide(TOKEN);
        let file = |name| test.dir.join(name);
        let (asked, answer, value) = (file("asked"), file("answer"), file("value"));
        std::fs::write(&value, TOKEN).unwrap();
        let text = format!(
            "#!/bin/sh\necho \"$1\" >> '{asked}'\n\
             while ! [ -s '{answer}' ]; do sleep 0.02; done\n\
             case $(cat '{answer}') in\n\
             yes) cat '{value}';;\n\
             no) echo 'authorization prompt dismissed' >&2; exit 1;;\n\
             *) echo 'rate limit exceeded' >&2; exit 1;;\n\
             esac\n",
            asked = asked.display(),
            answer = answer.display(),
            value = value.display()
        );
        let program = test.program_file("op", &text);
        let settings = format!(
            "type = \"op\"\nprogram = \"{}\"\naccount = \"acme\"\ninteractive = true",
            program.display()
        );
        define(test, "op", &settings);
        for server in servers {
            test.serve(server, &[], "[secrets.TOKEN]\nfrom = \"op:V/I/F\"\n");
        }
        Self {
            test,
            asked,
            answer,
        }
    }

    fn asked(&self) -> usize {
        let text = std::fs::read_to_string(&self.asked).unwrap_or_default();
        text.lines().count()
    }

    fn answer(&self, text: &str) {
        std::fs::write(&self.answer, text).unwrap();
    }

    /// A session whose first request is sent.
    fn session(&self, server: &str) -> Run<'a> {
        let mut run = self.test.run(server);
        run.ask("tools/list", &json!({}));
        run
    }
}

/// The code of the error with which a request is answered, if it is one.
fn refusal(answer: &Value) -> Option<&str> {
    answer["error"]["data"]["mcpwrap"]["code"].as_str()
}

fn listed(run: &mut Run<'_>) -> bool {
    run.request("tools/list", &json!({}))["error"].is_null()
}

#[test]
fn sessions_wait_for_one_dialog_and_go_on() {
    let test = Test::new();
    let store = AskingStore::new(&test, &["first", "second"]);
    let mut first = store.session("first");
    until("the dialog is open", || store.asked() == 1);
    let mut second = store.session("second");
    for (run, says) in [(&mut first, "waits for you"), (&mut second, "is busy")] {
        let answer = run.answer(1);
        assert_eq!(refusal(&answer), Some("store-waiting"), "{answer}");
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains(says), "{text}");
        assert_eq!(answer["error"]["data"]["mcpwrap"]["store"], "op");
    }
    assert_eq!(store.asked(), 1, "one dialog");
    store.answer("yes");
    for run in [&mut first, &mut second] {
        until("the session goes on", || listed(run));
        assert_eq!(run.peek("TOKEN"), TOKEN.as_bytes());
    }
    assert_eq!(store.asked(), 2);
    let ended = first.finish();
    message(&test, "store-waiting", &ended);
    second.finish();
}

#[test]
fn a_dismissed_dialog_does_not_open_again_by_itself() {
    let test = Test::new();
    let store = AskingStore::new(&test, &["fake"]);
    store.answer("no");
    let mut run = store.session("fake");
    let answer = run.answer(1);
    assert_eq!(refusal(&answer), Some("store-denied"), "{answer}");
    assert_eq!(store.asked(), 1);
    store.answer("yes");
    test.ok(&["renew", "fake"]);
    assert_eq!(store.asked(), 2);
    assert_eq!(run.peek("TOKEN"), TOKEN.as_bytes());
    run.finish();
}

/// A session tries again by itself after a failure that may pass; not with a dialog.
#[test]
fn a_failure_that_may_pass_opens_no_dialog() {
    let test = Test::new();
    let store = AskingStore::new(&test, &["fake"]);
    let plain = test.dir.join("plain");
    let program = test.program_file(
        "plain",
        &format!(
            "#!/bin/sh\necho asked >> '{}'\necho 'rate limit exceeded' >&2\nexit 1\n",
            plain.display()
        ),
    );
    let settings = format!(
        "type = \"op\"\nprogram = \"{}\"\naccount = \"acme\"",
        program.display()
    );
    define(&test, "plain", &settings);
    test.serve("other", &[], "[secrets.TOKEN]\nfrom = \"plain:V/I/F\"\n");
    store.answer("later");
    let mut run = store.session("fake");
    let answer = run.answer(1);
    assert_eq!(refusal(&answer), Some("store-throttled"), "{answer}");
    let other = store.session("other");
    until("the other session tried again twice", || {
        let asked = std::fs::read_to_string(&plain).unwrap_or_default();
        asked.lines().count() >= 3
    });
    assert_eq!(store.asked(), 1);
    run.finish();
    other.finish();
}

#[test]
fn no_dialog_opens_for_a_server_that_was_revoked_while_it_waited() {
    let test = Test::new();
    let store = AskingStore::new(&test, &["first", "second"]);
    let mut first = store.session("first");
    until("the dialog is open", || store.asked() == 1);
    let mut second = store.session("second");
    let answer = second.answer(1);
    assert_eq!(refusal(&answer), Some("store-waiting"), "{answer}");
    test.ok(&["revoke", "second"]);
    store.answer("yes");
    until("the session goes on", || listed(&mut first));
    test.ok(&["grant", "second", "--yes"]);
    until("the session goes on", || listed(&mut second));
    assert_eq!(store.asked(), 2, "not for the revoked one");
    first.finish();
    second.finish();
}

/// What hangs is not asked again by itself either: the code says so.
#[test]
fn a_dialog_that_nobody_answers() {
    let test = Test::new();
    let mut store = FakeStore::new(&test, "op", "account = \"acme\"");
    store.act("while :; do sleep 1; done");
    store.deadline = std::time::Duration::from_millis(300);
    assert_eq!(store.text("V/I/F"), Err("store-timeout"));
    store.has_session = true;
    assert_eq!(store.text("V/I/F"), Err("store-timeout"));
    store.is_interactive = true;
    assert_eq!(store.text("V/I/F"), Err("store-denied"));
}
