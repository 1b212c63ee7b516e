//! Python servers: uv and pip, with a local registry.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::registry::Registry;
use crate::harness::{Test, files_below, policy_text, skip, until};

pub(super) const SERVER: &str = "import json, os, sys\n\
    def main():\n\
    \x20   for line in sys.stdin:\n\
    \x20       m = json.loads(line)\n\
    \x20       if 'id' not in m: continue\n\
    \x20       if m['method'] == 'initialize':\n\
    \x20           r = {'protocolVersion': m['params']['protocolVersion'], 'capabilities': {'tools': {}},\n\
    \x20                'serverInfo': {'name': 'COPY', 'version': '1.0'}}\n\
    \x20       else: r = {'tools': [], 'facts': {'args': sys.argv[1:], 'cwd': os.getcwd(), 'path': sys.path}}\n\
    \x20       print(json.dumps({'jsonrpc': '2.0', 'id': m['id'], 'result': r}), flush=True)\n";

/// The uv that `cargo xtask deps` installed.
pub(super) fn uv() -> Option<PathBuf> {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/pypi/uv/bin");
    if bin.join("uv").exists() {
        return Some(bin);
    }
    skip(
        "pypi",
        "there is no uv in `.cache`: `cargo xtask deps` installs it",
    );
    None
}

/// A registry that uv uses, for a store that is set up. None without uv, with a message.
pub(super) fn uv_registry(test: &Test) -> Option<Registry> {
    let bin = uv()?;
    test.init();
    let registry = Registry::start();
    use_uv(test, &bin, &registry);
    Some(registry)
}

/// Lets uv ask this registry, with a cache and a Python of the test.
pub(super) fn use_uv(test: &Test, bin: &Path, registry: &Registry) {
    test.set(
        "PATH",
        format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()),
    );
    test.set("UV_DEFAULT_INDEX", format!("{}/simple", registry.url));
    test.set("UV_CACHE_DIR", test.home.join("uv-cache"));
    test.set("UV_PYTHON", bin.join("python"));
}

/// `python -m` and `PYTHONPATH` would run planted code; uvx would resolve again at each start.
#[test]
fn an_installed_python_server_starts_offline_and_runs_no_planted_code() {
    let test = Test::new();
    let Some(registry) = uv_registry(&test) else {
        return;
    };
    registry.wheel(&test.home, "timer", "1.0", &SERVER.replace("COPY", "real"));
    let mark = test.home.join("planted-ran");
    let cwd = hostile(&test, &mark);
    test.write_policy(
        "s",
        &policy_text(&["uvx", "timer@1.0", "--zone", "a b"], "cwd = \"client\"\n"),
    );
    let mut pin = test.command(test.program());
    let pinned = test
        .start(pin.args(["pin", "s", "--yes"]).current_dir(&cwd))
        .finish();
    assert_eq!(pinned.code, 0, "{pinned}");
    registry.close();

    test.set("PYTHONPATH", &cwd);
    test.set("PYTHONSTARTUP", cwd.join("timer.py"));
    test.set("PYTHONHOME", &cwd);
    for _ in 0..2 {
        let mut run = test.command(test.program());
        let mut run = test.start(run.args(["run", "s"]).current_dir(&cwd));
        let answer = run.initialize();
        assert_eq!(answer["result"]["serverInfo"]["name"], "real", "{answer}");
        let facts = run.request("tools/list", &json!({}))["result"]["facts"].clone();
        assert_eq!(
            (&facts["args"], &facts["cwd"]),
            (&json!(["--zone", "a b"]), &json!(cwd))
        );
        let text = facts["path"].to_string();
        assert!(!text.contains(&cwd.display().to_string()), "{text}");
        assert_eq!(run.finish().code, 0);
    }
    assert!(!mark.exists());
    changed_modules_are_refused(&test);
}

