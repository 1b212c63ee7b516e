//! An MCP server controlled by its arguments and tools: the server in most tests.
//!
//! Each argument is one act, done in order before the first message is read (see [`act`]); each
//! tool does one thing during the session (see [`tools`]). It writes `fake-server: ready PID` to
//! stderr before it reads, so that tests wait for a line and not for a time. It needs no `unsafe`:
//! signals are blocked instead of ignored, and death by a signal goes through `sh`.
//!
//! It speaks both eras of MCP, and like real servers keeps the era of the first request.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::exit,
    clippy::indexing_slicing,
    reason = "a program for tests, which may fail loudly"
)]

#[path = "fake_apart.rs"]
mod apart;
#[path = "fake_moods.rs"]
mod moods;
#[path = "fake_tools.rs"]
mod tools;

use std::io::{BufRead as _, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value, json};

/// The behaviour selected by the arguments.
#[derive(Debug, Default)]
struct Session {
    /// The supported eras; empty means both.
    era: String,
    mute: bool,
    early_notice: bool,
    crash_after: Option<u32>,
    instructions: Option<String>,
    moods: moods::Moods,
}

fn main() {
    let mut session = Session::default();
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        act(&mut session, name, value);
    }
    ready();
    serve(&mut session);
    let ending = ENDING.lock().unwrap().clone();
    let (name, value) = ending.split_once('=').unwrap_or((&ending, ""));
    act(&mut session, name, value);
}

/// What happens after the end of stdin; a tool may change it during the session.
static ENDING: Mutex<String> = Mutex::new(String::new());

/// In one write, so that a reader gets the complete line.
fn ready() {
    write(
        2,
        format!("fake-server: ready {}\n", std::process::id()).as_bytes(),
    );
}

/// Does the act of one argument.
fn act(session: &mut Session, name: &str, value: &str) {
    match name {
        // Output: a line, raw bytes, or a number of `x` without a newline.
        "out" => write(1, format!("{value}\n").as_bytes()),
        "err" => write(2, format!("{value}\n").as_bytes()),
        "out-hex" => write(1, &tools::unhex(value)),
        "err-hex" => write(2, &tools::unhex(value)),
        "out-fill" => write(1, &vec![b'x'; value.parse().unwrap()]),
        "err-fill" => write(2, &vec![b'x'; value.parse().unwrap()]),
        "both-fill" => both(value.parse().unwrap()),
        // How it exits.
        "exit" => std::process::exit(value.parse().unwrap()),
        "die" => die(value),
        "at-eof" => value.clone_into(&mut ENDING.lock().unwrap()),
        "crash-after" => session.crash_after = Some(value.parse().unwrap()),
        // How it refuses to exit.
        "ignore" => {
            let (eof, signals): (Vec<_>, Vec<_>) = value.split(',').partition(|n| *n == "eof");
            if !eof.is_empty() {
                act(session, "at-eof", "stay");
            }
            block(&signals);
        }
        "never-read" => {
            ready();
            linger();
        }
        // Other processes: a child, one in its own session, a chain that keeps forking.
        "child" => drop(spawn(&["ignore=term,int,hup,quit", "stay"])),
        "daemon" => drop(spawn(&["leave-session"]).wait()),
        "leave-session" => {
            nix::unistd::setsid().unwrap();
            drop(spawn(&["ignore=term,int,hup,quit", "stay"]));
            std::process::exit(0);
        }
        "chain-start" => drop(spawn(&[&format!("chain={value}")])),
        "chain" => chain(value.parse().unwrap()),
        "stay" => linger(),
        // How it conducts the session.
        "echo" => echo(),
        "era" => value.clone_into(&mut session.era),
        "mute" => session.mute = true,
        "when-bad" => value.clone_into(&mut session.moods.when_bad),
        "lists" => value.clone_into(&mut session.moods.lists),
        "flood" => flood(value),
        "asks" => session.moods.asks = true,
        "bind" => moods::bind(value.parse().unwrap()),
        "early-notice" => session.early_notice = true,
        "instructions" => session.instructions = Some(value.to_owned()),
        "slow" => std::thread::sleep(Duration::from_millis(value.parse().unwrap())),
        "close" if value == "out" => nix::unistd::close(1).unwrap(),
        // For commands with other ancestors: the remaining arguments are a socket and a command.
        "apart" => apart::front(value),
        "apart-middle" => apart::middle(value),
        "apart-parent" => apart::parent(value),
        // For tests of a terminal: the remaining arguments are a command for that terminal.
        "on-terminal" => on_terminal(value),
        // Other arguments only test that they arrive (see the tool `facts`).
        _ => {}
    }
}

/// Answers messages until the end of stdin.
fn serve(session: &mut Session) {
    let mut calls = 0;
    let mut era = session.era.clone();
    for line in std::io::stdin().lock().lines() {
        let message: Value = match line.map(|line| serde_json::from_str(&line)) {
            Ok(Ok(message)) => message,
            Ok(Err(_)) => {
                say(&json!({"jsonrpc": "2.0", "id": null,
                    "error": {"code": -32700, "message": "parse error"}}));
                continue;
            }
            Err(error) => panic!("stdin: {error}"),
        };
        let method = message["method"].as_str().unwrap_or_default();
        let change: fn(&mut Value) = match session.moods.take(&message) {
            moods::Left::All => |_| (),
            moods::Left::Nothing => continue,
            moods::Left::Changed(change) => change,
        };
        if session.mute || message["id"].is_null() || method.is_empty() {
            write(2, format!("fake-server: heard {message}\n").as_bytes());
            continue;
        }
        if session.early_notice && calls == 0 && method == "initialize" {
            say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
        }
        if method == "tools/call" {
            calls += 1;
            if session.crash_after.is_some_and(|limit| calls > limit) {
                std::process::exit(70);
            }
        }
        let answer = answer(session, &mut era, method, &message);
        let mut reply = json!({"jsonrpc": "2.0", "id": message["id"]});
        match answer {
            Ok(result) => reply["result"] = result,
            Err((code, text)) => reply["error"] = json!({"code": code, "message": text}),
        }
        if era == "modern" && reply["result"].is_object() {
            reply["result"]["resultType"] = json!("complete");
            reply["result"]["ttlMs"] = json!(0);
            reply["result"]["cacheScope"] = json!("private");
        }
        change(&mut reply);
        say(&reply);
    }
}

