//! `adopt --oauth`: entries whose client would log in by itself.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Kind, Provider};

/// Writes a client config with these servers.
fn config(at: &Provider, path: &str, servers: &Value) -> PathBuf {
    let file = at.test.home.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = serde_json::to_string_pretty(&json!({"mcpServers": servers})).unwrap();
    std::fs::write(&file, text + "\n").unwrap();
    file
}

fn cursor(at: &Provider) -> PathBuf {
    let servers = json!({
        "s": {"url": at.url, "disabled": false},
        "other": {"command": "true"},
    });
    config(at, ".cursor/mcp.json", &servers)
}

#[test]
fn an_entry_changes_after_its_login() {
    let Some(at) = Provider::start(Kind::FastMcp, 3600) else {
        return;
    };
    let file = cursor(&at);
    // The same server, through a program that does OAuth: one policy, one login.
    let through = json!({"s": {"command": "npx", "args": ["-y", "mcp-remote", at.url, "3334"]}});
    let desktop = config(&at, ".codeium/windsurf/mcp_config.json", &through);
    let before = [&file, &desktop].map(|file| std::fs::read(file).unwrap());

    let listed = at.test.ok(&["adopt", "--yes"]);
    let lines = listed.stderr.lines();
    let lines: Vec<_> = lines
        .filter(|line| line.contains("adopt --oauth"))
        .collect();
    assert_eq!(lines.len(), 1, "{listed}");
    assert!(lines[0].contains("OAuth: `s`; run"), "{listed}");
    let unchanged = || [&file, &desktop].map(|file| std::fs::read(file).unwrap()) == before;
    assert!(unchanged());

    let mut terminal = at.test.terminal(&["adopt", "--oauth"]);
    terminal
        .expect("log in to 1 server, store 0 secrets, write and grant 1 policy, change 2 files");
    terminal.expect("proceed? [y/n] ").enter("y");
    terminal.expect("granted by http://127.0.0.1:");
    terminal.expect("go on? [y/n] ").enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("logged in: s, by http://127.0.0.1:"),
        "{screen}"
    );
    let after = |file: &PathBuf| -> Value {
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    for file in [&file, &desktop] {
        let entry = &after(file)["mcpServers"]["s"];
        assert_eq!(entry["args"], json!(["run", "s"]), "{entry}");
        assert!(entry.get("url").is_none(), "{entry}");
    }
    let policy = at.test.ok(&["policy", "show", "s", "--json"]).json();
    assert_eq!(policy["status"], "granted", "{policy}");
    at.current();

    let undone = at.test.ok(&["adopt", "--undo", "--yes"]);
    assert!(unchanged(), "{undone}");
    assert!(undone.stderr.contains("`mcpwrap logout s`"), "{undone}");
    at.current();
}

#[test]
fn without_a_login_an_entry_stays() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    let file = cursor(&at);
    let before = std::fs::read(&file).unwrap();

    let shown = at.test.ok(&["adopt", "--oauth", "--dry-run"]);
    assert!(shown.text().contains("policy `s`:"), "{shown}");
    assert!(
        shown.text().contains("changes only if you log in"),
        "{shown}"
    );
    assert_eq!(at.heard("mcp"), [""; 0], "nobody was asked");

    // There is nobody to log in.
    let ended = at.test.cli(&["adopt", "--oauth", "--yes"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.stderr.contains("skipped `s`"), "{ended}");
    assert!(ended.stderr.contains("`--yes` cannot"), "{ended}");
    assert_eq!(at.heard("mcp"), [""; 0], "nobody was asked");

    // The user says no to this login.
    let mut terminal = at.test.terminal(&["adopt", "--oauth"]);
    terminal.expect("proceed? [y/n] ").enter("y");
    terminal.expect("go on? [y/n] ").enter("n");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("skipped `s`"), "{screen}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert!(!at.test.root().join("policies/s.toml").exists());
    assert!(at.heard("/reg").is_empty());
}

#[test]
fn a_revoked_policy_is_not_approved_by_a_login() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n");
    at.test.ok(&["revoke", "s"]);
    let file = cursor(&at);
    let before = std::fs::read(&file).unwrap();
    let ended = at.test.cli(&["adopt", "--oauth", "--yes"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended
            .stderr
            .contains("it was revoked: run `mcpwrap grant s`"),
        "{ended}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn what_logs_in_otherwise_is_left() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    let servers = json!({
        "own": {"url": at.url, "auth": {"CLIENT_ID": "abc"}},
        "off": {"url": at.url, "oauth": false},
        "header": {"url": at.url, "headers": {"Authorization": "Basic"}},
        "clear": {"url": "http://mcp.issues.test/mcp"},
        "option": {"command": "npx", "args": ["mcp-remote", at.url, "--static-oauth-client-info", "@file"]},
    });
    let file = config(&at, ".cursor/mcp.json", &servers);
    let before = std::fs::read(&file).unwrap();
    let ended = at.test.cli(&["adopt", "--oauth", "--dry-run"]);
    assert_eq!(ended.code, 1, "{ended}");
    let skipped = |entry: &str| {
        ended
            .stderr
            .lines()
            .find(|line| line.contains(&format!("skipped `{entry}`")))
    };
    assert!(skipped("own").unwrap().contains("`auth`"), "{ended}");
    assert!(
        skipped("clear").unwrap().contains("not encrypted"),
        "{ended}"
    );
    assert!(
        skipped("option").unwrap().contains("`mcp-remote`"),
        "{ended}"
    );
    assert!(
        skipped("off").is_none() && skipped("header").is_none(),
        "{ended}"
    );
    // Nothing of it is recommended.
    let ended = at.test.ok(&["adopt", "--yes"]);
    assert!(!ended.stderr.contains("--oauth"), "{ended}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}
