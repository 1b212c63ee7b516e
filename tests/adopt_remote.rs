//! Adopting remote entries beyond the golden files: only what is asked for, and only what can be sent.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{TOKEN, Test};

/// A value that the user's terminal has.
const KEY: &str = "q7Rt2LmX9vKp4WzN8sDf6HjB3cYg";

fn case(text: &str, name: &str) -> (Test, PathBuf) {
    let test = Test::new();
    test.init();
    let file = test.home.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    (test, file)
}

fn cursor(servers: &Value) -> (Test, PathBuf) {
    case(
        &json!({"mcpServers": servers}).to_string(),
        ".cursor/mcp.json",
    )
}

#[test]
fn an_entry_without_a_secret_stays_byte_for_byte() {
    let (test, file) = cursor(&json!({
        "plain": {"url": "https://mcp.example.org/mcp"},
        "oauth": {"url": "https://mcp.example.org/mcp", "auth": {"CLIENT_ID": "abc"}},
        "referred": {"url": "https://mcp.example.org/mcp", "headers": {"X-Key": "${env:API_KEY}"}},
        "bridge": {"command": "npx", "args": ["mcp-remote", "https://mcp.example.org/mcp"]},
    }));
    let before = std::fs::read(&file).unwrap();
    test.ok(&["adopt", "--yes"]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // Also when it is named: there is nothing to move.
    let ended = test.ok(&["adopt", "--yes", "--server", "plain", "--server", "oauth"]);
    assert_eq!(std::fs::read(&file).unwrap(), before, "{ended}");
}

#[test]
fn a_named_entry_takes_its_secret_from_the_terminal() {
    let (test, file) = cursor(&json!({
        "referred": {"url": "https://mcp.example.org/mcp", "headers": {"Authorization": "Bearer ${env:API_TOKEN}"}},
    }));
    let before = std::fs::read(&file).unwrap();
    let adopt = ["adopt", "--yes", "--server", "referred"];
    let unset = test.cli(&adopt);
    assert_eq!(unset.code, 1, "{unset}");
    assert!(unset.stderr.contains("`${env:API_TOKEN}`"), "{unset}");
    assert_eq!(std::fs::read(&file).unwrap(), before);

    test.set("API_TOKEN", KEY);
    test.ok(&adopt);
    let after: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let args = &after["mcpServers"]["referred"]["args"];
    assert_eq!(*args, json!(["run", "referred"]));
    let policy = test.ok(&["policy", "show", "referred", "--json"]).json();
    let remote = &policy["remote"];
    assert_eq!(
        remote["headers"]["Authorization"],
        "Bearer {secret.API_TOKEN}"
    );
    assert_eq!(policy["status"], "granted");
    test.ok(&["adopt", "--undo", "--yes"]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_bearer_token_of_codex_comes_from_its_variable() {
    let text = "[mcp_servers.issues]\nurl = \"https://mcp.example.org/mcp\"\n\
                bearer_token_env_var = \"ISSUES_TOKEN\"\n\n\
                [mcp_servers.issues.env_http_headers]\nX-Org = \"ISSUES_ORG\"\n";
    let (test, file) = case(text, ".codex/config.toml");
    test.set("ISSUES_TOKEN", KEY);
    test.set("ISSUES_ORG", "acme-7391-org");
    test.ok(&["adopt", "--yes", "--server", "issues"]);
    let after = std::fs::read_to_string(&file).unwrap();
    assert!(
        !after.contains("url") && !after.contains("ISSUES"),
        "{after}"
    );
    let policy = test.ok(&["policy", "show", "issues"]);
    for line in [
        "header     Authorization: Bearer {secret.ISSUES_TOKEN}",
        "header     X-Org: {secret.ISSUES_ORG}",
        "host       mcp.example.org",
    ] {
        assert!(policy.text().contains(line), "{line}: {policy}");
    }
    test.ok(&["adopt", "--undo", "--yes"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn the_same_server_in_two_clients_is_one_policy() {
    let entry = json!({"url": "https://mcp.example.org/mcp", "headers": {"X-Api-Key": TOKEN}});
    let (test, _) = cursor(&json!({"issues": entry}));
    let other = test.home.join(".codeium/windsurf/mcp_config.json");
    std::fs::create_dir_all(other.parent().unwrap()).unwrap();
    let elsewhere =
        json!({"serverUrl": "https://mcp.example.com/mcp", "headers": {"X-Api-Key": TOKEN}});
    let entry =
        json!({"serverUrl": "https://mcp.example.org/mcp", "headers": {"X-Api-Key": TOKEN}});
    let text = json!({"mcpServers": {"issues": entry, "Issues": elsewhere}});
    std::fs::write(&other, text.to_string()).unwrap();
    test.ok(&["adopt", "--yes"]);
    let list = test.ok(&["policy", "list", "--json"]).json();
    let urls = list.as_array().unwrap().iter();
    let urls: Vec<_> = urls.map(|one| one["url"].as_str().unwrap()).collect();
    assert_eq!(
        urls,
        ["https://mcp.example.org/mcp", "https://mcp.example.com/mcp"]
    );
    // One value, one secret, although two policies name it.
    let secrets = test.ok(&["secret", "list", "--json"]).json();
    assert_eq!(secrets.as_array().unwrap().len(), 1, "{secrets}");
}

/// What a client or mcp-remote fills in is not sent as text, and no form is half adopted.
#[test]
fn what_only_the_client_can_send_is_left_with_the_reason() {
    let url = "https://mcp.example.org/mcp";
    let servers = json!({
        "both": {"url": url, "command": "npx", "args": ["x@1.0.0"], "headers": {"X-Key": KEY}},
        "number": {"url": url, "headers": {"X-Key": KEY, "X-N": 5}},
        "host": {"url": "https://b\u{fc}cher.example/mcp", "headers": {"X-Key": KEY}},
    });
    // A client that fills in nothing itself.
    let text = json!({"mcpServers": servers}).to_string();
    let (test, file) = case(&text, ".config/Claude/claude_desktop_config.json");
    let ended = test.cli(&["adopt", "--yes"]);
    assert_eq!(ended.code, 1, "{ended}");
    for why in [
        "it has both a command and an address",
        "its `headers` have an unknown form",
        "write the host as DNS has it, with `xn--`",
    ] {
        assert!(ended.stderr.contains(why), "{why}\n{ended}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    let text = format!(
        "extensions:\n  g:\n    type: streamable_http\n    uri: {url}\n    envs:\n      API_KEY: {KEY}\n    headers:\n      \
         X-Key: $API_KEY\n"
    );
    let (test, file) = case(&text, ".config/goose/config.yaml");
    let ended = test.cli(&["adopt", "--yes"]);
    assert!(
        ended.stderr.contains("the client fills in header `X-Key`"),
        "{ended}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

/// mcp-remote itself fills in `${TEAM}` from its environment, so it stays, and gets the variable.
#[test]
fn a_variable_of_the_client_in_a_header_is_passed_on() {
    let args = json!([
        "-y",
        "mcp-remote@0.1.15",
        "https://mcp.example.org/mcp",
        "--header",
        format!("X-Key: {KEY}"),
        "--header",
        "X-Team:${TEAM}/${UNIT}"
    ]);
    let servers = json!({"mcpServers": {"team": {"command": "npx", "args": args}}});
    let (test, _) = case(
        &servers.to_string(),
        ".config/Claude/claude_desktop_config.json",
    );
    let ended = test.ok(&["adopt", "--yes", "--no-pin"]);
    let note =
        "its header `X-Team` has `${TEAM}`, which it takes from the environment of your client";
    assert!(ended.text().contains(note), "{ended}");
    let policy = std::fs::read_to_string(test.root().join("policies/team.toml")).unwrap();
    assert!(policy.contains("pass = [\"TEAM\", \"UNIT\"]"), "{policy}");
}
