//! The wall around a process that talks to the network, with a process that tries what a hostile one would.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use crate::harness::{Test, example, skip};

#[test]
fn a_confined_process_reaches_the_server_and_nothing_else() {
    let test = Test::new();
    let parts = test.cli(&["status", "--json"]).json()["wall"].clone();
    if parts != serde_json::json!({"files": true, "ports": true, "calls": true}) {
        return skip("wall", &format!("the wall of this kernel is {parts}"));
    }
    let file = test.dir.join("vault.age");
    std::fs::write(&file, "x").unwrap();
    let socket = test.dir.join("bus");
    let _bus = UnixListener::bind(&socket).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |one: &TcpListener| one.local_addr().unwrap().port().to_string();
    let mut command = test.command(example("wall-probe"));
    command.args([
        &port(&server),
        &file.display().to_string(),
        &socket.display().to_string(),
        &port(&other),
    ]);
    let ended = test.start(&mut command).finish();
    assert_eq!(ended.code, 0, "{ended}");
    let text = ended.text();
    let said = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no line for {name}: {text}"))
    };
    for name in ["resolver", "port", "descriptor", "thread"] {
        assert_eq!(said(name), "ok", "{name}: {text}");
    }
    for name in [
        "file", "list", "write", "socket", "abstract", "other", "listen", "program", "signal",
        "trace", "keyctl", "io_uring", "memory",
    ] {
        assert_eq!(said(name), "PermissionDenied", "{name}: {text}");
    }
}
