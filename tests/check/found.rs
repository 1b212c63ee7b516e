//! What must be found: files in all places of clients, tokens in all places of a file, env files.

use std::path::Path;

use serde_json::{Value, json};

use super::report;
use crate::harness::{TOKEN, Test};

/// A token of a known format.
const KNOWN: &str = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";

/// Writes a file with its directories.
fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A config with one server that has a token.
fn config(key: &str) -> String {
    let server = json!({"command": "node", "args": ["/x.js"], "env": {"API_TOKEN": TOKEN}});
    json!({ key: {"s": server} }).to_string()
}

/// The files with a secret in plaintext.
fn leaking(found: &Value) -> Vec<&str> {
    let findings = found["findings"].as_array().unwrap().iter();
    let mut files: Vec<_> = findings
        .filter(|finding| finding["check"] == "plaintext-secret")
        .map(|finding| finding["file"].as_str().unwrap())
        .collect();
    files.sort_unstable();
    files.dedup();
    files
}

#[test]
fn files_in_the_places_of_sandboxes_plugins_and_variables() {
    let test = Test::new();
    let xdg = test.dir.join("xdg");
    let files = [
        (
            ".var/app/com.visualstudio.code/config/Code/User/mcp.json",
            "servers",
        ),
        (
            ".var/app/dev.zed.Zed/config/zed/settings.json",
            "context_servers",
        ),
        ("snap/code/current/.config/Code/User/mcp.json", "servers"),
        (".config/Code - OSS/User/mcp.json", "servers"),
        (".cursor-server/data/User/mcp.json", "servers"),
        (
            ".claude/plugins/cache/market/plugin/1.2.0/.mcp.json",
            "mcpServers",
        ),
        (
            ".claude/plugins/cache/market/plugin/1.2.0/.claude-plugin/plugin.json",
            "mcpServers",
        ),
        (
            ".codex/plugins/cache/market/plugin/1.2.0/.mcp.json",
            "mcpServers",
        ),
        (".kimi-code/mcp.json", "mcpServers"),
        (".qoder/settings.json", "mcpServers"),
    ];
    let mut expected: Vec<String> = Vec::new();
    for (path, key) in files {
        write(&test.home.join(path), &config(key));
        expected.push(format!("~/{path}"));
    }
    for (variable, dir, file, key) in [
        (
            "XDG_CONFIG_HOME",
            &xdg,
            "zed/settings.json",
            "context_servers",
        ),
        (
            "OPENCODE_CONFIG_DIR",
            &test.dir.join("oc"),
            "opencode.json",
            "mcp",
        ),
        (
            "CLINE_DATA_DIR",
            &test.dir.join("cline"),
            "settings/cline_mcp_settings.json",
            "mcpServers",
        ),
    ] {
        test.set(variable, dir);
        write(&dir.join(file), &config(key));
        expected.push(dir.join(file).display().to_string());
    }
    let (found, ended) = report(&test, &["check"]);
    for path in &expected {
        assert!(leaking(&found).contains(&path.as_str()), "{path}: {ended}");
    }
}

#[test]
fn projects_that_the_clients_name() {
    let test = Test::new();
    let project = |name: &str| test.dir.join("work").join(name);
    let files = [".mcp.json", ".cursor/mcp.json", ".codex/config.toml"];
    for (name, file) in ["one", "two", "three"].iter().zip(files) {
        let text = if file == ".codex/config.toml" {
            format!("[mcp_servers.s]\ncommand = \"node\"\nenv = {{ API_TOKEN = \"{TOKEN}\" }}\n")
        } else {
            config("mcpServers")
        };
        write(&project(name).join(file), &text);
    }
    let one = project("one").display().to_string();
    let claude = json!({"projects": {one: {"history": []}, "/gone": {}}});
    write(&test.home.join(".claude.json"), &claude.to_string());
    let workspace = json!({"folder": format!("file://{}", project("two").display())});
    let storage = ".config/Cursor/User/workspaceStorage/ab12/workspace.json";
    write(&test.home.join(storage), &workspace.to_string());
    let codex = format!(
        "[projects.\"{}\"]\ntrust_level = \"trusted\"\n",
        project("three").display()
    );
    write(&test.home.join(".codex/config.toml"), &codex);
    let (found, ended) = report(&test, &["check"]);
    for (name, file) in ["one", "two", "three"].iter().zip(files) {
        let path = project(name).join(file).display().to_string();
        assert!(leaking(&found).contains(&path.as_str()), "{path}: {ended}");
    }
}

