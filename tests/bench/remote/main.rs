//! A remote server through mcpwrap, directly, and through other bridges: start, calls, memory, bulk,
//! revocation. Everything is measured in one run; docs/performance.md explains the figures.
//! `cargo xtask deps` installs the reference server and the other bridges. `-- bulk` measures only that.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a program that measures, and may fail loudly"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::secret::ServerName;
use mcpwrap::testing::{files, grant, policy};

#[expect(dead_code, reason = "the other benchmarks also grant commands")]
#[path = "../support.rs"]
mod support;

mod direct;
mod server;
mod session;

use direct::Direct;
use server::{BULK_BYTES, Reference};
use session::Session;

const MCPWRAP: &str = env!("CARGO_BIN_EXE_mcpwrap");
const TOKEN: &str = "ghp_0123456789abcdefghijklmnop";
const STARTS: usize = 15;
const CALLS: usize = 2_000;
const REVOCATIONS: usize = 20;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let quick = server::quick();
    if std::env::args().any(|argument| argument == "bulk") {
        bench.policy("quick", &quick);
        return bench.bulk("quick", &quick);
    }
    let Some(reference) = Reference::start(&bench.cache) else {
        println!("the reference server is not installed: `cargo xtask deps`");
        return;
    };
    bench.policy("reference", &reference.url);
    bench.policy("quick", &quick);
    bench.starts("reference", &reference.url);
    bench.calls(
        "the reference server (Node.js)",
        "reference",
        &reference.url,
    );
    bench.calls("a server that answers at once", "quick", &quick);
    bench.bulk("quick", &quick);
    bench.revocations("quick");
}

struct Bench {
    home: PathBuf,
    cache: PathBuf,
}

