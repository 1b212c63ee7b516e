//! The speed of `adopt --dry-run`: `cargo bench --bench adopt`. A ratio within one run to a program
//! that reads and parses the same files with the same parsers, without the start-up of both.
//!
//! Fifty files of ten servers each; one file in six has secrets. Best of several runs.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program that measures and prints"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mcpwrap::testing::client::Document;

const FILES: usize = 50;
const SERVERS: usize = 10;
const RUNS: usize = 25;
/// The argument that makes this program only read and parse.
const PARSE: &str = "--only-parse";

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(PARSE) {
        return parse(&arguments.map(PathBuf::from).collect::<Vec<_>>());
    }
    let home = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..FILES).map(|n| write(home.path(), n)).collect();
    let named: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let selectors = named.iter().flat_map(|file| ["--config", file.as_str()]);
    let dry_run: Vec<&str> = ["adopt", "--dry-run"]
        .into_iter()
        .chain(selectors)
        .collect();
    let reading: Vec<&str> = [PARSE]
        .into_iter()
        .chain(named.iter().map(String::as_str))
        .collect();
    let own = std::env::current_exe().unwrap();
    let mcpwrap = Path::new(env!("CARGO_BIN_EXE_mcpwrap"));
    // In turns, so that load on the machine affects all equally.
    let mut times = [Duration::MAX; 4];
    for _ in 0..RUNS {
        let now = [
            run(home.path(), mcpwrap, &["policy", "list"]),
            run(home.path(), mcpwrap, &dry_run),
            run(home.path(), &own, &[PARSE]),
            run(home.path(), &own, &reading),
        ];
        for (best, now) in times.iter_mut().zip(now) {
            *best = now.min(*best);
        }
    }
    let [start, adopt, bare, read] = times;
    let (adopt, read) = (adopt.saturating_sub(start), read.saturating_sub(bare));
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "reading and parsing {FILES} files      {:>8.2} ms",
        ms(read)
    );
    println!(
        "adopt --dry-run without the start  {:>8.2} ms (start: {:.2} ms)",
        ms(adopt),
        ms(start)
    );
    println!(
        "ratio                              {:>10.2}  (budget 2)",
        adopt.as_secs_f64() / read.as_secs_f64()
    );
}

/// What any program must do with these files: read each and keep it.
fn parse(files: &[PathBuf]) {
    let read =
        |file: &PathBuf| Document::read_any("mcp.json", std::fs::read(file).unwrap()).unwrap();
    let documents: Vec<Document> = files.iter().map(read).collect();
    black_box(documents);
}

fn run(home: &Path, program: &Path, arguments: &[&str]) -> Duration {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status();
    let took = start.elapsed();
    assert!(status.unwrap().success());
    took
}

fn write(home: &Path, n: usize) -> PathBuf {
    let mut servers = String::new();
    for server in 0..SERVERS {
        let secret = n.is_multiple_of(6) && server == 3;
        let value = if secret {
            "q9Kx2LmP7vRt4WzB8nYc"
        } else {
            "${env:API_KEY}"
        };
        let comma = if server + 1 < SERVERS { "," } else { "" };
        writeln!(
            servers,
            "    \"server-{n}-{server}\": {{\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"@scope/server-{server}@1.2.3\", \
             \"--root\", \"/home/user/projects/{n}\", \"--log-level\", \"info\"],\n      \"env\": {{\n        \"API_KEY\": \"{value}\",\n        \
             \"BASE_URL\": \"https://api.example.org/v1\",\n        \"REGION\": \"eu-west-1\"\n      }}\n    }}{comma}"
        )
        .unwrap();
    }
    let path = home.join(format!("config-{n}.json"));
    std::fs::write(
        &path,
        format!("{{\n  \"mcpServers\": {{\n{servers}  }}\n}}\n"),
    )
    .unwrap();
    path
}
