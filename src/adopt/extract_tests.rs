//! Entries and what is extracted from them, as tables of cases.

use std::path::Path;

use super::extract::extract;
use super::extracted::Extracted;
use super::references::References;
use crate::client::document::Document;
use crate::client::entry::entries;
use crate::client::tree::FileFormat;
use crate::detect;

fn extracted(entry: &str) -> Result<Extracted, String> {
    let text = format!("{{\"mcpServers\": {{\"x\": {entry}}}}}");
    let document = Document::read(FileFormat::Json, text.into_bytes()).unwrap();
    let entry = entries(&document).remove(0);
    let judged = detect::entry(&entry);
    let references = References {
        fills_in: true,
        home: Path::new("/home/u"),
        project: None,
        variable: &|_| None,
    };
    extract(&entry, &judged, &references)
}

#[track_caller]
fn case(entry: &str, command: &[&str], values: &[(&str, &str)]) {
    let extracted = extracted(entry).unwrap();
    assert_eq!(extracted.command, command);
    let found: Vec<_> = extracted
        .values
        .iter()
        .map(|v| (v.variable.as_str(), v.text.as_str()))
        .collect();
    assert_eq!(found, values);
}

const KEY: &str = "a1b2c3d4-e5f6-4789-8abc-def012345678";

#[test]
fn secrets_are_extracted_and_the_rest_stays() {
    case(
        &format!(
            r#"{{"command": "npx", "args": ["-y", "exa-mcp-server"], "env": {{"EXA_API_KEY": "{KEY}", "LOG": "x"}}}}"#
        ),
        &["npx", "-y", "exa-mcp-server"],
        &[("EXA_API_KEY", KEY)],
    );
    case(
        &format!(
            r#"{{"command": "npx", "args": ["@smithery/cli", "run", "x", "--key", "{KEY}"]}}"#
        ),
        &["npx", "@smithery/cli", "run", "x", "--key", "{secret.KEY}"],
        &[("KEY", KEY)],
    );
    case(
        r#"{"command": "npx", "args": ["server-pg", "postgres://u:s3cretPw9@db.example.org/x"]}"#,
        &[
            "npx",
            "server-pg",
            "postgres://u:{secret.PASSWORD}@db.example.org/x",
        ],
        &[("PASSWORD", "s3cretPw9")],
    );
}

#[test]
fn an_argument_becomes_a_variable_where_the_server_knows_one() {
    let key = "ctx7sk-40d4888c-a8bc-7e94-9581-b2fdc4bf195d";
    case(
        &format!(
            r#"{{"command": "npx", "args": ["-y", "@upstash/context7-mcp", "--api-key", "{key}", "--x"]}}"#
        ),
        &["npx", "-y", "@upstash/context7-mcp", "--x"],
        &[("CONTEXT7_API_KEY", key)],
    );
    case(
        &format!(
            r#"{{"command": "npx", "args": ["-y", "@21st-dev/magic@latest", "API_KEY=\"{KEY}\""]}}"#
        ),
        &["npx", "-y", "@21st-dev/magic@latest"],
        &[("API_KEY", KEY)],
    );
}

