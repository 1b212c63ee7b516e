//! Starts the real binary as a bridge, and plays its client and its supervisor.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::web::LIMIT;

/// A bridge under test.
pub(super) struct Driver {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    /// Lines that were read while another was waited for.
    kept: VecDeque<Vec<u8>>,
    reports: Receiver<Value>,
    channel: Option<UnixStream>,
    /// What it said on stderr.
    said: tempfile::NamedTempFile,
}

/// How a bridge is started.
pub(super) struct Start {
    pub(super) url: String,
    pub(super) transport: &'static str,
    pub(super) renewable: bool,
    pub(super) proxy: Option<String>,
    pub(super) no_proxy: &'static str,
    pub(super) authorities: Vec<String>,
    pub(super) build: String,
}

impl Start {
    pub(super) fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            transport: "auto",
            renewable: false,
            proxy: None,
            no_proxy: "",
            authorities: Vec::new(),
            build: format!("{} 1", env!("CARGO_PKG_VERSION")),
        }
    }

    pub(super) fn go(self) -> Driver {
        Driver::start(&self)
    }
}

/// The credentials of a generation.
pub(super) fn credentials(url: &str, generation: u64, token: &str, renewable: bool) -> Value {
    json!({
        "generation": generation, "url": url, "renewable": renewable,
        "headers": [["Authorization", format!("Bearer {token}")]],
    })
}

impl Driver {
    fn start(start: &Start) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let said = tempfile::NamedTempFile::new().unwrap();
        // The shell moves the socket to descriptor 3, which needs no `unsafe` here.
        let mut child = Command::new("/bin/sh")
            .args(["-c", "exec \"$0\" __bridge 3>&2 2>\"$1\""])
            .arg(env!("CARGO_BIN_EXE_mcpwrap"))
            .arg(said.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(OwnedFd::from(theirs))
            .spawn()
            .unwrap();
        let origin = start
            .url
            .splitn(4, '/')
            .take(3)
            .collect::<Vec<_>>()
            .join("/");
        let driver = Self {
            input: child.stdin.take(),
            lines: read_lines(child.stdout.take().unwrap()),
            kept: VecDeque::new(),
            reports: read_reports(ours.try_clone().unwrap()),
            channel: Some(ours),
            child,
            said,
        };
        driver.down(&json!({"start": {
            "build": start.build, "server": "web", "origin": origin,
            "transport": start.transport,
            "network": {
                "proxy": start.proxy, "no_proxy": start.no_proxy, "authorities": start.authorities,
            },
            "credentials": credentials(&start.url, 1, "token-1", start.renewable),
        }}));
        driver
    }

    /// Sends a frame of the supervisor.
    pub(super) fn down(&self, frame: &Value) {
        let bytes = frame.to_string().into_bytes();
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut channel = self.channel.as_ref().unwrap();
        channel.write_all(&[&length[..], &bytes].concat()).unwrap();
    }

    /// The next report that has this key.
    #[track_caller]
    pub(super) fn report(&self, key: &str) -> Value {
        loop {
            let report = self.reports.recv_timeout(LIMIT).expect("no report");
            if let Some(found) = report.get(key) {
                return found.clone();
            }
        }
    }

    /// Whether no report with this key is waiting.
    pub(super) fn has_no_report(&self, key: &str) -> bool {
        self.reports
            .try_iter()
            .all(|report| report.get(key).is_none())
    }

    pub(super) fn send_raw(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
    }

    pub(super) fn send(&mut self, message: &Value) {
        self.send_raw(&message.to_string());
    }

    pub(super) fn ask(&mut self, id: impl Into<Value>, method: &str, params: &Value) {
        let id = id.into();
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    pub(super) fn notify(&mut self, method: &str, params: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// The next line, as it is.
    #[track_caller]
    pub(super) fn line(&mut self) -> Vec<u8> {
        let kept = self.kept.pop_front();
        let said = || std::fs::read_to_string(self.said.path()).unwrap_or_default();
        kept.unwrap_or_else(|| {
            let line = self.lines.recv_timeout(LIMIT);
            line.unwrap_or_else(|_| panic!("no line came; stderr: {}", said()))
        })
    }

    /// The next message.
    #[track_caller]
    pub(super) fn message(&mut self) -> Value {
        let line = self.line();
        serde_json::from_slice(&line)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&line)))
    }

    /// The answer to a request; other messages are kept.
    #[track_caller]
    pub(super) fn answer(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into();
        let mut others = VecDeque::new();
        loop {
            let line = self.line();
            let message: Value = serde_json::from_slice(&line).unwrap();
            if message["id"] == id && message.get("method").is_none() {
                others.append(&mut self.kept);
                self.kept = others;
                return message;
            }
            others.push_back(line);
        }
    }

    #[track_caller]
    pub(super) fn call(&mut self, id: impl Into<Value>, method: &str, params: &Value) -> Value {
        let id = id.into();
        self.ask(id.clone(), method, params);
        self.answer(id)
    }

    /// The handshake of the legacy era.
    #[track_caller]
    pub(super) fn initialize(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "driver", "version": "1"},
        });
        let answer = self.call("init", "initialize", &params);
        self.notify("notifications/initialized", &json!({}));
        answer
    }

    /// Closes stdin, waits for the end, and returns what was said on stderr and every line that was not
    /// read. The end takes at most a second.
    #[track_caller]
    pub(super) fn finish(mut self) -> (String, Vec<String>) {
        drop(self.input.take());
        self.ended();
        let mut left: Vec<Vec<u8>> = self.kept.drain(..).collect();
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            left.push(line);
        }
        let text = |line: Vec<u8>| String::from_utf8(line).unwrap();
        let said = std::fs::read_to_string(self.said.path()).unwrap();
        (said, left.into_iter().map(text).collect())
    }

    pub(super) fn close_input(&mut self) {
        drop(self.input.take());
    }

    /// Closes the channel, as a supervisor that dies.
    pub(super) fn abandon(&mut self) {
        let channel = self.channel.take().unwrap();
        channel.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub(super) fn ended(&mut self) {
        let end = Instant::now() + Duration::from_secs(5);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "the bridge goes on");
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Only Linux tells.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn own_memory(&self) -> u64 {
        u64::from(self.child.id()).min(1)
    }

    /// The memory of the process that is its own (KiB).
    #[cfg(target_os = "linux")]
    pub(super) fn own_memory(&self) -> u64 {
        // The bridge hides the rest of `/proc` from everybody but root.
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:"));
        let digits = line.unwrap().split_whitespace().nth(1).unwrap();
        digits.parse().unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read_lines(stdout: std::process::ChildStdout) -> Receiver<Vec<u8>> {
    // A rendezvous: a client that reads line by line, and holds the server back.
    let (sender, lines) = std::sync::mpsc::sync_channel(0);
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        loop {
            let mut line = Vec::new();
            match stdout.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    assert_eq!(line.pop(), Some(b'\n'));
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            }
        }
    });
    lines
}

fn read_reports(mut channel: UnixStream) -> Receiver<Value> {
    let (sender, reports) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut length = [0; 4];
        while channel.read_exact(&mut length).is_ok() {
            let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
            channel.read_exact(&mut bytes).unwrap();
            if sender
                .send(serde_json::from_slice(&bytes).unwrap())
                .is_err()
            {
                return;
            }
        }
    });
    reports
}
