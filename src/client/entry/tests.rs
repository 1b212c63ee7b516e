//! Entries in all the forms in which clients write them.

use super::*;
use crate::client::tree::FileFormat;

fn read(format: FileFormat, text: &str) -> Vec<ServerEntry> {
    entries(&Document::read(format, text.as_bytes().to_vec()).unwrap())
}

const SHAPES: &[(FileFormat, &str)] = &[
    (
        FileFormat::Json,
        r#"{"mcpServers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}}"#,
    ),
    (
        FileFormat::Json,
        r#"{"servers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}, "inputs": []}"#,
    ),
    (
        FileFormat::Json,
        r#"{"mcp": {"x": {"type": "local", "command": ["npx", "-y"], "environment": {"A": "b"}}}}"#,
    ),
    (
        FileFormat::Json,
        r#"{"context_servers": {"x": {"command": {"path": "npx", "args": ["-y"], "env": {"A": "b"}}}}}"#,
    ),
    (
        FileFormat::Json,
        r#"{"projects": {"/p": {"mcpServers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}}}}"#,
    ),
    (
        FileFormat::Json,
        r#"{"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}"#,
    ),
    (
        FileFormat::Json,
        r#"{"amp.mcpServers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}}"#,
    ),
    (
        FileFormat::Json,
        r#"{"mcp": {"servers": {"x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}}}"#,
    ),
    (
        FileFormat::Toml,
        "[mcp_servers.x]\ncommand = \"npx\"\nargs = [\"-y\"]\nenv = { A = \"b\" }\n",
    ),
    (
        FileFormat::Toml,
        "[[mcp_servers]]\nname = \"x\"\ncommand = \"npx\"\nargs = [\"-y\"]\nenv.A = \"b\"\n",
    ),
    (
        FileFormat::Yaml,
        "extensions:\n  x:\n    cmd: npx\n    args: [-y]\n    envs: {A: b}\n  y:\n    type: builtin\n",
    ),
    (
        FileFormat::Json,
        r#"{"mcpServers": {"x": {"disabled": false, "transport": {"type": "stdio", "command": "npx", "args": ["-y"], "env": {"A": "b"}}}}}"#,
    ),
    (
        FileFormat::Json,
        r#"{"servers": [{"name": "x", "command": "npx", "args": ["-y"], "env": {"A": "b"}}]}"#,
    ),
    (
        FileFormat::Json,
        r#"[{"name": "x", "command": "npx", "args": ["-y"], "env": [{"name": "A", "value": "b"}]}]"#,
    ),
    (
        FileFormat::Json,
        r#"{"mcpServers": {"x": {"command": "npx", "args": ["-y"], "env": ["A=b"]}}}"#,
    ),
    (
        FileFormat::Json,
        r#"{"$schema": "https://x.example/s.json", "version": 1, "x": {"command": "npx", "args": ["-y"], "env": {"A": "b"}}}"#,
    ),
    (
        FileFormat::Json,
        r#"{"mcp": {"servers": {"x": {"command": ["npx", "-y"], "environment": {"A": "b"}}}, "timeout": 5}}"#,
    ),
    (
        FileFormat::Yaml,
        "mcpServers:\n  - x:\n      command: npx\n      args: [-y]\n      env: {A: b}\n  - other\n",
    ),
    (
        FileFormat::FrontMatter,
        "---\nname: agent\nmcp-servers:\n  x:\n    command: npx\n    args: [-y]\n    env:\n      A: b\n---\n# Text: {\n",
    ),
    (
        FileFormat::Yaml,
        "mcpServers:\n  - name: x\n    command: npx\n    args:\n      - -y\n    env:\n      A: b\n",
    ),
];

#[test]
fn all_forms_of_an_entry() {
    for &(format, text) in SHAPES {
        let found = read(format, text);
        let [entry] = found.as_slice() else {
            panic!("{text}: {found:?}")
        };
        assert_eq!(entry.name, "x", "{text}");
        assert_eq!(
            entry
                .words
                .iter()
                .map(|w| w.text.as_str())
                .collect::<Vec<_>>(),
            ["npx", "-y"],
            "{text}"
        );
        assert_eq!(
            entry
                .env
                .iter()
                .map(|w| (w.name.as_str(), w.text.as_str()))
                .collect::<Vec<_>>(),
            [("A", "b")],
            "{text}"
        );
    }
}

#[test]
fn both_layouts_in_one_file() {
    let text = r#"{"mcp": {"a": {"type": "local", "command": ["x"]}, "servers": {"b": {"type": "remote", "url": "https://h"}}}}"#;
    let found = read(FileFormat::Json, text);
    let names: Vec<_> = found.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn forms_that_are_not_understood() {
    for (entry, known) in [
        (r#"{"command": "x"}"#, true),
        (r#"{"enabled": false}"#, true),
        (r#"{"source": "extension", "settings": {"key": "v"}}"#, true),
        (r#"{"env": {"A": "b"}}"#, true),
        (r#"{"executable": "npx", "parameters": ["-y"]}"#, false),
        (r#"{"command": "x", "args": "-y x"}"#, false),
        (r#"{"command": "x", "env": "A=b"}"#, false),
        (r#"{"command": {"bin": "x"}}"#, false),
        (r#"{"url": "https://h", "headers": ["x y"]}"#, false),
        (r#""npx -y x""#, false),
    ] {
        let text = format!(r#"{{"mcpServers": {{"s": {entry}}}}}"#);
        let found = read(FileFormat::Json, &text);
        assert_eq!(found.len(), 1, "{entry}");
        assert_eq!(found[0].unknown.is_none(), known, "{entry}");
    }
}

#[test]
fn headers_wherever_they_are() {
    for fields in [
        r#""headers": {"X-Key": "v"}"#,
        r#""headers": ["X-Key: v"]"#,
        r#""headers": [{"name": "X-Key", "value": "v"}]"#,
        r#""requestInit": {"headers": {"X-Key": "v"}}"#,
        r#""http_headers": {"X-Key": "v"}"#,
    ] {
        let text = format!(r#"{{"mcpServers": {{"s": {{"url": "https://h", {fields}}}}}}}"#);
        let found = read(FileFormat::Json, &text);
        let header = &found[0].headers[0];
        assert_eq!(
            (header.name.as_str(), header.text.as_str()),
            ("X-Key", "v"),
            "{fields}"
        );
    }
}

#[test]
fn adopted_entries_are_recognized() {
    let found = read(
        FileFormat::Json,
        r#"{"mcpServers": {"x": {"command": "/opt/mcpwrap", "args": ["run", "gh", "--", "npx"]}}}"#,
    );
    assert_eq!(found[0].wrapped.as_deref(), Some("gh"));
}