type Answer = Result<Value, (i64, String)>;

fn answer(session: &Session, era: &mut String, method: &str, message: &Value) -> Answer {
    let unknown = || Err((-32601, format!("method not found: {method}")));
    let params = &message["params"];
    let info = json!({"name": "fake-server", "version": "1.0.0"});
    let capabilities = json!({
        "tools": {"listChanged": true}, "resources": {"subscribe": true, "listChanged": true},
        "logging": {},
    });
    let version = &params["_meta"]["io.modelcontextprotocol/protocolVersion"];
    if era.is_empty() && version == "2026-07-28" {
        "modern".clone_into(era);
    }
    if era == "modern" && method != "initialize" && version != "2026-07-28" {
        return Err((-32602, "no version of the protocol in `_meta`".to_owned()));
    }
    match method {
        "initialize" if era == "modern" => Err((-32022, "this is a modern server".to_owned())),
        "initialize" => {
            "legacy".clone_into(era);
            let mut result = json!({"protocolVersion": params["protocolVersion"],
                "capabilities": capabilities, "serverInfo": info});
            if let Some(text) = &session.instructions {
                result["instructions"] = json!(text);
            }
            Ok(result)
        }
        "server/discover" if era == "legacy" => unknown(),
        "server/discover" => {
            "modern".clone_into(era);
            Ok(
                json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
                "capabilities": capabilities, "serverInfo": info}),
            )
        }
        "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
            write(2, format!("fake-server: heard {message}\n").as_bytes());
            Ok(json!({}))
        }
        "tools/list" => Ok(json!({"tools": tools::list()})),
        "tools/call" => tools::call(params),
        "resources/list" => Ok(json!({"resources": [{"uri": "fake://one", "name": "one"}]})),
        "resources/read" => {
            let uri = params["uri"].as_str().unwrap_or_default();
            Ok(json!({"contents": [{"uri": uri, "text": format!("this is {uri}")}]}))
        }
        _ => unknown(),
    }
}

/// One message on stdout, in one write where the pipe takes it.
fn say(message: &Value) {
    write(1, format!("{message}\n").as_bytes());
}

fn write(stream: i32, bytes: &[u8]) {
    // Ignores a client that is gone; the end of stdin follows.
    drop(match stream {
        1 => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
        _ => std::io::stderr().lock().write_all(bytes),
    });
}

/// The same number of bytes on both streams at once.
fn both(bytes: usize) {
    let other = std::thread::spawn(move || write(2, &vec![b'e'; bytes]));
    write(1, &vec![b'o'; bytes]);
    other.join().unwrap();
}

/// Writes this line for ever and reads nothing.
fn flood(line: &str) {
    ready();
    let lines = format!("{line}\n").repeat(1000);
    loop {
        write(1, lines.as_bytes());
    }
}

/// Copies stdin to stdout and exits, like `cat`.
fn echo() {
    let (mut bytes, mut input) = ([0; 8192], std::io::stdin().lock());
    loop {
        match input.read(&mut bytes) {
            Ok(0) | Err(_) => std::process::exit(0),
            Ok(n) => write(1, &bytes[..n]),
        }
    }
}

/// Blocks signals, which has the effect of ignoring them but needs no `unsafe`.
fn block(names: &[&str]) {
    let mut set = SigSet::empty();
    for name in names {
        set.add(
            format!("SIG{}", name.to_uppercase())
                .parse::<Signal>()
                .unwrap(),
        );
    }
    set.thread_block().unwrap();
}

/// Dies of a signal with its default action, without a core file.
fn die(signal: &str) {
    let script = format!("ulimit -c 0; kill -{signal} $$; sleep 60");
    panic!("{}", Command::new("/bin/sh").arg("-c").arg(script).exec());
}

/// Another process of this program that keeps our stdin and stdout open, like real ones.
fn spawn(arguments: &[&str]) -> std::process::Child {
    let program = std::env::current_exe().unwrap();
    Command::new(program)
        .args(arguments)
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// A process that starts its successor and exits, `left` times.
fn chain(left: u32) {
    if left == 0 {
        linger();
    }
    drop(spawn(&[
        "ignore=term,int,hup,quit",
        &format!("chain={}", left - 1),
    ]));
    std::process::exit(0);
}

fn linger() -> ! {
    loop {
        std::thread::park();
    }
}

fn on_terminal(path: &str) {
    let mut rest = std::env::args_os().skip(2);
    nix::unistd::setsid().unwrap();
    // The first terminal that a session leader opens becomes its controlling terminal.
    let open = || {
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap()
    };
    let mut command = Command::new(rest.next().unwrap());
    let error = command
        .args(rest)
        .stdin(open())
        .stdout(open())
        .stderr(open())
        .exec();
    panic!("{error}");
}
