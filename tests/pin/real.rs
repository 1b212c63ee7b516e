//! Real servers of the public registries.
//!
//! Runs only if `MCPWRAP_TEST_REQUIRE` contains the word `registry`: it downloads several hundred
//! MiB.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Test, policy_text, skip};

/// Registries and busy machines are slow.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(5);

/// How many servers are tested in parallel.
const TOGETHER: usize = 3;

/// Variables and their values.
type Pairs = &'static [(&'static str, &'static str)];

/// The most used servers that start without an account, with the arguments and variables they need.
const SERVERS: &[(&str, &[&str], Pairs)] = &[
    (
        "filesystem",
        &[
            "npx",
            "-y",
            "@modelcontextprotocol/server-filesystem@2025.8.21",
            "/tmp",
        ],
        &[],
    ),
    (
        "memory",
        &["npx", "-y", "@modelcontextprotocol/server-memory"],
        &[],
    ),
    (
        "thinking",
        &[
            "npx",
            "-y",
            "@modelcontextprotocol/server-sequential-thinking",
        ],
        &[],
    ),
    (
        "everything",
        &["npx", "-y", "@modelcontextprotocol/server-everything"],
        &[],
    ),
    (
        "github",
        &["npx", "-y", "@modelcontextprotocol/server-github@2025.4.8"],
        &[("GITHUB_PERSONAL_ACCESS_TOKEN", "none")],
    ),
    (
        "brave",
        &["npx", "-y", "@brave/brave-search-mcp-server"],
        &[("BRAVE_API_KEY", "none")],
    ),
    (
        "context7",
        &["npx", "-y", "@upstash/context7-mcp@latest"],
        &[],
    ),
    ("playwright", &["npx", "-y", "@playwright/mcp@latest"], &[]),
    (
        "notion",
        &["npx", "-y", "@notionhq/notion-mcp-server"],
        &[("NOTION_TOKEN", "none")],
    ),
    (
        "tavily",
        &["npx", "-y", "tavily-mcp@latest"],
        &[("TAVILY_API_KEY", "none")],
    ),
    ("time", &["uvx", "mcp-server-time"], &[]),
    ("git", &["uvx", "mcp-server-git"], &[]),
    ("fetch", &["uvx", "mcp-server-fetch"], &[]),
    // Does not start with the currently published version.
    (
        "sqlite",
        &["uvx", "--exclude-newer", "2025-06-01", "mcp-server-sqlite"],
        &[],
    ),
    (
        "atlassian",
        &["uvx", "mcp-atlassian"],
        &[
            ("JIRA_URL", "https://example.atlassian.net"),
            ("JIRA_USERNAME", "none"),
            ("JIRA_API_TOKEN", "none"),
        ],
    ),
];

/// The ten most used npm servers and five PyPI servers, installed, started, renewed; tools/list
/// is equal to the bare launcher's.
#[test]
fn real_servers_have_the_same_tools_as_with_their_launcher() {
    if !std::env::var("MCPWRAP_TEST_REQUIRE")
        .unwrap_or_default()
        .contains("registry")
    {
        return skip(
            "registry",
            "the public registries are asked only where that is wished",
        );
    }
    let wanted = std::env::var("MCPWRAP_TEST_SERVERS").unwrap_or_default();
    let chosen: Vec<_> = SERVERS
        .iter()
        .filter(|(name, ..)| wanted.is_empty() || wanted.contains(name))
        .collect();
    let failed = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    // A few in parallel, since most of the time is spent waiting for the network.
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                while let Some((name, command, env)) =
                    chosen.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let result = std::panic::catch_unwind(|| same_tools(name, command, env));
                    let Err(panic) = result else { continue };
                    let text = panic.downcast_ref::<String>().cloned();
                    let fixed = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                    let text = text.or(fixed).unwrap_or_default();
                    failed.lock().unwrap().push(format!("{name}: {text}"));
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        chosen.len(),
        failed.join("\n")
    );
}

fn same_tools(name: &str, command: &[&str], env: &[(&str, &str)]) {
    let test = Test::new();
    test.init();
    let uv = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/pypi/uv/bin");
    test.set(
        "PATH",
        format!("{}:/usr/local/bin:/usr/bin:/bin", uv.display()),
    );
    for name in [
        "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS",
        "HTTPS_PROXY",
        "HTTP_PROXY",
    ] {
        if let Some(value) = std::env::var_os(name) {
            test.set(name, value);
        }
    }
    for (variable, value) in env {
        test.set(*variable, *value);
    }
    let pass: Vec<_> = env.iter().map(|(variable, _)| *variable).collect();
    test.write_policy(
        name,
        &policy_text(command, &format!("[env]\npass = {pass:?}\n")),
    );
    let pinned = test.start(test.command(test.program()).args(["pin", name, "--yes"]));
    let pinned = pinned.end_within(DOWNLOAD_LIMIT);
    assert_eq!(pinned.code, 0, "{pinned}");
    let mut run = test.run(name);
    let answer = run.initialize();
    assert!(answer.get("result").is_some(), "{answer}");
    let tools = tools(&run.request("tools/list", &json!({})));
    // A new server behind the same session has the same tools.
    test.ok(&["renew", name]);
    let renewed = self::tools(&run.request("tools/list", &json!({})));
    assert!(
        renewed == tools,
        "other tools after a renewal: {}",
        difference(&renewed, &tools)
    );
    let launches = test.events().into_iter().filter(|event| event == "launch");
    // Each is recorded before and after it happens.
    assert_eq!(launches.count(), 4);
    run.finish();

    let launcher = || {
        let mut bare = test.command(command[0]);
        bare.args(&command[1..]);
        test.start(&mut bare)
    };
    // The launcher downloads at its first start, which is not what this measures.
    let mut cold = launcher();
    cold.close();
    cold.end_within(DOWNLOAD_LIMIT);
    let mut bare = launcher();
    bare.initialize();
    let expected = self::tools(&bare.request("tools/list", &json!({})));
    bare.finish();
    assert!(!expected.is_empty(), "the launcher shows no tools");
    assert!(
        tools == expected,
        "other tools than bare: {}",
        difference(&tools, &expected)
    );
}

/// The names of the tools that differ.
fn difference(one: &[(String, Value)], other: &[(String, Value)]) -> String {
    let lacks = |tool: &&(String, Value), list: &[(String, Value)]| !list.contains(tool);
    let ours = one.iter().filter(|tool| lacks(tool, other));
    let theirs = other.iter().filter(|tool| lacks(tool, one));
    let names: Vec<_> = ours.chain(theirs).map(|(name, _)| name.as_str()).collect();
    format!("{} and {}: {}", one.len(), other.len(), names.join(", "))
}

/// The tools by name, with their arguments.
fn tools(answer: &Value) -> Vec<(String, Value)> {
    let tools = answer["result"]["tools"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let one = |tool: &Value| (tool["name"].to_string(), ordered(&tool["inputSchema"]));
    let mut all: Vec<_> = tools.iter().map(one).collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// A value with each list in a text sorted: some servers print Python sets, whose order differs in
/// each process.
fn ordered(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let mut parts: Vec<_> = text.split(',').collect();
            parts.sort_unstable();
            parts.join(",").into()
        }
        Value::Array(list) => list.iter().map(ordered).collect(),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| (key.clone(), ordered(value)));
            Value::Object(pairs.collect())
        }
        other => other.clone(),
    }
}
