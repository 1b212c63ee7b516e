//! The tools of the fake server; each does one thing that a test observes from outside.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use base64::Engine as _;
use serde_json::{Value, json};

/// Name and description of every tool.
const TOOLS: &[(&str, &str)] = &[
    ("echo", "gives back `text`"),
    (
        "env",
        "the whole environment, as a careless server shows it",
    ),
    (
        "peek",
        "the value of the variable `name`, its bytes reversed, as hex: no form that is masked",
    ),
    (
        "facts",
        "what the server sees of itself, or `only` these fields of it",
    ),
    (
        "leak",
        "the variable `name`, spelled `as` raw, json, base64, hex or url, on `stream`",
    ),
    (
        "say",
        "writes the bytes `hex` to `stream` in pieces of `piece` bytes",
    ),
    (
        "read",
        "the text of the file whose path is in the variable `name`, reversed, as hex",
    ),
    ("wait", "answers after `ms` milliseconds"),
    (
        "fail",
        "fails with `text`: as a JSON-RPC error, or with `tool` as the tool's result",
    ),
    (
        "attack",
        "what the kernel says to reading, tracing and (with `signals`) signalling the process `pid`",
    ),
    ("do", "does `act`, as if it were an argument of the program"),
];

pub(crate) fn list() -> Vec<Value> {
    let tool = |(name, text): &(&str, &str)| json!({"name": name, "description": text, "inputSchema": {"type": "object"}});
    TOOLS.iter().map(tool).collect()
}

pub(crate) fn call(params: &Value) -> Result<Value, (i64, String)> {
    let given = &params["arguments"];
    let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
    let answer = match params["name"].as_str().unwrap_or_default() {
        "echo" => text("text"),
        "fill" => "x".repeat(usize::try_from(given["bytes"].as_u64().unwrap()).unwrap()),
        "env" => environment(),
        "peek" => backwards(variable(&text("name"))?),
        "facts" => match given["only"].as_array() {
            Some(names) => json!(
                names
                    .iter()
                    .map(|name| facts()[text_of(name)].clone())
                    .collect::<Vec<_>>()
            ),
            None => facts(),
        }
        .to_string(),
        "leak" => leak(&variable(&text("name"))?, &text("as"), &text("stream")),
        "say" => {
            let piece = given["piece"]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok());
            pieces(
                &text("stream"),
                &unhex(&text("hex")),
                piece.unwrap_or(usize::MAX),
            )
        }
        "read" => {
            let path = std::ffi::OsString::from_vec(variable(&text("name"))?);
            backwards(std::fs::read(path).map_err(|error| (-32000, error.to_string()))?)
        }
        "wait" => {
            std::thread::sleep(std::time::Duration::from_millis(
                given["ms"].as_u64().unwrap(),
            ));
            "waited".to_owned()
        }
        "fail" if given["tool"] == true => {
            let content = json!([{"type": "text", "text": text("text")}]);
            return Ok(json!({"content": content, "isError": true}));
        }
        "fail" => return Err((-32_603, text("text"))),
        "attack" => attack(given).to_string(),
        "do" => {
            let act = text("act");
            let (name, value) = act.split_once('=').unwrap_or((&act, ""));
            super::act(&mut super::Session::default(), name, value);
            "done".to_owned()
        }
        other => return Err((-32602, format!("unknown tool: {other}"))),
    };
    Ok(json!({"content": [{"type": "text", "text": answer}], "isError": false}))
}