#[test]
fn a_known_token_anywhere_in_a_file() {
    let test = Test::new();
    let url = "https://x.example/mcp";
    let command = format!("printf 'Authorization: Bearer {KNOWN}'");
    let entries = [
        json!({"url": url, "headersHelper": command}),
        json!({"command": "node", "description": format!("the token is {KNOWN}")}),
        json!({"command": "node", "metadata": {"deep": [{"x": KNOWN}]}}),
        json!({"command": "node", "cwd": format!("/srv/{KNOWN}")}),
        json!({"command": "sh", "args": ["-c", format!("curl -u u:{KNOWN} https://x.example")]}),
        json!({"url": url, "headers": [format!("Authorization: Bearer {KNOWN}")]}),
    ];
    for (n, entry) in entries.iter().enumerate() {
        let file = test.dir.join(format!("r{n}/.mcp.json"));
        write(&file, &json!({"mcpServers": {"s": entry}}).to_string());
    }
    let settings = json!({"permissions": {"allow": [format!("Bash(GITHUB_TOKEN={KNOWN} npx x)")]}});
    let count = entries.len();
    write(
        &test.dir.join(format!("r{count}/.claude/settings.json")),
        &settings.to_string(),
    );
    let yaml = format!("mcp:\n  servers:\n    s:\n      env:\n        A: {KNOWN}\n");
    write(
        &test
            .dir
            .join(format!("r{}/framework.secrets.yaml", count + 1)),
        &yaml,
    );
    for n in 0..count + 2 {
        let dir = test.dir.join(format!("r{n}")).display().to_string();
        let (found, ended) = report(&test, &["check", &dir]);
        assert_eq!(leaking(&found).len(), 1, "{n}: {ended}");
    }
}

#[test]
fn env_files_that_a_command_names() {
    let test = Test::new();
    for (n, entry) in [
        json!({"command": "node", "args": ["--env-file=a.env", "/x.js"]}),
        json!({"command": "dotenv", "args": ["-e", "a.env", "--", "node", "/x.js"]}),
        json!({"command": "docker", "args": ["run", "--env-file", "a.env", "img"]}),
        json!({"command": "npx", "args": ["-y", "env-cmd@10.1.0", "-f", "a.env", "node", "/x.js"]}),
        json!({"command": "node", "args": ["/x.js"], "envFile": "${workspaceFolder}/a.env"}),
    ]
    .iter()
    .enumerate()
    {
        let dir = test.dir.join(format!("r{n}"));
        write(
            &dir.join(".mcp.json"),
            &json!({"mcpServers": {"s": entry}}).to_string(),
        );
        write(&dir.join("a.env"), &format!("API_TOKEN={TOKEN}\n"));
        let (found, ended) = report(&test, &["check", &dir.display().to_string()]);
        assert!(
            leaking(&found).iter().any(|file| file.ends_with("a.env")),
            "{n}: {ended}"
        );
    }
}

/// No entry counts as checked whose form is not known.
#[test]
fn an_entry_of_an_unknown_form_is_a_finding() {
    let test = Test::new();
    let entry = json!({"executable": "npx", "parameters": ["-y", "x"]});
    write(
        &test.dir.join("r/.mcp.json"),
        &json!({"mcpServers": {"s": entry}}).to_string(),
    );
    let (found, ended) = report(&test, &["check", &test.dir.join("r").display().to_string()]);
    let findings = found["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .any(|one| one["check"] == "unknown-entry" && one["server"] == "s"),
        "{ended}"
    );
    assert_eq!(ended.code, 1, "{ended}");
    for check in found["checks"].as_array().unwrap() {
        assert_ne!(check["status"], "ok", "{ended}");
    }
}

/// A repository that runs its own code with the reader's policy.
#[test]
fn a_repository_with_a_policy_of_the_user_and_its_own_code() {
    let test = Test::new();
    for (n, (args, cwd, expected)) in [
        (
            json!(["run", "github", "--", "node", "s.js"]),
            Some("${workspaceFolder}"),
            true,
        ),
        (json!(["run", "github", "--", "node", "./s.js"]), None, true),
        (
            json!(["run", "github", "--", "npx", "-y", "a@1.0.0"]),
            None,
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut entry = json!({"command": "mcpwrap", "args": args});
        if let Some(cwd) = cwd {
            entry["cwd"] = json!(cwd);
        }
        let dir = test.dir.join(format!("r{n}"));
        write(
            &dir.join(".mcp.json"),
            &json!({"mcpServers": {"github": entry}}).to_string(),
        );
        let (found, ended) = report(&test, &["check", &dir.display().to_string()]);
        let findings = found["findings"].as_array().unwrap().iter();
        let own = findings.filter(|one| one["what"].as_str().unwrap().contains("your policy"));
        assert_eq!(own.count() > 0, expected, "{n}: {ended}");
    }
}

/// Tokens that other programs keep in plaintext are named, and not shown.
#[test]
fn tokens_of_logins_in_plaintext() {
    let test = Test::new();
    let tokens = json!({"access_token": TOKEN, "token_type": "bearer", "refresh_token": TOKEN});
    let wrapped = json!([{"serverName": "x", "token": {"accessToken": TOKEN}}]);
    let without = json!({"client_id": "abc", "redirect_uris": ["http://localhost:3334/"]});
    for (path, value) in [
        (".mcp-auth/mcp-remote-0.1.30/0123_tokens.json", &tokens),
        (
            ".mcp-auth/mcp-remote-0.1.30/0123_client_info.json",
            &without,
        ),
        (".gemini/mcp-oauth-tokens.json", &wrapped),
    ] {
        write(&test.home.join(path), &value.to_string());
    }
    let (found, ended) = report(&test, &["check"]);
    assert_eq!(
        leaking(&found),
        [
            "~/.gemini/mcp-oauth-tokens.json",
            "~/.mcp-auth/mcp-remote-0.1.30/0123_tokens.json"
        ],
        "{ended}"
    );
    let all = found["findings"].as_array().unwrap().iter();
    let one = all.filter(|finding| finding["severity"] == "high").count();
    assert!(one >= 2, "{ended}");
    assert!(!ended.text().contains(TOKEN), "{ended}");
}
