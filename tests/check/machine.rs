//! A machine: running supervisors, a missing store, unreadable files.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{report, report_while_running};
use crate::harness::{TOKEN, Test, slot};

pub(super) fn of<'a>(report: &'a Value, check: &str) -> Vec<&'a Value> {
    let all = report["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["check"] == check).collect()
}

fn whats(findings: &[&Value]) -> String {
    let all = findings.iter();
    let all: Vec<_> = all
        .map(|finding| finding["what"].as_str().unwrap())
        .collect();
    all.join("\n")
}

fn statuses(report: &Value) -> Vec<(&str, &str)> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            (
                check["id"].as_str().unwrap(),
                check["status"].as_str().unwrap(),
            )
        })
        .collect()
}

/// "`check` works on a machine with no policies, no store and no network, changes nothing", and
/// does not claim that anything is fine.
#[test]
fn an_empty_machine_has_nothing_to_check() {
    let test = Test::new();
    let (found, ended) = report(&test, &["check"]);
    assert_eq!(ended.code, 0, "{ended}");
    assert_eq!(found["findings"], serde_json::json!([]), "{ended}");
    assert_eq!(ended.stderr, "");
    for (check, status) in statuses(&found) {
        assert_eq!(status, "nothing-to-check", "{check}: {ended}");
    }
    let ended = test.cli(&["check"]);
    assert!(ended.text().ends_with("\n\nnothing to check\n"), "{ended}");
    assert!(!ended.text().contains("  ok,"), "{ended}");
    let list = "not looked into:\n  projects that no client's file names";
    assert!(ended.text().contains(list), "{ended}");
}

/// A remote server with OAuth has no process and no credential here: nothing is demanded of it.
#[test]
fn a_machine_with_oauth_only_gets_no_demand() {
    let test = Test::new();
    std::fs::create_dir_all(test.home.join(".cursor")).unwrap();
    let config = r#"{"mcpServers": {"linear": {"url": "https://mcp.linear.app/mcp"}}}"#;
    std::fs::write(test.home.join(".cursor/mcp.json"), config).unwrap();
    let (found, ended) = report(&test, &["check"]);
    assert_eq!(found["findings"], serde_json::json!([]), "{ended}");
    for (check, status) in statuses(&found) {
        let expected = match check {
            "plaintext-secret" | "excess-permission" | "insecure-transport" | "secret-leak" => "ok",
            _ => "nothing-to-check",
        };
        assert_eq!(status, expected, "{check}: {ended}");
    }
}

/// A rule is not ok while a file that it is about could not be read.
#[test]
fn nothing_is_ok_beside_a_file_that_cannot_be_read() {
    let test = Test::new();
    std::fs::create_dir_all(test.home.join(".cursor")).unwrap();
    std::fs::create_dir_all(test.home.join(".codex")).unwrap();
    let config = r#"{"mcpServers": {"linear": {"url": "https://mcp.linear.app/mcp"}}}"#;
    std::fs::write(test.home.join(".cursor/mcp.json"), config).unwrap();
    std::fs::write(test.home.join(".codex/config.toml"), "[mcp_servers\n").unwrap();
    let (found, ended) = report(&test, &["check"]);
    for (check, status) in statuses(&found) {
        assert_eq!(status, "findings", "{check}: {ended}");
    }
    assert!(found["checks"][0]["unread"] == 1, "{ended}");
}

#[test]
fn the_report_says_what_one_adopt_resolves() {
    let test = Test::new();
    std::fs::create_dir_all(test.home.join(".cursor")).unwrap();
    let config = r#"{"mcpServers": {
        "a": {"command": "server", "env": {"API_TOKEN": "q7Rt2LmX9vKp4WzN8sDf6HjB3cYg"}},
        "b": {"command": "server"},
        "c": {"url": "http://c.example", "headers": {"Authorization": "Bearer q7Rt2LmX9vKp4WzN8sDf6HjB3cYh"}}}}"#;
    std::fs::write(test.home.join(".cursor/mcp.json"), config).unwrap();
    let (found, ended) = report(&test, &["check"]);
    let adopted = found["findings"].as_array().unwrap().iter();
    let adopted = adopted.filter(|one| one["server"] == "a" || one["server"].is_null());
    let number = adopted.count();
    assert_eq!(found["resolved_by_adopt"], number, "{ended}");
    let ended = test.cli(&["check"]);
    let all = found["findings"].as_array().unwrap().len();
    let line = format!("`mcpwrap adopt` resolves {number} of the {all} findings below\n");
    assert!(ended.text().contains(&line), "{ended}");
    // The fix of `c` is in the words of its client.
    assert!(
        ended.text().contains("replace it with `${env:NAME}`"),
        "{ended}"
    );
}

