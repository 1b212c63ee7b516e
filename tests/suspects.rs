//! Answers that read as if a service had refused the credentials: noted, shown, and other values taken.

use serde_json::{Value, json};

use crate::exec_stores::define;
use crate::harness::{Run, TOKEN, Test, fake_server, slot, until};

const NEW: &str = "a-fresh-value-Qp7vN3xK9mW2";

fn started(test: &Test) -> Run<'_> {
    test.secret("test/token", TOKEN);
    test.serve("fake", &[], &slot("TOKEN", "test/token"));
    let mut run = test.run("fake");
    run.initialize();
    run
}

fn fail(run: &mut Run<'_>, text: &str, is_of_tool: bool) {
    let arguments = json!({"text": text, "tool": is_of_tool});
    run.request(
        "tools/call",
        &json!({"name": "fail", "arguments": arguments}),
    );
}

/// When the credentials of the only server were refused, as `ps` says.
fn refused(test: &Test) -> Value {
    test.ok(&["ps", "--json"]).json()["servers"][0]["credentials_refused"].clone()
}

fn findings(test: &Test) -> Vec<(String, String)> {
    let report = test.cli(&["check", "--json"]).json();
    let all = report["findings"].as_array().unwrap().iter();
    let own = all.filter(|one| one["what"].as_str().unwrap().contains("looks refused"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    own.map(|one| (text(&one["what"]), text(&one["fix"])))
        .collect()
}

#[test]
fn an_error_that_reads_like_a_refusal_marks_the_secret() {
    let test = Test::new();
    let mut run = started(&test);
    for (text, is_of_tool) in [
        ("no such file", false),
        ("issue 4011 is closed", false),
        // A tool may quote anybody: only the words of the catalog count, and this server has none.
        ("HTTP 401 Unauthorized: bad credentials", true),
    ] {
        fail(&mut run, text, is_of_tool);
        // The next answer comes after the judgement of this one is asked for.
        assert_eq!(refused(&test), Value::Null, "{text}");
    }
    assert_eq!(findings(&test), []);
    until("an error with 401 marks it", || {
        fail(&mut run, "Request failed with status code 401", false);
        refused(&test).is_number()
    });
    let ps = test.ok(&["ps"]);
    assert!(ps.text().contains("credentials refused at "), "{ps}");
    let found = findings(&test);
    assert!(
        found[0]
            .0
            .contains("`test/token` looks refused by its service: server `fake`"),
        "{found:?}"
    );
    assert_eq!(found[0].1, "mcpwrap secret rotate test/token");
    // The server goes on: there is nothing better.
    let state = &test.ok(&["ps", "--json"]).json()["servers"][0];
    assert_eq!(state["renewals"], 0, "{state}");

    let rotated = test.feed(
        &["secret", "rotate", "test/token", "--from-stdin"],
        NEW.as_bytes(),
    );
    assert_eq!(rotated.code, 0, "{rotated}");
    test.hide(NEW);
    until("the new value is not suspect", || refused(&test).is_null());
    assert_eq!(findings(&test), []);
    let text = std::fs::read_to_string(test.root().join("state/suspects.toml")).unwrap();
    assert!(!text.contains("test/token"), "{text}");
    run.finish();
}

#[test]
fn the_words_of_the_catalog_count_in_results_of_tools() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    // A package that the catalog knows, started by an `npx` of this test.
    let npx = format!("#!/bin/sh\nexec '{}'\n", fake_server().display());
    let npx = test.program_file("npx", &npx).display().to_string();
    let command = [&*npx, "-y", "@modelcontextprotocol/server-github@2025.4.8"];
    test.policy("github", &command, &slot("TOKEN", "test/token"));
    let mut run = test.run("github");
    run.initialize();
    fail(&mut run, "404 Not Found", true);
    let padded = format!("{}bad credentials", "x ".repeat(400));
    fail(&mut run, &padded, true);
    assert_eq!(refused(&test), Value::Null, "too far behind");
    until("its own words mark it", || {
        fail(&mut run, "GET /user: 401 Bad credentials []", true);
        refused(&test).is_number()
    });
    run.finish();
}

/// Another program has put a better value into the store, which no index says.
#[test]
fn a_fresh_value_of_the_store_is_taken_once() {
    let test = Test::new();
    let value = test.dir.join("value");
    std::fs::write(&value, TOKEN).unwrap();
    let asked = test.dir.join("asked");
    let program = test.program_file(
        "getsecret",
        &format!(
            "#!/bin/sh\necho asked >> '{}'\ncat '{}'\n",
            asked.display(),
            value.display()
        ),
    );
    let settings = format!(
        "type = \"exec\"\nprogram = \"{}\"\nargs = [\"{{path}}\"]\noutput = \"raw\"\n",
        program.display()
    );
    define(&test, "mine", &settings);
    let slot = "[secrets.TOKEN]\nfrom = \"mine:some/path\"\n";
    test.serve("fake", &[], slot);
    let mut run = test.run("fake");
    run.initialize();
    let asks = || std::fs::read_to_string(&asked).unwrap().lines().count();
    assert_eq!(asks(), 1);
    std::fs::write(&value, NEW).unwrap();
    test.hide(NEW);
    until("the fresh value is used", || {
        fail(&mut run, "invalid_token", false);
        run.peek("TOKEN") == NEW.as_bytes()
    });
    let before = asks();
    assert!(before <= 3, "{before}");
    until("it is refused, too", || {
        fail(&mut run, "invalid_token", false);
        refused(&test).is_number()
    });
    let found = findings(&test);
    assert!(
        found[0].0.contains("`mine:some/path` looks refused"),
        "{found:?}"
    );
    assert_eq!(asks(), before, "the store is not asked again");
    run.finish();
}