#[test]
fn docker_takes_a_variable_by_its_name() {
    case(
        &format!(
            r#"{{"command": "docker", "args": ["run", "-i", "-e", "TOKEN={KEY}", "-e", "LOG=1", "mcp/x"]}}"#
        ),
        &["docker", "run", "-i", "-e", "TOKEN", "-e", "LOG=1", "mcp/x"],
        &[("TOKEN", KEY)],
    );
    let extracted = extracted(r#"{"command": "docker", "args": ["run", "--env=DB_URL=postgres://u:s3cretPw9@h/d", "mcp/x"]}"#).unwrap();
    assert_eq!(
        extracted.command,
        ["docker", "run", "--env=DB_URL", "mcp/x"]
    );
    assert_eq!(
        extracted.set["DB_URL"],
        "postgres://u:{secret.DB_URL_PASSWORD}@h/d"
    );
}

#[test]
fn connection_strings_and_names_that_load_code() {
    let extracted = extracted(r#"{"command": "x", "env": {"DB": "postgres://u:s3cretPw9@h.example/d", "NODE_OPTIONS": "--max-old-space-size=4096", "A": "${env:A}"}}"#).unwrap();
    assert_eq!(
        extracted.set["DB"],
        "postgres://u:{secret.DB_PASSWORD}@h.example/d"
    );
    assert_eq!(extracted.set["NODE_OPTIONS"], "--max-old-space-size=4096");
    assert_eq!(extracted.pass, ["A"]);
}

/// Every way in which an entry can hold a secret.
#[test]
fn secrets_in_every_place() {
    let args = |args: &str| format!(r#"{{"command": "npx", "args": [{args}]}}"#);
    case(
        &args(&format!(r#""s", "--api-key={KEY}""#)),
        &["npx", "s", "--api-key={secret.API_KEY}"],
        &[("API_KEY", KEY)],
    );
    case(
        &args(r#""mysql-mcp", "-ps3cretPw9""#),
        &["npx", "mysql-mcp", "-p{secret.PASSWORD}"],
        &[("PASSWORD", "s3cretPw9")],
    );
    case(
        &args(&format!(r#""supergateway", "--env.API_TOKEN={KEY}""#)),
        &["npx", "supergateway", "--env.API_TOKEN={secret.API_TOKEN}"],
        &[("API_TOKEN", KEY)],
    );
    case(
        &args(&format!(
            r#""mcp-remote", "https://mcp.example.org/sse?apiKey={KEY}&v=1", "--header", "Authorization: Bearer x{KEY}""#
        )),
        &[
            "npx",
            "mcp-remote",
            "https://mcp.example.org/sse?apiKey={secret.API_KEY}&v=1",
            "--header",
            "Authorization: Bearer {secret.AUTHORIZATION}",
        ],
        &[("API_KEY", KEY), ("AUTHORIZATION", &format!("x{KEY}"))],
    );
    let entry = format!(
        r#"{{"command": "npx", "args": ["@notionhq/notion-mcp-server"], "env": {{"OPENAPI_MCP_HEADERS":
        "{{\"Authorization\": \"Bearer {KEY}\", \"Notion-Version\": \"2022-06-28\"}}"}}}}"#
    );
    let extracted = extracted(&entry).unwrap();
    let headers = extracted.set["OPENAPI_MCP_HEADERS"].as_str();
    let expected = r#"{"Authorization": "Bearer {secret.OPENAPI_MCP_HEADERS_AUTHORIZATION}", "Notion-Version": "2022-06-28"}"#;
    assert_eq!(headers, expected);
}

#[test]
fn what_cannot_be_adopted() {
    for (entry, word) in [
        (
            r#"{"command": "npx", "args": ["${workspaceFolder}/x"]}"#,
            "the client expands",
        ),
        (r#"{"command": "sh -c 'x y'"}"#, "shell"),
        (r#"{"command": "x", "envFile": ".env"}"#, "envFile"),
        (
            r#"{"command": "x", "env": {"a b": "c"}}"#,
            "not a variable name",
        ),
    ] {
        assert!(extracted(entry).unwrap_err().contains(word), "{entry}");
    }
}

#[test]
fn a_reference_does_not_keep_the_secret() {
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let secret = [("API_TOKEN", token.as_str())];
    let with = |command: &str, args: &str| {
        format!(r#"{{"command": "{command}", "args": {args}, "env": {{"API_TOKEN": "{token}"}}}}"#)
    };
    case(
        &with("node", r#"["${HOME}/proxy.js"]"#),
        &["node", "/home/u/proxy.js"],
        &secret,
    );
    case(
        &with("node", r#"["/s.js", "--root=${workspaceFolder}"]"#),
        &["node", "/s.js", "--root={client.workspace}"],
        &secret,
    );
    case(
        &format!(
            r#"{{"command": "npx", "args": ["mcp-remote@0.1.30", "https://x.example", "--header", "Authorization:${{AUTH}}"], "env": {{"AUTH": "Bearer {token}"}}}}"#
        ),
        &[
            "npx",
            "mcp-remote@0.1.30",
            "https://x.example",
            "--header",
            "Authorization:${AUTH}",
        ],
        &[("AUTH_AUTHORIZATION", token.as_str())],
    );
    case(
        &format!(r#"{{"command": "s", "args": ["--token", "${{T:-{token}}}"]}}"#),
        &["s", "--token", "{secret.TOKEN}"],
        &[("TOKEN", token.as_str())],
    );
    case(
        &with("node /s.js ${workspaceFolder}", "[]"),
        &["node", "/s.js", "{client.workspace}"],
        &secret,
    );
    let reason = extracted(&with("${workspaceFolder}/x", "[]")).unwrap_err();
    assert!(reason.contains("${workspaceFolder}"), "{reason}");
}

#[test]
fn a_secret_in_a_script_becomes_a_variable() {
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let entry =
        format!(r#"{{"command": "bash", "args": ["-lc", "API_TOKEN={token} exec node /s.js"]}}"#);
    case(
        &entry,
        &["bash", "-lc", "API_TOKEN=\"$API_TOKEN\" exec node /s.js"],
        &[("API_TOKEN", token.as_str())],
    );
    assert!(!extracted(&entry).unwrap().argv_secrets);
}
