//! Clients of those who sell a model or a service. Some ask another model if they are told its URL.

use super::{Add, MCP_SERVERS, NODE_22, NPM, Registry, Script, TestedClient};

/// What is untested of a client that wants an account for it.
const CALL: &str = "a call, which its model makes: it wants an account";
const CONNECTION: &str = "a connection, for which it wants an account";

pub(super) const CLIENTS: &[TestedClient] = &[
    TestedClient {
        id: "gemini-cli",
        package: "@google/gemini-cli",
        version: "0.61.0",
        bin: "gemini",
        is_quick: true,
        adopt: Some("gemini-cli"),
        config: ".gemini/settings.json",
        files: &[(
            ".gemini/settings.json",
            r#"{ "security": { "auth": { "selectedType": "gemini-api-key" } } }"#,
        )],
        add: Add::Command("mcp add -s user -e DEMO_KEY=TOKEN probe SERVER"),
        add_remote: Some("mcp add -s user -t http -H HEADER probe SERVER"),
        env: &[
            ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
            ("GEMINI_API_KEY", "x"),
            ("GOOGLE_GEMINI_BASE_URL", "MODEL"),
        ],
        connect: Some(Script::Words("mcp list")),
        connected: "Connected",
        call: Some(Script::Words("--yolo -m gemini-2.5-flash -p ASK")),
        ..NPM
    },
    TestedClient {
        id: "qwen-code",
        package: "@qwen-code/qwen-code",
        version: "0.24.4",
        bin: "qwen",
        is_quick: true,
        adopt: Some("qwen-code"),
        config: ".qwen/settings.json",
        // The model would have to search for the tool.
        files: &[(
            ".qwen/settings.json",
            r#"{ "tools": { "toolSearch": { "enabled": false } } }"#,
        )],
        add: Add::Command("mcp add -s user -e DEMO_KEY=TOKEN probe SERVER"),
        add_remote: Some("mcp add -s user -t http -H HEADER probe SERVER"),
        env: &[
            ("OPENAI_API_KEY", "x"),
            ("OPENAI_BASE_URL", "MODEL/v1"),
            ("OPENAI_MODEL", "scripted"),
        ],
        connect: Some(Script::Words("mcp list")),
        connected: "Connected",
        call: Some(Script::Words("--auth-type openai --yolo -p ASK")),
        rewrites: true,
        ..NPM
    },
    TestedClient {
        id: "codex",
        package: "@openai/codex",
        version: "0.171.0",
        bin: "codex",
        adopt: Some("codex"),
        config: ".codex/config.toml",
        files: &[(
            ".codex/config.toml",
            "model = \"scripted\"
model_provider = \"scripted\"

[model_providers.scripted]
name = \"Scripted\"
base_url = \"MODEL/v1\"
wire_api = \"responses\"
",
        )],
        connect: Some(Script::Python(CODEX)),
        connected: "fake-server",
        call: Some(Script::Words(
            "exec --dangerously-bypass-approvals-and-sandbox --skip-git-repo-check ASK",
        )),
        rewrites: true,
        ..NPM
    },
    TestedClient {
        id: "claude-code",
        package: "@anthropic-ai/claude-code",
        version: "2.1.332",
        bin: "claude",
        adopt: Some("claude-code"),
        config: ".claude.json",
        add: Add::Command("mcp add probe --scope user -e DEMO_KEY=TOKEN -- SERVER"),
        add_remote: Some("mcp add probe SERVER --scope user -t http -H HEADER"),
        env: &[
            ("DISABLE_AUTOUPDATER", "1"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("ENABLE_TOOL_SEARCH", "false"),
            ("ANTHROPIC_API_KEY", "x"),
            ("ANTHROPIC_BASE_URL", "MODEL"),
        ],
        connect: Some(Script::Words("mcp list")),
        connected: "Connected",
        call: Some(Script::Words("-p ASK --allowedTools mcp__probe")),
        rewrites: true,
        ..NPM
    },
    TestedClient {
        id: "kimi",
        registry: Registry::Npm(&[NODE_22]),
        package: "@moonshot-ai/kimi-code",
        version: "2.1.0",
        bin: "kimi",
        adopt: Some("kimi"),
        config: ".kimi-code/mcp.json",
        files: &[(
            ".kimi-code/config.toml",
            "default_model = \"scripted\"

[providers.scripted]
type = \"openai\"
base_url = \"MODEL/v1\"
api_key = \"x\"

[models.scripted]
provider = \"scripted\"
model = \"scripted\"
max_context_size = 100000
capabilities = [\"tool_use\"]
",
        )],
        add: MCP_SERVERS,
        call: Some(Script::Words("-p ASK")),
        ..NPM
    },
    TestedClient {
        id: "grok",
        package: "@vibe-kit/grok-cli",
        version: "0.0.34",
        bin: "grok",
        adopt: None,
        config: ".grok/settings.json",
        // Its command writes this too, and does not end.
        add: Add::File(
            r#"{
  "model": "grok-code-fast-1",
  "mcpServers": {
    "probe": {
      "name": "probe",
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
}"#,
        ),
        connect: Some(Script::Python(GROK)),
        connected: "Successfully connected",
        untested: "a call: without a terminal it offers its model no tool of a server",
        ..NPM
    },
    TestedClient {
        id: "qoder",
        package: "@qoder-ai/qodercli",
        version: "1.1.52",
        bin: "qodercli",
        adopt: Some("qoder"),
        config: ".qoder/settings.json",
        add: Add::Command("mcp add probe SERVER -s user -e DEMO_KEY=TOKEN"),
        add_remote: Some("mcp add probe SERVER -s user -t http -H HEADER"),
        connect: Some(Script::Words("mcp list")),
        connected: "Connected",
        untested: CALL,
        ..NPM
    },
    TestedClient {
        id: "factory",
        package: "droid",
        version: "0.215.0",
        bin: "droid",
        adopt: Some("factory"),
        config: ".factory/mcp.json",
        add: Add::Command("mcp add probe SERVER --env DEMO_KEY=TOKEN"),
        add_remote: Some("mcp add probe SERVER --type http --header HEADER"),
        connect: Some(Script::Words("mcp list")),
        connected: "connected",
        untested: CALL,
        ..NPM
    },
    TestedClient {
        id: "copilot-cli",
        package: "@github/copilot",
        version: "1.0.102",
        bin: "copilot",
        adopt: Some("copilot-cli"),
        config: ".copilot/mcp-config.json",
        untested: CONNECTION,
        ..NPM
    },
    TestedClient {
        id: "amp",
        package: "@sourcegraph/amp",
        version: "0.0.1790142911-g7618fb",
        bin: "amp",
        adopt: Some("amp"),
        config: ".config/amp/settings.json",
        untested: CONNECTION,
        ..NPM
    },
    TestedClient {
        id: "augment",
        package: "@augmentcode/auggie",
        version: "0.36.0",
        bin: "auggie",
        adopt: Some("augment"),
        config: ".augment/settings.json",
        add: Add::Command("mcp add probe --command SERVER -e DEMO_KEY=TOKEN"),
        untested: CONNECTION,
        ..NPM
    },
];

/// Codex lists and calls in its app server: JSON lines on stdio.
const CODEX: &str = r#"
import json, subprocess, sys, time
server = subprocess.Popen([sys.argv[1], "app-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL, text=True)
def send(message):
    server.stdin.write(json.dumps(message) + "\n"); server.stdin.flush()
def ask(number, method, params):
    send({"id": number, "method": method, "params": params})
    for line in server.stdout:
        message = json.loads(line)
        if message.get("id") == number and "method" not in message:
            print(json.dumps(message)); return message
ask(1, "initialize", {"clientInfo": {"name": "probe", "version": "1"}})
send({"method": "initialized"})
ask(2, "mcpServerStatus/list", {})
thread = ask(3, "thread/start", {})["result"]["thread"]["id"]
ask(4, "mcpServer/tool/call", {"threadId": thread, "server": "probe", "tool": "echo", "arguments": {"text": sys.argv[2]}})
# Codex kills its servers at its end, and the records of the last 100 ms with them.
time.sleep(1)
server.stdin.close(); server.wait(20)
"#;

/// Grok says whether it is connected, and does not end.
const GROK: &str = r#"
import subprocess, sys
client = subprocess.Popen([sys.argv[1], "mcp", "test", "probe"], stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
for line in client.stdout:
    print(line, end="")
    if "Successfully" in line or "Failed" in line:
        break
client.kill(); client.wait()
"#;
