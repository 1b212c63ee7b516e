//! The cost of renewals and revocations: added latency of calls during a renewal, the time to the
//! first error after a revocation and to the end of a process tree. Each figure is next to its
//! limit.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program that measures, and may fail loudly"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::grant;
use mcpwrap::testing::secret::ServerName;

mod support;

const MCPWRAP: &str = env!("CARGO_BIN_EXE_mcpwrap");
const RENEWALS: usize = 10;
const REVOCATIONS: usize = 20;
/// How many servers run in parallel.
const MANY: usize = 200;

/// Answers the handshake and keeps reading.
const SMALL: &str = r#"while read -r line; do case "$line" in *'"initialize"'*)
echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}';;
esac; done"#;

/// Answers only the handshake; ignores signals and the end of stdin, with a child and a process in
/// another session.
const STUBBORN: &str = r#"trap '' TERM INT HUP
setsid sh -c "trap '' TERM INT HUP; while :; do sleep 1; done" &
sh -c "trap '' TERM INT HUP; while :; do sleep 1; done" &
while read -r line; do case "$line" in *'"initialize"'*)
echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}';;
esac; done
while :; do sleep 1; done"#;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(&dir.path().join("home"), &dir.path().join("key"));
    bench.renewals();
    bench.revocations();
    bench.many();
}

struct Bench {
    dirs: Dirs,
    home: PathBuf,
}

struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Bench {
    fn new(home: &Path, key_file: &Path) -> Self {
        support::vault_home(home, key_file, std::iter::empty());
        Self {
            dirs: Dirs::under(home),
            home: home.to_owned(),
        }
    }

    fn policy(&self, name: &str, command: &[&str]) {
        support::granted(&self.home, name, command, 0, "");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MCPWRAP);
        command
            .env_clear()
            .env("MCPWRAP_HOME", &self.home)
            .env("HOME", &self.home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .args(arguments)
            .stderr(Stdio::null());
        command
    }

    fn session(&self, server: &str) -> Session {
        let mut command = self.command(&["run", server]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut session = Session {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        session.say(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#);
        session.answer(1);
        session.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        session
    }

    /// Calls one after the other, without and with renewals.
    fn renewals(&self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(".cache/npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js");
        if !script.exists() {
            return println!("renewals: `cargo xtask deps npm` installs the server");
        }
        let node = String::from_utf8(
            Command::new("/bin/sh")
                .args(["-c", "command -v node"])
                .output()
                .unwrap()
                .stdout,
        );
        self.policy("ts", &[node.unwrap().trim(), &script.display().to_string()]);
        let mut session = self.session("ts");
        let mut id = 1;
        let mut call = |session: &mut Session| {
            id += 1;
            let began = Instant::now();
            session.say(&format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"x"}}}}}}"#
            ));
            assert!(session.answer(id).contains("Echo"), "a call failed");
            began.elapsed()
        };
        let mut quiet: Vec<_> = (0..1000).map(|_| call(&mut session)).collect();
        let mut renewing = Vec::new();
        for _ in 0..RENEWALS {
            let mut renewal = self
                .command(&["renew", "ts"])
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            while renewal.try_wait().unwrap().is_none() {
                renewing.push(call(&mut session));
            }
        }
        let added = at(&mut renewing, 99).saturating_sub(at(&mut quiet, 50));
        println!(
            "calls while a TypeScript server is renewed, {} calls, {RENEWALS} renewals, 0 failed",
            renewing.len()
        );
        println!(
            "  quiet            p50 {:>9.3} ms   p99 {:>9.3} ms",
            ms(at(&mut quiet, 50)),
            ms(at(&mut quiet, 99))
        );
        println!(
            "  renewing         p50 {:>9.3} ms   p99 {:>9.3} ms   max {:.3} ms",
            ms(at(&mut renewing, 50)),
            ms(at(&mut renewing, 99)),
            ms(at(&mut renewing, 100))
        );
        println!("  added p99            {:>9.3} ms   (limit 250)", ms(added));
        session.end();
    }

    fn revocations(&self) {
        let server = ServerName::new("deaf").unwrap();
        self.policy("deaf", &["/bin/sh", "-c", STUBBORN]);
        let (mut told, mut dead) = (Vec::new(), Vec::new());
        for _ in 0..REVOCATIONS {
            let mut session = self.session("deaf");
            session.say(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x"}}"#);
            let tree = below(session.child.id());
            assert!(tree.len() >= 4, "the tree has begun: {tree:?}");
            let began = Instant::now();
            grant::revoke(&self.dirs, &server, None).unwrap();
            assert!(session.answer(2).contains("-32603"));
            told.push(began.elapsed());
            while tree.iter().any(|pid| alive(*pid)) {
                std::thread::yield_now();
            }
            dead.push(began.elapsed());
            session.end();
            support::grant(&self.home, &server);
        }
        println!("revocation of a stubborn tree with a call in flight, {REVOCATIONS} times");
        println!(
            "  first error, median  {:>9.3} ms   max {:>9.3} ms   (limit of the median 10)",
            ms(at(&mut told, 50)),
            ms(at(&mut told, 100))
        );
        println!(
            "  tree dead, median    {:>9.3} ms   max {:>9.3} ms   (limit of the median 300)",
            ms(at(&mut dead, 50)),
            ms(at(&mut dead, 100))
        );
    }
}

impl Bench {
    /// Runs `revoke --all`.
    fn many(&self) {
        self.policy("small", &["/bin/sh", "-c", SMALL]);
        let sessions: Vec<_> = (0..MANY).map(|_| self.session("small")).collect();
        let trees: Vec<_> = sessions.iter().map(|one| below(one.child.id())).collect();
        let began = Instant::now();
        let status = self
            .command(&["revoke", "--all"])
            .stdout(Stdio::null())
            .status();
        let took = began.elapsed();
        assert!(status.unwrap().success(), "something survived");
        assert!(!trees.iter().flatten().any(|pid| alive(*pid)));
        println!("revoke --all with {MANY} running servers");
        println!("  all dead             {:>9.3} ms   (limit 3000)", ms(took));
        sessions.into_iter().for_each(Session::end);
    }
}

impl Session {
    fn say(&mut self, line: &str) {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// The line that answers the request with this ID.
    fn answer(&mut self, id: u64) -> String {
        let mark = format!("\"id\":{id}");
        loop {
            let mut line = String::new();
            assert!(
                self.stdout.read_line(&mut line).unwrap() > 0,
                "stdout ended"
            );
            if line.contains(&format!("{mark},")) || line.contains(&format!("{mark}}}")) {
                return line;
            }
        }
    }

    fn end(mut self) {
        drop(self.stdin);
        self.child.wait().unwrap();
    }
}

/// All descendants of this process.
fn below(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let pid = found[next];
        next += 1;
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
    }
    found.remove(0);
    found
}

fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
