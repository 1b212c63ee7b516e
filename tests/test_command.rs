//! `mcpwrap test`: what a client sees of a server, and servers that no client can use.

use serde_json::{Value, json};

use crate::harness::golden::{self, stable};
use crate::harness::{Ended, TOKEN, Test, fake_server, skip, slot};
use crate::messages::message;
use crate::transparent::cache;

/// The output without what differs from run to run.
fn steady(test: &Test, text: &str) -> String {
    let line = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        let is_time = |n: usize| words.get(n + 1).is_some_and(|next| *next == "ms");
        let shown = words.iter().enumerate().map(|(n, word)| {
            if number(word) && is_time(n) {
                "N"
            } else {
                word
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<_> = stable(test, text).lines().map(line).collect();
    lines.join("\n") + "\n"
}

/// A server of this name that does these acts, tested.
fn tested(test: &Test, acts: &[&str], args: &[&str]) -> Ended {
    test.serve("x", acts, "");
    test.cli(&[&["test", "x"], args].concat())
}

#[track_caller]
fn fails(ended: &Ended, why: &str) {
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.stderr.contains("error["), "{ended}");
    assert!(ended.stderr.contains(why), "no `{why}` in {ended}");
}

#[test]
fn a_server_that_works() {
    let test = Test::new();
    test.secret("x/token", TOKEN);
    test.set("SOME_REGION", "elsewhere");
    let script = test.dir.join("server.sh");
    // It names a variable that it does not get.
    let text = format!(
        "#!/bin/sh\n: \"${{SOME_REGION:-}}\"\nexec {} lists=3 'err=token '$TOKEN\n",
        fake_server().display()
    );
    std::fs::write(&script, text).unwrap();
    test.policy(
        "x",
        &["/bin/sh", script.to_str().unwrap()],
        &slot("TOKEN", "x/token"),
    );
    let before = test.events().len();
    let ended = test.ok(&["test", "x"]);
    let shown = steady(&test, &format!("{}{}", ended.text(), ended.stderr));
    golden::check("test/works.txt", &shown);
    let events = test.events().split_off(before);
    assert_eq!(events, ["launch", "inject", "launch", "exit"]);

    let mut json = test.ok(&["test", "x", "--json"]).json();
    for time in ["first_answer_ms", "total_ms"] {
        assert!(json[time].is_u64(), "{json}");
        json[time] = json!(0);
    }
    golden::check("test/works.json", &format!("{json:#}\n"));
}

#[test]
fn the_client_in_the_records_is_this_command() {
    let test = Test::new();
    test.serve("x", &[], "");
    test.ok(&["test", "x"]);
    let records = test.audit();
    let is_named = |record: &&Value| record["client"]["name"] == "mcpwrap-test";
    assert!(
        records.iter().any(|record| is_named(&record)),
        "{records:#?}"
    );
}

#[test]
fn both_eras_and_questions_of_the_server() {
    let test = Test::new();
    for (acts, protocol) in [
        (&["era=legacy"][..], "2025-11-25"),
        (&["era=modern"], "2026-07-28"),
        (&["asks", "early-notice"], "2025-11-25"),
    ] {
        test.serve("x", acts, "");
        let json = test.ok(&["test", "x", "--json"]).json();
        assert_eq!(json["protocol"], protocol, "{acts:?}: {json}");
        assert_eq!(json["version"], "1.0.0", "{json}");
        assert!(json["tools"].as_array().unwrap().len() > 5, "{json}");
    }
}

#[test]
fn a_refusal_is_told_in_its_parts() {
    let test = Test::new();
    test.init();
    test.write_policy("x", "version = 1\ncommand = [\"/bin/cat\"]\n");
    let ended = test.cli(&["test", "x"]);
    assert_eq!(ended.code, 1, "{ended}");
    let shown = steady(&test, &format!("{}{}", ended.text(), ended.stderr));
    golden::check("test/refused.txt", &shown);
    let json = test.cli(&["test", "x", "--json"]).json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["error"]["code"], "not-granted", "{json}");
    assert_eq!(
        json["error"]["hints"],
        json!(["run `mcpwrap grant x` to review and approve it"])
    );
    assert_eq!(json["first_answer_ms"], Value::Null);

    // The replacement server is none.
    let stub = "version = 1\ncommand = [\"/bin/cat\"]\n[session]\non_failure = \"stub\"\n";
    test.write_policy("x", stub);
    fails(&test.cli(&["test", "x"]), "error[not-granted]");

    let ended = test.cli(&["test", "none"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[policy-not-found]"), "{ended}");
}

#[test]
fn a_server_that_exits_or_is_mute() {
    let test = Test::new();
    test.secret("x/token", TOKEN);
    let mut acts: Vec<String> = (1..=20).map(|n| format!("err=line {n}")).collect();
    acts.push("err-hex=1b5b324b676f6e65".to_owned());
    acts.push("exit=3".to_owned());
    let acts: Vec<_> = acts.iter().map(String::as_str).collect();
    let ended = tested(&test, &acts, &[]);
    fails(&ended, "error[server-exited]");
    assert!(ended.text().contains("exit code 3"), "{ended}");
    assert!(ended.stderr.contains("  line 20"), "{ended}");
    assert!(!ended.stderr.contains("line 9\n"), "{ended}");
    assert!(!ended.stderr.contains('\u{1b}'), "{ended}");

    let ended = tested(&test, &["mute"], &["--timeout", "1s"]);
    fails(&ended, "no answer to `initialize` within 1 s");
    message(&test, "test-failed", &ended);
    let ended = test.cli(&["test", "x", "--timeout", "soon"]);
    assert_eq!(ended.code, 2, "{ended}");

    // Its secret is masked in what is shown of its stderr.
    test.serve(
        "x",
        &["mute"],
        &format!("argv_secrets = true\n{}", slot("TOKEN", "x/token")),
    );
    let script = test.dir.join("leak.sh");
    std::fs::write(&script, "#!/bin/sh\necho \"token $TOKEN\" >&2\nexit 4\n").unwrap();
    test.policy(
        "x",
        &["/bin/sh", script.to_str().unwrap()],
        &slot("TOKEN", "x/token"),
    );
    let ended = test.cli(&["test", "x"]);
    fails(&ended, "token [secret x/token");
}

#[test]
fn output_without_end_or_measure() {
    let test = Test::new();
    let ended = tested(
        &test,
        &["flood={\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}"],
        &["--timeout", "2s"],
    );
    fails(&ended, "no answer to `initialize` within 2 s");
    let ended = tested(&test, &["flood=garbage"], &["--timeout", "2s"]);
    fails(&ended, "no answer to `initialize` within 2 s");

    let raw = "[limits]\nstdout = \"raw\"\n";
    test.serve("x", &["out=garbage", "out={}x"], raw);
    let ended = test.ok(&["test", "x"]);
    assert!(
        ended
            .stderr
            .contains("2 lines of its output are no messages"),
        "{ended}"
    );
    test.serve("x", &["out-fill=104857600"], raw);
    fails(&test.cli(&["test", "x"]), "longer than 10 MiB");
    // A message is passed on in pieces.
    let begin = "out-hex=7b226a736f6e727063223a22322e30222c226d6574686f64223a22";
    let ended = tested(&test, &[begin, "out-fill=104857600", "out=\"}"], &[]);
    fails(&ended, "longer than 10 MiB");
}

#[test]
fn lists_that_no_client_can_use() {
    let test = Test::new();
    for (kind, why) in [
        ("loop", "repeats a cursor"),
        ("endless", "more than 1000 pages"),
        ("none", "has no list of tools"),
        ("nameless", "has no name"),
    ] {
        fails(&tested(&test, &[&format!("lists={kind}")], &[]), why);
    }
    let json = tested(&test, &["lists=pages"], &["--json"]).json();
    let names = json["tools"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["page-0", "page-1", "page-2"]);
}

#[test]
fn many_tools_and_hostile_names() {
    let test = Test::new();
    let ended = tested(&test, &["lists=10000"], &[]);
    assert!(ended.text().contains("tools:          10000\n"), "{ended}");
    assert!(ended.text().contains("  tool-49"), "{ended}");
    assert!(!ended.text().contains("  tool-50"), "{ended}");
    assert!(ended.text().contains("  and 9950 more"), "{ended}");
    let json = test.ok(&["test", "x", "--json"]).json();
    assert_eq!(json["tools"].as_array().unwrap().len(), 10_000);

    let ended = tested(&test, &["lists=hostile"], &[]);
    golden::check("test/hostile.txt", &steady(&test, ended.text()));
    let ended = test.ok(&["test", "x", "--json"]);
    let is_bare = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!ended.text().contains(is_bare), "{ended}");
    assert_eq!(ended.json()["tools"][1]["name"], "\u{9b}31mred");
}

#[test]
fn an_agent_may_test_but_not_verify() {
    let test = Test::new();
    test.serve("x", &[], "");
    let above = &[("CLAUDECODE", "1")];
    let ended = test.below(&["test", "x"], above);
    assert_eq!(ended.code, 0, "{ended}");
    let ended = test.below(&["test", "x", "--verify"], above);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[agent-refused]"), "{ended}");
}

/// A client config with a server that works and one that exits, and a secret in each.
fn adoptable(test: &Test) {
    test.init();
    let server = |acts: &[&str]| json!({"command": fake_server(), "args": acts, "env": {"API_TOKEN": "q9Kx2LmP7vRt4WzB8nYc"}});
    let servers = json!({"good": server(&["lists=3"]), "bad": server(&["exit=3"])});
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, json!({"mcpServers": servers}).to_string()).unwrap();
}

#[test]
fn an_adoption_offers_to_test_what_it_changed() {
    let test = Test::new();
    adoptable(&test);
    let mut terminal = test.terminal(&["adopt"]);
    terminal.expect("proceed? [y/n] ").enter("y");
    terminal
        .expect("test the 2 servers now? they start with their secrets. [y/n] ")
        .enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("works: good, 3 tools in "), "{screen}");
    assert!(screen.contains("error[server-exited]"), "{screen}");
    let hint = "run `mcpwrap test bad` to see more, or `mcpwrap adopt --undo --server bad`";
    assert!(screen.contains(hint), "{screen}");
    // It is adopted all the same.
    let file = std::fs::read_to_string(test.home.join(".cursor/mcp.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["mcpServers"]["bad"]["args"][0], "run", "{file}");
}

#[test]
fn an_adoption_tests_nothing_unasked() {
    for (args, is_said) in [(&["--yes"][..], true), (&["--yes", "--no-test"], false)] {
        let test = Test::new();
        adoptable(&test);
        let ended = test.ok(&[&["adopt"], args].concat());
        let note = "not tested: `bad`, `good`; run `mcpwrap test SERVER`";
        assert_eq!(ended.stderr.contains(note), is_said, "{ended}");
        assert!(!test.events().contains(&"launch".to_owned()), "{ended}");
    }
}

/// The server holds a port, so its session is asked; its client sees nothing of that.
#[test]
fn a_server_that_cannot_run_twice_is_asked_in_its_session() {
    let test = Test::new();
    test.secret("x/token", TOKEN);
    let single = format!(
        "{}[session]\nrenew = \"stop-first\"\n",
        slot("TOKEN", "x/token")
    );
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    for (kind, era, count) in [
        ("pages", "legacy", 3),
        ("pages", "modern", 3),
        ("20000", "legacy", 20_000),
        ("secret", "legacy", 1),
    ] {
        let (lists, era) = (format!("lists={kind}"), format!("era={era}"));
        test.serve("x", &[&lists, &era], &single);
        let mut run = test.run("x");
        if era == "era=modern" {
            run.request("server/discover", &json!({"_meta": meta}));
        } else {
            run.initialize();
        }
        // Written before the start; the others follow while the server runs.
        let starts = || {
            let records = test.audit().into_iter();
            let is_start =
                |record: &Value| record["event"] == "launch" && record["outcome"] == "intent";
            records.filter(is_start).count()
        };
        let before = starts();
        let ended = test.ok(&["test", "x", "--json"]);
        let json = ended.json();
        let tools = json["tools"].as_array().unwrap();
        assert_eq!(tools.len(), count, "{kind}, {era}");
        assert_eq!(json["session"], run.pid().as_raw(), "{kind}, {era}");
        assert!(json["protocol"].is_string(), "{kind}, {era}");
        if kind == "secret" {
            let text = tools[0]["description"].as_str().unwrap();
            assert!(text.starts_with("[secret x/token"), "{text}");
            let text = test.ok(&["test", "x"]);
            assert!(
                text.text().contains("asked:          the session"),
                "{text}"
            );
        }
        assert_eq!(starts(), before, "nothing was started");
        run.request("ping", &json!({"_meta": meta}));
        assert!(run.others.is_empty(), "{kind}, {era}");
        run.finish();
    }
}

#[test]
fn a_session_that_cannot_be_asked() {
    let test = Test::new();
    test.serve("x", &[], "[session]\nrenew = \"stop-first\"\n");
    let mut run = test.run("x");
    run.server(1);
    fails(&test.cli(&["test", "x"]), "has not finished the handshake");
    run.initialize();
    test.ok(&["revoke", "x"]);
    fails(&test.cli(&["test", "x"]), "error[revoked]");
    test.ok(&["grant", "x", "--yes"]);
    run.finish();

    test.serve("x", &["lists=loop"], "[session]\nrenew = \"stop-first\"\n");
    let mut run = test.run("x");
    run.initialize();
    fails(&test.cli(&["test", "x"]), "repeats a cursor");
    run.finish();

    test.serve("x", &["lists=exit"], "[session]\nrenew = \"stop-first\"\n");
    let mut run = test.run("x");
    run.initialize();
    fails(&test.cli(&["test", "x"]), "the server did not answer");
    run.finish();
}

#[test]
fn a_real_server() {
    if !cache("npm/installed-from").exists() {
        return skip("npm", "`cargo xtask deps` installs what it needs");
    }
    let test = Test::new();
    let script = "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let script = cache(script).display().to_string();
    test.policy("everything", &["node", &script], "");
    let ended = test.ok(&["test", "everything"]);
    let text = ended.text();
    assert!(text.contains("protocol:       2025-11-25\n"), "{ended}");
    assert!(text.contains("\n  echo "), "{ended}");
}
