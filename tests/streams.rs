//! Byte-exact streams: a client observes the same with and without mcpwrap. Masking has its own
//! tests in `mask.rs`; here nothing is masked, and nothing may change.

use mcpwrap::testing::secret::hex;
use serde_json::{Value, json};

use crate::harness::{Ended, Run, TOKEN, Test, slot};

/// A policy with raw stdout and a secret that masking searches for.
fn raw() -> String {
    format!(
        "limits.stdout = \"raw\"\nsession.restart = \"never\"\n{}",
        slot("TOKEN", "test/token")
    )
}

/// The comparable part of stderr: without the pid and our own lines.
fn comparable(ended: &Ended) -> Vec<u8> {
    let lines = ended.stderr_bytes.split_inclusive(|b| *b == b'\n');
    let ours = |line: &&[u8]| line.starts_with(b"mcpwrap: ") || line.starts_with(b"fake-server: ");
    lines
        .filter(|line| !ours(line))
        .collect::<Vec<_>>()
        .concat()
}

/// Runs the same acts and messages with and without mcpwrap, and compares.
fn same(acts: &[&str], talk: impl Fn(&mut Run<'_>) -> Value) {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    // Waits for the ready line, because a client that is gone before the start aborts it.
    let acts = [&["err=up"], acts].concat();
    test.serve("fake", &acts, &raw());
    let mut bare = test.bare(&acts);
    bare.heard("up\n");
    let seen_bare = talk(&mut bare);
    let bare = bare.finish();
    let mut through = test.run("fake");
    through.heard("up\n");
    let seen_through = talk(&mut through);
    let through = through.finish();
    assert_eq!(seen_bare, seen_through, "{acts:?}");
    assert_eq!(bare.code, through.code, "{acts:?}\n{through}");
    assert!(
        bare.stdout == through.stdout,
        "{acts:?}: {} bytes, {}",
        bare.stdout.len(),
        through
    );
    assert!(
        comparable(&bare) == comparable(&through),
        "{acts:?}: stderr\n{through}"
    );
}

fn nothing(_: &mut Run<'_>) -> Value {
    Value::Null
}

#[test]
fn every_exit_code_is_the_servers_own() {
    let test = Test::new();
    test.serve("fake", &[], "");
    for code in 0..=255 {
        let mut run = test.run("fake");
        run.initialize();
        run.call("do", &json!({"act": format!("at-eof=exit={code}")}));
        let ended = run.finish();
        assert_eq!(ended.code, code, "{ended}");
    }
}

#[test]
fn death_by_signal_n_is_128_plus_n() {
    let test = Test::new();
    test.serve("fake", &[], "");
    // Signals that end a process by default, including KILL but not STOP.
    for signal in [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31,
    ] {
        let mut run = test.run("fake");
        run.initialize();
        run.call("do", &json!({"act": format!("at-eof=die={signal}")}));
        let ended = run.finish();
        assert_eq!(ended.code, 128 + signal, "{ended}");
    }
}

#[test]
fn an_exit_before_the_first_message_is_the_servers_own() {
    for code in ["exit=0", "exit=1", "exit=42", "exit=255", "die=9", "die=6"] {
        same(&[code], nothing);
    }
}

#[test]
fn output_of_any_size_passes_unchanged() {
    for bytes in [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 16 << 20] {
        same(&[&format!("out-fill={bytes}"), "exit=0"], nothing);
        same(&[&format!("out-fill={bytes}"), "out=", "exit=0"], nothing);
    }
}

#[test]
fn output_without_a_final_newline_passes_at_the_end() {
    same(&["out-hex=7b227d", "exit=3"], nothing);
    same(&["out=one", "out-hex=74776f", "exit=0"], nothing);
}

#[test]
fn every_byte_value_passes_both_streams() {
    let all = hex(&(0..=255).collect::<Vec<_>>());
    same(
        &[
            &format!("out-hex={all}"),
            &format!("err-hex={all}"),
            "exit=0",
        ],
        nothing,
    );
    same(&[&format!("err-hex={all}{all}0a"), "exit=0"], nothing);
}

#[test]
fn raw_stdout_passes_every_byte() {
    same(&["out-hex=efbbbf7b7d0a", "exit=0"], nothing);
}

#[test]
fn both_streams_at_once_do_not_block_each_other() {
    same(&["both-fill=8388608", "exit=0"], nothing);
}

#[test]
fn input_of_any_size_and_its_end_reach_the_server() {
    for bytes in [0, 1, 65_535, 65_536, 65_537, 1 << 20] {
        same(&["echo"], |run| {
            run.send_raw(&vec![b'y'; bytes]);
            Value::Null
        });
    }
    same(&["echo"], |run| {
        run.send_raw(b"not MCP\n\xff\xfe\x00 {\"jsonrpc\":\r\n\n\xef\xbb\xbf[]\n{\"id\":1e400}");
        Value::Null
    });
}

#[test]
fn non_messages_pass_to_the_server_unchanged() {
    same(&[], |run| {
        run.initialize();
        run.send_raw(b"{\"jsonrpc\": \"2.0\", \"id\": 7, \n");
        let refused = run.message();
        json!([refused, run.call("echo", &json!({"text": "still here"}))])
    });
}

#[test]
fn ids_of_every_kind_come_back_unchanged() {
    same(&[], |run| {
        run.initialize();
        let ids = [
            "\"a\"",
            "\"1\"",
            "1",
            "1.0",
            "1e2",
            "-7",
            "12345678901234567890123",
            "\"\\u00e9\"",
        ];
        let answers = ids.map(|id| {
            run.send_raw(
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n").as_bytes(),
            );
            String::from_utf8(run.line().unwrap()).unwrap()
        });
        json!(answers)
    });
}

#[test]
fn messages_are_not_reformatted() {
    // Spacing, key order, duplicate keys, escapes, a lone surrogate, numbers beyond a double.
    let message = r#"{ "method":"x/y" ,"params":{"b":1,"a":1.10,"a":1e400,"s":"\ud800\/\u00e9"},"jsonrpc":"2.0"}"#;
    let bytes = hex(message.as_bytes());
    same(&[], move |run| {
        run.initialize();
        let id = run.ask(
            "tools/call",
            &json!({"name": "say", "arguments": {"stream": "stdout", "hex": format!("{bytes}0d0a")}}),
        );
        let line = String::from_utf8(run.line().unwrap()).unwrap();
        assert_eq!(line, format!("{message}\r\n"));
        json!([line, run.answer(id)])
    });
}

#[test]
fn a_message_written_in_pieces_arrives_whole() {
    let message = json!({"jsonrpc": "2.0", "method": "x", "params": {"text": "é".repeat(500)}});
    let bytes = hex(format!("{message}\n").as_bytes());
    for piece in [1, 2, 3, 7] {
        same(&[], |run| {
            run.initialize();
            let say = json!({"stream": "stdout", "hex": bytes, "piece": piece});
            let id = run.ask("tools/call", &json!({"name": "say", "arguments": say}));
            json!([run.message(), run.answer(id)])
        });
    }
}

#[test]
fn a_large_answer_arrives_whole_in_an_mcp_session() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    test.serve("fake", &[], &slot("TOKEN", "test/token"));
    let mut run = test.run("fake");
    run.initialize();
    for bytes in [65_535, 65_536, 65_537, 9 << 20] {
        assert_eq!(run.call("fill", &json!({"bytes": bytes})).len(), bytes);
    }
    run.finish();
}

