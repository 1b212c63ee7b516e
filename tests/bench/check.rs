//! The speed of `check` on a large repository: `cargo bench --bench check`. A ratio within one run
//! to `rg --files` on the same tree, or to ripgrep's walker in this process if there is no `rg`.
//!
//! 100,000 files, a sixth of them JSON, YAML or TOML of other programs, 50 configs of ten servers
//! each.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program that measures and prints"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FILES: usize = 100_000;
const CONFIGS: usize = 50;
const SERVERS: usize = 10;
const RUNS: usize = 15;

/// File extensions with the frequency of a typical web repository.
const ENDINGS: &[&str] = &[
    "ts", "tsx", "js", "json", "md", "go", "py", "rs", "css", "json", "png", "svg", "snap", "yaml",
    "txt", "html", "sh", "sql", "proto", "java", "kt", "h", "c", "toml",
];

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join("repo");
    for (n, ending) in ENDINGS.iter().cycle().take(FILES).enumerate() {
        write(&repo, n, ending);
    }
    for n in 0..CONFIGS {
        config(&repo, n);
    }
    let rg = Command::new("rg").arg("--version").output().is_ok();
    let (name, walk) = if rg {
        (
            "rg --files",
            best(|| run(Path::new("rg"), dir.path(), &["--files", "repo"])),
        )
    } else {
        ("ripgrep's walker (no rg here)", best(|| walk(&repo)))
    };
    let own = Path::new(env!("CARGO_BIN_EXE_mcpwrap"));
    let start = best(|| run(own, dir.path(), &["--version"]));
    let arguments = ["check", "repo", "--fail-on", "never", "--json"];
    let check = best(|| run(own, dir.path(), &arguments));
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("{name:<34} {:>8.2} ms", ms(walk));
    println!(
        "mcpwrap check repo                 {:>8.2} ms (start: {:.2} ms)",
        ms(check),
        ms(start)
    );
    println!(
        "ratio                              {:>10.2}  (budget 2)",
        check.as_secs_f64() / walk.as_secs_f64()
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

fn walk(repo: &Path) {
    ignore::WalkBuilder::new(repo)
        .build_parallel()
        .run(|| Box::new(|_| ignore::WalkState::Continue));
}

fn run(program: &Path, dir: &Path, arguments: &[&str]) {
    let status = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("HOME", dir)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

/// A file of another program, in one of 5,000 directories.
fn write(repo: &Path, n: usize, ending: &str) {
    let dir = repo.join(format!(
        "pkg{}/src{}/mod{}",
        n % 50,
        n / 50 % 10,
        n / 500 % 10
    ));
    if n < 5_000 {
        std::fs::create_dir_all(&dir).unwrap();
    }
    let text = format!(
        "{{\"name\": \"file {n}\", \"items\": [{}]}}\n",
        "1, ".repeat(n % 200)
    );
    std::fs::write(dir.join(format!("file{n}.{ending}")), text).unwrap();
}

/// A client config.
fn config(repo: &Path, n: usize) {
    let mut servers = String::new();
    for server in 0..SERVERS {
        let comma = if server == 0 { "" } else { "," };
        write!(
            servers,
            "{comma}\n    \"s{server}\": {{\"command\": \"npx\", \"args\": [\"-y\", \"server-{n}@1.2.{server}\"], \"env\": {{\"LEVEL\": \"info\"}}}}"
        )
        .unwrap();
    }
    let dir = repo.join(format!("pkg{n}/.cursor"));
    std::fs::create_dir_all(&dir).unwrap();
    let text = format!("{{\n  \"mcpServers\": {{{servers}\n  }}\n}}\n");
    std::fs::write(dir.join("mcp.json"), text).unwrap();
}
