//! Programs with a time limit, in a home of their own that no process outlives.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::shell::{Done, cache};

/// How long a server may take to end after its client did.
const GRACE: Duration = Duration::from_secs(3);

/// Variables of this machine without which nothing is downloaded.
const NETWORK: &[&str] = &[
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "HTTPS_PROXY",
    "HTTP_PROXY",
];

/// A home directory. Its end is the end of every process that was started with it.
pub struct LimitedHome(tempfile::TempDir);

impl LimitedHome {
    pub fn new() -> Done<Self> {
        let dir = tempfile::Builder::new()
            .prefix("mcpwrap-servers-")
            .tempdir();
        dir.map(Self).map_err(|error| error.to_string())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A program with nothing in its environment but this home, a search path and the way to the
    /// registries.
    pub fn command(&self, program: &Path) -> Command {
        let uv = cache().join("pypi/uv/bin");
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path())
            .env(
                "PATH",
                format!("{}:/usr/local/bin:/usr/bin:/bin", uv.display()),
            )
            .current_dir(self.path())
            .process_group(0);
        for name in NETWORK {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// Runs a program to its end, and returns whether it succeeded and what it said.
    pub fn end(&self, command: &mut Command, input: &str, limit: Duration) -> Done<(bool, String)> {
        let place = self.path().join("said");
        let said = File::create(&place).map_err(|error| error.to_string())?;
        let both = said.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::piped()).stdout(said).stderr(both);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that reads nothing is no failure.
            drop(stdin.write_all(input.as_bytes()));
        }
        let ended = wait(&mut child, limit);
        self.kill_all();
        drop(child.wait());
        match ended {
            Some(success) => Ok((success, text(&place))),
            None => Err(format!("no end within {} s", limit.as_secs())),
        }
    }

    /// Kills every process that has this home in its environment.
    fn kill_all(&self) {
        let mark = self.path().as_os_str().as_encoded_bytes();
        let has = |path: &Path| {
            fs::read(path.join("environ"))
                .is_ok_and(|bytes| bytes.windows(mark.len()).any(|part| part == mark))
        };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ours: Vec<_> = processes
            .map(|entry| entry.path())
            .filter(|path| has(path))
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        if !ours.is_empty() {
            let mut kill = Command::new("kill");
            kill.arg("-KILL").args(&ours).stderr(Stdio::null());
            // A process that has ended meanwhile is no failure.
            drop(kill.status());
        }
    }
}

impl Drop for LimitedHome {
    fn drop(&mut self) {
        self.kill_all();
        // Installations are read-only.
        let mut chmod = Command::new("chmod");
        drop(chmod.args(["-R", "u+w"]).arg(self.path()).status());
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<bool> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.success());
        }
        park_timeout(Duration::from_millis(20));
    }
    None
}

fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The names of the tools of a server, sorted.
pub fn tools(home: &LimitedHome, command: &mut Command, limit: Duration) -> Done<Vec<String>> {
    let mut talk = Talk::start(home, command, limit)?;
    let answer = talk.tools();
    drop(talk.stdin.take());
    wait(&mut talk.child, GRACE);
    home.kill_all();
    drop(talk.child.wait());
    let said = text(&talk.stderr);
    answer.map_err(|problem| match last_words(&said) {
        Some(words) => format!("{problem}: `{words}`"),
        None => problem,
    })
}

/// A session with a server that has to answer in time.
struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: PathBuf,
    deadline: Instant,
    limit: Duration,
}

impl Talk {
    fn start(home: &LimitedHome, command: &mut Command, limit: Duration) -> Done<Self> {
        let stderr = home.path().join("stderr");
        let io = |error: std::io::Error| error.to_string();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr).map_err(io)?);
        let mut child = command.spawn().map_err(io)?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            lines,
            stderr,
            deadline: Instant::now() + limit,
            limit,
        })
    }

    fn tools(&mut self) -> Done<Vec<String>> {
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "mcpwrap-servers", "version": "1"}});
        self.request(1, "initialize", &params)?;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        let mut names = Vec::new();
        let mut params = json!({});
        for id in 2.. {
            let answer = self.request(id, "tools/list", &params)?;
            let tools = answer.get("tools").and_then(Value::as_array);
            let name = |tool: &Value| Some(tool.get("name")?.as_str()?.to_owned());
            names.extend(tools.into_iter().flatten().filter_map(name));
            match answer.get("nextCursor").filter(|next| !next.is_null()) {
                Some(next) => params = json!({ "cursor": next }),
                None => break,
            }
        }
        names.sort();
        Ok(names)
    }

    fn send(&mut self, message: &Value) -> Done {
        let stdin = self.stdin.as_mut().ok_or("stdin is closed")?;
        writeln!(stdin, "{message}").map_err(|_| "it ends before it answers".to_owned())
    }

    fn request(&mut self, id: u64, method: &str, params: &Value) -> Done<Value> {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|error| match error {
                RecvTimeoutError::Timeout => {
                    format!("no answer within {} s", self.limit.as_secs())
                }
                RecvTimeoutError::Disconnected => "it ends before it answers".to_owned(),
            })?;
            let Ok(message) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if message.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            if let Some(error) = message.get("error") {
                let text = error.get("message").and_then(Value::as_str);
                return Err(format!("`{method}` fails: {}", text.unwrap_or_default()));
            }
            return Ok(message.get("result").cloned().unwrap_or_default());
        }
    }
}

/// The last line that names an error, or else the last one that is no part of a list of calls.
fn last_words(said: &str) -> Option<&str> {
    let is_words = |line: &&str| {
        let line = line.trim();
        let is_call = line.starts_with("at ") || line.starts_with("File \"");
        let is_notice = ["npm notice", "Node.js v", "mcpwrap: "]
            .iter()
            .any(|start| line.starts_with(start));
        line.contains(' ') && !is_call && !is_notice
    };
    let lines = || said.lines().rev().filter(is_words).map(str::trim);
    let is_error = |line: &&str| line.to_lowercase().contains("error");
    lines().find(is_error).or_else(|| lines().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_no_list_of_calls() {
        let said = "Error: no key was given\n    at main (file:1:2)\n\nNode.js v20.1.0\n";
        assert_eq!(last_words(said), Some("Error: no key was given"));
        assert_eq!(last_words("}\n"), None);
    }
}
