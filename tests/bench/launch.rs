//! The cost of mcpwrap: start-up, round trip, throughput, memory. Each figure is next to a bare
//! launch in the same run; docs/performance.md explains them. Needs a C compiler for the
//! references.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a program that measures, and may fail loudly"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod support;

const MCPWRAP: &str = env!("CARGO_BIN_EXE_mcpwrap");
/// A line that is a message.
const HELLO: &str = r#"{"jsonrpc":"2.0","method":"hello"}"#;
const STARTS: usize = 100;
/// Many sessions, because the processors that a session runs on matter more than the relay.
const SESSIONS: usize = 15;
const ROUND_TRIPS: usize = 3_000;
const BULK_BYTES: usize = 512 << 20;

/// fork, exec, wait: the minimum of a launcher.
const LAUNCHER: &str = r"
#include <unistd.h>
#include <sys/wait.h>
int main(int n, char **a) { int s; pid_t p = fork(); if (!p) { execv(a[1], a + 1); _exit(127); }
  waitpid(p, &s, 0); return WEXITSTATUS(s); }";

/// Answers every line with the same 200 bytes, or, with a number, writes that many bytes in lines.
const SERVER: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char in[1 << 20], out[1 << 16];
static void all(const char *p, size_t n) { while (n) { ssize_t w = write(1, p, n); if (w <= 0) _exit(1); p += w; n -= w; } }
int main(int n, char **a) {
  const char *head = "{\"jsonrpc\":\"2.0\",\"result\":{\"t\":\"", *tail = "\"},\"id\":1}\n";
  size_t size = n > 1 ? sizeof out : 200, h = strlen(head), t = strlen(tail);
  memset(out, 'x', size); memcpy(out, head, h); memcpy(out + size - t, tail, t);
  if (n > 1) { for (long left = atol(a[1]); left > 0; left -= size) all(out, size); return 0; }
  for (;;) { ssize_t r = read(0, in, sizeof in); if (r <= 0) return 0;
    for (ssize_t i = 0; i < r; i++) if (in[i] == '\n') all(out, size); } }"#;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    bench.start_up();
    bench.round_trip();
    bench.bulk();
    bench.memory();
}

struct Bench {
    home: PathBuf,
    launcher: PathBuf,
    server: PathBuf,
}

impl Bench {
    fn new(home: &Path) -> Self {
        let compile = |name: &str, text: &str| {
            let (source, program) = (home.join(format!("{name}.c")), home.join(name));
            std::fs::write(&source, text).unwrap();
            let cc = Command::new("cc")
                .args(["-O2", "-o"])
                .arg(&program)
                .arg(&source)
                .status();
            assert!(cc.unwrap().success(), "cc");
            program
        };
        let bench = Self {
            launcher: compile("launcher", LAUNCHER),
            server: compile("server", SERVER),
            home: home.join("home"),
        };
        let values = (0..10).map(|n| format!("ghp_{n}0123456789\"abcdefghijklmnop{n}"));
        support::vault_home(&bench.home, &home.join("key"), values);
        let server = bench.server.display().to_string();
        support::granted(&bench.home, "hello", &["/bin/echo", HELLO], 1, "");
        support::granted(&bench.home, "echo", &[&server], 10, "");
        let bytes = BULK_BYTES.to_string();
        support::granted(&bench.home, "bulk", &[&server, &bytes], 10, "");
        support::granted(
            &bench.home,
            "plain",
            &[&server, &bytes],
            10,
            "[limits]\nmask = []\n",
        );
        support::granted(
            &bench.home,
            "raw",
            &[&server, &bytes],
            10,
            "[limits]\nmask = []\nstdout = \"raw\"\n",
        );
        bench
    }

    fn wrapped(&self, server: &str) -> Command {
        let mut command = Command::new(MCPWRAP);
        command
            .env_clear()
            .env("MCPWRAP_HOME", &self.home)
            .env("HOME", &self.home);
        command.env("PATH", "/usr/bin:/bin").args(["run", server]);
        command
    }

