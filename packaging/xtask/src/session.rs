//! A small MCP client, and the temporary home of the demo.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::shell::Done;

/// A home directory that is removed when dropped, or when this process ends in any other way.
pub struct Home(pub PathBuf, Child);

/// Waits for the end of its input, which comes with the end of xtask. A signal of the terminal is for xtask.
const REMOVE: &str =
    "trap '' INT TERM HUP; read -r _; rm -rf -- \"$1\" || { sleep 2; rm -rf -- \"$1\"; }";

impl Home {
    pub fn new() -> Done<Self> {
        let path = std::env::temp_dir().join(format!("mcpwrap-demo-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut remover = Command::new("sh");
        remover.args(["-c", REMOVE, "sh"]).arg(&path);
        remover.stdin(Stdio::piped()).stdout(Stdio::null());
        let remover = remover.spawn().map_err(|error| format!("sh: {error}"))?;
        Ok(Self(path, remover))
    }

    /// Any program, with a home, a search path and nothing else in its environment. See `mcpwrap`.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().current_dir(&self.0);
        command.env("HOME", &self.0).env("PATH", path);
        command.env("TERM", "dumb");
        command
    }

    /// mcpwrap with nothing in its environment but what a client gives. The variables by which
    /// AI agents mark their commands stay out, because `grant --yes` is refused to them.
    pub fn mcpwrap(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir(&self.0);
        command
            .env("HOME", &self.0)
            .env("MCPWRAP_HOME", self.0.join("mcpwrap"));
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.1.stdin.take());
        drop(self.1.wait());
        if self.0.exists() {
            eprintln!("xtask: cannot remove {}", self.0.display());
        }
    }
}

/// A session with a server: requests out, answers in.
pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: JoinHandle<String>,
    requests: u64,
}

impl Session {
    pub fn start(command: &mut Command) -> Done<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut pipe = child.stderr.take().ok_or("no stderr")?;
        let stderr = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            drop(pipe.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self {
            child,
            stdin,
            stdout,
            stderr,
            requests: 0,
        })
    }

    /// The handshake; the answer is a result or an error.
    pub fn initialize(&mut self) -> Done<Value> {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "mcpwrap-demo", "version": "1"}});
        let answer = self.request("initialize", &params)?;
        if answer.get("result").is_some() {
            self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        }
        Ok(answer)
    }

    pub fn request(&mut self, method: &str, params: &Value) -> Done<Value> {
        let id = self.begin(method, params)?;
        self.answer(id)
    }

    /// Sends a request, and returns its id.
    pub fn begin(&mut self, method: &str, params: &Value) -> Done<u64> {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        Ok(id)
    }

    /// Waits for the answer to a request.
    pub fn answer(&mut self, id: u64) -> Done<Value> {
        loop {
            let mut line = String::new();
            let count = self
                .stdout
                .read_line(&mut line)
                .map_err(|error| error.to_string())?;
            if count == 0 {
                return Err("no answer to a request: the server ended".to_owned());
            }
            let message: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
            if message["id"] == id {
                return Ok(message);
            }
        }
    }

    fn send(&mut self, message: &Value) -> Done {
        let stdin = self.stdin.as_mut().ok_or("stdin is closed")?;
        writeln!(stdin, "{message}").map_err(|error| error.to_string())
    }

    /// Ends the session as clients do: end of input. Returns what was said on stderr.
    pub fn end(mut self) -> Done<(ExitStatus, String)> {
        self.stdin = None;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        Ok((status, self.stderr.join().unwrap_or_default()))
    }
}
