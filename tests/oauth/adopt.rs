//! `adopt --oauth`: entries whose client would log in by itself.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Kind, Provider};
use crate::harness::example;

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

    let mut terminal = at.test.terminal(&["adopt", "--oauth", "--no-test"]);
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

/// The files of `mcp-remote` for the server, with a token that the server accepts.
fn clear_tokens(at: &Provider) -> (Vec<PathBuf>, String) {
    at.policy("[oauth]\n");
    at.log_in(&[]);
    let stored = at.stored();
    let field = |name: &str| stored[name].as_str().unwrap().to_owned();
    let (access, refresh) = (field("access"), field("refresh"));
    at.test.hide(&access);
    at.test.hide(&refresh);
    let code = "import hashlib, sys; print(hashlib.md5(sys.argv[1].encode()).hexdigest())";
    let output = at
        .test
        .command("python3")
        .args(["-Ic", code, &at.url])
        .output()
        .unwrap();
    let hash = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let dir = at.test.home.join(".mcp-auth/mcp-remote-v1");
    std::fs::create_dir_all(&dir).unwrap();
    let tokens = json!({"access_token": access, "refresh_token": refresh, "token_type": "Bearer"});
    let client = json!({"client_id": stored["client"]["id"]});
    let files = [
        ("tokens.json", tokens),
        ("client_info.json", client),
        ("lock.json", json!({})),
    ];
    let write = |(name, value): (&str, Value)| {
        let path = dir.join(format!("{hash}_{name}"));
        std::fs::write(&path, value.to_string()).unwrap();
        path
    };
    let other = dir.join("0123456789abcdef0123456789abcdef_tokens.json");
    std::fs::write(
        other,
        json!({"access_token": "that-of-another-server"}).to_string(),
    )
    .unwrap();
    (files.into_iter().map(write).collect(), access)
}

#[test]
fn ctrl_c_at_a_later_login_names_the_tokens_that_stay() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    let entry = |url: &str| json!({"type": "http", "url": url});
    let other = format!("{}?team=2", at.url);
    let entries = json!({"a": entry(&at.url), "b": entry(&other)});
    let file = config(&at, ".cursor/mcp.json", &entries);
    let before = std::fs::read(&file).unwrap();
    let mut terminal = at.test.terminal(&["adopt", "--oauth", "--no-test"]);
    terminal.expect("proceed? [y/n] ").enter("y");
    terminal.expect("go on? [y/n] ").enter("y");
    terminal.expect("logged in: a").expect("go on? [y/n] ");
    terminal.enter("\u{3}");
    let (code, screen) = terminal.end();
    assert_eq!(code, 130, "{screen}");
    assert!(
        screen.contains("run `mcpwrap logout a` to take it"),
        "{screen}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
    at.test.ok(&["logout", "a"]);
}

fn through_mcp_remote(at: &Provider) {
    let through = json!({"new": {"command": "npx", "args": ["-y", "mcp-remote", at.url]}});
    config(at, ".cursor/mcp.json", &through);
}

#[test]
fn clear_tokens_are_revoked_and_deleted_if_the_user_agrees() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    let (files, access) = clear_tokens(&at);
    through_mcp_remote(&at);
    let mut terminal = at.test.terminal(&["adopt", "--oauth", "--no-test"]);
    terminal.expect("proceed? [y/n] ").enter("y");
    terminal.expect("go on? [y/n] ").enter("y");
    terminal.expect("in plaintext, in ~/.mcp-auth/mcp-remote-v1/");
    terminal.expect("[y/n] ");
    assert!(at.accepts(&access));
    terminal.enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("revoked at http://127.0.0.1:"), "{screen}");
    assert!(!at.accepts(&access));
    assert!(files.iter().all(|file| !file.exists()));
    let dir = files[0].parent().unwrap();
    assert_eq!(
        std::fs::read_dir(dir).unwrap().count(),
        1,
        "of another server"
    );
    let mut probe = at.test.command(example("store-probe"));
    let own = probe.args(["get", "oauth/new"]).output().unwrap();
    let own: Value = serde_json::from_slice(&own.stdout).unwrap();
    assert!(at.accepts(own["access"].as_str().unwrap()));
}

#[test]
fn clear_tokens_are_kept_to_be_revoked_if_the_issuer_is_down() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    let (files, access) = clear_tokens(&at);
    through_mcp_remote(&at);
    at.control("no-revocation");
    let mut terminal = at.test.terminal(&["adopt", "--oauth", "--no-test"]);
    terminal.expect("proceed? [y/n] ").enter("y");
    terminal.expect("go on? [y/n] ").enter("y");
    terminal.expect("in plaintext, in ~/.mcp-auth/mcp-remote-v1/");
    terminal.expect("[y/n] ").enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("may still be valid"), "{screen}");
    assert!(files.iter().all(|file| !file.exists()));
    at.control("pass");
    let ended = at.test.ok(&["logout", "new"]);
    assert!(
        ended.text().contains("of new at http://127.0.0.1:"),
        "{ended}"
    );
    assert!(!at.accepts(&access));
}

#[test]
fn clear_tokens_stay_if_the_user_says_no_or_they_are_of_another_issuer() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    let (files, access) = clear_tokens(&at);
    let text = |file: &PathBuf| std::fs::read(file).unwrap();
    let before: Vec<_> = files.iter().map(text).collect();
    for (answer, last) in [
        ("n", "left: ~/.mcp-auth"),
        ("y", "they are of `https://as.other.test`"),
    ] {
        through_mcp_remote(&at);
        let mut terminal = at.test.terminal(&["adopt", "--oauth", "--no-test"]);
        terminal.expect("proceed? [y/n] ").enter("y");
        if answer == "n" {
            terminal.expect("go on? [y/n] ").enter("y");
        }
        terminal.expect("in plaintext, in ~/.mcp-auth/mcp-remote-v1/");
        terminal.expect("[y/n] ").enter(answer);
        let (code, screen) = terminal.end();
        assert!(screen.contains(last), "{screen}");
        assert_eq!(code, i32::from(answer == "y"), "{screen}");
        assert!(at.accepts(&access));
        let mut tokens: Value = serde_json::from_slice(&before[0]).unwrap();
        tokens["issuer"] = json!("https://as.other.test");
        assert!(files.iter().all(|file| file.exists()));
        std::fs::write(&files[0], tokens.to_string()).unwrap();
    }
    // The harness looks for the tokens.
    for file in files {
        std::fs::remove_file(file).unwrap();
    }
}
