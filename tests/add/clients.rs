//! The entry in the config of each client, in the style of the file, and out of it again.

use crate::harness::golden::{self, stable};
use crate::harness::{Test, fake_server};

/// A client, its config below the home directory, and what is in it.
const FILES: &[(&str, &str, &str)] = &[
    (
        "claude-code",
        ".claude.json",
        "{\n  \"numStartups\": 42,\n  \"projects\": {\n    \"/p\": {\"mcpServers\": {\"s\": {\"command\": \"cat\"}}}\n  }\n}",
    ),
    (
        "cursor",
        ".cursor/mcp.json",
        "{\"mcpServers\":{\"a\":{\"command\":\"cat\"}}}",
    ),
    (
        "vscode",
        ".config/Code/User/mcp.json",
        "{\r\n\t// mine\r\n\t\"servers\": {\r\n\t\t\"a\": { \"command\": \"cat\" }, // last, for now\r\n\t},\r\n\t\"inputs\": []\r\n}\r\n",
    ),
    (
        "zed",
        ".config/zed/settings.json",
        "// Zed\n{\n  \"theme\": \"One Dark\",\n  \"context_servers\": {},\n}\n",
    ),
    (
        "codex",
        ".codex/config.toml",
        "model = \"x\" # mine\n\n[mcp_servers.a]\ncommand = \"cat\"\n\n[tui]\nz = 1\n# end",
    ),
    ("grok", ".grok/config.toml", ""),
    (
        "copilot-cli",
        ".copilot/mcp-config.json",
        "{\"mcpServers\": {}}\n",
    ),
    (
        "opencode",
        ".config/opencode/opencode.json",
        "{\n    \"$schema\": \"https://opencode.ai/config.json\"\n}\n",
    ),
    (
        "goose",
        ".config/goose/config.yaml",
        "GOOSE_MODEL: x\nextensions:\n  developer:\n    type: builtin\n    enabled: true # mine\n\nlast: 1\n",
    ),
    ("hermes", ".hermes/config.yaml", "model: x"),
    (
        "continue",
        ".continue/config.yaml",
        "name: Mine\nversion: 0.0.1\nschema: v1\nmcpServers:\n  - name: a\n    command: cat\n",
    ),
    (
        "mistral-vibe",
        ".vibe/config.toml",
        "model = \"x\"\n\n[[mcp_servers]]\nname = \"a\"\ntransport = \"stdio\"\ncommand = \"cat\"\n",
    ),
    (
        "amp",
        ".config/amp/settings.json",
        "{\n\t\"amp.mcpServers\": {\n\t}\n}\n",
    ),
    (
        "openclaw",
        ".openclaw/openclaw.json",
        "{\n  \"mcp\": {}\n}\n",
    ),
    ("lm-studio", ".lmstudio/mcp.json", "\n"),
];

/// Also what a file has on top: comments, tabs, line ends, a missing newline, no content.
#[test]
fn every_format_gets_the_entry_and_is_restored_byte_for_byte() {
    let test = Test::new();
    test.init();
    for (_, path, text) in FILES {
        let file = test.home.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let clients: Vec<&str> = FILES.iter().flat_map(|(id, ..)| ["--client", id]).collect();
    let program = fake_server().display().to_string();
    let added = test.ok(&[&["add", "s", "--yes"], &clients[..], &["--", &program]].concat());
    for (id, path, before) in FILES {
        let text = std::fs::read_to_string(test.home.join(path)).unwrap();
        assert_ne!(text, *before, "{id}: {added}");
        golden::check(&format!("add/{id}.txt"), &stable(&test, &text));
    }
    // A second time, nothing changes.
    let again = test.ok(&[&["add", "s", "--yes"], &clients[..]].concat());
    assert!(again.stderr.contains("nothing to do"), "{again}");

    let removed = test.ok(&["remove", "s", "--yes"]);
    for (id, path, before) in FILES {
        let text = std::fs::read_to_string(test.home.join(path)).unwrap();
        assert_eq!(text, *before, "{id}: {removed}");
    }
}

/// The client rewrote its file around the entry.
#[test]
fn later_changes_around_the_entry_stay() {
    let test = Test::new();
    test.init();
    let program = fake_server().display().to_string();
    for (id, path, text) in FILES {
        let file = test.home.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        test.ok(&["add", "s", "--yes", "--client", id, "--", &program]);
        let (from, to) = match file.extension().unwrap().to_str().unwrap() {
            "toml" => ("", "first = true\n"),
            "yaml" => ("", "first: true\n"),
            _ => ("{", "{ \"first\": true, "),
        };
        let changed = |text: &str| text.replacen(from, to, 1);
        let now = changed(&std::fs::read_to_string(&file).unwrap());
        std::fs::write(&file, &now).unwrap();
        let removed = test.ok(&["remove", "s", "--yes"]);
        let left = std::fs::read_to_string(&file).unwrap();
        match text.trim() {
            // A file of its own keeps what was written beside the entry.
            "" => assert!(
                left.contains("first") && !left.contains("\"s\""),
                "{id}: {left}"
            ),
            _ if text.trim_start().starts_with('{') && !text.contains(':') => {}
            _ => assert_eq!(left, changed(text), "{id}: {removed}"),
        }
    }
}

#[test]
fn a_missing_file_is_made_and_goes_again() {
    let test = Test::new();
    test.init();
    let program = fake_server().display().to_string();
    for (id, path) in [
        ("cursor", ".cursor/mcp.json"),
        ("codex", ".codex/config.toml"),
        ("goose", ".config/goose/config.yaml"),
        ("kiro", ".kiro/settings/mcp.json"),
    ] {
        let file = test.home.join(path);
        let top = path
            .split('/')
            .take(if path.starts_with(".config") { 2 } else { 1 });
        std::fs::create_dir_all(test.home.join(top.collect::<Vec<_>>().join("/"))).unwrap();
        test.ok(&["add", "s", "--yes", "--client", id, "--", &program]);
        let text = std::fs::read_to_string(&file).unwrap();
        golden::check(&format!("add/new-{id}.txt"), &stable(&test, &text));
        test.ok(&["remove", "s", "--yes"]);
        assert!(!file.exists(), "{id}");
    }
}
