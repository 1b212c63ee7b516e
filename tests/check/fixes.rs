//! What a report says to do: in the words of the client that reads the file, and for a repository what
//! works for everybody who has it.

use serde_json::{Value, json};

use super::report;
use crate::harness::Test;

const KEY: &str = "q7Rt2LmX9vKp4WzN8sDf6HjB3cYg";

/// The fixes of the findings of one check.
#[track_caller]
fn fixes(test: &Test, args: &[&str], check: &str) -> String {
    let (found, _) = report(test, args);
    let all = found["findings"].as_array().unwrap().iter();
    let own = all.filter(|finding| finding["check"] == check);
    let own: Vec<_> = own
        .map(|finding| finding["fix"].as_str().unwrap().to_owned())
        .collect();
    own.join("\n")
}

#[test]
fn a_remote_credential_in_the_form_of_each_client() {
    let header = format!("Bearer {KEY}");
    let servers =
        json!({"x": {"url": "https://x.example/mcp", "headers": {"Authorization": header}}});
    let json = |key: &str| json!({ key: servers }).to_string();
    let codex = format!(
        "[mcp_servers.x]\nurl = \"https://x.example/mcp\"\nhttp_headers = {{ Authorization = \"{header}\" }}\n"
    );
    for (path, text, expected) in [
        (
            ".mcp.json",
            json("mcpServers"),
            "`${NAME}` (`headersHelper` works too, but",
        ),
        (".cursor/mcp.json", json("mcpServers"), "`${env:NAME}`"),
        (".gemini/settings.json", json("mcpServers"), "`$NAME`"),
        (".qwen/settings.json", json("mcpServers"), "`$NAME`"),
        ("opencode.json", json("mcp"), "`{env:NAME}`"),
        (".vscode/mcp.json", json("servers"), "`${input:NAME}`"),
        (
            ".codex/config.toml",
            codex,
            "`bearer_token_env_var = \"NAME\"`",
        ),
        (
            ".junie/mcp/mcp.json",
            json("mcpServers"),
            "because Junie reads no variables",
        ),
    ] {
        let test = Test::new();
        let file = test.dir.join("repo").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        let said = fixes(&test, &["check", "repo"], "plaintext-secret");
        assert!(said.contains(expected), "{path}: {said}");
    }
}

#[test]
fn a_remote_credential_on_this_machine_is_adopted() {
    let test = Test::new();
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let write = |entry: Value| {
        std::fs::write(&file, json!({"mcpServers": {"x": entry}}).to_string()).unwrap();
    };
    let headers = json!({"Authorization": format!("Bearer {KEY}")});
    for entry in [
        json!({"url": "https://x.example/mcp", "headers": headers}),
        json!({"url": format!("https://x.example/mcp?api_key={KEY}")}),
        json!({"url": "http://localhost:3000/mcp", "headers": headers}),
    ] {
        write(entry);
        let said = fixes(&test, &["check"], "plaintext-secret");
        assert_eq!(said, "mcpwrap adopt --config ~/.cursor/mcp.json");
        let said = fixes(&test, &["check"], "kill-switch");
        assert!(said.contains("mcpwrap adopt --config"), "{said}");
    }
    // What adopt would leave keeps the words for its client.
    for entry in [
        json!({"url": "http://x.example/mcp", "headers": headers}),
        json!({"url": "https://x.example/mcp", "headers": {"Proxy-Authorization": KEY}}),
    ] {
        write(entry);
        let said = fixes(&test, &["check"], "plaintext-secret");
        assert!(said.contains("`${env:NAME}`"), "{said}");
    }
}