#[test]
fn a_non_message_goes_to_stderr_and_the_session_continues() {
    let test = Test::new();
    test.serve("fake", &[], "");
    let mut run = test.run("fake");
    run.initialize();
    // Text, a number, not UTF-8, a byte order mark, a blank line, a NUL.
    for hex in [
        "68656c6c6f0a",
        "31320a",
        "7b22ff227d0a",
        "efbbbf0a",
        "0a",
        "000a",
    ] {
        run.call("say", &json!({"stream": "stdout", "hex": hex}));
    }
    assert_eq!(run.call("echo", &json!({"text": "alive"})), "alive");
    run.heard("hello\n");
    let ended = run.finish();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(
        ended.text().lines().all(|line| line.starts_with('{')),
        "{ended}"
    );
}

#[test]
fn arguments_and_umask_are_the_clients_and_the_directory_if_wanted() {
    let acts = [
        "",
        "two words",
        "it's \"quoted\" \\ $HOME `x` ;&|<>*?",
        "a\nb",
        "--help",
        "é\u{1f980}",
    ];
    same(&acts, |run| {
        run.initialize();
        let only = json!({"only": ["arguments", "umask"]});
        json!(run.call("facts", &only))
    });
    let test = Test::new();
    test.serve("fake", &acts, "cwd = \"client\"\n");
    let dir = test.dir.join("a dir\nof the client");
    std::fs::create_dir(&dir).unwrap();
    let mut command = test.command("/bin/sh");
    command
        .args(["-c", "umask 027; exec \"$0\" run fake"])
        .arg(test.program());
    let mut run = test.start(command.current_dir(&dir));
    run.initialize();
    let facts = run.facts();
    assert_eq!(facts["umask"], 0o027);
    assert_eq!(facts["directory"], dir.display().to_string());
    assert_eq!(run.finish().code, 0);
}

