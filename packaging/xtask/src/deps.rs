//! What the tests need besides Rust: real keychains, real servers, real clients.
//!
//! Installs exact versions from the lock files under `tests/real` into `.cache`; system packages
//! only if told to. A missing need is no failure: it is listed, and its tests are skipped loudly.

pub mod debian;
mod remote;
mod stores;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Done, cache, cargo, output, problem, root, step, which};

/// Debian packages, each with a program that shows whether it is installed.
const DEBIAN: &[(&str, &str)] = &[
    ("gnome-keyring", "gnome-keyring-daemon"),
    ("dbus", "dbus-daemon"),
    ("libsecret-tools", "secret-tool"),
    ("git", "git"),
    ("rsyslog", "rsyslogd"),
    ("logrotate", "logrotate"),
    ("systemd", "journalctl"),
];

/// A database in which a secrets server makes users.
const POSTGRES: &[(&str, &str)] = &[("postgresql", "pg_lsclusters")];
/// The keychain of KDE. For that of `KeePassXC`, see `stores`.
const KWALLET: &[(&str, &str)] = &[("libkf5wallet-bin", "kwalletd5")];
/// What `secret-tool` needs to reach the one of KDE: a plugin, which is no program.
const KWALLET_TOOL: &[(&str, &str)] = &[("libqca-qt5-2-plugins", "libqca-ossl.so")];

/// A container engine and the content of a small image: large, so only on request.
const DOCKER: &[(&str, &str)] = &[("docker.io", "dockerd"), ("busybox-static", "busybox")];

/// What installs or reads packages that `cargo xtask dist --check` made.
const PACKAGES: &[(&str, &str)] = &[
    ("rpm", "rpm"),
    ("zstd", "zstd"),
    ("ruby", "ruby"),
    ("nix-bin", "nix-instantiate"),
];

/// The Python environment that makes the others.
const UV: &str = "uv";

/// What may be installed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Install {
    /// Packages of npm and PyPI, into `.cache`.
    CacheOnly,
    /// Also system packages.
    System,
}

/// The needs that are met, as words for `MCPWRAP_TEST_REQUIRE`, and the missing ones with the reason.
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
        writeln!(
            f,
            "── needs of the tests that are met: {}",
            self.words.join(", ")
        )?;
        for (word, reason) in &self.missing {
            writeln!(f, "MISSING {word}: {reason}; its tests are skipped")?;
        }
        Ok(())
    }
}

pub fn install(install: Install) -> Done<Found> {
    fs::create_dir_all(cache()).map_err(|error| format!("{}: {error}", cache().display()))?;
    let mut found = Found::default();
    found.note("keychain", debian(DEBIAN, install));
    found.note(
        "kwallet",
        debian(KWALLET, install).and_then(|()| debian(KWALLET_TOOL, install)),
    );
    found.note("npm", npm());
    found.note("pypi", pypi());
    found.note("rmcp", rmcp());
    remote::install(&mut found);
    for word in ["git", "pip"] {
        let exists = match word {
            "git" => which("git").is_some(),
            _ => output(Command::new("python3").args(["-I", "-c", "import pip, venv"])).is_some(),
        };
        found.note(word, exists.then_some(()).ok_or(format!("no `{word}`")));
    }
    found.note("verdaccio", verdaccio());
    found.note("oidc", oidc());
    found.note("openbao", openbao());
    found.note("postgres", debian(POSTGRES, install));
    stores::install(&mut found, install);
    found.note("registry", registries());
    found.note("packages", debian(PACKAGES, install));
    found.note("root", root_user());
    let on_request = |_| "run `cargo xtask deps docker`".to_owned();
    let docker = debian(DOCKER, Install::CacheOnly).map_err(on_request);
    found.note("docker", docker.and_then(|()| root_user()));
    found.note("syslog", program("/usr/sbin/rsyslogd"));
    let journald = program("/usr/lib/systemd/systemd-journald");
    found.note("cgroup", control_groups());
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

/// Some tests make a control group, which systemd does for a desktop session.
fn control_groups() -> Done {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut mounts = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|fields| fields.get(2) == Some(&"cgroup2"));
    let place = mount
        .as_ref()
        .and_then(|fields| fields.get(1))
        .ok_or("no cgroup2 is mounted")?;
    let group = Path::new(place).join("mcpwrap-xtask");
    fs::create_dir(&group).map_err(|error| problem(&group, &error))?;
    fs::remove_dir(&group).map_err(|error| problem(&group, &error))
}

/// On the search path, among the system's programs, which not every user has there, or a plugin of Qt.
fn is_available(program: &str) -> bool {
    which(program).is_some() || Path::new("/usr/sbin").join(program).exists() || is_plugin(program)
}

fn is_plugin(name: &str) -> bool {
    let libraries = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut folders = libraries.map(|folder| folder.path().join("qca-qt5/crypto"));
    folders.any(|folder| folder.join(name).exists())
}