#[test]
fn a_repository_gets_no_command_for_one_machine() {
    let test = Test::new();
    let repo = test.dir.join("repo");
    for (path, key) in [
        (".mcp.json", "mcpServers"),
        (".gemini/settings.json", "mcpServers"),
        (".junie/mcp/mcp.json", "mcpServers"),
    ] {
        let file = repo.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let entry =
            json!({"command": "npx", "args": ["-y", "s", "--token", KEY], "env": {"API_KEY": KEY}});
        std::fs::write(&file, json!({ key: {"x": entry} }).to_string()).unwrap();
    }
    let (found, ended) = report(&test, &["check", "repo"]);
    let all = found["findings"].as_array().unwrap();
    assert!(all.len() > 6, "{ended}");
    for finding in all {
        assert_eq!(finding["command"], Value::Null, "{finding:#}");
    }
    let said = fixes(&test, &["check", "repo"], "plaintext-secret");
    for part in ["`${API_KEY}`", "`$API_KEY`", "your own config of Junie"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = fixes(&test, &["check", "repo"], "unpinned-server");
    assert!(
        said.contains("write an exact version: `s@VERSION`"),
        "{said}"
    );
}

/// A demand that can be met: a plain `adopt` leaves entries without a secret alone.
#[test]
fn the_first_record_of_a_log() {
    let test = Test::new();
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let write = |entry: Value| {
        std::fs::write(&file, json!({"mcpServers": {"x": entry}}).to_string()).unwrap();
    };
    let first = || {
        fixes(&test, &["check"], "audit-log")
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned()
    };
    let one = "mcpwrap adopt --config ~/.cursor/mcp.json --server x";
    write(json!({"command": "server", "env": {"API_KEY": KEY}}));
    assert!(
        fixes(&test, &["check"], "audit-log")
            .lines()
            .any(|line| line == "mcpwrap adopt")
    );
    write(json!({"command": "server"}));
    assert!(
        !fixes(&test, &["check"], "audit-log")
            .lines()
            .any(|line| line == "mcpwrap adopt")
    );
    assert_eq!(first(), one);
    write(json!({"command": "mcpwrap", "args": ["run", "x"]}));
    assert_eq!(first(), "start a server through mcpwrap");
    test.write_policy("x", "version = 1\ncommand = [\"server\"]\n");
    assert_eq!(first(), "mcpwrap grant x");
}

/// An entry of a repository that starts mcpwrap, and chooses what mcpwrap runs or whom it trusts.
#[test]
fn variables_for_mcpwrap_in_a_repository() {
    let test = Test::new();
    let repo = test.dir.join("repo");
    std::fs::create_dir_all(&repo).unwrap();
    let entry =
        |name: &str| json!({"command": "mcpwrap", "args": ["run", "x"], "env": {name: "./evil"}});
    let cases = [
        ("PATH", "unpinned-server"),
        ("HOME", "unpinned-server"),
        ("XDG_CONFIG_HOME", "unpinned-server"),
        ("MCPWRAP_HOME", "unpinned-server"),
        ("NODE_OPTIONS", "unpinned-server"),
        ("LD_PRELOAD", "unpinned-server"),
        ("PYTHONPATH", "unpinned-server"),
        ("HTTPS_PROXY", "insecure-transport"),
        ("all_proxy", "insecure-transport"),
        ("NODE_EXTRA_CA_CERTS", "insecure-transport"),
        ("SSL_CERT_FILE", "insecure-transport"),
        ("LOG_LEVEL", ""),
    ];
    for (name, check) in cases {
        let text = json!({"mcpServers": {"x": entry(name)}}).to_string();
        std::fs::write(repo.join(".mcp.json"), text).unwrap();
        let (found, ended) = report(&test, &["check", "repo"]);
        let what = format!("`{name}` is set for mcpwrap by a file of the repository");
        let all = found["findings"].as_array().unwrap().iter();
        let own = all.filter(|finding| finding["what"] == what.as_str());
        let own: Vec<_> = own
            .map(|finding| finding["check"].as_str().unwrap())
            .collect();
        let expected: Vec<_> = Some(check)
            .filter(|check| !check.is_empty())
            .into_iter()
            .collect();
        assert_eq!(own, expected, "{name}: {ended}");
    }
    for (command, extra) in [
        (json!(["run", "x", "--", "node", "./s.js"]), json!({})),
        (json!(["run", "x", "--", "python3", "s.py"]), json!({})),
        (
            json!(["run", "x", "--", "/usr/bin/node", "/opt/s.js"]),
            json!({"cwd": "${workspaceFolder}"}),
        ),
    ] {
        let mut entry = json!({"command": "mcpwrap", "args": command});
        entry
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let text = json!({"mcpServers": {"x": entry}}).to_string();
        std::fs::write(repo.join(".mcp.json"), text).unwrap();
        let said = fixes(&test, &["check", "repo"], "unpinned-server");
        assert_eq!(
            said, "keep the entry in each user's own config, with an absolute path",
            "{entry}"
        );
    }
    // In the user's own config it is the user's choice.
    std::fs::create_dir_all(test.home.join(".cursor")).unwrap();
    let text = json!({"mcpServers": {"x": entry("PATH")}}).to_string();
    std::fs::write(test.home.join(".cursor/mcp.json"), text).unwrap();
    let (found, _) = report(&test, &["check"]);
    assert!(
        !found.to_string().contains("is set for mcpwrap"),
        "{found:#}"
    );
}
