//! The GitHub Action and the pre-commit hook, with the real binary on a fixture.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcpwrap::testing::client::{Document, FileFormat, Node};

use super::{case, copy};
use crate::harness::golden;
use crate::harness::{Ended, Test, skip};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml(path: &str) -> Document {
    let bytes = std::fs::read(root().join(path)).unwrap();
    Document::read(FileFormat::Yaml, bytes).unwrap()
}

fn text<'a>(node: &'a Node, key: &str) -> &'a str {
    node.get(key).and_then(Node::text).unwrap_or_default()
}

/// Runs the steps of the action as a runner does: `bash` with the step's environment.
fn action(test: &Test, inputs: &[(&str, &str)]) -> Ended {
    let action = yaml("packaging/github-action/action.yml");
    let steps = action.root.get("runs").unwrap().get("steps").unwrap();
    let mut last = None;
    for step in steps.list() {
        assert_eq!(text(step, "shell"), "bash");
        let script = test.dir.join("step.sh");
        std::fs::write(&script, text(step, "run")).unwrap();
        let mut command = test.command("/bin/bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail"]);
        command.arg(&script);
        command.env("PATH", format!("{}:/usr/bin:/bin", test.dir.display()));
        command.env("RUNNER_TEMP", test.dir.join("temp"));
        for file in ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH"] {
            command.env(file, test.dir.join(file));
        }
        for member in step.get("env").unwrap().map() {
            let value = member.node.text().unwrap();
            command.env(&member.key, filled(&action, value, inputs));
        }
        let run = test.start(&mut command);
        let ended = run.end();
        if ended.code != 0 {
            return ended;
        }
        last = Some(ended);
    }
    last.unwrap()
}

/// A value with its expression replaced, as a runner does.
fn filled(action: &Document, value: &str, inputs: &[(&str, &str)]) -> String {
    let Some(name) = value.strip_prefix("${{ inputs.") else {
        let here = root().join("packaging/github-action").display().to_string();
        let value = value.replace("${{ github.action_path }}", &here);
        return value.replace("${{ github.token }}", "");
    };
    let name = name.strip_suffix(" }}").unwrap();
    let given = inputs.iter().find(|(input, _)| *input == name);
    given.map_or_else(
        || {
            let input = action.root.get("inputs").unwrap().get(name).unwrap();
            text(input, "default").to_owned()
        },
        |(_, value)| (*value).to_owned(),
    )
}

#[test]
fn the_action_fails_on_findings_and_leaves_sarif() {
    let (test, _) = case("unpinned-server/bad");
    std::fs::create_dir(test.dir.join("temp")).unwrap();
    let ended = action(&test, &[("path", "repo")]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.text().contains("high unpinned-server repo/.mcp.json"),
        "{ended}"
    );
    let output = std::fs::read_to_string(test.dir.join("GITHUB_OUTPUT")).unwrap();
    let sarif = output.strip_prefix("sarif=").unwrap().trim_end();
    let sarif: serde_json::Value = serde_json::from_slice(&std::fs::read(sarif).unwrap()).unwrap();
    assert!(!sarif["runs"][0]["results"].as_array().unwrap().is_empty());
    let summary = std::fs::read_to_string(test.dir.join("GITHUB_STEP_SUMMARY")).unwrap();
    assert!(summary.contains("findings"), "{summary}");
    let ended = action(&test, &[("path", "repo"), ("fail-on", "never")]);
    assert_eq!(ended.code, 0, "{ended}");
    // A path that would be an option, or a command.
    let ended = action(&test, &[("path", "$(touch hacked); --verify")]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(!test.dir.join("hacked").exists());
}

#[test]
fn the_action_passes_a_clean_repository() {
    let (test, _) = case("unpinned-server/ok");
    std::fs::create_dir(test.dir.join("temp")).unwrap();
    let ended = action(&test, &[("path", "repo")]);
    assert_eq!(ended.code, 0, "{ended}");
}

/// What pre-commit would start for these files.
#[test]
fn the_hook_runs_on_the_files_it_is_given() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let hook = hooks.root.list().first().unwrap();
    let mut words: Vec<&str> = Vec::new();
    words.extend(
        hook.get("args")
            .unwrap()
            .list()
            .iter()
            .filter_map(Node::text),
    );
    let (test, _) = case("unpinned-server/bad");
    std::fs::write(test.dir.join("repo/package.json"), "{ broken").unwrap();
    let script = root().join(text(hook, "entry"));
    let run = |files: &[&str]| {
        let mut command = test.command(&script);
        test.start(command.args(&words).args(files)).end()
    };
    let ended = run(&["repo/.mcp.json", "repo/librechat.yaml"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.text().contains("repo/librechat.yaml"), "{ended}");
    let ended = run(&["repo/package.json"]);
    assert_eq!(ended.code, 0, "a file that no client reads: {ended}");
}

/// A release that is a directory here: an archive with the program, and its checksum.
fn release(test: &Test) -> PathBuf {
    let system = match (cfg!(target_os = "linux"), cfg!(target_arch = "x86_64")) {
        (true, true) => "x86_64-unknown-linux-musl",
        (true, false) => "aarch64-unknown-linux-musl",
        (false, true) => "x86_64-apple-darwin",
        (false, false) => "aarch64-apple-darwin",
    };
    let version = env!("CARGO_PKG_VERSION");
    let (name, dir) = (
        format!("mcpwrap-v{version}-{system}"),
        test.dir.join(format!("releases/v{version}")),
    );
    std::fs::create_dir_all(dir.join(&name)).unwrap();
    let program = "#!/bin/sh\necho released \"$@\"\n";
    let path = test.program_file("released", program);
    std::fs::copy(path, dir.join(&name).join("mcpwrap")).unwrap();
    let script = format!(
        "tar -czf {name}.tar.gz {name}\n\
         sha256sum *.gz > SHA256SUMS || shasum -a 256 *.gz > SHA256SUMS"
    );
    let mut command = test.command("/bin/sh");
    let packed = test.start(command.args(["-c", &script]).current_dir(&dir));
    assert_eq!(packed.end().code, 0);
    dir
}

/// Without mcpwrap in the PATH, the released one is used, if its checksum is that of the release.
#[test]
fn the_hook_downloads_the_released_program() {
    let test = Test::new();
    test.set("PATH", "/usr/bin:/bin");
    let place = format!("file://{}", test.dir.join("releases").display());
    test.set("MCPWRAP_RELEASES", place);
    let script = root().join("packaging/pre-commit/mcpwrap-check");
    let hook = || {
        test.start(test.command(&script).args(["--", "x.json"]))
            .end()
    };
    let ended = hook();
    assert_eq!(ended.code, 1, "nothing is released: {ended}");
    assert!(ended.stderr.contains("cannot download mcpwrap"), "{ended}");

    let dir = release(&test);
    let sums = std::fs::read_to_string(dir.join("SHA256SUMS")).unwrap();
    std::fs::write(dir.join("SHA256SUMS"), sums.replace(&sums[..8], "00000000")).unwrap();
    let ended = hook();
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.stderr.contains("does not match its checksum"),
        "{ended}"
    );
    assert!(!ended.text().contains("released"), "{ended}");

    std::fs::write(dir.join("SHA256SUMS"), sums).unwrap();
    assert_eq!(hook().text(), "released check -- x.json\n");
    // It is kept.
    std::fs::remove_dir_all(dir).unwrap();
    assert_eq!(hook().text(), "released check -- x.json\n");
    let kept = std::fs::read_dir(test.home.join(".cache/mcpwrap-pre-commit")).unwrap();
    assert_eq!(kept.count(), 1, "nothing partial is left");
}

