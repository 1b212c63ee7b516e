//! Clients that ask any model, or none.

use super::{Add, MCP_SERVERS, NODE_22, NPM, Registry, Script, TestedClient};

pub(super) const CLIENTS: &[TestedClient] = &[
    TestedClient {
        id: "mcporter",
        package: "mcporter",
        version: "0.12.3",
        bin: "mcporter",
        is_quick: true,
        adopt: Some("mcporter"),
        config: ".mcporter/mcporter.json",
        add: Add::Command("config add probe --command SERVER --env DEMO_KEY=TOKEN --scope home"),
        add_remote: Some("config add probe SERVER --header Authorization=BEARER --scope home"),
        connect: Some(Script::Words("list probe")),
        connected: "echo",
        call: Some(Script::Words("call probe.echo text=ECHO")),
        ..NPM
    },
    TestedClient {
        id: "inspector",
        package: "@modelcontextprotocol/inspector",
        version: "2.12.0",
        bin: "mcp-inspector",
        config: "mcp.json",
        add: MCP_SERVERS,
        connect: Some(Script::Words(
            "--cli --config mcp.json --server probe --method tools/list",
        )),
        connected: "\"echo\"",
        call: Some(Script::Words(
            "--cli --config mcp.json --server probe --method tools/call --tool-name echo --tool-arg text=ECHO",
        )),
        ..NPM
    },
    TestedClient {
        id: "opencode",
        package: "opencode-ai",
        version: "1.18.33",
        bin: "opencode",
        adopt: Some("opencode"),
        config: ".config/opencode/opencode.jsonc",
        files: &[(".config/opencode/opencode.jsonc", OPENCODE_MODEL)],
        ..OPENCODE
    },
    TestedClient {
        id: "kilo",
        package: "@kilocode/cli",
        version: "7.7.7",
        bin: "kilo",
        adopt: Some("kilo"),
        config: ".config/kilo/kilo.jsonc",
        files: &[(".config/kilo/kilo.jsonc", OPENCODE_MODEL)],
        ..OPENCODE
    },
    TestedClient {
        id: "cline",
        package: "cline",
        version: "3.0.65",
        bin: "cline",
        adopt: Some("cline"),
        config: ".cline/data/settings/cline_mcp_settings.json",
        set_up: Some("auth -p openai -k x -m scripted -b MODEL/v1"),
        // Its command has no place for variables.
        add: Add::File(
            r#"{
  "mcpServers": {
    "probe": {
      "transport": {
        "type": "stdio",
        "command": "SERVER",
        "args": [],
        "env": {
          "DEMO_KEY": "TOKEN"
        }
      }
    }
  }
}
"#,
        ),
        add_remote: Some("mcp add probe --yes --transport http --header HEADER SERVER"),
        env: &[("CLINE_TELEMETRY_DISABLED", "1")],
        call: Some(Script::Words("ASK")),
        ..NPM
    },
    TestedClient {
        id: "nanocoder",
        registry: Registry::Npm(&[NODE_22]),
        package: "@nanocollective/nanocoder",
        version: "1.30.0",
        bin: "nanocoder",
        adopt: Some("nanocoder"),
        config: ".config/nanocoder/.mcp.json",
        files: &[(
            ".config/nanocoder/agents.config.json",
            r#"{ "nanocoder": { "providers": [
  { "name": "scripted", "baseUrl": "MODEL/v1", "apiKey": "x", "models": ["scripted"] }
] } }
"#,
        )],
        add: MCP_SERVERS,
        call: Some(Script::Words(
            "--provider scripted --model scripted --mode yolo --trust-directory run ASK",
        )),
        ..NPM
    },
    TestedClient {
        id: "continue",
        package: "@continuedev/cli",
        version: "1.5.47",
        bin: "cn",
        adopt: Some("continue"),
        config: ".continue/config.yaml",
        add: Add::File(
            "name: probe
version: 1.0.0
schema: v1
models:
  - name: scripted
    provider: openai
    model: scripted
    apiBase: MODEL/v1
    apiKey: x
    roles: [chat]
    capabilities: [tool_use]
mcpServers:
  # The server of the test.
  - name: probe
    command: SERVER
    env:
      DEMO_KEY: TOKEN
",
        ),
        env: &[("CONTINUE_TELEMETRY_ENABLED", "0")],
        call: Some(Script::Words("-p --auto ASK")),
        ..NPM
    },
    TestedClient {
        id: "pi",
        registry: Registry::Npm(&[NODE_22]),
        package: "@earendil-works/pi-coding-agent",
        version: "1.6.0",
        bin: "pi",
        adopt: Some("pi"),
        config: ".pi/agent/mcp.json",
        files: &[(
            ".pi/agent/models.json",
            r#"{ "providers": { "scripted": {
  "baseUrl": "MODEL/v1", "api": "openai-completions", "apiKey": "x", "models": [{ "id": "scripted" }]
} } }
"#,
        )],
        add: Add::Command("mcp add probe --exposure direct --env DEMO_KEY=TOKEN -- SERVER"),
        add_remote: Some(
            "mcp add probe --exposure direct --url SERVER --header Authorization=BEARER",
        ),
        connect: Some(Script::Words("mcp list")),
        connected: "connected",
        call: Some(Script::Words(
            "--offline --provider scripted --model scripted -p ASK",
        )),
        ..NPM
    },
];

/// What is the same for opencode and Kilo Code, which began as a copy of it.
const OPENCODE: TestedClient = TestedClient {
    add_remote: Some("mcp add probe --url SERVER --header Authorization=BEARER"),
    connect: Some(Script::Words("mcp list")),
    connected: "connected",
    call: Some(Script::Words("run ASK")),
    rewrites: true,
    ..NPM
};

const OPENCODE_MODEL: &str = r#"{
  // Which model is asked.
  "model": "scripted/scripted",
  "provider": {
    "scripted": {
      "npm": "@ai-sdk/openai-compatible",
      "options": { "baseURL": "MODEL/v1", "apiKey": "x" },
      "models": { "scripted": {} }
    }
  }
}
"#;
