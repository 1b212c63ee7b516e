//! Python servers: uv, with a registry of this machine.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::registry::Registry;
use crate::harness::{Test, policy_text, skip};

const SERVER: &str = "import json, os, sys\n\
    def main():\n\
    \x20   for line in sys.stdin:\n\
    \x20       m = json.loads(line)\n\
    \x20       if 'id' not in m: continue\n\
    \x20       if m['method'] == 'initialize':\n\
    \x20           r = {'protocolVersion': m['params']['protocolVersion'], 'capabilities': {'tools': {}},\n\
    \x20                'serverInfo': {'name': 'COPY', 'version': '1.0'}}\n\
    \x20       else: r = {'tools': [], 'facts': {'args': sys.argv[1:], 'cwd': os.getcwd(), 'path': sys.path}}\n\
    \x20       print(json.dumps({'jsonrpc': '2.0', 'id': m['id'], 'result': r}), flush=True)\n";

/// uv, where `cargo xtask deps` puts it.
fn uv() -> Option<PathBuf> {
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

/// Threats C1: `python -m` and `PYTHONPATH` run planted code; uvx resolves anew at each start.
#[test]
fn an_installed_python_server_starts_offline_and_runs_no_planted_code() {
    let Some(bin) = uv() else { return };
    let test = Test::new();
    test.init();
    let registry = Registry::start();
    registry.wheel(&test.home, "timer", "1.0", &SERVER.replace("COPY", "real"));
    test.set(
        "PATH",
        format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()),
    );
    test.set("UV_DEFAULT_INDEX", format!("{}/simple", registry.url));
    test.set("UV_CACHE_DIR", test.home.join("uv-cache"));
    test.set("UV_PYTHON", bin.join("python"));

    let mark = test.home.join("planted-ran");
    let cwd = hostile(&test, &mark);
    test.write_policy(
        "s",
        &policy_text(&["uvx", "timer@1.0", "--zone", "a b"], ""),
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
