//! mcpwrap compared with programs for parts of its task: start-up, round trip and memory. Those on
//! the `PATH` are measured, the others are reported as missing. They do different things:
//! docs/performance.md says what each does not do.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program that measures, and may fail loudly"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod support;

const STARTS: usize = 31;
const ROUND_TRIPS: usize = 3_000;
const TOKEN: &str = "ghp_0123456789abcdefghijklmnop";
/// A server of one line of shell and one program, which echoes its input.
const SERVER: &str = "/bin/cat";
const REQUEST: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";

/// A program and the arguments before the server's command.
const PEERS: &[(&str, &[&str])] = &[
    ("tini", &["-s", "--"]),
    ("envchain", &["bench"]),
    ("dotenvx", &["run", "--quiet", "--"]),
    ("secretspec", &["run", "--provider", "dotenv://.env", "--"]),
    ("fnox", &["exec", "--"]),
];

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    write(home, ".env", &format!("TOKEN=\"{TOKEN}\"\n"));
    let spec = "[project]\nname = \"bench\"\nrevision = \"1.0\"\n\
        [profiles.default]\nTOKEN = { description = \"a token\", required = true }\n";
    write(home, "secretspec.toml", spec);
    let fnox = format!("[secrets]\nTOKEN = {{ default = \"{TOKEN}\" }}\n");
    write(home, "fnox.toml", &fnox);
    println!(
        "{:<12}{:>12}{:>14}{:>16}{:>12}",
        "", "start (ms)", "of a bare one", "round trip (µs)", "RSS (KiB)"
    );
    let bare = Command::new(SERVER);
    let reference = row("bare", home, &|| clone(&bare), None);
    for (name, arguments) in PEERS {
        let Some(program) = find(name) else {
            println!("{name:<12}{:>12}", "absent");
            continue;
        };
        let mut command = Command::new(program);
        command.args(*arguments).arg(SERVER);
        row(name, home, &|| clone(&command), Some(reference));
    }
    let root = wrapped_home(home);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcpwrap"));
    command.env("MCPWRAP_HOME", root).args(["run", "echo"]);
    row("mcpwrap", home, &|| clone(&command), Some(reference));
}

fn write(home: &Path, name: &str, text: &str) {
    std::fs::write(home.join(name), text).unwrap();
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|program| program.exists())
}

fn clone(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    for (name, value) in command.get_envs() {
        copy.env(name, value.unwrap_or_default());
    }
    copy
}

/// Measures and prints one row; returns the start-up time.
fn row(name: &str, home: &Path, make: &dyn Fn() -> Command, bare: Option<Duration>) -> Duration {
    let start = || {
        let mut command = make();
        let child = command
            .current_dir(home)
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Session::new(child.spawn().unwrap())
    };
    let mut starts: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let began = Instant::now();
            let mut session = start();
            session.ask();
            let took = began.elapsed();
            session.end();
            took
        })
        .collect();
    starts.sort_unstable();
    let start_up = starts[STARTS / 2];
    let mut session = start();
    let mut trips: Vec<Duration> = (0..ROUND_TRIPS).map(|_| session.ask()).collect();
    trips.sort_unstable();
    // Some release memory shortly after their start.
    std::thread::sleep(Duration::from_secs(3));
    let resident = resident_below(session.child.id());
    session.end();
    println!(
        "{name:<12}{:>12.2}{:>14.1}{:>16.1}{resident:>12}",
        start_up.as_secs_f64() * 1e3,
        start_up.as_secs_f64() / bare.unwrap_or(start_up).as_secs_f64(),
        trips[ROUND_TRIPS / 2].as_secs_f64() * 1e6,
    );
    start_up
}

struct Session {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    line: String,
}

impl Session {
    fn new(mut child: Child) -> Self {
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            stdout,
            line: String::new(),
        }
    }

    /// One request and its answer.
    fn ask(&mut self) -> Duration {
        let began = Instant::now();
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(REQUEST.as_bytes()).unwrap();
        self.line.clear();
        self.stdout.read_line(&mut self.line).unwrap();
        assert!(self.line.starts_with('{'), "{}", self.line);
        began.elapsed()
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// The resident memory of a process and its descendants, without the server (KiB).
fn resident_below(pid: u32) -> u64 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let below: u64 = children
        .unwrap_or_default()
        .split_whitespace()
        .map(|child| resident_below(child.parse().unwrap()))
        .sum();
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    let server = std::fs::canonicalize(SERVER).unwrap();
    if program == server {
        return below;
    }
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup
        .lines()
        .find(|line| line.starts_with("Rss:"))
        .unwrap();
    below
        + line
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
}

/// A home with one secret in a vault file, and a granted policy for the server.
fn wrapped_home(home: &Path) -> PathBuf {
    let root = home.join("mcpwrap");
    support::vault_home(&root, &home.join("key"), std::iter::once(TOKEN.to_owned()));
    support::granted(&root, "echo", &[SERVER], 1, "");
    root
}