/// One way to a server: its name, and its program unless it is this one.
type Way = (&'static str, Option<Command>);

impl Bench {
    fn new(dir: &Path) -> Self {
        let home = dir.join("home");
        let values = std::iter::once(TOKEN.to_owned());
        support::vault_home(&home, &dir.join("key"), values);
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache");
        Self { home, cache }
    }

    fn policy(&self, name: &str, url: &str) {
        let text = format!(
            "version = 1\nurl = \"{url}\"\n[headers]\nAuthorization = \"Bearer {{secret.S0}}\"\n\
             [secrets.S0]\nfrom = \"secret:bench/0\"\n"
        );
        let (dirs, server) = (Dirs::under(&self.home), ServerName::new(name).unwrap());
        files::replace(&policy::path(&dirs, &server), text.as_bytes()).unwrap();
        support::grant(&self.home, &server);
    }

    fn mcpwrap(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(MCPWRAP);
        command
            .env_clear()
            .env("MCPWRAP_HOME", &self.home)
            .env("HOME", &self.home);
        command.env("PATH", "/usr/bin:/bin").args(arguments);
        command
    }

    /// All ways to a server; the others are there only if they are installed.
    fn ways(&self, name: &str, url: &str) -> Vec<Way> {
        let header = format!("Authorization: Bearer {TOKEN}");
        let node = |script: &str, arguments: &[&str]| {
            let script = self.cache.join("remote/node_modules").join(script);
            let mut command = Command::new("node");
            command.arg(&script).args(arguments);
            script.exists().then_some(command)
        };
        let remote = [
            url,
            "--transport",
            "http-only",
            "--allow-http",
            "--header",
            &header,
        ];
        let gateway = ["--streamableHttp", url, "--header", &header];
        let proxy = self.cache.join("pypi/mcp-proxy/bin/mcp-proxy");
        let mut proxied = Command::new(&proxy);
        proxied.args(["--transport", "streamablehttp"]);
        proxied.args([
            "--headers",
            "Authorization",
            &format!("Bearer {TOKEN}"),
            url,
        ]);
        let others = [
            ("mcp-remote", node("mcp-remote/dist/proxy.js", &remote)),
            ("supergateway", node("supergateway/dist/index.js", &gateway)),
            ("mcp-proxy", proxy.exists().then_some(proxied)),
        ];
        let mut ways = vec![
            ("directly", None),
            ("mcpwrap", Some(self.mcpwrap(&["run", name]))),
        ];
        for (name, command) in others {
            match command {
                Some(command) => ways.push((name, Some(command))),
                None => println!("  {name:<14}absent"),
            }
        }
        for (_, command) in &mut ways {
            if let Some(command) = command {
                command.current_dir(&self.home).env("HOME", &self.home);
            }
        }
        ways
    }

    fn starts(&self, name: &str, url: &str) {
        let mut ways = self.ways(name, url);
        let mut times = vec![Vec::new(); ways.len()];
        for _ in 0..STARTS {
            for ((_, command), times) in ways.iter_mut().zip(&mut times) {
                let began = Instant::now();
                match command {
                    None => {
                        let mut direct = Direct::connect(url);
                        direct.initialize();
                        times.push(began.elapsed());
                    }
                    Some(command) => {
                        let mut session = Session::start(command);
                        session.initialize();
                        times.push(began.elapsed());
                        session.end();
                    }
                }
            }
        }
        println!("start to the answer of initialize, the reference server, median of {STARTS}");
        let direct = at(&mut times[0], 50);
        for ((way, _), times) in ways.iter().zip(&mut times) {
            let time = at(times, 50);
            let more = ms(time) - ms(direct);
            let limit = if *way == "mcpwrap" { " (limit 25)" } else { "" };
            println!("  {way:<14}{:>9.2} ms   {more:.2} ms more{limit}", ms(time));
        }
    }

    fn calls(&self, about: &str, name: &str, url: &str) {
        println!("a call of {about}, {CALLS} calls; memory of the bridge (PSS, all its processes)");
        let mut ways = self.ways(name, url);
        let mut medians = (0.0, 0.0);
        for (way, command) in &mut ways {
            let mut times = Vec::new();
            let mut memory = None;
            match command {
                None => {
                    let mut direct = Direct::connect(url);
                    direct.initialize();
                    times.extend((0..CALLS + 100).map(|_| direct.call()));
                }
                Some(command) => {
                    let mut session = Session::start(command);
                    session.initialize();
                    times.extend((0..CALLS + 100).map(|_| session.call()));
                    // Some release memory shortly after their start.
                    std::thread::sleep(Duration::from_secs(3));
                    memory = Some(session.memory_kib());
                    session.end();
                }
            }
            times.drain(..100);
            let (p50, p99) = (ms(at(&mut times, 50)), ms(at(&mut times, 99)));
            if command.is_none() {
                medians = (p50, p99);
            }
            let ours = *way == "mcpwrap";
            let limit = if ours { " (limits 0.3, 1)" } else { "" };
            let memory = memory.map_or(String::new(), |kib| {
                let limit = if ours { " (limit 18)" } else { "" };
                format!("   {:.1} MB{limit}", kib as f64 / 1000.0 * 1.024)
            });
            println!(
                "  {way:<14}p50 {p50:>7.3} ms   p99 {p99:>7.3} ms   added {:.3}, {:.3} ms{limit}{memory}",
                p50 - medians.0,
                p99 - medians.1,
            );
        }
    }

    fn bulk(&self, name: &str, url: &str) {
        println!("an answer of {} MiB, best of 3", BULK_BYTES >> 20);
        let curl = best(|| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--output", "/dev/null", "--write-out"]);
            curl.args(["%{speed_download}", "--data", &direct::bulk_request()]);
            let output = curl.arg(url).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.trim().parse::<f64>().unwrap() / 1e6
        });
        println!("  {:<14}{curl:>9.0} MB/s", "curl");
        for (way, command) in &mut self.ways(name, url) {
            let Some(command) = command else { continue };
            let speed = best(|| {
                let mut session = Session::start(command);
                session.initialize();
                let speed = session.bulk();
                session.end();
                speed
            });
            let limit = if *way == "mcpwrap" {
                " (limit 0.50)"
            } else {
                ""
            };
            println!(
                "  {way:<14}{speed:>9.0} MB/s   {:.2} of curl{limit}",
                speed / curl
            );
        }
    }

    fn revocations(&self, name: &str) {
        let server = ServerName::new(name).unwrap();
        let dirs = Dirs::under(&self.home);
        let mut times = Vec::new();
        for _ in 0..REVOCATIONS {
            let mut session = Session::start(&mut self.mcpwrap(&["run", name]));
            session.initialize();
            session.call();
            let began = Instant::now();
            grant::revoke(&dirs, &server, None).unwrap();
            while !session.ask(direct::CALL).contains("-32603") {}
            times.push(began.elapsed());
            session.end();
            support::grant(&self.home, &server);
        }
        println!("revoke to the first refused call, {REVOCATIONS} times");
        println!(
            "  median        {:>9.2} ms   max {:.2} ms   (limit of the median 10)",
            ms(at(&mut times, 50)),
            ms(at(&mut times, 100))
        );
    }
}

fn best(measure: impl FnMut() -> f64) -> f64 {
    std::iter::repeat_with(measure).take(3).fold(0.0, f64::max)
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
