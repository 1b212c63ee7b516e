//! Logins and refreshes of real remote servers: the provider of fastmcp, and `oidc-provider` with
//! tokens of some seconds and rotation.

mod account;
mod added;
mod adopt;
mod ends;
mod login;
mod logins;
mod machine;
#[cfg(target_os = "linux")]
mod rebinding;
mod refresh;
mod unrevoked;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::harness::{DEADLINE, Ended, Run, Terminal, Test, example, skip};

/// Which server a test talks to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    FastMcp,
    Oidc,
}

/// A running server with its identity provider. It ends before the test, which looks for processes
/// that are left.
struct Provider {
    process: Child,
    lines: Receiver<String>,
    /// The address of the MCP server.
    url: String,
    /// The private key of the client `signer`.
    key: String,
    test: Test,
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn cache(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache")
        .join(path)
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(path)
}

impl Provider {
    /// Tokens live for `seconds`. None without the server, with a message.
    fn start(kind: Kind, seconds: u32) -> Option<Self> {
        let (need, place) = match kind {
            Kind::FastMcp => ("fastmcp", cache("pypi/fastmcp/bin/python")),
            Kind::Oidc => ("oidc", cache("oidc/node_modules/oidc-provider")),
        };
        if !place.exists() {
            skip(need, "not in `.cache`: `cargo xtask deps` installs it");
            return None;
        }
        let test = Test::new();
        let life = seconds.to_string();
        let mut command = match kind {
            Kind::FastMcp => {
                let mut command = test.command(place);
                command
                    .arg(source("real/remote/server.py"))
                    .args(["--oauth", &life]);
                command
            }
            Kind::Oidc => {
                let mut command = test.command("node");
                command
                    .env("OIDC", place)
                    .arg(source("oauth/provider.mjs"))
                    .arg(life);
                command
            }
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = process.stdout.take().unwrap();
        let stderr = process.stderr.take().unwrap();
        for stream in [
            Box::new(stdout) as Box<dyn std::io::Read + Send>,
            Box::new(stderr),
        ] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    drop(sender.send(line));
                }
            });
        }
        let ready = loop {
            let line = lines.recv_timeout(DEADLINE).expect("the server is ready");
            if let Some((_, rest)) = line.split_once("ready ") {
                break rest.to_owned();
            }
        };
        let (url, key) = ready.split_once(' ').unwrap_or((&ready, ""));
        let browser = format!(
            "#!/bin/sh\nexec python3 -I '{}' '{}' \"$1\"\n",
            source("oauth/browser.py").display(),
            test.dir.join("page.html").display(),
        );
        test.set("BROWSER", test.program_file("browser", &browser));
        test.init();
        Some(Self {
            process,
            lines,
            url: url.to_owned(),
            key: key.to_owned(),
            test,
        })
    }

    /// Writes and grants the policy `s`; `rest` follows `[oauth]`.
    fn policy(&self, rest: &str) {
        let text = format!("version = 1\nurl = \"{}\"\n{rest}", self.url);
        self.test.write_policy("s", &text);
        self.test.ok(&["grant", "s", "--yes"]);
    }

    /// Logs in, answers the question, and returns what the terminal showed.
    fn log_in(&self, more: &[&str]) -> String {
        let mut terminal = self.terminal(more);
        terminal.expect("go on? [y/n] ").enter("y");
        let (code, screen) = terminal.end();
        assert_eq!(code, 0, "{screen}");
        screen
    }

    fn terminal(&self, more: &[&str]) -> Terminal<'_> {
        self.test.terminal(&[&["login", "s"], more].concat())
    }

    /// The page that the browser showed last.
    fn page(&self) -> String {
        std::fs::read_to_string(self.test.dir.join("page.html")).unwrap()
    }

    /// Starts a program that uses the token of `s` like a supervisor.
    fn probe(&self, words: &[&str]) -> Run<'_> {
        self.test
            .start(self.test.command(example("oauth-probe")).args(words))
    }

    fn current(&self) -> Token {
        Token::read(&self.probe(&["current", "s"]).finish())
    }

    /// Waits for the next line of the server with this start.
    fn said(&self, start: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|_| panic!("the server does not say `{start}`"));
            assert!(!line.starts_with("fault"), "{line}");
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// The lines of the server so far with this start.
    fn heard(&self, start: &str) -> Vec<String> {
        self.lines
            .try_iter()
            .filter(|line| line.starts_with(start))
            .collect()
    }

    /// Sets what happens to token requests, and releases those that wait.
    fn control(&self, mode: &str) {
        assert_eq!(self.http("POST", &format!("/control/{mode}"), "").0, 200);
    }

    /// Whether the MCP server accepts a token, which only the probe and the store know.
    fn accepts(&self, token: &str) -> bool {
        self.http("GET", "/mcp", token).0 == 200
    }

    fn http(&self, method: &str, path: &str, token: &str) -> (u16, String) {
        let host = self
            .url
            .trim_start_matches("http://")
            .split('/')
            .next()
            .unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (status, text)
    }

    /// The stored tokens, by the probe of stores.
    fn stored(&self) -> serde_json::Value {
        self.stored_at("oauth/s")
    }

    fn stored_at(&self, name: &str) -> serde_json::Value {
        let mut command = self.test.command(example("store-probe"));
        let output = command.args(["get", name]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn index(&self) -> String {
        std::fs::read_to_string(self.test.root().join("state/oauth.toml")).unwrap()
    }
}

/// What the probe says about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    generation: u64,
    expires_at: i64,
    identity: String,
    digest: String,
}

impl Token {
    fn read(ended: &Ended) -> Self {
        assert_eq!(ended.code, 0, "{ended}");
        let words: Vec<_> = ended.text().split_whitespace().collect();
        let [generation, expires_at, identity, digest] = words[..] else {
            panic!("{ended}")
        };
        Self {
            generation: generation.parse().unwrap(),
            expires_at: expires_at.parse().unwrap(),
            identity: identity.to_owned(),
            digest: digest.to_owned(),
        }
    }

    fn is_over(&self) -> bool {
        jiff::Timestamp::now().as_second() >= self.expires_at
    }
}