/// The keychain is configured, but there is no bus: `check` must not need it.
#[test]
fn no_keychain_is_needed() {
    let test = Test::new();
    test.write_policy("github", "version = 1\ncommand = [\"server\"]\n");
    std::fs::write(test.root().join("config.toml"), "store = \"keychain\"\n").unwrap();
    let (_, ended) = report(&test, &["check"]);
    assert_eq!(ended.stderr, "");
    let ended = test.cli(&["status"]);
    assert!(ended.text().contains("store-absent"), "{ended}");
}

#[test]
fn a_server_with_an_outdated_value_is_reported() {
    let test = Test::new();
    test.secret("one/token", TOKEN);
    let rest = format!(
        "{}\n[session]\nrenew = \"manual\"\n",
        slot("TOKEN", "one/token")
    );
    test.serve("one", &[], &rest);
    let mut run = test.run("one");
    run.initialize();
    let (before, _) = report_while_running(&test, &["check"]);
    assert_eq!(whats(&of(&before, "secret-rotation")), "");
    let new = TOKEN.chars().rev().collect::<String>();
    test.hide(&new);
    let line = format!("{new}\n");
    let ended = test.feed(
        &["secret", "rotate", "one/token", "--from-stdin"],
        line.as_bytes(),
    );
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.stderr.contains("keeps the old value"), "{ended}");
    let (after, ended) = report_while_running(&test, &["check"]);
    let found = of(&after, "secret-rotation");
    assert!(
        whats(&found).contains("holds an outdated value of `one/token`"),
        "{ended}"
    );
    assert_eq!(found[0]["command"], "mcpwrap renew one");
    run.finish();
}

#[test]
fn a_supervisor_that_does_not_answer_is_reported() {
    let test = Test::new();
    test.serve("one", &[], "");
    let mut run = test.run("one");
    run.initialize();
    let (before, _) = report_while_running(&test, &["check"]);
    assert!(!whats(&of(&before, "kill-switch")).contains("does not answer"));
    run.signal(Signal::SIGSTOP);
    let (after, ended) = report_while_running(&test, &["check"]);
    assert!(
        whats(&of(&after, "kill-switch")).contains("does not answer"),
        "{ended}"
    );
    run.signal(Signal::SIGCONT);
    run.finish();
}

#[test]
fn what_cannot_be_read_is_a_finding() {
    let test = Test::new();
    test.write_policy("bad", "version = 1\ncomand = [\"x\"]\n");
    std::fs::create_dir_all(test.home.join(".cursor/mcp.json")).unwrap();
    std::fs::create_dir_all(test.home.join(".codex")).unwrap();
    std::fs::write(test.home.join(".codex/config.toml"), "[mcp_servers\n").unwrap();
    std::fs::create_dir_all(test.root().join("state")).unwrap();
    std::fs::write(test.root().join("state/secrets.toml"), "x").unwrap();
    let (found, ended) = report(&test, &["check"]);
    assert_eq!(ended.code, 1, "{ended}");
    let found = of(&found, "unreadable-file");
    let files: Vec<_> = found
        .iter()
        .map(|one| one["file"].as_str().unwrap())
        .collect();
    assert_eq!(
        files,
        [
            "~/.codex/config.toml",
            "~/.cursor/mcp.json",
            "~/mcpwrap/policies/bad.toml",
            "~/mcpwrap/state/secrets.toml",
        ],
        "{ended}"
    );
    assert!(found.iter().all(|one| one["severity"] == "high"));
}

