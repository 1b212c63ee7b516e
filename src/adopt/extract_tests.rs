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
    let random = "Zt2LkVw9RbXcN4mPfGyDa1b2c3";
    case(
        &format!(r#"{{"command": "docker", "args": ["run", "-e", "TOK={random}", "mcp/x"]}}"#),
        &["docker", "run", "-e", "TOK", "mcp/x"],
        &[("TOK", random)],
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

#[test]
fn no_label_and_no_name_has_the_secret() {
    let password = "758YyPoc8q7PhK";
    for word in [
        format!("postgresql://u:{password}@h/d?sslmode=require"),
        format!("redis://:{password}@h/0?db=1"),
        format!("https://u:{password}@h/x?ref=main"),
    ] {
        for args in [
            format!(r#"["-y", "s", "{word}"]"#),
            format!(r#"["-y", "{word}"]"#),
            format!(r#"["s", "--", "{word}"]"#),
            format!(r#"["s", "--url", "{word}"]"#),
            format!(r#"["s", "--url={word}"]"#),
        ] {
            let entry = format!(r#"{{"command": "npx", "args": {args}}}"#);
            let extracted = extracted(&entry).unwrap();
            let place = extracted.values[0].place.as_str();
            let expected = if args.contains("--url") {
                "argument `--url`"
            } else {
                "an argument"
            };
            assert_eq!(place, expected, "{args}");
        }
    }
    // Nor is the word before a label, if it has one itself.
    for first in [format!("-p{password}"), format!("--api-key={KEY}")] {
        let entry = format!(
            r#"{{"command": "npx", "args": ["mysql-mcp", "{first}", "postgres://u:{password}9@h/d"]}}"#
        );
        let extracted = extracted(&entry).unwrap();
        assert_eq!(extracted.values[1].place, "an argument", "{first}");
    }
}

#[test]
fn a_part_of_a_variable_has_a_name_of_its_own() {
    let key = "-----BEGIN PRIVATE KEY-----\\nMIIBa1B2\\n-----END PRIVATE KEY-----";
    for (name, value, expected) in [
        ("PEM", format!("{key}\\n"), "{secret.PEM_SECRET}\n"),
        ("API_TOKEN", format!("{KEY} "), "{secret.API_TOKEN_SECRET} "),
        (
            "URLS",
            "postgres://a:s3cretPw9@h/d,postgres://b:p9RLFnkPZi@i/d".to_owned(),
            "postgres://a:{secret.URLS_PASSWORD}@h/d,postgres://b:{secret.URLS_PASSWORD_2}@i/d",
        ),
    ] {
        let entry = format!(r#"{{"command": "x", "env": {{"{name}": "{value}"}}}}"#);
        let extracted = extracted(&entry).unwrap();
        assert_eq!(extracted.set[name], expected);
        assert!(extracted.values.iter().all(|value| value.variable != name));
    }
}

#[test]
fn variables_that_programs_know_are_not_overwritten() {
    let token = format!("ghp_{}", "a1B2".repeat(9));
    case(
        &format!(
            r#"{{"command": "npx", "args": ["-y", "git+https://{token}@github.com/a/x.git"]}}"#
        ),
        &["npx", "-y", "git+https://{secret.TOKEN}@github.com/a/x.git"],
        &[("TOKEN", token.as_str())],
    );
    case(
        &format!(r#"{{"command": "s", "args": ["--user", "{token}"]}}"#),
        &["s", "--user", "{secret.USER_SECRET}"],
        &[("USER_SECRET", token.as_str())],
    );
}

#[test]
fn a_home_is_not_left_to_choose_the_files_of_mcpwrap() {
    let entry = format!(
        r#"{{"command": "s", "env": {{"API_KEY": "{KEY}", "HOME": "/h", "XDG_CONFIG_HOME": "/c", "LOG": "x"}}}}"#
    );
    let extracted = extracted(&entry).unwrap();
    assert_eq!(extracted.drop_env, ["API_KEY", "HOME", "XDG_CONFIG_HOME"]);
    assert_eq!(extracted.set["HOME"], "/h");
    assert_eq!(extracted.pass, ["LOG"]);
}

#[test]
fn a_script_that_would_not_have_the_variable_is_refused() {
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let script = format!("API_KEY={token} npx -y s");
    let with = |command: &str, args: &str| {
        format!(r#"{{"command": "{command}", "args": [{args}, "-c", "{script}"]}}"#)
    };
    let reason = extracted(&with("docker", r#""run", "-i", "node:22", "sh""#)).unwrap_err();
    assert!(reason.contains("`docker`"), "{reason}");
    assert!(extracted(&with("env", r#""-i", "bash""#)).is_err());
    assert!(extracted(&with("env", r#""A=1", "bash""#)).is_ok());
}
