//! What the tests need besides Rust: real keychains, real servers, real clients.
//!
//! *Always* exact versions from the lock files under `tests/real`, into `.cache`. *Never* fails
//! because something cannot be had: it says what is missing, and those tests are skipped loudly.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Done, cache, cargo, output, root, step, which};

/// Debian packages, each with a program by which to see whether it is there.
const DEBIAN: &[(&str, &str)] = &[
    ("gnome-keyring", "gnome-keyring-daemon"),
    ("dbus", "dbus-daemon"),
    ("libsecret-tools", "secret-tool"),
    ("git", "git"),
    ("rsyslog", "rsyslogd"),
    ("logrotate", "logrotate"),
    ("systemd", "journalctl"),
];

/// What is there for tests: words for `MCPWRAP_TEST_REQUIRE`, and what is not, with the reason.
#[derive(Default)]
pub struct Found {
    pub words: Vec<&'static str>,
    missing: Vec<(&'static str, String)>,
}

impl Found {
    fn note(&mut self, word: &'static str, result: Done) {
        match result {
            Ok(()) => self.words.push(word),
            Err(reason) => self.missing.push((word, reason)),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "for the tests there is: {}", self.words.join(", "))?;
        for (word, reason) in &self.missing {
            write!(
                f,
                "\nMISSING {word}: {reason}; the tests that need it are skipped"
            )?;
        }
        Ok(())
    }
}

pub fn install() -> Done<Found> {
    fs::create_dir_all(cache()).map_err(|error| format!("{}: {error}", cache().display()))?;
    let mut found = Found::default();
    found.note("keychain", debian());
    found.note("npm", npm());
    found.note("pypi", pypi());
    found.note("rmcp", rmcp());
    for word in ["git", "pip"] {
        let there = match word {
            "git" => which("git").is_some(),
            _ => output(Command::new("python3").args(["-I", "-c", "import pip, venv"])).is_some(),
        };
        found.note(word, there.then_some(()).ok_or(format!("no `{word}`")));
    }
    found.note("registry", registries());
    found.note("root", root_user());
    found.note("syslog", program("/usr/sbin/rsyslogd"));
    let journald = program("/usr/lib/systemd/systemd-journald");
    found.note("journald", journald.and_then(|()| root_user()));
    Ok(found)
}

fn program(path: &str) -> Done {
    if Path::new(path).exists() {
        Ok(())
    } else {
        Err(format!("no `{path}`"))
    }
}

/// Some tests mount a file system of their own, or stop a process between its steps.
fn root_user() -> Done {
    match output(Command::new("id").arg("-u")).as_deref() {
        Some("0") => Ok(()),
        _ => Err("only root may mount and trace".to_owned()),
    }
}

fn debian() -> Done {
    let absent = || {
        DEBIAN
            .iter()
            .filter(|(_, program)| which(program).is_none())
    };
    let names: Vec<_> = absent().map(|(package, _)| *package).collect();
    if names.is_empty() {
        return Ok(());
    }
    if which("apt-get").is_none() || output(Command::new("id").arg("-u")).as_deref() != Some("0") {
        return Err(format!(
            "install {} (`apt-get install` as root)",
            names.join(" ")
        ));
    }
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-q", "-y", "--no-install-recommends"])
            .args(args);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    step("apt-get update", &mut apt(&["update"]))?;
    step("apt-get install", apt(&["install"]).args(&names))?;
    match absent().next() {
        Some((package, program)) => Err(format!("`{package}` has no `{program}`")),
        None => Ok(()),
    }
}

/// Servers and clients of the npm registry, in `.cache/npm`.
pub fn npm() -> Done {
    let version = output(Command::new("node").arg("--version")).ok_or("no `node`")?;
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .unwrap_or_default();
    if major.parse().unwrap_or(0) < 20 {
        return Err(format!("node {version} is older than 20"));
    }
    which("npm").ok_or("no `npm`")?;
    let (source, target) = (root().join("tests/real/npm"), cache().join("npm"));
    once(&target, &source.join("package-lock.json"), || {
        for name in ["package.json", "package-lock.json"] {
            copy(&source.join(name), &target.join(name))?;
        }
        let mut command = Command::new("npm");
        command
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&target);
        step("npm ci", &mut command)
    })
}

/// Servers and clients of the Python package index: an environment for each major of the SDK.
pub fn pypi() -> Done {
    let python = python().ok_or("no `python3` of 3.10 or newer")?;
    for name in ["mcp-1", "mcp-2", "uv", "audit", "pre-commit"] {
        let lock = root().join(format!("tests/real/pypi/{name}.txt"));
        let target = cache().join("pypi").join(name);
        once(&target, &lock, || {
            step(
                &format!("python -m venv {name}"),
                venv(&python).arg(&target),
            )?;
            let mut pip = Command::new(target.join("bin/pip"));
            pip.args([
                "install",
                "--quiet",
                "--require-hashes",
                "--only-binary=:all:",
                "-r",
            ]);
            step(&format!("pip install {name}"), pip.arg(&lock))
        })?;
    }
    Ok(())
}

fn python() -> Option<PathBuf> {
    let test = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
    let names = [
        "python3",
        "python3.13",
        "python3.12",
        "python3.11",
        "python3.10",
    ];
    let runs = |path: &PathBuf| output(Command::new(path).args(["-c", test])).is_some();
    names.iter().filter_map(|name| which(name)).find(runs)
}

fn venv(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "venv", "--clear"]);
    command
}

/// Whether the public registries answer: the most used servers are then installed from there.
fn registries() -> Done {
    let asked = |program: &Path, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(cache());
        output(&mut command).ok_or(format!("`{}` gets no answer", program.display()))
    };
    let view = ["view", "@modelcontextprotocol/server-memory", "version"];
    let hurry = ["--fetch-retries=0", "--fetch-timeout=10000"];
    asked(Path::new("npm"), &[&view[..], &hurry].concat())?;
    let pip = cache().join("pypi/uv/bin/pip");
    let download = [
        "download",
        "--quiet",
        "--no-deps",
        "--no-cache-dir",
        "--retries=0",
    ];
    let into = cache().join("registry").display().to_string();
    asked(
        &pip,
        &[&download[..], &["--dest", &into, "mcp-server-time"]].concat(),
    )
    .map(drop)
}

/// The Rust SDK as a client, a crate with its own lock file.
fn rmcp() -> Done {
    let mut command = cargo("build --quiet --locked --target-dir");
    command
        .arg(cache().join("rmcp"))
        .current_dir(root().join("tests/real/rmcp"));
    step("cargo build rmcp-client", &mut command)
}

/// Does the work unless it was done for this very lock file.
fn once(target: &Path, lock: &Path, work: impl Fn() -> Done) -> Done {
    let mark = target.join("installed-from");
    let wanted = fs::read(lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    if fs::read(&mark).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    fs::create_dir_all(target).map_err(|error| format!("{}: {error}", target.display()))?;
    work()?;
    fs::write(&mark, wanted).map_err(|error| format!("{}: {error}", mark.display()))
}

fn copy(from: &Path, to: &Path) -> Done {
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| format!("{}: {error}", from.display()))
}
