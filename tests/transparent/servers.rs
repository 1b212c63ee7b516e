//! The real servers: the command of each, the steps to run, and the parts of its answers that
//! differ from run to run (a process ID).

use std::path::PathBuf;

use serde_json::{Value, json};

use super::cache;
use crate::harness::{Test, fake_server};

pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
    /// Variables that the server needs, from the client's config without mcpwrap, else from the
    /// policy.
    pub(crate) set: Vec<(String, String)>,
    /// Methods with parameters, for the SDK drivers.
    pub(crate) steps: Value,
    /// The roots that the client reports, if any.
    pub(crate) roots: Option<Value>,
    data: PathBuf,
}

/// What must be installed for a server.
pub(crate) fn needs(name: &str) -> &'static str {
    match name {
        "time" | "git" => "pypi",
        "fake" => "nothing",
        _ => "npm",
    }
}

impl Server {
    pub(crate) fn new(test: &Test, name: &str) -> Self {
        let data = test.dir.join("data");
        let path = data.display().to_string();
        let (name, command, steps) = match name {
            "everything" => ("everything", reference("everything", &[]), everything()),
            "memory" => ("memory", reference("memory", &[]), memory()),
            "filesystem" => (
                "filesystem",
                reference("filesystem", &[&path]),
                filesystem(&path),
            ),
            "time" => (
                "time",
                pypi("time", &["--local-timezone=Europe/Zurich"]),
                time(),
            ),
            "git" => ("git", pypi("git", &[]), git(&path)),
            _ if name != "fake" => {
                let vendor = VENDORS.iter().find(|vendor| vendor.name == name).unwrap();
                (
                    vendor.name,
                    npm(vendor.script, vendor.arguments),
                    json!(["tools/list"]),
                )
            }
            _ => (
                "fake",
                vec![fake_server().display().to_string(), "early-notice".into()],
                fake(),
            ),
        };
        let file = (
            "MEMORY_FILE_PATH".to_owned(),
            format!("{path}/memory.jsonl"),
        );
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let set = match name {
            "memory" => vec![file],
            // It starts without a token, but not without a team.
            "slack" => vec![pair(("SLACK_TEAM_ID", "T00000000"))],
            // No telemetry from test runs.
            "figma" => vec![pair(("DO_NOT_TRACK", "1"))],
            _ => Vec::new(),
        };
        Self {
            name,
            command,
            set,
            steps,
            roots: None,
            data,
        }
    }

    /// The variables in TOML.
    pub(crate) fn set_text(&self) -> String {
        let lines = self
            .set
            .iter()
            .map(|(name, value)| format!("{name} = \"{value}\"\n"));
        lines.collect::<Vec<_>>().concat()
    }

    /// The Inspector's arguments for the steps that it supports.
    pub(crate) fn inspector_steps(&self) -> Vec<Vec<&'static str>> {
        let mut steps = vec![vec!["tools/list"]];
        let call = |rest: &[&'static str]| [&["tools/call", "--tool-name"], rest].concat();
        match self.name {
            "everything" => {
                steps.push(vec!["prompts/list"]);
                steps.push(call(&["get-sum", "--tool-arg", "a=1", "b=2"]));
            }
            "time" => steps.push(call(&[
                "get_current_time",
                "--tool-arg",
                "timezone=Nowhere",
            ])),
            "fake" => steps.push(call(&["echo", "--tool-arg", "text=hello"])),
            _ => steps.push(call(&["no-such-tool"])),
        }
        steps
    }

    /// The same files before each run: an empty directory, or a repository with one commit.
    pub(crate) fn reset(&self, test: &Test) {
        drop(std::fs::remove_dir_all(&self.data));
        std::fs::create_dir(&self.data).unwrap();
        if self.name == "git" {
            let script = "git init -q && echo text > file && git add file && git commit -qm first";
            let mut command = test.command("/bin/sh");
            for role in ["AUTHOR", "COMMITTER"] {
                command.env(format!("GIT_{role}_NAME"), "Ana");
                command.env(format!("GIT_{role}_EMAIL"), "ana@example.org");
                command.env(format!("GIT_{role}_DATE"), "2026-11-23T14:03:00Z");
            }
            let ended = test
                .start(command.args(["-c", script]).current_dir(&self.data))
                .finish();
            assert_eq!(ended.code, 0, "{ended}");
        }
    }

    /// Normalises what differs from run to run.
    pub(crate) fn level(&self, seen: &mut Value) {
        match seen {
            Value::String(text) if self.name == "fake" => {
                let ready = "fake-server: ready ";
                let lines = text
                    .split_inclusive('\n')
                    .map(|line| match line.find(ready) {
                        Some(at) => format!("{}{ready}…\n", &line[..at]),
                        None => line.to_owned(),
                    });
                *text = lines.collect();
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.level(item)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.level(value)),
            _ => {}
        }
    }
}

/// A vendor's server that starts and lists its tools without the network.
struct Vendor {
    name: &'static str,
    /// The variable for its credential.
    variable: &'static str,
    script: &'static str,
    arguments: &'static [&'static str],
}

const fn vendor(name: &'static str, variable: &'static str, script: &'static str) -> Vendor {
    Vendor {
        name,
        variable,
        script,
        arguments: &[],
    }
}

