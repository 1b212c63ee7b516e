//! `mcpwrap` without a command: what is on this machine, and what to do next.

use serde_json::json;

use crate::harness::{TOKEN, Test, files_below};

fn files(test: &Test) -> Vec<std::path::PathBuf> {
    let mut found = files_below(&test.home);
    found.sort();
    found
}

fn client(test: &Test, file: &str, text: &str) {
    let path = test.home.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn it_counts_what_is_there_and_names_the_next_command() {
    let test = Test::new();
    test.hide(TOKEN);
    let github =
        json!({"command": "npx", "args": ["-y", "server-github"], "env": {"GITHUB_TOKEN": TOKEN}});
    let time = json!({"command": "uvx", "args": ["mcp-server-time"]});
    let cursor = json!({"mcpServers": {"github": github, "time": time}});
    client(&test, ".cursor/mcp.json", &cursor.to_string());
    let windsurf =
        json!({"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time==1.0.0"]}}});
    client(
        &test,
        ".codeium/windsurf/mcp_config.json",
        &windsurf.to_string(),
    );
    client(&test, ".gemini/settings.json", "{");
    let before = files(&test);
    let mut terminal = test.terminal(&[]);
    for line in [
        "3 MCP servers in 2 clients, none of them through mcpwrap",
        "  1 secret in plaintext",
        "  3 servers not pinned",
        "  1 file not read",
        "mcpwrap is not set up yet",
        "mcpwrap init ",
        "mcpwrap adopt --dry-run ",
        "mcpwrap check ",
    ] {
        terminal.expect(line);
    }
    assert_eq!(terminal.end().0, 0);
    assert_eq!(files(&test), before, "it writes nothing");

    // `init` says the same.
    test.init();
    client(&test, ".gemini/settings.json", "{}");
    test.ok(&["adopt", "--yes", "--no-pin"]);
    let mut terminal = test.terminal(&[]);
    terminal.expect("3 MCP servers in 2 clients, 1 of them through mcpwrap");
    terminal.expect("mcpwrap ps ");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0);
    assert!(
        !screen.contains("plaintext") && !screen.contains("mcpwrap init"),
        "{screen}"
    );
}

#[test]
fn on_a_new_machine_it_leads_to_a_policy() {
    let test = Test::new();
    let mut terminal = test.terminal(&[]);
    terminal.expect("no MCP server in the configs of your clients");
    terminal.expect("mcpwrap policy new SERVER");
    assert_eq!(terminal.end().0, 0);
}

/// A script that forgot the command does not get an answer that looks like success.
#[test]
fn without_a_terminal_a_command_is_missing() {
    let test = Test::new();
    let ended = test.cli(&[]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("Usage: mcpwrap <COMMAND>"), "{ended}");
}
