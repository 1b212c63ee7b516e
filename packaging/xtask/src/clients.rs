//! Each MCP client that a registry brings, headless: it writes its own config, `adopt` takes the secret
//! out, the client connects and calls, the server is revoked, granted and rotated, and `adopt --undo`
//! puts the config back.
//!
//! No account is used. What a client does only with one is said and not tested. A connection counts if
//! the audit log has it, not if the client says so.

mod remote;
mod table;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use self::remote::RemoteServer;
pub use self::table::CLIENTS;
use self::table::{Script, TestedClient};
use crate::shell::{Done, Programs, cache, step, target, which};

/// Look like tokens, and open nothing.
const OLD: &str = "ghp_Zx9Kq7Lm2Nv4Bt6Rw8Yp1Cd3Fg5Hj0QsaT";
const NEW: &str = "ghp_Bn5Vc8Xz1Ml4Kj7Hg0Fd3Sa6Qw9Er2Ty5U";
/// What the tool is asked to say.
const ECHO: &str = "hello-from-the-client";

/// Which clients are run.
pub enum Wanted<'a> {
    All,
    /// Those that install fastest.
    Quick,
    One(&'a str),
}

pub fn run(wanted: &Wanted<'_>, programs: Programs) -> Done {
    which("npm").ok_or("no `npm`")?;
    let clients: Vec<_> = CLIENTS
        .iter()
        .filter(|client| match wanted {
            Wanted::All => true,
            Wanted::Quick => client.is_quick,
            Wanted::One(id) => client.id == *id,
        })
        .collect();
    if let (Wanted::One(id), true) = (wanted, clients.is_empty()) {
        let known: Vec<_> = CLIENTS.iter().map(|client| client.id).collect();
        return Err(format!(
            "unknown client `{id}`; known: {}",
            known.join(", ")
        ));
    }
    programs.build("--quiet --bin mcpwrap --example fake-server")?;
    let mut failed = Vec::new();
    for client in clients {
        println!("── {} ({} {})", client.id, client.package, client.version);
        match suite(client).and_then(|()| remote_suite(client)) {
            Ok(()) => println!("   passed; not tested: {}", client.untested),
            Err(problem) => {
                println!("   FAILED: {problem}");
                failed.push(client.id);
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("clients: {}", failed.join(", ")))
    }
}

/// A client in its own home, with the server of the tests.
struct Suite<'a> {
    client: &'a TestedClient,
    home: tempfile::TempDir,
    bin: PathBuf,
    mcpwrap: PathBuf,
    /// Its program, or the URL of a remote one.
    server: String,
    is_remote: bool,
}

fn suite(client: &TestedClient) -> Done {
    let server = target("debug")?.join("examples/fake-server");
    run_suite(client, server.display().to_string(), false)
}

/// The same with a remote server, which the client reaches with a token of its config.
fn remote_suite(client: &TestedClient) -> Done {
    if client.add_remote.is_none() {
        return Ok(());
    }
    let Some(server) = RemoteServer::start()? else {
        println!("   NOT RUN with a remote server: `cargo xtask deps` installs fastmcp");
        return Ok(());
    };
    println!("   with a remote server:");
    run_suite(client, server.url.clone(), true)
}

