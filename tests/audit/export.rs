//! `mcpwrap log export`, read by the programs that it is for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mcpwrap::testing::audit::Event;
use serde_json::Value;

use super::write_samples;
use crate::harness::{Test, skip, until};

/// The Python environment with the packages of the receiver and the schema.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".cache/pypi/audit/bin/python");
    if !python.exists() {
        skip(
            "pypi",
            "`cargo xtask deps` has not installed the Python packages for `audit`",
        );
        return None;
    }
    Some(python)
}

fn tool(python: &Path, what: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/audit.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// A receiver of OpenTelemetry logs, with or without a collector in front of it.
struct Receiver {
    children: Vec<Child>,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u16,
}

impl Receiver {
    fn start(python: &Path) -> Self {
        let mut child = tool(python, "receive").spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        Self {
            children: vec![child],
            lines,
            port,
        }
    }

    /// The collector of the `rotel` package, which forwards records to a receiver.
    fn behind_collector(test: &Test, python: &Path) -> Self {
        let mut receiver = Self::start(python);
        let agent = Command::new(python)
            .args([
                "-c",
                "from rotel.agent import Agent; print(Agent.agent_path)",
            ])
            .output()
            .unwrap();
        let at = |port| format!("127.0.0.1:{port}");
        let (http, grpc) = (free_port(), free_port());
        let child = Command::new(String::from_utf8(agent.stdout).unwrap().trim())
            .args(["start", "--exporter", "otlp"])
            .args(["--otlp-exporter-protocol", "http"])
            .args([
                "--otlp-exporter-endpoint",
                &format!("http://{}", at(receiver.port)),
            ])
            .args(["--otlp-http-endpoint", &at(http)])
            .args(["--otlp-grpc-endpoint", &at(grpc)])
            .arg("--pid-file")
            .arg(test.root().join("collector.pid"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        receiver.children.push(child);
        receiver.port = http;
        until("the collector listens", || {
            std::net::TcpStream::connect(("127.0.0.1", http)).is_ok()
        });
        receiver
    }

    fn next(&mut self) -> Value {
        let log: Value = serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap();
        assert!(log.get("problem").is_none(), "{log}");
        log
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// A free port.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Exports the samples, and checks that each of them arrives unchanged.
fn takes_every_record(test: &Test, mut receiver: Receiver, content_type: &str) {
    let endpoint = format!("http://localhost:{}", receiver.port);
    test.ok(&["log", "export", "--format", "otlp", "--endpoint", &endpoint]);
    for event in Event::ALL {
        let log = receiver.next();
        assert_eq!(log["content_type"], content_type);
        assert_eq!(log["event"], format!("mcpwrap.{event}"));
        assert_eq!(log["service"], "mcpwrap");
        let record: Value = serde_json::from_str(log["body"].as_str().unwrap()).unwrap();
        assert_eq!(record["event"], event.name());
        if *event == Event::Call {
            let attributes = &log["attributes"];
            assert_eq!(attributes["mcp.method.name"], "tools/call");
            assert_eq!(attributes["gen_ai.tool.name"], "create_issue");
            assert_eq!(attributes["jsonrpc.request.id"], "17");
            assert_eq!(attributes["error.type"], "-32603");
            assert_eq!(attributes["mcpwrap.duration_ms"], 120);
        }
    }
}

#[test]
fn an_otlp_receiver_takes_every_record() {
    let Some(python) = python() else { return };
    let test = Test::new();
    write_samples(&test);
    takes_every_record(&test, Receiver::start(&python), "application/json");
}

/// The collector encodes the records again as protobuf, so it has parsed what arrives.
#[test]
fn an_otlp_collector_passes_every_record_on() {
    let Some(python) = python() else { return };
    let test = Test::new();
    write_samples(&test);
    let receiver = Receiver::behind_collector(&test, &python);
    takes_every_record(&test, receiver, "application/x-protobuf");
}

#[test]
fn records_go_to_this_machine_only() {
    let test = Test::new();
    write_samples(&test);
    for endpoint in [
        "http://192.0.2.1:4318",
        "https://127.0.0.1:4318",
        "ftp://x",
        "not a url",
        "http://localhost.example",
    ] {
        let ended = test.cli(&["log", "export", "--format", "otlp", "--endpoint", endpoint]);
        assert_eq!(ended.code, 2, "{endpoint}: {ended}");
        assert!(ended.stderr.contains("error[usage]"), "{ended}");
    }
}

#[test]
fn a_missing_collector_is_an_error() {
    let test = Test::new();
    write_samples(&test);
    let port = free_port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut ended = test.cli(&["log", "export", "--format", "otlp", "--endpoint", &endpoint]);
    assert_eq!(ended.code, 2, "{ended}");
    ended.stderr = ended.stderr.replace(&port.to_string(), "4318");
    crate::messages::message(&test, "export-failed", &ended);
}

#[test]
fn ocsf_events_match_their_schema() {
    let test = Test::new();
    write_samples(&test);
    let events = test.ok(&["log", "export", "--format", "ocsf"]).stdout;
    assert_eq!(
        String::from_utf8_lossy(&events).lines().count(),
        Event::ALL.len()
    );
    let Some(python) = python() else { return };
    let mut child = tool(&python, "validate").spawn().unwrap();
    child.stdin.take().unwrap().write_all(&events).unwrap();
    let answer = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(answer, format!("validated {}\n", Event::ALL.len()));
}

#[test]
fn csv_has_one_line_per_record() {
    let test = Test::new();
    write_samples(&test);
    let text = test
        .ok(&["log", "export", "--format", "csv", "--event", "call"])
        .stdout;
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].split(',').next(), Some("seq"));
    assert!(
        lines[1].contains(",claude-code,2.1.0,4711,/usr/bin/node,"),
        "{text}"
    );
}

#[test]
fn jsonl_is_the_log_itself() {
    let test = Test::new();
    write_samples(&test);
    let text = test.ok(&["log", "export", "--format", "jsonl"]).stdout;
    let mut files = std::fs::read_dir(test.root().join("state/audit"))
        .unwrap()
        .map(Result::unwrap);
    let file = files
        .find(|file| file.file_name().to_string_lossy().ends_with(".jsonl"))
        .unwrap();
    assert_eq!(text, std::fs::read(file.path()).unwrap());
}