/// pre-commit itself, on a repository with the hook and one with a finding.
#[test]
fn pre_commit_runs_the_hook() {
    let pre_commit = root().join(".cache/pypi/pre-commit/bin/pre-commit");
    if !pre_commit.exists() {
        return skip(
            "pypi",
            "there is no pre-commit in `.cache`: `cargo xtask deps` installs it",
        );
    }
    let test = Test::new();
    test.set(
        "PATH",
        format!("{}:/usr/local/bin:/usr/bin:/bin", test.dir.display()),
    );
    test.set("PRE_COMMIT_HOME", test.dir.join("cache"));
    test.set("GIT_CONFIG_NOSYSTEM", "1");
    let git = |dir: &PathBuf, args: &[&str]| {
        let mut command = test.command("/usr/bin/git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]);
        let ended = test.start(command.args(args).current_dir(dir)).end();
        assert_eq!(ended.code, 0, "{ended}");
        ended.text().trim().to_owned()
    };
    let hooks = test.dir.join("hooks");
    std::fs::create_dir_all(hooks.join("packaging/pre-commit")).unwrap();
    for file in [
        ".pre-commit-hooks.yaml",
        "packaging/fetch.sh",
        "packaging/pre-commit/mcpwrap-check",
    ] {
        std::fs::copy(root().join(file), hooks.join(file)).unwrap();
    }
    git(&hooks, &["init", "-q"]);
    git(&hooks, &["add", "-A"]);
    git(&hooks, &["commit", "-qm", "hooks"]);
    let commit = git(&hooks, &["rev-parse", "HEAD"]);
    let repo = test.dir.join("repo");
    copy(&golden::path("check/unpinned-server/bad/repo"), &repo);
    let config = format!(
        "repos:\n  - repo: {}\n    rev: {commit}\n    hooks:\n      - id: mcpwrap-check\n",
        hooks.display()
    );
    std::fs::write(repo.join(".pre-commit-config.yaml"), config).unwrap();
    git(&repo, &["init", "-q"]);
    git(&repo, &["add", "-A"]);
    let run = || {
        let mut command: Command = test.command(&pre_commit);
        command.args(["run", "--all-files"]).current_dir(&repo);
        test.start(&mut command).end()
    };
    let ended = run();
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.text().contains("high unpinned-server .mcp.json"),
        "{ended}"
    );
    std::fs::remove_dir_all(repo.join("deep")).unwrap();
    std::fs::remove_file(repo.join("librechat.yaml")).unwrap();
    std::fs::copy(
        golden::path("check/unpinned-server/ok/repo/.mcp.json"),
        repo.join(".mcp.json"),
    )
    .unwrap();
    git(&repo, &["add", "-A"]);
    let ended = run();
    assert_eq!(ended.code, 0, "{ended}");
}
