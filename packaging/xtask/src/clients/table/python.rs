//! Clients of PyPI, for Python 3.11.

use super::{Add, MCP_SERVERS, PYPI, Script, TestedClient};

pub(super) const CLIENTS: &[TestedClient] = &[
    TestedClient {
        id: "fastmcp",
        package: "fastmcp",
        version: "4.2.3",
        bin: "fastmcp",
        config: "mcp.json",
        add: MCP_SERVERS,
        connect: Some(Script::Words("list mcp.json")),
        connected: "echo",
        call: Some(Script::Words("call mcp.json echo text=ECHO")),
        ..PYPI
    },
    TestedClient {
        id: "fast-agent",
        package: "fast-agent-mcp",
        version: "0.2.36",
        bin: "fast-agent",
        config: "fastagent.config.yaml",
        add: Add::File(
            "default_model: generic.scripted
generic:
  api_key: x
  base_url: MODEL/v1
mcp:
  servers:
    # The server of the test.
    probe:
      command: SERVER
      env:
        DEMO_KEY: TOKEN
",
        ),
        call: Some(Script::Words(
            "go --servers probe --model generic.scripted -m ASK",
        )),
        ..PYPI
    },
    TestedClient {
        id: "hermes",
        package: "hermes-agent",
        version: "0.19.0",
        bin: "hermes",
        adopt: Some("hermes"),
        config: ".hermes/config.yaml",
        files: &[(
            ".hermes/config.yaml",
            "model:
  default: scripted
  provider: custom
  base_url: MODEL/v1
  api_key: x
",
        )],
        add: Add::Yes("mcp add probe --command SERVER --env DEMO_KEY=TOKEN"),
        connect: Some(Script::Words("mcp test probe")),
        connected: "Connected",
        call: Some(Script::Words("--yolo -z ASK")),
        rewrites: true,
        ..PYPI
    },
    TestedClient {
        id: "nanobot",
        package: "nanobot-ai",
        version: "0.3.5",
        bin: "nanobot",
        adopt: Some("nanobot"),
        config: ".nanobot/config.json",
        add: Add::File(
            r#"{
  "agents": { "defaults": { "model": "scripted", "provider": "custom" } },
  "providers": { "custom": { "apiKey": "x", "apiBase": "MODEL/v1" } },
  "tools": {
    "mcpServers": { "probe": { "command": "SERVER", "env": { "DEMO_KEY": "TOKEN" } } }
  }
}
"#,
        ),
        call: Some(Script::Words("agent --no-markdown -m ASK")),
        ..PYPI
    },
];
