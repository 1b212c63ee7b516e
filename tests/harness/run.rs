//! One running program: its streams, its messages, its exit.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{DEADLINE, Test};

/// A started program and its output so far.
pub(crate) struct Run<'a> {
    test: &'a Test,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    stderr: Arc<(Mutex<Heard>, Condvar)>,
    said: Vec<u8>,
    next_id: u64,
    /// Messages that arrived during the wait for another one.
    pub(crate) others: Vec<Value>,
    ended: bool,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    closed: bool,
}

/// The exit of a program and all its output.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code, or 128 + n after signal n.
    pub(crate) code: i32,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) stderr_bytes: Vec<u8>,
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        write!(
            f,
            "exit {}\n--- stdout\n{stdout}\n--- stderr\n{}",
            self.code, self.stderr
        )
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(test: &'a Test, mut child: Child) -> Self {
        let (sender, lines) = channel();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            loop {
                let mut line = Vec::new();
                match stdout.read_until(b'\n', &mut line) {
                    Ok(1..) if sender.send(line).is_ok() => {}
                    _ => return,
                }
            }
        });
        let stderr = Arc::<(Mutex<Heard>, Condvar)>::default();
        let (heard, mut pipe) = (Arc::clone(&stderr), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 8192];
            loop {
                let count = pipe.read(&mut bytes).unwrap_or(0);
                let mut state = heard.0.lock().unwrap();
                state.bytes.extend_from_slice(&bytes[..count]);
                state.closed = count == 0;
                heard.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        let (said, others) = (Vec::new(), Vec::new());
        Self {
            test,
            child,
            stdin,
            lines,
            stderr,
            said,
            next_id: 0,
            others,
            ended: false,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Sends these bytes; ignores a closed stdin.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin {
            drop(stdin.write_all(bytes).and_then(|()| stdin.flush()));
        }
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.send_raw(format!("{message}\n").as_bytes());
    }

    /// Closes its stdin.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// The next line of stdout with its newline; `None` after the last one.
    pub(crate) fn line(&mut self) -> Option<Vec<u8>> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.said.extend_from_slice(&line);
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.fail("no line on stdout"),
        }
    }

    /// The next message on stdout.
    pub(crate) fn message(&mut self) -> Value {
        let Some(line) = self.line() else {
            self.fail("stdout ended")
        };
        match serde_json::from_slice(&line) {
            Ok(message) => message,
            Err(_) => self.fail(&format!("no message: {}", String::from_utf8_lossy(&line))),
        }
    }

    /// Sends a request and waits for its answer. Earlier messages are kept in `others`.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        self.answer(id)
    }

    /// Sends a request and returns its id.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Waits for the answer to the request with this ID.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        let known = self.others.iter().position(|other| other["id"] == id);
        if let Some(at) = known {
            return self.others.remove(at);
        }
        loop {
            let message = self.message();
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            self.others.push(message);
        }
    }

    /// The handshake of the legacy era; returns the whole answer.
    pub(crate) fn initialize(&mut self) -> Value {
        let client = json!({"name": "test-client", "version": "1.0.0"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let answer = self.request("initialize", &params);
        if answer.get("result").is_some() {
            self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        }
        answer
    }

    /// Calls a tool and returns the text of its answer.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> String {
        let answer = self.request("tools/call", &json!({"name": tool, "arguments": arguments}));
        match answer["result"]["content"][0]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => self.fail(&format!("no text in the answer: {answer}")),
        }
    }

    /// The value of a variable in the server, without masking.
    pub(crate) fn peek(&mut self, name: &str) -> Vec<u8> {
        let text = self.call("peek", &json!({"name": name}));
        let digits = |n: usize| u8::from_str_radix(&text[n..n + 2], 16).unwrap();
        let mut bytes: Vec<_> = (0..text.len()).step_by(2).map(digits).collect();
        bytes.reverse();
        bytes
    }

    /// The facts that the server reports about itself.
    pub(crate) fn facts(&mut self) -> Value {
        let text = self.call("facts", &json!({}));
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until stderr has this text; returns all of stderr so far.
    pub(crate) fn heard(&self, text: &str) -> String {
        self.heard_times(text, 1)
    }

    /// Waits until stderr has this text this many times.
    pub(crate) fn heard_times(&self, text: &str, times: usize) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.stderr.0.lock().unwrap();
        loop {
            let all = String::from_utf8_lossy(&state.bytes).into_owned();
            if all.matches(text).count() >= times {
                return all;
            }
            assert!(!state.closed, "stderr ended without `{text}`:\n{all}");
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no `{text}` on stderr in time:\n{all}");
            state = self.stderr.1.wait_timeout(state, left).unwrap().0;
        }
    }

    /// The pid in the n-th ready line of the fake server (from 1).
    pub(crate) fn server(&self, nth: usize) -> Pid {
        let mark = "fake-server: ready ";
        let text = self.heard_times(mark, nth);
        let rest = text.split(mark).nth(nth).unwrap();
        Pid::from_raw(rest.lines().next().unwrap().trim().parse().unwrap())
    }

    /// Closes stdin and waits for the exit.
    pub(crate) fn finish(mut self) -> Ended {
        self.close();
        self.end()
    }

    /// Acts as a client that waits for the error of a failed start and disconnects. A client that
    /// disconnects immediately may be gone before the error.
    pub(crate) fn refused(self) -> Ended {
        self.heard("mcpwrap: error[");
        self.finish()
    }

    /// Waits for the exit without closing stdin.
    pub(crate) fn end(self) -> Ended {
        self.end_within(DEADLINE)
    }

    /// Waits for the exit up to this limit, and checks the output for secrets.
    pub(crate) fn end_within(mut self, limit: Duration) -> Ended {
        self.inspect();
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.fail(&format!("not ended after {limit:?}"));
            }
            // Lines are read here, so that a full channel does not block the program.
            if let Ok(line) = self.lines.recv_timeout(Duration::from_millis(2)) {
                self.said.extend_from_slice(&line);
            }
        };
        self.ended = true;
        while let Some(line) = self.line() {
            drop(line);
        }
        let mut state = self.stderr.0.lock().unwrap();
        while !state.closed {
            let (next, timeout) = self.stderr.1.wait_timeout(state, DEADLINE).unwrap();
            assert!(
                !timeout.timed_out(),
                "stderr stays open: a process holds it"
            );
            state = next;
        }
        let stderr_bytes = std::mem::take(&mut state.bytes);
        drop(state);
        let ended = Ended {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap()),
            signal: status.signal(),
            stdout: std::mem::take(&mut self.said),
            stderr: String::from_utf8_lossy(&stderr_bytes).into_owned(),
            stderr_bytes,
        };
        self.test.no_secret_in("stdout", &ended.stdout);
        self.test.no_secret_in("stderr", &ended.stderr_bytes);
        ended
    }

    /// Checks that the command line and environment of the program contain no secret.
    fn inspect(&self) {
        for name in ["cmdline", "environ"] {
            let path = format!("/proc/{}/{name}", self.child.id());
            let bytes = std::fs::read(&path).unwrap_or_default();
            self.test
                .no_secret_in(&format!("{name} of the program"), &bytes);
        }
    }

    fn fail(&self, what: &str) -> ! {
        let heard = self.stderr.0.lock().unwrap();
        let stderr = String::from_utf8_lossy(&heard.bytes).into_owned();
        let said = String::from_utf8_lossy(&self.said).into_owned();
        drop(heard);
        // What it waits for.
        let state = |(pid, line): &(Pid, String)| {
            let waits = std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
            format!("{pid} {waits} {line}\n")
        };
        let processes = super::process::of_test(&self.test.dir);
        let processes: String = processes.iter().map(state).collect();
        panic!(
            "{what}\n--- stdout so far\n{said}\n--- stderr so far\n{stderr}\n--- processes\n{processes}"
        );
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // Like a client that disconnects: the pipes close, and the program ends itself.
            self.stdin = None;
            let deadline = Instant::now() + Duration::from_secs(5);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                drop(self.lines.recv_timeout(Duration::from_millis(2)));
            }
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
