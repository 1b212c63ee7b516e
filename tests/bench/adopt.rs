//! How fast `adopt --dry-run` is: `cargo bench --bench adopt`. A ratio in one run against reading and
//! parsing the same files, once for each way to start the program is taken off.
//!
//! Fifty files of ten servers each; one file in six has secrets, as in the wild. Best of several runs.
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

use mcpwrap::client::tree::Document;

const FILES: usize = 50;
const SERVERS: usize = 10;
const RUNS: usize = 15;

fn main() {
    let home = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..FILES).map(|n| write(home.path(), n)).collect();
    let selectors: Vec<String> = files
        .iter()
        .flat_map(|file| ["--config".to_owned(), file.display().to_string()])
        .collect();
    let parse = best(|| {
        for file in &files {
            let bytes = std::fs::read(file).unwrap();
            black_box(Document::read_any("mcp.json", bytes).unwrap());
        }
    });
    let start = best(|| run(home.path(), &["policy", "list"]));
    let mut arguments = vec!["adopt", "--dry-run"];
    arguments.extend(selectors.iter().map(String::as_str));
    let adopt = best(|| run(home.path(), &arguments));
    let own = adopt.saturating_sub(start);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "reading and parsing {FILES} files      {:>8.2} ms",
        ms(parse)
    );
    println!(
        "adopt --dry-run without the start  {:>8.2} ms (start: {:.2} ms)",
        ms(own),
        ms(start)
    );
    println!(
        "ratio                              {:>10.2}  (budget 2)",
        own.as_secs_f64() / parse.as_secs_f64()
    );
}

fn best(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..RUNS).map(once).min().unwrap()
}

fn run(home: &Path, arguments: &[&str]) {
    let status = Command::new(env!("CARGO_BIN_EXE_mcpwrap"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
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
