//! An MCP client that is careless with its pipes: every process that it starts inherits the other ends.
//!
//! `fake-client HEIR COMMAND…` starts the command with two such pipes, does the handshake, and starts an
//! heir of the pipes, which is this program again. It writes `fake-client: HEIR PID COMMAND-PID` to
//! stderr, and waits to be killed. The heir `silent` holds the pipes and does nothing; the heir `heir`
//! takes over the session: it answers `ping`, says so on stderr, and calls a tool for each line of its
//! stdin. With `none` there is no heir.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::zombie_processes,
    clippy::exit,
    clippy::indexing_slicing,
    reason = "a program for tests, which may fail loudly"
)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["silent", _, _] => drop(std::io::stdin().read_to_end(&mut Vec::new())),
        ["heir", to, from] => inherit(to.parse().unwrap(), from.parse().unwrap()),
        [heir, program, ..] => start(heir, program, &arguments),
        _ => {}
    }
}

fn say(text: &str) {
    std::io::stderr()
        .write_all(format!("fake-client: {text}\n").as_bytes())
        .unwrap();
}

fn send(mut to: &File, message: &Value) {
    to.write_all(format!("{message}\n").as_bytes()).unwrap();
}

fn start(heir: &str, program: &str, arguments: &[String]) {
    // Without close-on-exec.
    let (stdin, to) = nix::unistd::pipe().unwrap();
    let (from, stdout) = nix::unistd::pipe().unwrap();
    let fds = [to.as_raw_fd(), from.as_raw_fd()].map(|fd| fd.to_string());
    let server = Command::new(program)
        .args(&arguments[2..])
        .stdin(stdin)
        .stdout(stdout)
        .spawn()
        .unwrap();
    let (to, from) = (File::from(to), File::from(from));
    let client = json!({"name": "careless", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    send(
        &to,
        &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}),
    );
    let mut lines = BufReader::new(from);
    lines.read_line(&mut String::new()).unwrap();
    send(
        &to,
        &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    );
    let mut heir_pid = 0;
    if heir != "none" {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(heir).args(fds).stdout(Stdio::null());
        heir_pid = command.spawn().unwrap().id();
    }
    say(&format!("{heir} {heir_pid} {}", server.id()));
    // Until it is killed.
    loop {
        std::thread::park();
    }
}

#[expect(unsafe_code, reason = "an inherited descriptor is a number")]
fn owned(fd: i32) -> File {
    // SAFETY: inherited from the client, and used by nothing else here.
    File::from(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn inherit(to: i32, from: i32) {
    let (to, from) = (owned(to), owned(from));
    let for_calls = to.try_clone().unwrap();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let params = json!({"name": "echo", "arguments": {"text": line.unwrap()}});
            send(
                &for_calls,
                &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}),
            );
        }
        std::process::exit(0);
    });
    for line in BufReader::new(from).lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if message["method"] == "ping" {
            send(
                &to,
                &json!({"jsonrpc": "2.0", "id": message["id"], "result": {}}),
            );
            say("asked");
        } else {
            say(&message.to_string());
        }
    }
}
