//! A client in its own home, with the server of the tests: what it is told, and what is expected of it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::install::install;
use super::table::{Add, Script, TestedClient};
use super::{ECHO, OLD};
use crate::shell::{Done, target};

/// What the scripted model is asked: it does not matter.
const ASK: &str = "Call the tool.";
/// No client needs as long for one thing.
const LIMIT: Duration = Duration::from_mins(3);
/// Until then, what happened is in the audit log.
const RECORDED: Duration = Duration::from_secs(5);

pub struct Suite<'a> {
    client: &'a TestedClient,
    home: tempfile::TempDir,
    bin: PathBuf,
    mcpwrap: PathBuf,
    model: &'a str,
    /// Its program, or the URL of a remote one.
    server: String,
    is_remote: bool,
}

pub fn said(what: &str, holds: bool) -> Done {
    if holds {
        println!("   {what}");
        Ok(())
    } else {
        Err(format!("not so: {what}"))
    }
}

pub fn read(path: &Path) -> Done<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl<'a> Suite<'a> {
    pub fn new(
        client: &'a TestedClient,
        model: &'a str,
        server: String,
        is_remote: bool,
    ) -> Done<Self> {
        Ok(Self {
            client,
            home: tempfile::tempdir().map_err(|error| error.to_string())?,
            bin: install(client)?,
            mcpwrap: target("debug")?.join("mcpwrap"),
            model,
            server,
            is_remote,
        })
    }

    pub fn config(&self) -> PathBuf {
        self.home.path().join(self.client.config)
    }

    pub fn server(&self) -> &str {
        &self.server
    }

    /// A text of the table.
    fn fill(&self, text: &str) -> String {
        let bearer = format!("Bearer {OLD}");
        text.replace("BEARER", &bearer)
            .replace("HEADER", &format!("Authorization: {bearer}"))
            .replace("TOKEN", OLD)
            .replace("ECHO", ECHO)
            .replace("ASK", ASK)
            .replace("MODEL", self.model)
            .replace("SERVER", &self.server)
    }

    /// The client with these words as its arguments.
    fn client(&self, words: &str) -> Command {
        let mut command = self.command(&self.bin);
        command.args(words.split_whitespace().map(|word| self.fill(word)));
        command
    }

    /// A program with nothing in its environment but a home and a search path.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let beside = self.bin.parent().map(Path::to_owned);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(beside.into_iter().chain(std::env::split_paths(&path)));
        let env = self.client.env.iter();
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", path.unwrap_or_default())
            .env("TERM", "dumb")
            .envs(env.map(|(name, value)| (name, self.fill(value))))
            .current_dir(self.home.path());
        command
    }

    pub fn mcpwrap(&self, args: &[&str], input: &str) -> Done<String> {
        let (code, text) = end(self.command(&self.mcpwrap).args(args), input)?;
        let failed = || format!("`mcpwrap {}` gave {code:?}:\n{text}", args.join(" "));
        (code == Some(0)).then_some(()).ok_or_else(failed)?;
        Ok(text)
    }

    /// `adopt` of this client. Its exit code is 1 if it names copies of the secret, in the client's
    /// backups for example.
    pub fn adopt(&self, more: &[&str]) -> Done {
        let mut command = self.command(&self.mcpwrap);
        command.arg("adopt").args(more);
        if !more.contains(&"--undo") {
            match self.client.adopt {
                Some(id) => command.args(["--client", id]),
                None => command.arg("--config").arg(self.config()),
            };
        }
        let (code, text) = end(&mut command, "")?;
        if matches!(code, Some(0 | 1)) {
            return Ok(());
        }
        Err(format!(
            "`mcpwrap adopt {}` gave {code:?}:\n{text}",
            more.join(" ")
        ))
    }

    /// Which model the client asks, and the like.
    pub fn set_up(&self) -> Done {
        for (path, text) in self.client.files {
            self.write(&self.home.path().join(path), text)?;
        }
        if let Some(words) = self.client.set_up {
            let (code, text) = end(&mut self.client(words), "")?;
            if code != Some(0) {
                return Err(format!("the client was not set up: {text}"));
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path, text: &str) -> Done {
        crate::shell::write(path, self.fill(text).as_bytes())
    }

    /// The client writes its config, or it is written as its documentation says.
    pub fn add(&self) -> Done {
        let remote = self.client.add_remote.filter(|_| self.is_remote);
        let (words, input) = match remote.map_or(self.client.add, Add::Command) {
            Add::Command(words) => (words, ""),
            Add::Yes(words) => (words, "y\n"),
            Add::File(text) => {
                println!("   its config is written: it has no command for that");
                return self.write(&self.config(), text);
            }
        };
        let (code, text) = end(&mut self.client(words), input)?;
        if code != Some(0) {
            return Err(format!("the client did not add the server: {text}"));
        }
        println!("   the client wrote its config");
        Ok(())
    }

    /// Runs one of the client's scripts, and returns what it said.
    fn script(&self, script: &Script) -> Done<String> {
        let mut command = match script {
            Script::Words(words) => self.client(words),
            Script::Python(text) => {
                let mut command = self.command(Path::new("python3"));
                command.args(["-I", "-c", text]).arg(&self.bin).arg(ECHO);
                command
            }
        };
        Ok(end(&mut command, "")?.1)
    }

    /// The records of these events so far.
    fn records(&self, event: &str, outcome: &str) -> Done<Vec<Value>> {
        let args = ["log", "--server", "probe", "--event", event, "--json"];
        let (_, text) = end(self.command(&self.mcpwrap).args(args), "")?;
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(lines
            .filter(|record: &Value| record["outcome"] == outcome)
            .collect())
    }

    /// The client connects, with this many new starts of the server by mcpwrap (at least).
    pub fn connects(&self, connect: &Script, what: &str, starts: usize) -> Done {
        let before = self.records("launch", "ok")?.len();
        let text = self.script(connect)?;
        let after = self.records("launch", "ok")?.len();
        // A script without a word of its own calls.
        let connected = match self.client.connected {
            "" => ECHO,
            text => text,
        };
        let holds = if starts == 0 {
            after == before && text.contains(connected)
        } else {
            after >= before + starts && text.contains(connected)
        };
        said(what, holds).map_err(|problem| format!("{problem}\n{text}"))
    }

    pub fn calls(&self) -> Done {
        let Some(call) = &self.client.call else {
            return Ok(());
        };
        let text = self.script(call)?;
        said("a tool was called", text.contains(ECHO))
            .map_err(|problem| format!("{problem}\n{text}"))?;
        // A client that ends without a word to its servers is outlived by mcpwrap for a moment.
        let start = Instant::now();
        while self.records("call", "ok")?.is_empty() && start.elapsed() < RECORDED {
            std::thread::sleep(Duration::from_millis(50));
        }
        let calls = self.records("call", "ok")?;
        said("the call is in the audit log", !calls.is_empty())
    }

    /// A revoked server does not start; a client that calls is told how to allow it again.
    pub fn is_refused(&self, script: &Script) -> Done {
        let before = self.records("refuse", "refused")?.len();
        let starts = self.records("launch", "ok")?.len();
        let text = self.script(script)?;
        let refused = self.records("refuse", "refused")?.len() > before;
        let is_same = self.records("launch", "ok")?.len() == starts;
        said("revoked: it does not start", refused && is_same)
            .map_err(|problem| format!("{problem}\n{text}"))?;
        if self.client.call.is_some() {
            let is_told = text.contains("mcpwrap grant probe") && !text.contains(ECHO);
            said("revoked: the answer says what to do", is_told)
                .map_err(|problem| format!("{problem}\n{text}"))?;
        }
        Ok(())
    }

    /// The name of the adopted secret.
    pub fn secret(&self) -> Done<String> {
        let text = self.mcpwrap(&["secret", "list", "--json"], "")?;
        let list: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let name = list[0]["name"].as_str().ok_or("no secret was adopted")?;
        Ok(name.to_owned())
    }
}

/// Runs a program to its end, and returns its exit code and all it said. What it leaves behind may go on.
fn end(command: &mut Command, input: &str) -> Done<(Option<i32>, String)> {
    let io = |error: io::Error| error.to_string();
    // Files, not pipes: a process that it leaves behind would keep a pipe open.
    let mut said = [
        tempfile::tempfile().map_err(io)?,
        tempfile::tempfile().map_err(io)?,
    ];
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(said[0].try_clone().map_err(io)?)
        .stderr(said[1].try_clone().map_err(io)?)
        .spawn()
        .map_err(io)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that needs no input may be gone.
        drop(stdin.write_all(input.as_bytes()));
    }
    let status = wait(&mut child).map_err(io)?;
    let text = |file: &mut File| -> io::Result<String> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let [out, err] = said.each_mut().map(text);
    let text = out.map_err(io)? + &err.map_err(io)?;
    match status {
        Some(status) => Ok((status.code(), text)),
        None => Err(format!("it did not end in {} s:\n{text}", LIMIT.as_secs())),
    }
}

/// How it ended, or `None` if it had to be ended.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