const VENDORS: &[Vendor] = &[
    vendor(
        "brave",
        "BRAVE_API_KEY",
        "@brave/brave-search-mcp-server/dist/index.js",
    ),
    vendor(
        "context7",
        "CONTEXT7_API_KEY",
        "@upstash/context7-mcp/dist/index.js",
    ),
    vendor("exa", "EXA_API_KEY", "exa-mcp-server/dist/stdio.cjs"),
    Vendor {
        arguments: &["--stdio"],
        ..vendor("figma", "FIGMA_API_KEY", "figma-developer-mcp/dist/bin.js")
    },
    vendor(
        "firecrawl",
        "FIRECRAWL_API_KEY",
        "firecrawl-mcp/dist/index.js",
    ),
    vendor(
        "notion",
        "NOTION_TOKEN",
        "@notionhq/notion-mcp-server/bin/cli.mjs",
    ),
    // It needs none, but gets one anyway.
    vendor("playwright", "PLAYWRIGHT_TOKEN", "@playwright/mcp/cli.js"),
    vendor(
        "slack",
        "SLACK_BOT_TOKEN",
        "@modelcontextprotocol/server-slack/dist/index.js",
    ),
    vendor("tavily", "TAVILY_API_KEY", "tavily-mcp/build/index.js"),
];

/// The variable for the credential of a server.
pub(crate) fn variable(name: &str) -> &'static str {
    let vendor = VENDORS.iter().find(|vendor| vendor.name == name);
    vendor.map_or("TEST_TOKEN", |vendor| vendor.variable)
}

fn reference(name: &str, arguments: &[&str]) -> Vec<String> {
    npm(
        &format!("@modelcontextprotocol/server-{name}/dist/index.js"),
        arguments,
    )
}

fn npm(script: &str, arguments: &[&str]) -> Vec<String> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let mut nodes = std::env::split_paths(&search).map(|dir| dir.join("node"));
    let node = nodes.find(|path| path.is_file()).unwrap_or("node".into());
    let script = cache(&format!("npm/node_modules/{script}"));
    let script = script.display().to_string();
    let rest = arguments.iter().map(|argument| (*argument).to_owned());
    [node.display().to_string(), script]
        .into_iter()
        .chain(rest)
        .collect()
}

fn pypi(name: &str, arguments: &[&str]) -> Vec<String> {
    let program = cache(&format!("pypi/mcp-2/bin/mcp-server-{name}"));
    let mut command = vec![program.display().to_string()];
    command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    command
}

fn call(tool: &str, arguments: &Value) -> Value {
    json!(["tools/call", {"name": tool, "arguments": arguments}])
}

fn everything() -> Value {
    json!([
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
        ["prompts/get", {"name": "args-prompt", "arguments": {"city": "Zürich"}}],
        call("echo", &json!({"message": "naïve \u{1f980} \"quoted\" \\ \n end"})),
        call("get-sum", &json!({"a": 0.1, "b": 1e21})),
        call("get-sum", &json!({"a": "not a number"})),
        call("get-tiny-image", &json!({})),
        call("get-structured-content", &json!({"location": "New York"})),
        call("no-such-tool", &json!({})),
        ["resources/read", {"uri": "demo://no/such"}],
    ])
}

fn memory() -> Value {
    let entity = json!({"name": "é", "entityType": "letter", "observations": ["one"]});
    json!([
        "tools/list",
        call("create_entities", &json!({"entities": [entity]})),
        call("search_nodes", &json!({"query": "letter"})),
        call("read_graph", &json!({})),
        call("create_entities", &json!({"entities": "no list"})),
    ])
}

fn filesystem(path: &str) -> Value {
    json!([
        "tools/list",
        call("list_allowed_directories", &json!({})),
        call(
            "write_file",
            &json!({"path": format!("{path}/a"), "content": "é\n\u{0}"})
        ),
        call("read_text_file", &json!({"path": format!("{path}/a")})),
        call("list_directory", &json!({"path": path})),
        call("read_text_file", &json!({"path": "/etc/hostname"})),
    ])
}

fn time() -> Value {
    let convert = |zone: &str| {
        let time =
            json!({"source_timezone": zone, "time": "14:03", "target_timezone": "Asia/Tokyo"});
        call("convert_time", &time)
    };
    let unknown = call("no_such_tool", &json!({}));
    json!([
        "tools/list",
        convert("Europe/Zurich"),
        convert("Nowhere/At_All"),
        unknown
    ])
}

fn git(path: &str) -> Value {
    json!([
        "tools/list",
        call("git_status", &json!({"repo_path": path})),
        call("git_log", &json!({"repo_path": path})),
        call("git_show", &json!({"repo_path": path, "revision": "HEAD"})),
        call("git_log", &json!({"repo_path": "/nowhere"})),
    ])
}

fn fake() -> Value {
    json!([
        "tools/list",
        "resources/list",
        "prompts/list",
        call("echo", &json!({"text": "é \u{1f980} \u{2028} \\u0000"})),
        call("fill", &json!({"bytes": 3 << 20})),
        call(
            "say",
            &json!({"stream": "stderr", "hex": "e9ff0a", "piece": 1})
        ),
        call("no-such-tool", &json!({})),
    ])
}