/// Tries everything on a process, the fatal last; gives `ok` or the kernel's error for each.
fn attack(given: &Value) -> Value {
    use nix::sys::signal;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(given["pid"].as_i64().unwrap()).unwrap());
    let word = |result: Result<(), nix::errno::Errno>| match result {
        Ok(()) => "ok".to_owned(),
        Err(errno) => format!("{errno:?}"),
    };
    let read = |name: &str| {
        let file = std::fs::File::open(format!("/proc/{pid}/{name}"));
        let read = file.and_then(|file| {
            // The first page is not mapped: reading `mem` there fails, but not with EACCES.
            std::os::unix::fs::FileExt::read_at(&file, &mut [0], 0)
        });
        let errno = |error: std::io::Error| {
            nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or_default())
        };
        word(read.map(drop).map_err(errno))
    };
    #[cfg(target_os = "linux")]
    let attached = nix::sys::ptrace::seize(pid, nix::sys::ptrace::Options::empty());
    #[cfg(not(target_os = "linux"))]
    let attached = Err(nix::errno::Errno::ENOSYS);
    let mut said = json!({
        "environ": read("environ"), "mem": read("mem"), "ptrace": word(attached),
        "exists": word(signal::kill(pid, None)),
    });
    if given["signals"] == true {
        for (name, sent) in [
            ("stop", signal::Signal::SIGSTOP),
            ("term", signal::Signal::SIGTERM),
            ("kill", signal::Signal::SIGKILL),
        ] {
            said[name] = json!(word(signal::kill(pid, sent)));
        }
    }
    said
}

fn variable(name: &str) -> Result<Vec<u8>, (i64, String)> {
    let value = std::env::var_os(name).ok_or((-32602, format!("no variable {name}")))?;
    Ok(value.into_vec())
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn environment() -> String {
    let mut lines: Vec<_> = std::env::vars_os()
        .map(|(name, value)| format!("{}={}", name.display(), value.display()))
        .collect();
    lines.sort();
    lines.join("\n")
}

fn backwards(mut bytes: Vec<u8>) -> String {
    bytes.reverse();
    hex(&bytes)
}

fn leak(value: &[u8], spelling: &str, stream: &str) -> String {
    let text = String::from_utf8_lossy(value).into_owned();
    let spelled = match spelling {
        "json" => serde_json::to_string(&text).unwrap(),
        "base64" => base64::engine::general_purpose::STANDARD.encode(value),
        "hex" => hex(value),
        "url" => value.iter().fold(String::new(), |text, b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text + &char::from(*b).to_string(),
            _ => text + &format!("%{b:02X}"),
        }),
        _ => text,
    };
    if stream == "stderr" {
        super::write(2, format!("{spelled}\n").as_bytes());
        return "written".to_owned();
    }
    spelled
}

fn pieces(stream: &str, bytes: &[u8], piece: usize) -> String {
    for part in bytes.chunks(piece) {
        super::write(if stream == "stderr" { 2 } else { 1 }, part);
    }
    "said".to_owned()
}

fn facts() -> Value {
    let umask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    nix::sys::stat::umask(umask);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|rest| rest.trim_start_matches(':').trim().to_owned())
    };
    let id = |result: nix::Result<nix::unistd::Pid>| result.map(nix::unistd::Pid::as_raw).ok();
    json!({
        "pid": std::process::id(),
        "parent": nix::unistd::getppid().as_raw(),
        "group": nix::unistd::getpgrp().as_raw(),
        "session": id(nix::unistd::getsid(None)),
        "directory": std::env::current_dir().ok(),
        "arguments": std::env::args_os().skip(1).map(|a| hex(a.as_bytes())).collect::<Vec<_>>(),
        "umask": umask.bits(),
        "descriptors": descriptors(),
        "blocked": field("SigBlk"),
        "ignored": field("SigIgn"),
        "parent_death_signal": field("PDeathSig"),
    })
}

/// The open descriptors, except the one that lists them.
fn descriptors() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/dev/fd") else {
        return Vec::new();
    };
    let mut open: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| !to.starts_with("/proc")))
        .map(|entry| entry.file_name().display().to_string())
        .collect();
    open.sort();
    open
}

fn hex(bytes: &[u8]) -> String {
    mcpwrap::testing::secret::hex(bytes)
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = |n: usize| u8::from_str_radix(&text[n..n + 2], 16).unwrap();
    (0..text.len() / 2 * 2).step_by(2).map(digits).collect()
}
