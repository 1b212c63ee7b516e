//! The time to the first answer of a server: installed by `mcpwrap pin`, by its launcher, and bare. And the
//! time of the first installation, with empty caches.
//!
//! Budgets: through `mcpwrap run` at most 0.45 of warm `npx -y pkg@exact`, and at most 1.05 of `node
//! entry.js`; the same for uvx. `mcpwrap pin` at most 1.3 of the launcher's first start. Needs npm and uv (in `PATH`, or in `.cache` from `cargo xtask
//! deps`) and their registries once. Ratios of medians, measured in turns, so that load on the
//! machine affects all equally.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench starts programs, and fails loudly"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 25;
/// They download everything.
const COLD_ROUNDS: usize = 5;
const LAUNCHER_MAX: f64 = 0.45;
const BARE_MAX: f64 = 1.05;
const COLD_MAX: f64 = 1.3;

const FIRST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench {
        home: dir.path().canonicalize().unwrap(),
    };
    bench.set_up();
    let npm = [
        "npx",
        "-y",
        "@modelcontextprotocol/server-filesystem@2025.8.21",
        "/tmp",
    ];
    let pypi = ["uvx", "mcp-server-time@2026.10.19"];
    let results = [bench.compare("npm", &npm), bench.compare("pypi", &pypi)];
    println!(
        "{:<6} {:>9} {:>9} {:>9} {:>9}  {:>11} {:>8} {:>15}",
        "", "mcpwrap", "launcher", "bare", "by a sh", "of launcher", "of bare", "(the sh of bare)"
    );
    let ms = |time: Duration| time.as_micros() as f64 / 1000.0;
    let mut slow = false;
    for (name, [ours, launcher, bare, forked]) in ["npm", "pypi"].iter().zip(results) {
        let (of_launcher, of_bare) = (ms(ours) / ms(launcher), ms(ours) / ms(bare));
        println!(
            "{name:<6} {:>6.1} ms {:>6.1} ms {:>6.1} ms {:>6.1} ms  {of_launcher:>11.2} {of_bare:>8.3} {:>15.3}",
            ms(ours),
            ms(launcher),
            ms(bare),
            ms(forked),
            ms(forked) / ms(bare)
        );
        slow |= of_launcher > LAUNCHER_MAX || of_bare > BARE_MAX;
    }
    println!("with empty caches, median of {COLD_ROUNDS}");
    for (name, command) in [("npm", &npm[..]), ("pypi", &pypi[..])] {
        let [pin, launcher] = cold(name, command);
        let ratio = ms(pin) / ms(launcher);
        println!(
            "{name:<6} pin {:>6.0} ms, first start by the launcher {:>6.0} ms: {ratio:.2}",
            ms(pin),
            ms(launcher)
        );
        slow |= ratio > COLD_MAX;
    }
    assert!(
        !slow,
        "over the budget of {LAUNCHER_MAX} of the launcher, {BARE_MAX} of the bare server, or {COLD_MAX} of the \
         first start"
    );
}

/// The medians of `mcpwrap pin` and of the launcher's first start until the server answers, each in an empty
/// home. All homes stay until the end: on ext4, new files take longer while many are removed.
fn cold(name: &str, command: &[&str]) -> [Duration; 2] {
    let mut times = [const { Vec::new() }; 2];
    let all = tempfile::tempdir().unwrap();
    let empty_home = |label: String| {
        let home = all.path().canonicalize().unwrap().join(label);
        std::fs::create_dir(&home).unwrap();
        Bench { home }
    };
    for round in 0..COLD_ROUNDS {
        let bench = empty_home(format!("pin-{round}"));
        bench.set_up();
        bench.mcpwrap(&[&["policy", "new", name, "--"][..], command].concat());
        let start = Instant::now();
        bench.mcpwrap(&["pin", name, "--yes"]);
        let pin = start.elapsed();
        let bench = empty_home(format!("launcher-{round}"));
        let launcher: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        let now = [pin, bench.first_answer(&launcher)];
        times
            .iter_mut()
            .zip(now)
            .for_each(|(all, one)| all.push(one));
    }
    times.map(median)
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

struct Bench {
    home: PathBuf,
}

impl Bench {
    fn root(&self) -> PathBuf {
        self.home.join("mcpwrap")
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let uv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/pypi/uv/bin");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("HOME", &self.home)
            .env("MCPWRAP_HOME", self.root())
            .env("PATH", format!("{}:{path}", uv.display()))
            .current_dir(&self.home);
        for agent in ["CLAUDECODE", "GEMINI_CLI", "OPENCODE", "AI_AGENT"] {
            command.env_remove(agent);
        }
        command
    }

    fn mcpwrap(&self, args: &[&str]) {
        let mut command = self.command(env!("CARGO_BIN_EXE_mcpwrap"));
        let output = command.args(args).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn set_up(&self) {
        let key = self.home.join("vault.key").display().to_string();
        self.mcpwrap(&["init", "--store", "file", "--key-file", &key]);
    }

    /// The medians through mcpwrap, through the launcher, of the installed entry point alone, and
    /// of the same below a shell that stays, the minimum of a launcher that stays.
    fn compare(&self, name: &str, command: &[&str]) -> [Duration; 4] {
        self.mcpwrap(&[&["policy", "new", name, "--"][..], command].concat());
        self.mcpwrap(&["pin", name, "--yes"]);
        let bare = self.installed(name, command);
        let first = |words: &[String]| self.first_answer(words);
        let ours = [env!("CARGO_BIN_EXE_mcpwrap"), "run", name].map(str::to_owned);
        let launcher: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        let stays = ["/bin/sh", "-c", "\"$@\"; exit", "sh"].map(str::to_owned);
        let forked = [&stays[..], &bare[..]].concat();
        let mut times = [const { Vec::new() }; 4];
        for round in 0..=ROUNDS {
            let now = [&ours[..], &launcher, &bare, &forked].map(first);
            // The first round warms the caches.
            if round > 0 {
                times
                    .iter_mut()
                    .zip(now)
                    .for_each(|(all, one)| all.push(one));
            }
        }
        times.map(median)
    }

    /// The command line of the installed server without mcpwrap.
    fn installed(&self, name: &str, command: &[&str]) -> Vec<String> {
        let path = self.root().join(format!("policies/{name}.toml"));
        let policy: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let package = policy
            .get("package")
            .and_then(toml::Value::as_table)
            .unwrap();
        let text = |key: &str| {
            package
                .get(key)
                .and_then(toml::Value::as_str)
                .unwrap()
                .to_owned()
        };
        let tree = self
            .root()
            .join("data/packages")
            .join(text("tree"))
            .join("tree");
        let entry = tree.join(text("entry")).display().to_string();
        let mut words = match name {
            "npm" => vec![text("interpreter")],
            _ => vec![
                tree.join("bin/python").display().to_string(),
                "-B".to_owned(),
            ],
        };
        words.push(entry);
        let own = if name == "npm" {
            command.get(3..)
        } else {
            command.get(2..)
        };
        words.extend(
            own.unwrap_or_default()
                .iter()
                .map(|word| (*word).to_owned()),
        );
        words
    }

    /// The time from the start of a program to its first answer.
    fn first_answer(&self, words: &[String]) -> Duration {
        let start = Instant::now();
        let (program, args) = words.split_first().unwrap();
        let mut child = self
            .command(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{FIRST}").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let took = start.elapsed();
        assert!(line.contains("\"result\""), "{line}");
        drop(stdin);
        // A launcher that does not exit with its input must not affect the next round.
        let deadline = Instant::now() + Duration::from_secs(3);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        took
    }
}
