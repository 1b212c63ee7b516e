//! Findings that a person accepts: inline, and in the list beside the files.

use serde_json::Value;

use super::report;
use crate::harness::Test;

fn write(test: &Test, path: &str, text: &str) {
    let path = test.dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn list<'a>(report: &'a Value, key: &str) -> Vec<(&'a str, &'a str)> {
    let all = report[key].as_array().unwrap().iter();
    let one = |finding: &'a Value| {
        let server = finding["server"].as_str().unwrap_or_default();
        (finding["check"].as_str().unwrap(), server)
    };
    all.map(one).collect()
}

#[test]
fn a_comment_ignores_a_line_or_an_entry_if_it_says_why() {
    let test = Test::new();
    write(
        &test,
        "repo/.vscode/mcp.json",
        r#"{
  "servers": {
    // mcpwrap-ignore unpinned-server: a demo that nobody runs with secrets
    "entry": {
      "command": "npx", "args": ["-y", "server"]
    },
    "line": {
      "command": "npx", "args": ["-y", "server"] // mcpwrap-ignore unpinned-server: same
    },
    // mcpwrap-ignore unpinned-server
    "no-reason": { "command": "npx", "args": ["-y", "server"] },
    // mcpwrap-ignore insecure-transport: another check
    "other": { "command": "npx", "args": ["-y", "server"] }
  }
}"#,
    );
    write(
        &test,
        "repo/.codex/config.toml",
        "# mcpwrap-ignore unpinned-server, insecure-transport: pinned by the image\n[mcp_servers.toml]\ncommand = \"npx\"\nargs = [\"server\"]\n",
    );
    write(
        &test,
        "repo/librechat.yaml",
        "mcpServers:\n  # mcpwrap-ignore unpinned-server: pinned by the image\n  yaml:\n    command: npx\n    args: [server]\n",
    );
    let (report, ended) = report(&test, &["check", "repo"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert_eq!(
        list(&report, "findings"),
        [
            ("unpinned-server", "no-reason"),
            ("unpinned-server", "other"),
            ("invalid-ignore", "")
        ]
    );
    let mut ignored = list(&report, "ignored");
    ignored.sort_unstable();
    assert_eq!(
        ignored,
        [
            ("unpinned-server", "entry"),
            ("unpinned-server", "line"),
            ("unpinned-server", "toml"),
            ("unpinned-server", "yaml")
        ]
    );
    let reasons: Vec<_> = report["ignored"].as_array().unwrap().iter().collect();
    assert!(
        reasons
            .iter()
            .all(|one| !one["reason"].as_str().unwrap().is_empty())
    );
}

#[test]
fn the_list_ignores_by_file_and_server_if_it_says_why() {
    let test = Test::new();
    let config = r#"{"mcpServers": {"a": {"command": "npx", "args": ["x"]}, "b": {"command": "npx", "args": ["x"]}}}"#;
    write(&test, "repo/.mcp.json", config);
    write(&test, "repo/docs/demo/.mcp.json", config);
    write(&test, "repo/broken/.cursor/mcp.json", "{");
    write(
        &test,
        "repo/.mcpwrap-check.toml",
        r#"
[[ignore]]
check = "unpinned-server"
file = "docs/"
reason = "examples"

[[ignore]]
check = "unpinned-server"
server = "b"
reason = "looked at on 2026-11-02"

[[ignore]]
check = "unreadable-file"
file = "/broken/"
reason = "a template"

[[ignore]]
check = "unpinned-server"
server = "a"
"#,
    );
    let (report, _) = report(&test, &["check", "repo"]);
    assert_eq!(
        list(&report, "findings"),
        [("unpinned-server", "a"), ("invalid-ignore", "")]
    );
    assert_eq!(report["findings"][1]["line"], 17);
    assert_eq!(report["ignored"].as_array().unwrap().len(), 4);
    let sarif = test.cli(&["check", "repo", "--sarif"]).json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let suppressed: Vec<_> = results
        .iter()
        .filter(|r| !r["suppressions"].is_null())
        .collect();
    assert_eq!(suppressed.len(), 4);
    assert_eq!(suppressed[0]["suppressions"][0]["kind"], "external");
}

#[test]
fn the_user_has_a_list_for_the_machine() {
    let test = Test::new();
    write(
        &test,
        "home/.cursor/mcp.json",
        r#"{"mcpServers": {"a": {"command": "npx", "args": ["x"]}}}"#,
    );
    write(
        &test,
        "home/mcpwrap/check.toml",
        "[[ignore]]\ncheck = [\"audit-log\", \"unpinned-server\", \"kill-switch\"]\nfile = \"~/.cursor/\"\nserver = \"a\"\nreason = \"on purpose\"\n",
    );
    let (report, ended) = report(&test, &["check"]);
    assert_eq!(report["ignored"].as_array().unwrap().len(), 3, "{ended}");
    assert_eq!(list(&report, "findings"), [("audit-log", "")], "{ended}");
}

/// Before the rules had names, their ids were `mcp01` to `mcp10`, `unread` and `ignore`.
#[test]
fn old_names_work_and_each_is_noted_once() {
    let test = Test::new();
    write(
        &test,
        "repo/.vscode/mcp.json",
        r#"{
  "servers": {
    // mcpwrap-ignore mcp09: a demo
    "a": { "command": "npx", "args": ["-y", "server"] },
    // mcpwrap-ignore mcp09: a demo
    "b": { "command": "npx", "args": ["-y", "server"] }
  }
}"#,
    );
    write(&test, "repo/.cursor/mcp.json", "{");
    write(
        &test,
        "repo/.mcpwrap-check.toml",
        "[[ignore]]\ncheck = [\"unread\", \"plaintext-secret\"]\nreason = \"a template\"\n",
    );
    let (report, ended) = report(&test, &["check", "repo"]);
    assert_eq!(list(&report, "findings"), [], "{ended}");
    assert_eq!(
        list(&report, "ignored"),
        [
            ("unreadable-file", ""),
            ("unpinned-server", "a"),
            ("unpinned-server", "b")
        ]
    );
    assert_eq!(
        ended.stderr.lines().collect::<Vec<_>>(),
        [
            "mcpwrap: the check `mcp09` is now called `unpinned-server` (repo/.vscode/mcp.json:3)",
            "mcpwrap: the check `unread` is now called `unreadable-file` (repo/.mcpwrap-check.toml:1)",
        ]
    );
}

#[test]
fn an_unknown_name_ignores_nothing_and_the_nearest_is_suggested() {
    let test = Test::new();
    write(
        &test,
        "repo/.codex/config.toml",
        "# mcpwrap-ignore unpined-server: typed in a hurry\n[mcp_servers.x]\ncommand = \"npx\"\nargs = [\"server\"]\n",
    );
    write(
        &test,
        "repo/.mcpwrap-check.toml",
        "[[ignore]]\ncheck = \"mcp11\"\nreason = \"there is none\"\n",
    );
    let (report, ended) = report(&test, &["check", "repo"]);
    let findings = report["findings"].as_array().unwrap().iter();
    let whats: Vec<_> = findings.map(|one| one["what"].as_str().unwrap()).collect();
    assert!(
        whats.contains(&"unknown check `unpined-server`; did you mean `unpinned-server`?"),
        "{ended}"
    );
    assert!(whats.contains(&"unknown check `mcp11`"), "{ended}");
    assert!(report["ignored"].as_array().unwrap().is_empty(), "{ended}");
}
