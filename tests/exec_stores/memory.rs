//! What a session remembers of a store, and how it learns of changes there.

use std::path::PathBuf;

use serde_json::json;

use super::launch::{define, serve};
use crate::harness::{Run, TOKEN, Test, until};

const NEW: &str = "a-fresh-value-Qp7vN3xK9mW2";

/// A store that gives the content of a file, and counts what it is asked.
struct Counted {
    value: PathBuf,
    asked: PathBuf,
}

impl Counted {
    fn new(test: &Test, more: &str) -> Self {
        let (value, asked) = (test.dir.join("value"), test.dir.join("asked"));
        std::fs::write(&value, TOKEN).unwrap();
        let text = format!(
            "#!/bin/sh\necho asked >> '{}'\ncat '{}'\n",
            asked.display(),
            value.display()
        );
        let program = test.program_file("getsecret", &text);
        let settings = format!(
            "type = \"exec\"\nprogram = \"{}\"\nargs = [\"{{path}}\"]\noutput = \"raw\"\n{more}",
            program.display()
        );
        define(test, "mine", &settings);
        serve(test, "mine:some/path");
        Self { value, asked }
    }

    fn asked(&self) -> usize {
        let text = std::fs::read_to_string(&self.asked).unwrap();
        text.lines().count()
    }

    fn change(&self, test: &Test) {
        std::fs::write(&self.value, NEW).unwrap();
        test.hide(NEW);
    }
}

fn started(test: &Test) -> Run<'_> {
    let mut run = test.run("fake");
    run.initialize();
    run
}

/// The server exits, and another one starts.
fn crash(run: &mut Run<'_>) {
    run.request(
        "tools/call",
        &json!({"name": "do", "arguments": {"act": "exit=7"}}),
    );
    until("another server", || {
        run.request("tools/list", &json!({}))["error"].is_null()
    });
}

#[test]
fn a_server_that_crashed_starts_again_without_asking_the_store() {
    for (more, after_crash) in [("", 2), ("cache = \"15m\"\n", 1)] {
        let test = Test::new();
        let store = Counted::new(&test, more);
        let mut run = started(&test);
        assert_eq!(store.asked(), 1);
        crash(&mut run);
        assert_eq!(store.asked(), after_crash, "{more}");
        assert_eq!(run.peek("TOKEN"), TOKEN.as_bytes());

        // Who asks for a renewal wants what the store has now.
        store.change(&test);
        test.ok(&["renew", "fake"]);
        assert_eq!(store.asked(), after_crash + 1, "{more}");
        assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
        crash(&mut run);
        assert_eq!(run.peek("TOKEN"), NEW.as_bytes(), "not the older one");
        run.finish();

        // Another session knows nothing of it.
        let before = store.asked();
        let run = started(&test);
        assert_eq!(store.asked(), before + 1);
        run.finish();
    }
}

#[test]
fn a_store_with_poll_is_asked_for_changes() {
    let test = Test::new();
    let store = Counted::new(&test, "poll = \"10s\"\n");
    let mut run = started(&test);
    until("it is asked again", || store.asked() == 2);
    let renewals =
        |test: &Test| test.ok(&["ps", "--json"]).json()["servers"][0]["renewals"].clone();
    assert_eq!(renewals(&test), 0, "nothing has changed");
    store.change(&test);
    until("the new value", || run.peek("TOKEN") == NEW.as_bytes());
    assert_eq!(renewals(&test), 1);
    // A store that fails changes nothing.
    std::fs::remove_file(&store.value).unwrap();
    let before = store.asked();
    until("it is asked once more", || store.asked() > before);
    assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
    run.finish();
}
