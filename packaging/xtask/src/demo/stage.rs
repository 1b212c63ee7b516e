//! Where the story happens: a temporary home, the programs in it, and what they say.
//!
//! Invariant: once the tokens are stored, nothing that any program says has one in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::server::VARIABLE;
use super::transcript::Transcript;
use crate::session::{Home, Session};
use crate::shell::{Done, output, problem, read, target, write};

/// Look like tokens, and open nothing.
pub const OLD: &str = "tkt_9fK2mQx7Lw4vRt8ZbN3cYp6H";
pub const NEW: &str = "tkt_Vb5Hn1Jc0Gs8Ud4Xe7Wq2Ta9";
/// Where the client has its servers, below the home.
pub const CONFIG: &str = ".mcporter/mcporter.json";

pub struct Stage {
    pub home: Home,
    mcpwrap: PathBuf,
    pub transcript: Transcript,
    /// Whether a token may be shown.
    pub is_open: bool,
}

impl Stage {
    /// A home with a server and the config of a client that has a token in it.
    pub fn new() -> Done<Self> {
        let home = Home::new()?;
        let server = home.0.join("bin/tickets");
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        write(&server, b"")?;
        std::fs::copy(&own, &server).map_err(|error| problem(&server, &error))?;
        // In the form in which people write it.
        let config = format!(
            r#"{{
  "mcpServers": {{
    "tickets": {{
      "command": "{}",
      "args": ["demo", "--server"],
      "env": {{ "{VARIABLE}": "{OLD}" }}
    }}
  }}
}}
"#,
            server.display()
        );
        write(&home.0.join(CONFIG), config.as_bytes())?;
        Ok(Self {
            mcpwrap: target("debug")?.join("mcpwrap"),
            home,
            transcript: Transcript::default(),
            is_open: true,
        })
    }

    pub fn say(&mut self, text: &str) {
        self.transcript.sentence(text);
    }

    /// Runs `mcpwrap` with these words, and shows both. `room`: for its output in the picture.
    pub fn mcpwrap(&mut self, words: &str, input: &str, room: usize) -> Done<String> {
        let pipe = if input.is_empty() {
            ""
        } else {
            "printf %s \"$NEW_TOKEN\" | "
        };
        self.transcript
            .command(&format!("{pipe}mcpwrap {words}"), room);
        self.runs(words, input)
    }

    /// Runs `mcpwrap` with these words, and shows what it says.
    pub fn runs(&mut self, words: &str, input: &str) -> Done<String> {
        let mut command = self.home.command(&self.mcpwrap);
        command.args(words_of(words));
        self.ends(command, input)
    }

    /// What `mcpwrap` answers, for the story and not for the reader.
    pub fn quietly(&self, words: &str) -> Done<String> {
        let mut command = self.home.command(&self.mcpwrap);
        command.args(words_of(words));
        output(&mut command).ok_or_else(|| format!("`mcpwrap {words}` did not work"))
    }

    /// Shows a file of the home. `room`: in the picture.
    pub fn cat(&mut self, file: &str, room: usize) -> Done<String> {
        self.transcript.command(&format!("cat ~/{file}"), room);
        let text = read(&self.home.0.join(file))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        self.show(&text)?;
        Ok(text)
    }

    /// A session with the server, started as the client's config says.
    pub fn session(&mut self) -> Done<Session> {
        let config: Value = serde_json::from_slice(&read(&self.home.0.join(CONFIG))?)
            .map_err(|error| error.to_string())?;
        let entry = &config["mcpServers"]["tickets"];
        let program = entry["command"].as_str().ok_or("no command")?;
        let mut command = self.home.command(Path::new(program));
        let args = entry["args"].as_array().into_iter().flatten();
        command.args(args.filter_map(Value::as_str));
        let mut session = Session::start(&mut command)?;
        session.initialize()?;
        Ok(session)
    }

    /// Runs a program to its end with its output shown, and expects success.
    pub fn ends(&mut self, mut command: Command, input: &str) -> Done<String> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(input.as_bytes())
                .map_err(|error| error.to_string())?;
        }
        let output = child
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        self.show(&text)?;
        if output.status.success() {
            return Ok(text);
        }
        Err(format!("the last command ended with {}", output.status))
    }

    /// Shows what a program said, if no token is in it.
    pub fn show(&mut self, text: &str) -> Done {
        if !self.is_open && [OLD, NEW].iter().any(|token| text.contains(token)) {
            return Err("a token was shown".to_owned());
        }
        self.transcript.output(text, &self.home.0);
        Ok(())
    }

    /// Whether nothing that was started here is still running.
    pub fn is_quiet(&self) -> bool {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut programs = processes.filter_map(|one| {
            let name = one.file_name();
            let is_own = name.to_str() == Some(&std::process::id().to_string());
            (!is_own).then(|| std::fs::read_link(one.path().join("exe")).ok())?
        });
        !programs.any(|program| program.starts_with(&self.home.0))
    }
}

/// The words of a command line, of which one may be quoted.
fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('\'').enumerate() {
        if n % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