/// Byte code may not depend on when it was made.
#[test]
fn the_same_server_is_the_same_tree_at_each_installation() {
    let test = Test::new();
    let Some(registry) = uv_registry(&test) else {
        return;
    };
    registry.wheel(&test.home, "timer", "1.0", &SERVER.replace("COPY", "real"));
    let policy = test.write_policy("s", &policy_text(&["uvx", "timer@1.0"], ""));
    test.ok(&["pin", "s", "--yes"]);
    assert_eq!(without_byte_code(&test.root().join("data/packages")), 0);
    let before = std::fs::read_to_string(&policy).unwrap();
    // Python keeps the times of sources in whole seconds.
    let pinned = std::time::Instant::now();
    until("another second begins", || pinned.elapsed().as_secs() >= 1);
    test.ok(&["pin", "s", "--repair", "--yes"]);
    assert_eq!(std::fs::read_to_string(&policy).unwrap(), before);
    let mut run = test.run("s");
    assert_eq!(run.initialize()["result"]["serverInfo"]["name"], "real");
    assert_eq!(run.finish().code, 0);
}

/// How many modules of environments below a directory would be compiled at each start; some module is there.
fn without_byte_code(dir: &Path) -> usize {
    let is_module = |path: &PathBuf| path.to_string_lossy().contains("/site-packages/");
    let all: Vec<_> = files_below(dir).into_iter().filter(is_module).collect();
    let named = |suffix: &str| {
        let is_one = |path: &&PathBuf| path.extension().is_some_and(|own| own == suffix);
        all.iter().filter(is_one).count()
    };
    let modules = named("py");
    assert!(modules > 0);
    modules.saturating_sub(named("pyc"))
}

