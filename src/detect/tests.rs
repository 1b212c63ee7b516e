//! What is a secret, as tables of cases: the value, and its secret parts.

use super::*;

#[track_caller]
fn case(slot: ValueSite<'_>, text: &str, expected: &[&str]) {
    let verdict = value(slot, text);
    let found: Vec<_> = verdict
        .secrets()
        .iter()
        .map(|part| &text[part.range.clone()])
        .collect();
    assert_eq!(found, expected, "{slot:?} {text}: {verdict:?}");
}

#[test]
fn environment() {
    case(
        ValueSite::Env("EXA_API_KEY"),
        "b1946ac9-2492-4d23-8c7a-1f0e5d3c2b1a",
        &["b1946ac9-2492-4d23-8c7a-1f0e5d3c2b1a"],
    );
    case(
        ValueSite::Env("NOTION_DB_ID"),
        "b1946ac924924d238c7a1f0e5d3c2b1a",
        &[],
    );
    case(
        ValueSite::Env("DB_PASSWORD"),
        "correct horse",
        &["correct horse"],
    );
    case(ValueSite::Env("DB_PASSWORD"), "YOUR_PASSWORD", &[]);
    case(ValueSite::Env("VNC_PASSWORD"), "youvncpassword", &[]);
    case(
        ValueSite::Env("DATABASE_URL"),
        "postgres://u:s3cretPw9@db.example.org/x",
        &["s3cretPw9"],
    );
    case(
        ValueSite::Env("DATABASE_URL"),
        "postgres://postgres:postgres@localhost:5432/x",
        &[],
    );
    case(
        ValueSite::Env("GOOGLE_APPLICATION_CREDENTIALS"),
        "/home/u/key.json",
        &[],
    );
    case(ValueSite::Env("SESSION_DRIVER"), "file", &[]);
    // Names decide, however plain the value looks.
    for (name, text) in [
        ("PGPASSWORD", "RrSrnJashurE"),
        ("SENHA_DO_BANCO", "abacaxizinho"),
        ("密码", "dorogoy12"),
        ("DB_PASSWORD", "48213377"),
        ("API_KEY", "RrsAxhTpRPzh"),
        ("OPENAI_KEY_2", "kjhgfdsa2qw"),
        ("BOT_TOKEN", "48213377"),
        ("REDIS_PASSWORD", "p@ss/w0rd+x="),
    ] {
        case(ValueSite::Env(name), text, &[text]);
    }
    for (name, text) in [
        ("MAX_TOKENS", "100000000"),
        ("KEY_FILE", "/etc/keys/one.pem"),
        ("AUTH", "interactive"),
        ("API_KEY_HEADER", "X-Api-Key-Name"),
        ("SECRET_NAME", "production-database"),
        ("API_KEY", "op://a/b/c"),
        ("API_KEY", "dummy-key"),
        ("API_KEY", "GITHUB_API_KEY"),
    ] {
        case(ValueSite::Env(name), text, &[]);
    }
    case(
        ValueSite::Env("API_KEY"),
        "${API_KEY:-mnbvcxzlkj}",
        &["mnbvcxzlkj"],
    );
    case(ValueSite::Env("API_KEY"), "${API_KEY}", &[]);
    case(ValueSite::Env("API_KEY"), "여기에 키를 입력하세요", &[]);
    case(
        ValueSite::Env("OPENAPI_MCP_HEADERS"),
        r#"{"Authorization": "Bearer ntn_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3", "Notion-Version": "2022-06-28"}"#,
        &["ntn_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3"],
    );
}

#[test]
fn headers_and_urls() {
    case(
        ValueSite::Header("Authorization"),
        "Bearer a1b2c3d4e5f6a7b8c9d0",
        &["a1b2c3d4e5f6a7b8c9d0"],
    );
    case(ValueSite::Header("Content-Type"), "application/json", &[]);
    case(ValueSite::Header("Authorization"), "Bearer ${TOKEN}", &[]);
    case(
        ValueSite::Url,
        "https://h.example/mcp?exaApiKey=b1946ac9-2492-4d23-8c7a-1f0e5d3c2b1a&x=1",
        &["b1946ac9-2492-4d23-8c7a-1f0e5d3c2b1a"],
    );
    case(ValueSite::Url, "http://localhost:3000/sse", &[]);
    let key = "q7Rt2LmX9vKp4WzN8sDf6HjB3cYg";
    for before in ["mcp#", "mcp?", "mcp?x=1&", "mcp?x=1#/"] {
        case(
            ValueSite::Url,
            &format!("https://h.example/{before}{key}"),
            &[key],
        );
    }
    let padded = format!("{key}==");
    case(
        ValueSite::Url,
        &format!("https://h.example/mcp?{padded}"),
        &[&padded],
    );
    let whole = format!("kQ3xZ/{key}/tAil9Zz");
    case(
        ValueSite::Url,
        &format!("https://h.example/mcp?api_key={whole}"),
        &[&whole],
    );
    let heading = "https://h.example/docs#how-to-write-your-first-server";
    case(ValueSite::Url, heading, &[]);
}