#[test]
fn a_server_that_closes_only_its_stdout_is_ended() {
    let test = Test::new();
    test.serve(
        "fake",
        &["close=out", "stay"],
        "session.restart = \"never\"\n",
    );
    let mut run = test.run("fake");
    run.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    assert_eq!(run.message()["error"]["code"], -32603);
    run.finish();
}

#[test]
fn an_incomplete_line_is_not_a_message() {
    let test = Test::new();
    test.serve("fake", &[], "session.restart = \"never\"\n");
    let mut run = test.run("fake");
    run.initialize();
    let half = json!({"stream": "stdout", "hex": hex(b"{\"jsonrpc\": \"2.0\", ")});
    run.ask("tools/call", &json!({"name": "say", "arguments": half}));
    // The answer to the call is on the same line, so neither part is a message.
    run.ask(
        "tools/call",
        &json!({"name": "do", "arguments": {"act": "exit=5"}}),
    );
    let ended = run.finish();
    assert_eq!(ended.code, 5, "{ended}");
    for line in ended.text().lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert!(ended.stderr.contains("{\"jsonrpc\": \"2.0\", "), "{ended}");
}

#[test]
fn a_byte_order_mark_before_the_first_message_is_removed() {
    let test = Test::new();
    test.serve("fake", &["out-hex=efbbbf"], "");
    let mut run = test.run("fake");
    assert!(run.initialize()["result"].is_object());
    run.finish();
}

#[test]
fn a_batch_passes_unchanged() {
    let batch = r#"[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":1,"result":{}}]"#;
    same(&[], |run| {
        run.initialize();
        let bytes = hex(format!("{batch}\n").as_bytes());
        let say = json!({"stream": "stdout", "hex": bytes});
        let id = run.ask("tools/call", &json!({"name": "say", "arguments": say}));
        let line = String::from_utf8(run.line().unwrap()).unwrap();
        json!([line, run.answer(id)])
    });
}

#[test]
fn requests_before_the_handshake_pass_unchanged() {
    same(&[], |run| {
        let early = run.request("tools/list", &json!({}));
        let hello = run.initialize();
        json!([early, hello, run.call("echo", &json!({"text": "later"}))])
    });
}

#[test]
fn many_requests_at_once_are_answered_in_order() {
    same(&[], |run| {
        run.initialize();
        let ids: Vec<_> = (0..500)
            .map(|n| {
                run.ask(
                    "tools/call",
                    &json!({"name": "echo", "arguments": {"text": n.to_string()}}),
                )
            })
            .collect();
        json!(ids.into_iter().map(|id| run.answer(id)).collect::<Vec<_>>())
    });
}

#[test]
fn a_line_of_a_hundred_megabytes_arrives_whole() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    test.serve("fake", &[], &slot("TOKEN", "test/token"));
    let mut run = test.run("fake");
    run.initialize();
    assert_eq!(
        run.call("fill", &json!({"bytes": 100 << 20})).len(),
        100 << 20
    );
    run.finish();
}