fn run_suite(client: &TestedClient, server: String, is_remote: bool) -> Done {
    let suite = Suite {
        client,
        home: tempfile::tempdir().map_err(|error| error.to_string())?,
        bin: install(client)?,
        mcpwrap: target("debug")?.join("mcpwrap"),
        server,
        is_remote,
    };
    let config = suite.home.path().join(client.config);
    suite.add(&config)?;
    let before = read(&config)?;
    said("its config has the secret", before.contains(OLD))?;

    suite.mcpwrap(&["init", "--store", "file", "--key-file", "vault.key"], "")?;
    suite.adopt(&["--yes", "--no-pin"])?;
    let adopted = read(&config)?;
    said("adopted: no secret in the config", !adopted.contains(OLD))?;

    if let Some(connect) = &client.connect {
        suite.connects(connect, "connected through mcpwrap", 1)?;
        suite.calls()?;
        suite.mcpwrap(&["revoke", "probe", "--reason", "a test"], "")?;
        suite.is_refused(client.call.as_ref().unwrap_or(connect))?;
        suite.mcpwrap(&["grant", "probe", "--yes"], "")?;
        suite.connects(connect, "granted: connected again", 1)?;
    }
    let name = suite.secret()?;
    suite.mcpwrap(&["secret", "rotate", &name, "--from-stdin"], NEW)?;
    if let Some(connect) = &client.connect {
        suite.connects(connect, "rotated: connected", 1)?;
    }

    suite.adopt(&["--undo", "--yes"])?;
    let after = read(&config)?;
    let is_back = after.contains(NEW) && after.contains(&suite.server);
    said("undone: the entry is back, with the rotated value", is_back)?;
    if !client.rewrites {
        let same = after.replace(NEW, OLD) == before;
        said("undone: every other byte is back", same)
            .map_err(|problem| format!("{problem}\nbefore:\n{before}\nafter:\n{after}"))?;
    }
    match &client.connect {
        Some(connect) => suite.connects(connect, "undone: connected without mcpwrap", 0),
        None => Ok(()),
    }
}

fn said(what: &str, holds: bool) -> Done {
    if holds {
        println!("   {what}");
        Ok(())
    } else {
        Err(format!("not so: {what}"))
    }
}

fn read(path: &Path) -> Done<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Installs the exact version of a client, once.
pub fn install(client: &TestedClient) -> Done<PathBuf> {
    which("npm").ok_or("no `npm`")?;
    let dir = cache().join("clients").join(client.id);
    let bin = dir.join("node_modules/.bin").join(client.bin);
    let mark = dir.join("installed");
    if bin.exists() && fs::read_to_string(&mark).is_ok_and(|found| found == client.version) {
        return Ok(bin);
    }
    let io = |error: std::io::Error| format!("{}: {error}", dir.display());
    fs::create_dir_all(&dir).map_err(io)?;
    fs::write(dir.join("package.json"), "{\"private\":true}").map_err(io)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .arg(format!("{}@{}", client.package, client.version))
        .current_dir(&dir);
    step(&format!("npm install {}", client.package), &mut npm)?;
    fs::write(mark, client.version).map_err(io)?;
    Ok(bin)
}

