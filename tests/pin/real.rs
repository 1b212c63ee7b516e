//! Real servers of the public registries, where the machine may reach them.
//!
//! Runs only when `MCPWRAP_TEST_REQUIRE` has the word `registry`: it downloads some hundred MiB.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Test, policy_text, skip};

/// Registries and busy machines are slow.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(5);

/// Variables and their values.
type Pairs = &'static [(&'static str, &'static str)];

/// The most used ones that start without an account, with arguments they need and a value they ask for.
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
    // It does not start with what is published today.
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

/// Issue: the ten most used npm servers and five PyPI servers, installed and started; tools/list is
/// equal to the bare launcher's.
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
    let mut failed = Vec::new();
    for (name, command, env) in SERVERS
        .iter()
        .filter(|(name, ..)| wanted.is_empty() || wanted.contains(name))
    {
        let result = std::panic::catch_unwind(|| same_tools(name, command, env));
        if let Err(panic) = result {
            let text = panic.downcast_ref::<String>().cloned();
            let fixed = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or(fixed).unwrap_or_default();
            failed.push(format!("{name}: {text}"));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        SERVERS.len(),
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
    run.finish();

    let launcher = || {
        let mut bare = test.command(command[0]);
        bare.args(&command[1..]);
        test.start(&mut bare)
    };
    // The launcher downloads at its first start; the client's patience is not what is tested.
    let mut cold = launcher();
    cold.close();
    cold.end_within(DOWNLOAD_LIMIT);
    let mut bare = launcher();
    bare.initialize();
    let expected = self::tools(&bare.request("tools/list", &json!({})));
    bare.finish();
    assert!(!expected.is_empty(), "the launcher shows no tools");
    assert_eq!(tools, expected);
}

/// The tools by name, with what they take.
fn tools(answer: &Value) -> Vec<(String, Value)> {
    let tools = answer["result"]["tools"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let one = |tool: &Value| (tool["name"].to_string(), tool["inputSchema"].clone());
    let mut all: Vec<_> = tools.iter().map(one).collect();
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}