#[test]
fn what_is_not_a_regular_file_is_reported_without_blocking() {
    let test = Test::new();
    let repo = test.dir.join("repo");
    std::fs::create_dir_all(repo.join(".cursor")).unwrap();
    std::fs::create_dir_all(repo.join(".vscode")).unwrap();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(&repo.join(".cursor/mcp.json"), mode).unwrap();
    nix::unistd::mkfifo(&repo.join("other.json"), mode).unwrap();
    nix::unistd::mkfifo(&test.dir.join("named.json"), mode).unwrap();
    nix::unistd::mkfifo(&repo.join(".mcpwrap-check.toml"), mode).unwrap();
    let target = test.dir.join("real.json");
    let config = r#"{"servers": {"x": {"command": "npx", "args": ["x"]}}}"#;
    std::fs::write(&target, config).unwrap();
    std::os::unix::fs::symlink(&target, repo.join(".vscode/mcp.json")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", repo.join(".mcp.json")).unwrap();
    let (found, ended) = report(&test, &["check", "repo", "named.json"]);
    let files: Vec<_> = of(&found, "unreadable-file")
        .into_iter()
        .map(|one| one["file"].as_str().unwrap())
        .collect();
    assert_eq!(
        files,
        ["named.json", "repo/.cursor/mcp.json", "repo/.mcp.json"],
        "{ended}"
    );
    assert_eq!(
        of(&found, "unpinned-server")[0]["file"],
        "repo/.vscode/mcp.json"
    );
    assert!(
        whats(&of(&found, "invalid-ignore")).contains("not a regular file"),
        "{ended}"
    );
}

/// "Changes nothing": other commands remove the socket of an exited supervisor.
#[test]
fn a_left_over_socket_stays() {
    let test = Test::new();
    test.write_policy("one", "version = 1\ncommand = [\"server\"]\n");
    let dir = test.root().join("run");
    std::fs::create_dir_all(&dir).unwrap();
    let socket = dir.join("one.4711.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    report(&test, &["check"]);
    assert!(socket.exists());
    test.ok(&["ps"]);
    assert!(!socket.exists());
}

#[test]
fn a_pinned_program_that_changed_is_reported() {
    let test = Test::new();
    let program = test.dir.join("program");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    test.policy("one", &[program.to_str().unwrap()], "");
    test.ok(&["pin", "one", "--yes"]);
    let (before, ended) = report(&test, &["check"]);
    assert_eq!(whats(&of(&before, "unpinned-server")), "", "{ended}");
    std::fs::write(&program, "#!/bin/sh\n# changed\n").unwrap();
    let (after, ended) = report(&test, &["check"]);
    let what = whats(&of(&after, "unpinned-server"));
    assert!(
        what.starts_with("the installed package differs from the pin"),
        "{ended}"
    );
}

#[test]
fn a_policy_with_a_plaintext_secret_is_reported() {
    let test = Test::new();
    let token = "ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq";
    let text = format!(
        "version = 1\ncommand = [\"server\", \"--x={{secret.A}}\"]\nargv_secrets = true\n\n[env]\nset = {{ TOKEN = \"{token}\" }}\n\n{}",
        slot("A", "a")
    );
    test.write_policy("one", &text);
    let (found, ended) = report(&test, &["check"]);
    let found = of(&found, "plaintext-secret");
    assert_eq!(found.len(), 1, "{ended}");
    assert_eq!(
        (&found[0]["line"], &found[0]["server"]),
        (&6.into(), &"one".into())
    );
}

#[test]
fn copies_in_a_repository_are_searched() {
    let test = Test::new();
    let token = "ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq";
    let repo = test.dir.join("repo");
    std::fs::create_dir(&repo).unwrap();
    let text = format!("{{\n\"TOKEN\": \"{token}\"}}");
    for name in [".mcp.json.bak", "mcp.json~", "other.json.bak", "mcp.md"] {
        std::fs::write(repo.join(name), &text).unwrap();
    }
    std::fs::write(repo.join("mcp.json.example"), "{\"TOKEN\": \"YOUR_TOKEN\"}").unwrap();
    let (found, ended) = report(&test, &["check", "repo"]);
    let files: Vec<_> = of(&found, "plaintext-secret")
        .into_iter()
        .map(|one| one["file"].as_str().unwrap())
        .collect();
    assert_eq!(files, ["repo/.mcp.json.bak", "repo/mcp.json~"], "{ended}");
}

#[test]
fn one_command_for_all_servers_of_a_file() {
    let test = Test::new();
    std::fs::create_dir_all(test.home.join(".cursor")).unwrap();
    let config = r#"{"mcpServers": {"a": {"command": "x"}, "b c": {"command": "x"}}}"#;
    std::fs::write(test.home.join(".cursor/mcp.json"), config).unwrap();
    let ended = test.cli(&["check"]);
    let command = "mcpwrap adopt --config ~/.cursor/mcp.json --server a --server 'b c'\n";
    assert!(ended.text().contains(command), "{ended}");
}

#[test]
fn copies_and_histories_are_searched() {
    let test = Test::new();
    let token = "ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq";
    let config = |value: &str| {
        format!(r#"{{"mcpServers": {{"x": {{"command": "s", "env": {{"TOKEN": "{value}"}}}}}}}}"#)
    };
    std::fs::create_dir_all(test.home.join(".cursor")).unwrap();
    std::fs::write(test.home.join(".cursor/mcp.json"), config("${env:TOKEN}")).unwrap();
    std::fs::write(test.home.join(".cursor/mcp.json.bak"), config(token)).unwrap();
    let typed = format!("ls\nclaude mcp add x --env TOKEN={token} -- s\n");
    std::fs::write(test.home.join(".bash_history"), typed).unwrap();
    let (found, ended) = report(&test, &["check"]);
    let found = of(&found, "plaintext-secret");
    let places: Vec<_> = found
        .iter()
        .map(|one| (one["file"].as_str().unwrap(), one["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        places,
        [("~/.bash_history", 2), ("~/.cursor/mcp.json.bak", 1)],
        "{ended}"
    );
    assert_eq!(found[1]["command"], "rm ~/.cursor/mcp.json.bak");
}
