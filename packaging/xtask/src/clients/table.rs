//! The clients that npm brings, and how each is driven without a terminal and without an account.

/// One client.
pub struct TestedClient {
    pub id: &'static str,
    pub package: &'static str,
    pub version: &'static str,
    pub bin: &'static str,
    /// Whether it is run in `ci`: the three that install fastest, of those that connect.
    pub is_quick: bool,
    /// The client that `adopt` knows, or its file.
    pub adopt: Option<&'static str>,
    /// Below the home.
    pub config: &'static str,
    pub add: Add,
    /// The arguments with which it writes a remote entry.
    pub add_remote: Option<&'static [&'static str]>,
    pub env: &'static [(&'static str, &'static str)],
    /// What makes it connect, if anything does without an account, and what it says then.
    pub connect: Option<Script>,
    pub connected: &'static str,
    /// What calls the tool `echo` without a model.
    pub call: Option<Script>,
    /// Whether it writes its config at other times too.
    pub rewrites: bool,
    /// What it does only with an account.
    pub untested: &'static str,
}

/// How the server gets into its config. `SERVER` (for a remote one its URL) and `TOKEN` are replaced.
#[derive(Clone, Copy)]
pub enum Add {
    Command(&'static [&'static str]),
    File(&'static str),
}

/// One run of a client. `ECHO` is replaced.
pub enum Script {
    /// Its arguments.
    Words(&'static [&'static str]),
    /// A program that speaks its protocol; its arguments are the client and the text.
    Python(&'static str),
}