/// Installs a container engine for the tests.
pub fn docker() -> Done {
    debian(DOCKER, Install::System)
}

fn debian(packages: &[(&'static str, &str)], install: Install) -> Done {
    let missing = || {
        packages
            .iter()
            .filter(|(_, program)| !is_available(program))
    };
    let names: Vec<_> = missing().map(|(package, _)| *package).collect();
    if names.is_empty() {
        return Ok(());
    }
    if which("apt-get").is_none() {
        return Err(format!("no `apt-get`; install {} by hand", names.join(" ")));
    }
    if install == Install::CacheOnly {
        return Err(format!(
            "pass --install, or run `apt-get install {}` as root",
            names.join(" ")
        ));
    }
    let is_root = root_user().is_ok();
    if !is_root && output(Command::new("sudo").args(["-n", "true"])).is_none() {
        return Err(format!(
            "only root may run `apt-get install {}`",
            names.join(" ")
        ));
    }
    let apt = |args: &[&str]| {
        let mut command = Command::new(if is_root { "env" } else { "sudo" });
        if !is_root {
            command.args(["-n", "env"]);
        }
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(["-q", "-y", "--no-install-recommends"])
            .args(args);
        command
    };
    step("apt-get update", &mut apt(&["update"]))?;
    step("apt-get install", apt(&["install"]).args(&names))?;
    match missing().next() {
        Some((package, program)) => Err(format!("`{package}` has no `{program}`")),
        None => Ok(()),
    }
}

/// Servers and clients of the npm registry, in `.cache/npm`.
pub fn npm() -> Done {
    project("npm")
}

/// A registry that runs here, in `.cache/verdaccio`.
fn verdaccio() -> Done {
    project("verdaccio")
}

/// An identity provider, in `.cache/oidc`.
fn oidc() -> Done {
    project("oidc")
}

/// A server of secrets that runs here, in `.cache/pypi/openbao`.
fn openbao() -> Done {
    environment("openbao", &cache().join("pypi/openbao"))
}

/// What the lock file of this project of npm lists.
fn project(name: &str) -> Done {
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
    let (source, target) = (root().join("tests/real").join(name), cache().join(name));
    once(&target, &source.join("package-lock.json"), || {
        for name in ["package.json", "package-lock.json"] {
            copy(&source.join(name), &target.join(name))?;
        }
        let mut command = Command::new("npm");
        command
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&target);
        step(&format!("npm ci {name}"), &mut command)
    })
}

/// Servers and clients of the Python package index: an environment for each major of the SDK.
pub fn pypi() -> Done {
    for name in [UV, "mcp-1", "mcp-2", "audit", "pre-commit"] {
        environment(name, &cache().join("pypi").join(name))?;
    }
    Ok(())
}

/// A Python environment with what the lock file of this name lists. uv makes it, in a quarter of pip's time;
/// pip makes that of uv.
pub fn environment(name: &str, target: &Path) -> Done {
    let python = python().ok_or("no `python3` of 3.10 or newer")?;
    let lock = root().join(format!("tests/real/pypi/{name}.txt"));
    let locked = ["--require-hashes", "--only-binary=:all:", "-r"];
    if name == UV {
        return once(target, &lock, || {
            let mut venv = Command::new(&python);
            venv.args(["-m", "venv", "--clear"]).arg(target);
            step("python -m venv uv", &mut venv)?;
            let mut pip = Command::new(target.join("bin/pip"));
            pip.args(["install", "--quiet"]).args(locked).arg(&lock);
            step("pip install uv", &mut pip)
        });
    }
    let uv = cache().join("pypi").join(UV);
    environment(UV, &uv)?;
    let uv = uv.join("bin/uv");
    once(target, &lock, || {
        let mut venv = Command::new(&uv);
        venv.args(["venv", "--quiet", "--clear", "--no-project", "--python"]);
        step(
            &format!("uv venv {name}"),
            venv.arg(&python).arg(target).current_dir(cache()),
        )?;
        let mut pip = Command::new(&uv);
        // Each environment has files of its own, compiled once, as pip leaves them.
        pip.args(["pip", "install", "--quiet", "--link-mode=copy"])
            .args(["--compile-bytecode", "--python"])
            .arg(target)
            .args(locked)
            .arg(&lock)
            .current_dir(cache());
        step(&format!("uv pip install {name}"), &mut pip)
    })
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

/// Does the work unless it was done for the same content of the lock file.
fn once(target: &Path, lock: &Path, work: impl Fn() -> Done) -> Done {
    let wanted = fs::read(lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    once_for(target, &wanted, work)
}

/// Does the work unless it was done for the same origin.
fn once_for(target: &Path, wanted: &[u8], work: impl Fn() -> Done) -> Done {
    let mark = target.join("installed-from");
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
