//! A session over the pipes of a program.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::direct::{CALL, INITIALIZE, INITIALIZED, bulk_request};
use super::server::BULK_BYTES;

pub(crate) struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.stdin.write_all(line.as_bytes()).unwrap();
    }

    /// A request and the line of its answer.
    pub(crate) fn ask(&mut self, request: &str) -> String {
        self.say(request);
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it ended");
            if line.contains("\"result\"") || line.contains("\"error\"") {
                return line;
            }
        }
    }

    pub(crate) fn initialize(&mut self) {
        let answer = self.ask(INITIALIZE);
        assert!(answer.contains("\"result\""), "{answer}");
        self.say(INITIALIZED);
    }

    pub(crate) fn call(&mut self) -> Duration {
        let began = Instant::now();
        let answer = self.ask(CALL);
        assert!(answer.contains("\"result\""), "{answer}");
        began.elapsed()
    }

    /// The throughput of a large answer (MB/s).
    pub(crate) fn bulk(&mut self) -> f64 {
        let began = Instant::now();
        self.say(&bulk_request());
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        while total < BULK_BYTES || buffer[0] != b'\n' {
            let count = self.stdout.read(&mut buffer).unwrap();
            assert!(count > 0, "it ended after {total} bytes");
            total += count;
            buffer[0] = buffer[count - 1];
        }
        total as f64 / began.elapsed().as_secs_f64() / 1e6
    }

    /// The memory of all its processes, each shared page in parts (KiB).
    pub(crate) fn memory_kib(&self) -> u64 {
        memory_below(self.child.id())
    }

    pub(crate) fn end(mut self) {
        drop(self.stdin);
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                // Some do not end with their client.
                self.child.kill().unwrap();
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

fn memory_below(pid: u32) -> u64 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let below = children.unwrap_or_default();
    let below = below.split_whitespace().map(|pid| pid.parse().unwrap());
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let own = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    own.unwrap_or(0) + below.map(memory_below).sum::<u64>()
}