    fn start_up(&self) {
        let launch = |mut command: Command| {
            let began = Instant::now();
            let mut child = piped(&mut command);
            let mut byte = [0];
            child
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut byte)
                .unwrap();
            let first = began.elapsed();
            drop(child.stdin.take());
            child.wait().unwrap();
            first
        };
        let mut c = Vec::new();
        let mut ours = Vec::new();
        for _ in 0..STARTS {
            let mut bare = Command::new(&self.launcher);
            bare.args(["/bin/echo", HELLO]);
            c.push(launch(bare));
            ours.push(launch(self.wrapped("hello")));
        }
        let (c, ours) = (median(&mut c), median(&mut ours));
        println!(
            "start to the first byte of /bin/echo, one secret from the vault file, median of {STARTS}"
        );
        println!("  C fork+exec      {:>9.3} ms", ms(c));
        println!(
            "  mcpwrap run      {:>9.3} ms   {:.3} ms more (limit 3)",
            ms(ours),
            ms(ours) - ms(c)
        );
    }

    fn round_trip(&self) {
        let request = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"t\":\"{}\"}}}}\n",
            "y".repeat(140)
        );
        let measure = |mut command: Command| {
            let mut child = piped(&mut command);
            let mut stdin = child.stdin.take().unwrap();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            let mut times = Vec::new();
            for number in 0..ROUND_TRIPS + 500 {
                let began = Instant::now();
                stdin.write_all(request.as_bytes()).unwrap();
                line.clear();
                stdout.read_line(&mut line).unwrap();
                if number >= 500 {
                    times.push(began.elapsed());
                }
            }
            drop(stdin);
            child.wait().unwrap();
            median(&mut times)
        };
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..SESSIONS {
            let cats = |before: &str| {
                let mut cats = Command::new("sh");
                let pipeline = format!("cat | {before} {} | cat", self.server.display());
                cats.arg("-c").arg(pipeline);
                cats
            };
            let commands = [
                Command::new(&self.server),
                cats(""),
                cats("setsid"),
                self.wrapped("echo"),
            ];
            for (times, command) in times.iter_mut().zip(commands) {
                times.push(measure(command));
            }
        }
        let [bare, cats, apart, ours] = times.each_mut().map(|times| median(times));
        println!(
            "round trip of 200 bytes, ten secrets masked, median of {SESSIONS} sessions of {ROUND_TRIPS}"
        );
        println!("  direct pipes     {:>9.1} µs   1.00", us(bare));
        println!(
            "  cat|server|cat   {:>9.1} µs   {:.2}",
            us(cats),
            us(cats) / us(bare)
        );
        println!(
            "  … own session    {:>9.1} µs   {:.2}",
            us(apart),
            us(apart) / us(bare)
        );
        println!(
            "  mcpwrap run      {:>9.1} µs   {:.2}; {:.2} of the cats (limit 1.00), {:.2} of those with the server in a session of its own",
            us(ours),
            us(ours) / us(bare),
            us(ours) / us(cats),
            us(ours) / us(apart)
        );
    }

    fn bulk(&self) {
        let measure = |mut command: Command| {
            let mut child = piped(&mut command);
            let mut stdout = child.stdout.take().unwrap();
            mcpwrap::testing::sys::enlarge_pipe(stdout.as_fd());
            let mut buffer = vec![0; 1 << 16];
            let mut total = stdout.read(&mut buffer).unwrap();
            let began = Instant::now();
            // To the last byte: the end of a session without messages takes other time.
            let mut took = Duration::ZERO;
            loop {
                match stdout.read(&mut buffer).unwrap() {
                    0 => break,
                    count => total += count,
                }
                took = began.elapsed();
            }
            drop(child.stdin.take());
            child.wait().unwrap();
            assert!(total >= BULK_BYTES, "{total}");
            total as f64 / took.as_secs_f64() / 1e9
        };
        let best = |make: &dyn Fn() -> Command| (0..3).map(|_| measure(make())).fold(0.0, f64::max);
        let direct = best(&|| {
            let mut command = Command::new(&self.server);
            command.arg(BULK_BYTES.to_string());
            command
        });
        let raw = best(&|| self.wrapped("raw"));
        let plain = best(&|| self.wrapped("plain"));
        let masked = best(&|| self.wrapped("bulk"));
        println!("bulk, lines of 64 KiB, best of 3");
        println!("  direct pipes     {direct:>9.2} GB/s 1.00");
        println!(
            "  not looked at    {raw:>9.2} GB/s {:.2} of direct",
            raw / direct
        );
        println!(
            "  masking off      {plain:>9.2} GB/s {:.2} of direct (limit 0.40)",
            plain / direct
        );
        println!(
            "  ten secrets      {masked:>9.2} GB/s {:.2} of masking off (limit 0.50)",
            masked / plain
        );
    }

    fn memory(&self) {
        let mut children = Vec::new();
        for _ in 0..50 {
            let mut child = piped(&mut self.wrapped("echo"));
            let stdin = child.stdin.as_mut().unwrap();
            stdin
                .write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n")
                .unwrap();
            let mut byte = [0; 200];
            child
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut byte)
                .unwrap();
            children.push(child);
        }
        // Memory is released shortly after a launch.
        std::thread::sleep(Duration::from_secs(3));
        let of = |child: &Child| {
            let guard = guard_of(child.id());
            (
                kib(child.id(), "Rss"),
                kib(guard, "Rss"),
                kib(child.id(), "Pss") + kib(guard, "Pss"),
            )
        };
        let (first, last) = (of(&children[0]), of(&children[49]));
        println!("memory of an idle session with ten secrets (KiB)");
        println!(
            "  the first of 50  supervisor {} + guard {} resident (limit 8192), {} its own share",
            first.0, first.1, first.2
        );
        println!(
            "  the last of 50   supervisor {} + guard {} resident, {} its own share",
            last.0, last.1, last.2
        );
        for mut child in children {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}

fn piped(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn guard_of(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children
        .split_whitespace()
        .next()
        .expect("a guard")
        .parse()
        .unwrap()
}

fn kib(pid: u32, field: &str) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup
        .lines()
        .find(|line| line.starts_with(&format!("{field}:")))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
