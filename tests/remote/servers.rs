//! The real remote servers, each on a free port. They end with the test.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::harness::{Run, Test, skip};
use crate::transparent::cache;

/// Runs a program that ignores the end of its stdin, until the end of stdin.
const UNTIL_EOF: &str = r#""$@" & read -r _; kill $!; wait"#;

/// A server that listens.
pub(crate) struct RemoteServer<'a> {
    run: Run<'a>,
    pub(crate) url: String,
}

impl<'a> RemoteServer<'a> {
    /// The reference server of the TypeScript SDK, of the legacy era: `streamableHttp` or `sse`.
    pub(crate) fn everything(test: &'a Test, transport: &str) -> Self {
        Self::everything_at(test, transport, free_port())
    }

    pub(crate) fn everything_at(test: &'a Test, transport: &str, port: u16) -> Self {
        let package = "npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
        let script = cache(package).display().to_string();
        let mut command = test.command("/bin/sh");
        let run = test.start(
            command
                .args(["-c", UNTIL_EOF, "sh", "node", &script, transport])
                .env("PORT", port.to_string()),
        );
        run.heard(&format!("on port {port}"));
        let path = if transport == "sse" { "sse" } else { "mcp" };
        let url = format!("http://127.0.0.1:{port}/{path}");
        Self { run, url }
    }

    /// A server of both eras; `tests/real/remote/server.py` has the options.
    pub(crate) fn fastmcp(test: &'a Test, options: &[&str]) -> Self {
        Self::fastmcp_by(test, &[], options)
    }

    /// The same, started by another program with these first words.
    pub(crate) fn fastmcp_by(test: &'a Test, by: &[&str], options: &[&str]) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/real/remote/server.py");
        let python = cache("pypi/fastmcp/bin/python").display().to_string();
        let words: Vec<_> = by.iter().copied().chain([python.as_str()]).collect();
        let mut command = test.command(words[0]);
        let run = test.start(command.args(&words[1..]).arg(script).args(options));
        let mark = "server: ready ";
        let heard = run.heard(&format!("{mark}http"));
        let rest = heard.split(mark).nth(1).unwrap();
        let url = rest.lines().next().unwrap().to_owned();
        Self { run, url }
    }

    pub(crate) fn port(&self) -> u16 {
        let rest = self.url.rsplit(':').next().unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    /// The requests that fastmcp has answered so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let heard = self.run.heard("server: ready");
        let lines = heard
            .lines()
            .filter_map(|line| line.strip_prefix("server: {"));
        lines
            .filter_map(|line| serde_json::from_str(&format!("{{{line}")).ok())
            .collect()
    }

    /// Ends it, like a crash.
    pub(crate) fn end(self) {
        self.run.finish();
    }
}

/// How fastmcp names a credential that came.
pub(crate) fn digest(value: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(value))
}

/// A free port, below those that the kernel gives to others.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 100).unwrap() * 100;
    let ports = std::iter::repeat_with(|| {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        20_000 + start.wrapping_add(step) % 10_000
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.take(10_000).find(is_free).unwrap()
}

/// Whether all of this is installed; says what is not.
pub(crate) fn has(needs: &[&str]) -> bool {
    let is_there = |need: &str| match need {
        "fastmcp" => cache("pypi/fastmcp/installed-from").exists(),
        "rmcp" => cache("rmcp").exists(),
        "pypi" => cache("pypi/mcp-2/installed-from").exists(),
        _ => cache(need).join("installed-from").exists(),
    };
    let missing = needs.iter().find(|need| !is_there(need));
    if let Some(need) = missing {
        skip(need, "`cargo xtask deps` installs what it needs");
    }
    missing.is_none()
}

/// Writes and grants a policy for a remote server; `rest` follows `version` and `url`.
pub(crate) fn grant(test: &Test, name: &str, url: &str, rest: &str) {
    test.init();
    test.write_policy(name, &format!("version = 1\nurl = \"{url}\"\n{rest}"));
    test.ok(&["grant", name, "--yes"]);
}

/// The tables that send the secret `t/token` as a bearer token.
pub(crate) const BEARER: &str = r#"
[headers]
Authorization = "Bearer {secret.TOKEN}"
[secrets.TOKEN]
from = "secret:t/token"
"#;
