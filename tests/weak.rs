//! Values that cannot be masked, and what is pasted around a value.

use crate::harness::{TOKEN, Test, slot};
use crate::secrets::{refused, stored};

/// Answers the question about what was pasted around a value.
#[track_caller]
fn paste(test: &Test, typed: &str, question: &str, answer: &str, expected: &str) {
    test.hide(expected);
    let mut terminal = test.terminal(&["secret", "set", "api"]);
    terminal
        .expect("value of `api` (not shown): ")
        .enter_hidden(typed)
        .expect(question)
        .enter(answer);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(stored(test, "api"), expected.as_bytes());
}

#[test]
fn what_was_pasted_around_a_value_is_asked_about() {
    let test = Test::new();
    test.init();
    let without = "around it; store it without? [y/n] ";
    for (typed, wrappers) in [
        (format!("Bearer {TOKEN}"), "`Bearer `"),
        (format!("'{TOKEN}' "), "white space and quotes"),
        (format!("GITHUB_TOKEN={TOKEN}"), "`NAME=`"),
    ] {
        paste(
            &test,
            &typed,
            &format!("the value has {wrappers} {without}"),
            "y",
            TOKEN,
        );
        paste(&test, &typed, without, "n", &typed);
    }
    let typed = format!("Bearer {TOKEN}");
    let ended = test.feed(&["secret", "set", "api", "--from-stdin"], typed.as_bytes());
    assert!(
        ended.code == 0
            && ended
                .stderr
                .contains("has `Bearer ` around it, which are stored too"),
        "{ended}"
    );
    assert_eq!(stored(&test, "api"), typed.as_bytes());
}

#[test]
fn words_of_the_protocol_are_refused_without_the_flag() {
    let test = Test::new();
    test.init();
    for word in [
        "protocolVersion",
        "Authorization",
        "production",
        "tools/call",
        "aaaaaaaa",
    ] {
        for verb in ["set", "rotate"] {
            let name = format!("{verb}/word");
            test.feed(&["secret", "set", &name, "--from-stdin"], TOKEN.as_bytes());
            let args = ["secret", verb, &name, "--from-stdin"];
            refused(&test.feed(&args, word.as_bytes()), "secret-weak");
            assert_eq!(stored(&test, &name), TOKEN.as_bytes());
            let ended = test.feed(&[&args[..], &["--allow-weak"]].concat(), word.as_bytes());
            assert!(
                ended.code == 0 && ended.stderr.contains("is not masked"),
                "{ended}"
            );
        }
    }
    let list = test.ok(&["secret", "list"]);
    assert!(list.text().contains("weak: not masked"), "{list}");
    let weak: Vec<bool> = test
        .ok(&["secret", "list", "--json"])
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["weak"].as_bool().unwrap())
        .collect();
    assert_eq!(weak, [true, true]);
    let check = test.cli(&["check", "--json"]);
    let found = check.json();
    let findings = found["findings"].as_array().unwrap().iter();
    let weak: Vec<_> = findings
        .filter(|finding| {
            finding["what"]
                .as_str()
                .unwrap_or_default()
                .contains("is not masked")
        })
        .map(|finding| {
            (
                finding["check"].as_str().unwrap(),
                finding["severity"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(weak, [("secret-leak", "medium"); 2], "{check}");
}

/// Masking `protocolVersion` would break the answer to `initialize`.
#[test]
fn a_weak_value_is_injected_and_not_masked() {
    let test = Test::new();
    test.init();
    for value in ["protocolVersion", "production", "12345678"] {
        let args = ["secret", "set", "api/mode", "--from-stdin", "--allow-weak"];
        assert_eq!(test.feed(&args, value.as_bytes()).code, 0);
        test.serve("fake", &[], &slot("API_MODE", "api/mode"));
        let mut run = test.run("fake");
        let answer = run.initialize();
        assert!(answer["result"]["protocolVersion"].is_string(), "{answer}");
        let environment = run.call("env", &serde_json::json!({}));
        assert!(
            environment.contains(&format!("API_MODE={value}\n")),
            "{environment}"
        );
        run.finish();
    }
}

#[test]
fn what_an_import_finds_is_stored_as_weak() {
    let test = Test::new();
    test.init();
    let file = test.dir.join("app.env");
    std::fs::write(&file, format!("MODE=production\nTOKEN={TOKEN}\n")).unwrap();
    test.hide(TOKEN);
    let ended = test.ok(&["secret", "import", file.to_str().unwrap(), "--yes"]);
    assert!(
        ended
            .stderr
            .contains("`MODE` is not masked, because its value is a word"),
        "{ended}"
    );
    let rows = test.ok(&["secret", "list", "--json"]).json();
    let weak: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["weak"].clone())
        .collect();
    assert_eq!(weak, [true, false]);
    std::fs::remove_file(file).unwrap();
}
