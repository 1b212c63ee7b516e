//! Tests of the fake server and the builder, on which other tests depend.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{TOKEN, Test, fake_server, forms, process};

#[test]
fn it_speaks_both_eras_and_never_mixes_them() {
    let test = Test::new();
    let mut run = test.bare(&[]);
    assert_eq!(
        run.initialize()["result"]["serverInfo"]["name"],
        "fake-server"
    );
    assert_eq!(
        run.request("server/discover", &json!({}))["error"]["code"],
        -32601
    );
    assert_eq!(
        run.request("tools/list", &json!({}))["result"]["tools"][0]["name"],
        "echo"
    );
    assert_eq!(run.finish().code, 0);

    let mut run = test.bare(&[]);
    let answer = run.request("server/discover", &json!({}));
    assert_eq!(answer["result"]["supportedVersions"][0], "2026-07-28");
    assert_eq!(
        run.request("tools/list", &json!({}))["error"]["code"],
        -32602
    );
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let answer = run.request("tools/list", &json!({"_meta": meta}));
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(run.initialize()["error"]["code"], -32022);
    assert_eq!(run.finish().code, 0);
}

#[test]
fn its_tools_report_facts() {
    let test = Test::new();
    test.set("SHOWN", "some value");
    let mut run = test.bare(&["one two", "näme"]);
    run.initialize();
    assert_eq!(run.call("echo", &json!({"text": "héllo"})), "héllo");
    assert_eq!(run.peek("SHOWN"), b"some value");
    assert!(run.call("env", &json!({})).contains("SHOWN=some value"));
    let facts = run.facts();
    assert_eq!(facts["pid"], run.server(1).as_raw());
    assert_eq!(facts["arguments"], json!(["6f6e652074776f", "6ec3a46d65"]));
    for descriptor in ["0", "1", "2"] {
        assert!(
            facts["descriptors"]
                .as_array()
                .unwrap()
                .contains(&json!(descriptor))
        );
    }
    assert_eq!(facts["directory"], test.dir.display().to_string());
    run.call(
        "say",
        &json!({"stream": "stderr", "hex": "616263", "piece": 1}),
    );
    run.heard("abc");
    drop(run);
}

#[test]
fn it_exits_as_requested() {
    let test = Test::new();
    assert_eq!(test.bare(&["exit=7"]).end().code, 7);
    assert_eq!(test.bare(&["die=9"]).end().signal, Some(9));
    assert_eq!(test.bare(&["die=PIPE"]).end().signal, Some(13));
    assert_eq!(test.bare(&["at-eof=exit=3"]).finish().code, 3);
    let run = test.bare(&["ignore=term,eof"]);
    run.server(1);
    run.signal(Signal::SIGTERM);
    run.signal(Signal::SIGKILL);
    assert_eq!(run.end().signal, Some(9));
    let ended = test.bare(&["both-fill=100000"]).finish();
    assert_eq!(
        (ended.stdout.len(), ended.stderr_bytes.len() > 100_000),
        (100_000, true)
    );
}

#[test]
fn a_remaining_process_is_found_and_ended() {
    let test = Test::new();
    let mut command = test.command(fake_server());
    command
        .args(["child", "daemon"])
        .stdin(std::process::Stdio::null());
    assert!(
        command
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    // During `execve` a process has no environment by which to find it.
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while process::of_test(&test.dir).len() != 2 {
        assert!(std::time::Instant::now() < deadline, "two were left behind");
        std::thread::yield_now();
    }
    assert_eq!(process::wait_for_none(&test.dir, Duration::ZERO).len(), 2);
}

#[test]
fn a_secret_in_the_output_fails_the_test() {
    let leaks = |act: &str| {
        let test = Test::new();
        test.hide(TOKEN);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            test.bare(&[act, "exit=0"]).end();
        }));
        ended.is_err()
    };
    assert!(leaks(&format!("out={TOKEN}")));
    assert!(leaks(&format!("err={TOKEN}")));
    assert!(!leaks("out=nothing"));
    assert_eq!(forms::find(TOKEN.as_bytes(), b"x"), None);
}

#[test]
fn a_terminal_shows_and_takes_text() {
    let test = Test::new();
    let mut terminal = test.terminal(&["--version"]);
    terminal.expect("mcpwrap 0.");
    assert_eq!(terminal.end().0, 0);
}