/// Without uv, `venv` and pip do the same.
#[test]
fn without_uv_pip_installs_what_it_locked() {
    let test = Test::new();
    if !(has("venv") && has("pip")) {
        return skip("pip", "there is no Python with venv and pip");
    }
    test.init();
    let registry = Registry::start();
    registry.wheel(&test.home, "timer", "1.0", &SERVER.replace("COPY", "real"));
    registry.attest("timer");
    // The search path of this test has a Python but no uv.
    let bin = test.programs();
    let python = which("python3");
    std::os::unix::fs::symlink(&python, bin.join("python3")).unwrap();
    test.set("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    test.set("PIP_INDEX_URL", format!("{}/simple", registry.url));
    test.set("PIP_NO_CACHE_DIR", "1");
    let mark = test.home.join("planted-ran");
    let cwd = hostile(&test, &mark);
    let index = format!("{}/simple", registry.url);
    let command = [
        "uvx",
        "--default-index",
        &index,
        "timer@1.0",
        "--zone",
        "a b",
    ];
    test.write_policy("s", &policy_text(&command, "cwd = \"client\"\n"));
    let pin = |more: &[&str]| {
        let mut pin = test.command(test.program());
        let args = [&["pin", "s", "--yes"], more].concat();
        test.start(pin.args(args).current_dir(&cwd)).finish()
    };
    let pinned = pin(&[]);
    assert_eq!(pinned.code, 0, "{pinned}");
    let place = || {
        let root = test.root().join("data/packages");
        let mut all = std::fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        all.find(|path| path.is_dir()).unwrap()
    };
    let first = place();
    let lock = std::fs::read_to_string(first.join("lock")).unwrap();
    assert!(
        lock.contains("timer==1.0 --hash=sha256:") && lock.contains("# timer-1.0-py3-none-any.whl"),
        "{lock}"
    );
    let script = std::fs::read_to_string(first.join("tree/bin/timer")).unwrap();
    assert!(script.starts_with("#!/bin/sh\n"), "{script}");

    // The same packages give the same tree in any directory.
    test.write_policy("s", &policy_text(&command, "cwd = \"client\"\n"));
    std::fs::rename(&first, test.dir.join("away")).unwrap();
    let again = pin(&[]);
    assert_eq!((again.code, place()), (0, first), "{again}");

    // Another archive of the same version is refused.
    registry.wheel(&test.home, "timer", "1.0", &SERVER.replace("COPY", "other"));
    let changed = pin(&["--to", "1.0"]);
    assert_eq!(changed.code, 2, "{changed}");
    assert!(
        changed.stderr.contains("error[package-changed]"),
        "{changed}"
    );
    registry.close();

    starts_in(&test, &cwd);
    assert!(!mark.exists());

    // Options that need uv are refused.
    let before = pin(&["--before", "2026-01-01"]);
    assert!(before.stderr.contains("`--before` needs `uv`"), "{before}");
}

/// Whether Python has a module.
pub(super) fn has(module: &str) -> bool {
    let mut python = std::process::Command::new("/usr/bin/env");
    let args = ["python3", "-I", "-c", &format!("import {module}")];
    let quiet = python.args(args).stderr(std::process::Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The installed server starts in a hostile directory.
fn starts_in(test: &Test, cwd: &Path) {
    test.set("PYTHONPATH", cwd);
    let mut run = test.command(test.program());
    let mut run = test.start(run.args(["run", "s"]).current_dir(cwd));
    let answer = run.initialize();
    assert_eq!(answer["result"]["serverInfo"]["name"], "real", "{answer}");
    let facts = run.request("tools/list", &json!({}))["result"]["facts"].clone();
    assert_eq!(facts["args"], json!(["--zone", "a b"]));
    assert_eq!(run.finish().code, 0);
}

/// The real path of a program, behind links and scripts of version managers.
pub(super) fn which(name: &str) -> PathBuf {
    let code = "import os,sys;print(os.path.realpath(sys.executable))";
    let mut python = std::process::Command::new(name);
    let output = python.args(["-I", "-c", code]).output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The registry's attestation of where an archive was built is shown.
#[test]
fn provenance_is_shown_where_the_registry_has_it() {
    let Some(bin) = uv() else { return };
    let test = Test::new();
    test.init();
    let registry = Registry::start();
    registry.wheel(&test.home, "timer", "1.0", &SERVER.replace("COPY", "real"));
    registry.wheel(&test.home, "other", "1.0", &SERVER.replace("COPY", "real"));
    registry.attest("timer");
    test.set(
        "PATH",
        format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()),
    );
    test.set("UV_DEFAULT_INDEX", format!("{}/simple", registry.url));
    test.set("UV_CACHE_DIR", test.home.join("uv-cache"));
    test.set("UV_PYTHON", bin.join("python"));
    for (package, said) in [
        ("timer", "provenance has a signed attestation"),
        ("other", "provenance no attestation"),
    ] {
        test.write_policy(
            package,
            &policy_text(&["uvx", &format!("{package}@1.0")], ""),
        );
        let pinned = test.ok(&["pin", package, "--yes"]);
        assert!(pinned.text().contains(said), "{pinned}");
    }
}

/// A changed module is refused, and so is one that only has its byte code changed.
fn changed_modules_are_refused(test: &Test) {
    let root = test.root().join("data/packages");
    let place = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let place = place.into_iter().find(|path| path.is_dir()).unwrap();
    for pattern in ["timer.py", "timer.cpython"] {
        let file = find(&place, pattern).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        super::writable(&file);
        std::fs::write(&file, [&bytes[..], b"\n"].concat()).unwrap();
        let mut run = test.run("s");
        let answer = run.initialize();
        assert_eq!(
            answer["error"]["data"]["mcpwrap"]["code"], "package-changed",
            "{answer}"
        );
        run.finish();
        std::fs::write(&file, &bytes).unwrap();
        super::mode(&file, 0o444);
    }
}

/// A directory that an attacker prepared.
fn hostile(test: &Test, mark: &Path) -> PathBuf {
    let cwd = test.dir.join("repo");
    std::fs::create_dir(&cwd).unwrap();
    let evil = format!(
        "open({:?}, 'w')\n{}",
        mark.display().to_string(),
        SERVER.replace("COPY", "planted")
    );
    for name in [
        "timer.py",
        "json.py",
        "sitecustomize.py",
        "usercustomize.py",
    ] {
        std::fs::write(cwd.join(name), &evil).unwrap();
    }
    std::fs::write(cwd.join("uv.toml"), "index-url = \"http://127.0.0.1:9/\"\n").unwrap();
    std::fs::write(
        cwd.join("pyproject.toml"),
        "[tool.uv]\nindex-url = \"http://127.0.0.1:9/\"\n",
    )
    .unwrap();
    cwd
}

fn find(dir: &Path, start: &str) -> Option<PathBuf> {
    std::fs::read_dir(dir).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            return find(&path, start);
        }
        path.file_name()?
            .to_str()?
            .starts_with(start)
            .then_some(path)
    })
}