impl Suite<'_> {
    /// A program with nothing in its environment but a home and a search path.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", path)
            .env("TERM", "dumb")
            .envs(self.client.env.iter().copied())
            .current_dir(self.home.path());
        command
    }

    /// Runs a program to its end, and returns its exit code and all it said.
    fn end(&self, command: &mut Command, input: &str) -> Done<(Option<i32>, String)> {
        let _ = self;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let io = |error: std::io::Error| error.to_string();
        let mut child = command.spawn().map_err(io)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).map_err(io)?;
        }
        let output = child.wait_with_output().map_err(io)?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code(), text))
    }

    fn mcpwrap(&self, args: &[&str], input: &str) -> Done<String> {
        let (code, text) = self.end(self.command(&self.mcpwrap).args(args), input)?;
        let failed = || format!("`mcpwrap {}` gave {code:?}:\n{text}", args.join(" "));
        (code == Some(0)).then_some(()).ok_or_else(failed)?;
        Ok(text)
    }

    /// `adopt` of this client. Its exit code is 1 if it names copies of the secret, in the client's
    /// backups for example.
    fn adopt(&self, more: &[&str]) -> Done {
        let config = self.home.path().join(self.client.config);
        let mut command = self.command(&self.mcpwrap);
        command.arg("adopt").args(more);
        if !more.contains(&"--undo") {
            match self.client.adopt {
                Some(id) => command.args(["--client", id]),
                None => command.arg("--config").arg(config),
            };
        }
        let (code, text) = self.end(&mut command, "")?;
        if matches!(code, Some(0 | 1)) {
            return Ok(());
        }
        Err(format!(
            "`mcpwrap adopt {}` gave {code:?}:\n{text}",
            more.join(" ")
        ))
    }

    /// The client writes its config, or it is written as its documentation says.
    fn add(&self, config: &Path) -> Done {
        let fill = |text: &str| text.replace("TOKEN", OLD).replace("SERVER", &self.server);
        let remote = self.client.add_remote.filter(|_| self.is_remote);
        match &remote.map_or(self.client.add, table::Add::Command) {
            table::Add::Command(words) => {
                let words: Vec<_> = words.iter().map(|word| fill(word)).collect();
                let (code, text) = self.end(self.command(&self.bin).args(&words), "")?;
                if code != Some(0) {
                    return Err(format!("the client did not add the server: {text}"));
                }
                println!("   the client wrote its config");
            }
            table::Add::File(text) => {
                let io = |error: std::io::Error| error.to_string();
                if let Some(dir) = config.parent() {
                    fs::create_dir_all(dir).map_err(io)?;
                }
                fs::write(config, fill(text)).map_err(io)?;
                println!("   its config is written: it has no command for that");
            }
        }
        Ok(())
    }

    /// Runs one of the client's scripts, and returns what it said.
    fn script(&self, script: &Script) -> Done<String> {
        let mut command = match script {
            Script::Words(_) => self.command(&self.bin),
            Script::Python(_) => self.command(Path::new("python3")),
        };
        match script {
            Script::Words(words) => {
                command.args(words.iter().map(|word| word.replace("ECHO", ECHO)));
            }
            Script::Python(text) => {
                command.args(["-I", "-c", text]).arg(&self.bin).arg(ECHO);
            }
        }
        Ok(self.end(&mut command, "")?.1)
    }

    /// The records of these events so far.
    fn records(&self, event: &str, outcome: &str) -> Done<Vec<Value>> {
        let args = ["log", "--server", "probe", "--event", event, "--json"];
        let (_, text) = self.end(self.command(&self.mcpwrap).args(args), "")?;
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(lines
            .filter(|record: &Value| record["outcome"] == outcome)
            .collect())
    }

    /// The client connects, with this many new starts of the server by mcpwrap (at least).
    fn connects(&self, connect: &Script, what: &str, starts: usize) -> Done {
        let before = self.records("launch", "ok")?.len();
        let text = self.script(connect)?;
        let after = self.records("launch", "ok")?.len();
        let holds = if starts == 0 {
            after == before && text.contains(self.client.connected)
        } else {
            after >= before + starts && text.contains(self.client.connected)
        };
        said(what, holds).map_err(|problem| format!("{problem}\n{text}"))
    }

    fn calls(&self) -> Done {
        let Some(call) = &self.client.call else {
            return Ok(());
        };
        let text = self.script(call)?;
        said("a tool was called", text.contains(ECHO))
            .map_err(|problem| format!("{problem}\n{text}"))?;
        let calls = self.records("call", "ok")?;
        said("the call is in the audit log", !calls.is_empty())
    }

    /// A revoked server does not start; a client that calls is told how to allow it again.
    fn is_refused(&self, script: &Script) -> Done {
        let before = self.records("refuse", "refused")?.len();
        let starts = self.records("launch", "ok")?.len();
        let text = self.script(script)?;
        let refused = self.records("refuse", "refused")?.len() > before;
        let is_same = self.records("launch", "ok")?.len() == starts;
        said("revoked: it does not start", refused && is_same)?;
        if self.client.call.is_some() {
            let is_told = text.contains("mcpwrap grant probe") && !text.contains(ECHO);
            said("revoked: the answer says what to do", is_told)
                .map_err(|problem| format!("{problem}\n{text}"))?;
        }
        Ok(())
    }

    /// The name of the adopted secret.
    fn secret(&self) -> Done<String> {
        let text = self.mcpwrap(&["secret", "list", "--json"], "")?;
        let list: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let name = list[0]["name"].as_str().ok_or("no secret was adopted")?;
        Ok(name.to_owned())
    }
}