pub const CLIENTS: &[TestedClient] = &[
    TestedClient {
        id: "mcporter",
        package: "mcporter",
        version: "0.12.3",
        bin: "mcporter",
        is_quick: true,
        adopt: Some("mcporter"),
        config: ".mcporter/mcporter.json",
        add: Add::Command(&[
            "config",
            "add",
            "probe",
            "--command",
            "SERVER",
            "--env",
            "DEMO_KEY=TOKEN",
            "--scope",
            "home",
        ]),
        add_remote: Some(&[
            "config",
            "add",
            "probe",
            "SERVER",
            "--header",
            "Authorization=Bearer TOKEN",
            "--scope",
            "home",
        ]),
        env: &[],
        connect: Some(Script::Words(&["list", "probe"])),
        connected: "echo",
        call: Some(Script::Words(&["call", "probe.echo", "text=ECHO"])),
        rewrites: false,
        untested: "nothing: it needs no account",
    },
    TestedClient {
        id: "gemini-cli",
        package: "@google/gemini-cli",
        version: "0.61.0",
        bin: "gemini",
        is_quick: true,
        adopt: Some("gemini-cli"),
        config: ".gemini/settings.json",
        add: Add::Command(&[
            "mcp",
            "add",
            "-s",
            "user",
            "-e",
            "DEMO_KEY=TOKEN",
            "probe",
            "SERVER",
        ]),
        add_remote: Some(&[
            "mcp",
            "add",
            "-s",
            "user",
            "-t",
            "http",
            "-H",
            "Authorization: Bearer TOKEN",
            "probe",
            "SERVER",
        ]),
        env: &[("GEMINI_CLI_TRUST_WORKSPACE", "true")],
        connect: Some(Script::Words(&["mcp", "list"])),
        connected: "Connected",
        call: None,
        rewrites: false,
        untested: "a call, which its model makes",
    },
    TestedClient {
        id: "qwen-code",
        package: "@qwen-code/qwen-code",
        version: "0.24.4",
        bin: "qwen",
        is_quick: true,
        adopt: Some("qwen-code"),
        config: ".qwen/settings.json",
        add: Add::Command(&[
            "mcp",
            "add",
            "-s",
            "user",
            "-e",
            "DEMO_KEY=TOKEN",
            "probe",
            "SERVER",
        ]),
        add_remote: Some(&[
            "mcp",
            "add",
            "-s",
            "user",
            "-t",
            "http",
            "-H",
            "Authorization: Bearer TOKEN",
            "probe",
            "SERVER",
        ]),
        env: &[],
        connect: Some(Script::Words(&["mcp", "list"])),
        connected: "Connected",
        call: None,
        rewrites: true,
        untested: "a call, which its model makes",
    },
    TestedClient {
        id: "inspector",
        package: "@modelcontextprotocol/inspector",
        version: "2.12.0",
        bin: "mcp-inspector",
        is_quick: false,
        adopt: None,
        config: "mcp.json",
        add: Add::File(
            "{\n  \"mcpServers\": {\n    \"probe\": { \"command\": \"SERVER\", \"args\": [], \"env\": { \"DEMO_KEY\": \"TOKEN\" } }\n  }\n}\n",
        ),
        add_remote: None,
        env: &[],
        connect: Some(Script::Words(&[
            "--cli",
            "--config",
            "mcp.json",
            "--server",
            "probe",
            "--method",
            "tools/list",
        ])),
        connected: "\"echo\"",
        call: Some(Script::Words(&[
            "--cli",
            "--config",
            "mcp.json",
            "--server",
            "probe",
            "--method",
            "tools/call",
            "--tool-name",
            "echo",
            "--tool-arg",
            "text=ECHO",
        ])),
        rewrites: false,
        untested: "nothing: it needs no account",
    },
    TestedClient {
        id: "codex",
        package: "@openai/codex",
        version: "0.171.0",
        bin: "codex",
        is_quick: false,
        adopt: Some("codex"),
        config: ".codex/config.toml",
        add: Add::Command(&[
            "mcp",
            "add",
            "probe",
            "--env",
            "DEMO_KEY=TOKEN",
            "--",
            "SERVER",
        ]),
        add_remote: None,
        env: &[],
        connect: Some(Script::Python(CODEX)),
        connected: "fake-server",
        call: Some(Script::Python(CODEX)),
        rewrites: true,
        untested: "a call that its model makes (its app server calls without one)",
    },
    TestedClient {
        id: "opencode",
        package: "opencode-ai",
        version: "1.18.33",
        bin: "opencode",
        is_quick: false,
        adopt: Some("opencode"),
        config: ".config/opencode/opencode.jsonc",
        add: Add::Command(&[
            "mcp",
            "add",
            "probe",
            "--env",
            "DEMO_KEY=TOKEN",
            "--",
            "SERVER",
        ]),
        add_remote: None,
        env: &[],
        connect: Some(Script::Words(&["mcp", "list"])),
        connected: "connected",
        call: None,
        rewrites: true,
        untested: "a call, which its model makes",
    },
    TestedClient {
        id: "claude-code",
        package: "@anthropic-ai/claude-code",
        version: "2.1.332",
        bin: "claude",
        is_quick: false,
        adopt: Some("claude-code"),
        config: ".claude.json",
        add: Add::Command(&[
            "mcp",
            "add",
            "probe",
            "--scope",
            "user",
            "-e",
            "DEMO_KEY=TOKEN",
            "--",
            "SERVER",
        ]),
        add_remote: None,
        env: &[("DISABLE_AUTOUPDATER", "1")],
        connect: Some(Script::Words(&["mcp", "list"])),
        connected: "Connected",
        call: None,
        rewrites: true,
        untested: "a call, which its model makes",
    },
    TestedClient {
        id: "copilot-cli",
        package: "@github/copilot",
        version: "1.0.102",
        bin: "copilot",
        is_quick: false,
        adopt: Some("copilot-cli"),
        config: ".copilot/mcp-config.json",
        add: Add::Command(&[
            "mcp",
            "add",
            "probe",
            "--env",
            "DEMO_KEY=TOKEN",
            "--",
            "SERVER",
        ]),
        add_remote: None,
        env: &[],
        connect: None,
        connected: "",
        call: None,
        rewrites: false,
        untested: "a connection, for which it wants an account",
    },
    TestedClient {
        id: "amp",
        package: "@sourcegraph/amp",
        version: "0.0.1790142911-g7618fb",
        bin: "amp",
        is_quick: false,
        adopt: Some("amp"),
        config: ".config/amp/settings.json",
        add: Add::Command(&[
            "mcp",
            "add",
            "probe",
            "--env",
            "DEMO_KEY=TOKEN",
            "--",
            "SERVER",
        ]),
        add_remote: None,
        env: &[],
        connect: None,
        connected: "",
        call: None,
        rewrites: false,
        untested: "a connection, for which it wants an account",
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