#[track_caller]
fn line(arguments_: &[&str], expected: &[&str]) {
    let found: Vec<String> = arguments(arguments_)
        .iter()
        .zip(arguments_)
        .flat_map(|(verdict, text)| {
            verdict
                .secrets()
                .iter()
                .map(|part| text[part.range.clone()].to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(found, expected, "{arguments_:?}");
}

#[test]
fn arguments_with_their_flags() {
    let uuid = "b1946ac9-2492-4d23-8c7a-1f0e5d3c2b1a";
    line(
        &["npx", "-y", "@smithery/cli", "run", "x", "--key", uuid],
        &[uuid],
    );
    line(&["npx", "x", "--profile", "abc-def-123"], &[]);
    line(
        &["jbang", "jdbc:mariadb://h/db", "-ubob", "-pD5>Y18K@z+2."],
        &["D5>Y18K@z+2."],
    );
    line(&["sshpass", "-p", "Hunter42!", "ssh", "h"], &["Hunter42!"]);
    line(
        &[
            "docker",
            "run",
            "-p",
            "8080:80",
            "-e",
            "API_KEY=a1b2c3d4e5f6a7b8",
        ],
        &["a1b2c3d4e5f6a7b8"],
    );
    line(&["docker", "run", "-e", "GITHUB_TOKEN", "image"], &[]);
    line(
        &[
            "x",
            "--header",
            "Authorization: Bearer a1b2c3d4e5f6a7b8c9d0",
        ],
        &["a1b2c3d4e5f6a7b8c9d0"],
    );
    line(
        &[
            "sh",
            "-c",
            "API_TOKEN=a1b2c3d4e5f6a7b8 server --api-key q1w2e3r4t5y6u7i8 --port 80",
        ],
        &["a1b2c3d4e5f6a7b8", "q1w2e3r4t5y6u7i8"],
    );
    line(
        &[
            "npx",
            "-y",
            "@upstash/context7-mcp@1.0.31",
            "--transport",
            "stdio",
        ],
        &[],
    );
    line(&["node", "--import", "file:///x/y.mjs"], &[]);
    line(&["npx -y x --api-key mnbvcxzlkj"], &["mnbvcxzlkj"]);
    line(
        &[
            "sh",
            "-c",
            "A=ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8 x --token mnbvcxzlkj",
        ],
        &["ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8", "mnbvcxzlkj"],
    );
}

/// Values of all kinds, and pieces to combine them with.
const VALUES: &[&str] = &[
    "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
    "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
    "b1946ac9-2492-4d23-8c7a-1f0e5d3c2b1a",
    "aB3dE5fG7hI9jK1lM3nO5pQ7",
    "hunt3rTwo!",
    "postgres://u:s3cretPw9@db.example.org/x",
    "Bearer f3a1c0de55aa4bbc9ddd",
    "YOUR_API_KEY",
    "${env:X}",
    "-ps3cretPw9",
    "-p",
    "--api-key",
    "mysql",
    "info",
    "/home/user/x",
    "",
    "=",
    ": ",
    "{\"a\":\"",
];

const NAMES: &[&str] = &[
    "API_KEY",
    "DB_PASS",
    "URL",
    "X",
    "command",
    "args",
    "env",
    "headers",
    "settings",
    "auth",
    "url",
    "path",
    "requestOptions",
    "bearer_token",
];

proptest::proptest! {
    /// The quick filter misses nothing that the full scan would find.
    #[test]
    fn the_quick_filter_misses_no_secret(
        fields in proptest::collection::vec((0..NAMES.len(), 0..4_u8, proptest::collection::vec((0..VALUES.len(), 0..VALUES.len(), 0..NAMES.len()), 1..4)), 1..6),
    ) {
        use crate::client::entry::entries;
        use crate::client::document::Document;
use crate::client::tree::FileFormat;

        let mut server = serde_json::Map::new();
        for (name, shape, values) in fields {
            let text = |(a, b, _): &(usize, usize, usize)| {
                serde_json::Value::from(if a % 2 == 0 { VALUES[*a].to_owned() } else { format!("{}{}", VALUES[*a], VALUES[*b]) })
            };
            let list = || values.iter().map(text).collect::<serde_json::Value>();
            let map = |of: &dyn Fn(&(usize, usize, usize)) -> serde_json::Value| {
                values.iter().map(|one| (NAMES[one.2].to_owned(), of(one))).collect::<serde_json::Map<_, _>>()
            };
            let value = match shape {
                0 => text(&values[0]),
                1 => list(),
                2 => map(&text).into(),
                _ => map(&|_| list()).into(),
            };
            server.insert(NAMES[name].to_owned(), value);
        }
        let file = serde_json::json!({ "mcpServers": { "x": server } }).to_string();
        let document = Document::read(FileFormat::Json, file.clone().into_bytes()).unwrap();
        for found in entries(&document) {
            let secret = entry(&found).iter().any(|value| !value.verdict.secrets().is_empty());
            let node = document.find(&found.path).unwrap();
            proptest::prop_assert!(!secret || FirstLook::default().may_hold_secret(node), "{file}");
        }
    }
}
