//! Files as they occur: other line ends, byte order marks, sizes and names. Each is adopted without
//! a change to any other byte and restored byte for byte, or refused and unchanged.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::harness::{TOKEN, Test};

const PLAIN: &str = "{\n  \"theme\": \"dark\",\n  \"mcpServers\": {\n    \"x\": {\n      \"command\": \"/bin/cat\",\n      \
    \"env\": { \"API_TOKEN\": \"TOKEN\", \"LOG\": \"info\" }\n    }\n  }\n}\n";

/// Adopts a file and undoes it.
#[track_caller]
fn adopted(what: &str, name: &str, text: &str) {
    let test = Test::new();
    test.init();
    test.hide(TOKEN);
    let before = text.replace("\"TOKEN\"", &format!("\"{TOKEN}\""));
    let file = test.home.join(name);
    std::fs::write(&file, &before).unwrap();
    let shown = file.display().to_string();
    let ended = test.cli(&["adopt", "--yes", "--config", &shown]);
    assert_eq!(ended.code, 0, "{what} {ended}");
    let now = std::fs::read_to_string(&file).unwrap();
    assert!(
        !now.contains(TOKEN) && now.contains("\"run\""),
        "{what}: {now}"
    );
    // Everything outside the entry is unchanged.
    let same = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let entry = before.find("/bin/cat").unwrap();
    assert!(same(&before, &now) >= entry, "{what}: {now}");
    let tail = |text: &str| text.rsplit_once('}').unwrap().1.to_owned();
    assert_eq!(tail(&before), tail(&now), "{what}");
    test.ok(&["adopt", "--undo", "--yes"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before, "{what}");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn other_marks_line_ends_and_blanks() {
    let crlf = PLAIN.replace('\n', "\r\n");
    adopted("a mark of UTF-8", "a.json", &format!("\u{feff}{PLAIN}"));
    adopted("CRLF", "a.json", &crlf);
    adopted("both", "a.json", &format!("\u{feff}{crlf}"));
    adopted("tabs", "a.json", &PLAIN.replace("  ", "\t"));
    adopted("no last line end", "a.json", PLAIN.trim_end());
    adopted("one line", "a.json", &PLAIN.replace('\n', ""));
    let comments = PLAIN.replace("\"env\"", "// why\n      /* and how */ \"env\"");
    adopted(
        "comments",
        "a.jsonc",
        &comments.replace(" }\n    }", " },\n    },"),
    );
}

#[test]
fn forms_of_entries() {
    let nested = PLAIN.replace("\"command\"", "\"transport\": {\n\"command\"");
    adopted(
        "a nested transport",
        "a.json",
        &nested.replace("\"info\" }", "\"info\" } }"),
    );
    let variables = "[{\"name\": \"LOG\", \"value\": \"info\"}, {\"name\": \"API_TOKEN\", \"value\": \"TOKEN\"}]";
    let plain = "{ \"API_TOKEN\": \"TOKEN\", \"LOG\": \"info\" }";
    adopted(
        "variables in a list",
        "a.json",
        &PLAIN.replace(plain, variables),
    );
    let list = PLAIN.replace("\"mcpServers\": {", "\"servers\": [");
    let list = list.replace("\"x\": {", "{ \"name\": \"x\",");
    adopted(
        "servers in a list",
        "a.json",
        &list.replace("}\n  }\n}", "}\n  ]\n}"),
    );
}

/// What Claude Code keeps beside its servers is passed over, and stays as it is.
#[test]
fn a_file_of_several_megabytes() {
    let history = "{\"display\": \"x \\\"] } y\", \"é\": [1, null]},\n".repeat(60_000);
    let large = format!("\"history\": [{history} 0],\n  \"theme\"");
    adopted(
        "a history",
        ".claude.json",
        &PLAIN.replace("\"theme\"", &large),
    );
}

#[test]
fn the_secret_of_a_skipped_neighbour_is_not_shown() {
    const KEPT: &str = "q7Rt2LmX9vKp4WzN8sDf6HjB3cYg";
    let entries = [
        format!(r#""a": {{"command": "/bin/cat", "env": {{"API_TOKEN": "{TOKEN}"}}}}"#),
        format!(
            r#""b": {{"url": "http://b.example", "headers": {{"Authorization": "Bearer {KEPT}"}}}}"#
        ),
        r#""c": {"command": "/bin/sed"}"#.to_owned(),
    ];
    for separator in [",\n", ", "] {
        let test = Test::new();
        test.init();
        test.hide(TOKEN);
        test.hide(KEPT);
        let file = test.home.join("mcp.json");
        let text = format!("{{\"mcpServers\": {{\n{}\n}}}}\n", entries.join(separator));
        std::fs::write(&file, &text).unwrap();
        let shown = file.display().to_string();
        let planned = test.cli(&["adopt", "--dry-run", "--config", &shown]);
        assert!(planned.text().contains("[secret …3cYg]"), "{planned}");
        let done = test.cli(&["adopt", "--yes", "--config", &shown]);
        assert_eq!(done.code, 1, "{done}");
        let back = test.ok(&["adopt", "--undo", "--yes"]);
        assert!(back.text().contains("[secret …3cYg]"), "{back}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn names_of_all_kinds() {
    for name in [
        "🚀 server",
        "../../x",
        "a b",
        "-y",
        "ünï",
        "con",
        "\\\"q\\\"",
        &"n".repeat(300),
    ] {
        let text = PLAIN.replace("\"x\": {", &format!("\"{name}\": {{"));
        adopted(name, "a.json", &text);
    }
}

/// 58 KB `~/.claude.json`
#[test]
fn a_large_file_with_much_else_in_it() {
    let mut projects = String::new();
    for n in 0..220 {
        writeln!(
            projects,
            "    \"/home/u/p{n}\": {{ \"allowedTools\": [], \"history\": [ {{ \"display\": \"line {n} \\u00e9 🚀\", \
             \"pastedContents\": {{}} }} ], \"mcpServers\": {{}}, \"hasTrust\": true, \"cost\": {n}.50, \"last\": \"\
             0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123\" }},"
        )
        .unwrap();
    }
    let own = PLAIN.replacen("{\n", "", 1);
    let text = format!(
        "{{\n  \"numStartups\": 1.0e2,\n  \"oauthAccount\": {{ \"x\": null }},\n  \"projects\": {{\n{}\n  }},\n{own}",
        projects.trim_end().trim_end_matches(',')
    );
    assert!(text.len() > 58_000, "{}", text.len());
    adopted("58 KB", ".claude.json", &text);
}

/// A file that cannot be edited safely is refused with the reason, and unchanged.
#[test]
fn what_is_refused_is_untouched() {
    let test = Test::new();
    test.init();
    let full = PLAIN.replace("\"TOKEN\"", &format!("\"{TOKEN}\""));
    let utf16 = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
        let units = full.encode_utf16().flat_map(bytes);
        mark.into_iter().chain(units).collect::<Vec<u8>>()
    };
    let anchored = format!(
        "mcpServers:\n  a: &a\n    command: /bin/cat\n    env: {{API_TOKEN: {TOKEN}}}\n  b: *a\n"
    );
    let cases: &[(&str, &str, Vec<u8>)] = &[
        (
            "a.json",
            "UTF-16, but",
            utf16([0xff, 0xfe], u16::to_le_bytes),
        ),
        (
            "a.json",
            "UTF-16, but",
            utf16([0xfe, 0xff], u16::to_be_bytes),
        ),
        (
            "a.json",
            "not UTF-8",
            full.replace("dark", "d\u{e9}rk")
                .chars()
                .map(|c| c as u8)
                .collect(),
        ),
        (
            "a.json",
            "repeats a key",
            full.replace("\"theme\"", "\"mcpServers\"").into(),
        ),
        (
            "a.json",
            "not valid JSON: line 2",
            full.replace("\"dark\",", "\"dark\"").into(),
        ),
        (
            "a.json",
            "JSON5, which mcpwrap does not edit: line 2",
            full.replace("\"theme\"", "theme").into(),
        ),
        (
            "a.toml",
            "not valid TOML",
            format!("[mcp_servers.x]\ncommand = \"/bin/cat\nenv = {{ API_TOKEN = \"{TOKEN}\" }}\n")
                .into(),
        ),
        ("a.yaml", "an anchor, alias", anchored.into()),
        (
            "a.json",
            "larger than 16 MiB",
            format!("{full}{}", " ".repeat(16 << 20)).into(),
        ),
    ];
    for (name, reason, bytes) in cases {
        let file = test.home.join(name);
        std::fs::write(&file, bytes).unwrap();
        let shown = file.display().to_string();
        let ended = test.cli(&["adopt", "--yes", "--config", &shown]);
        assert!(
            ended.code == 1 && ended.stderr.contains(reason),
            "{reason} {ended}"
        );
        assert!(std::fs::read(&file).unwrap() == *bytes, "{reason}");
        std::fs::remove_file(&file).unwrap();
    }
}

/// A FIFO does not block, and a dangling or circular link is not a file.
#[test]
fn what_is_not_a_file_does_not_block() {
    let test = Test::new();
    test.init();
    let home = |path: &str| test.home.join(path);
    for dir in [".cursor", ".kimi", ".pi/agent", ".tome"] {
        std::fs::create_dir_all(home(dir)).unwrap();
    }
    let fifo = std::process::Command::new("mkfifo")
        .arg(home(".cursor/mcp.json"))
        .status();
    assert!(fifo.unwrap().success());
    symlink(home("nowhere"), home(".kimi/mcp.json")).unwrap();
    symlink(home(".pi/agent/mcp.json"), home(".pi/agent/mcp.json")).unwrap();
    std::fs::create_dir(home(".tome/mcp_config.json")).unwrap();
    let ended = test.cli(&["adopt", "--dry-run"]);
    for path in [".cursor/mcp.json", ".tome/mcp_config.json"] {
        let line = format!("~/{path}: skipped: not a regular file");
        assert!(ended.stderr.contains(&line), "{path} {ended}");
    }
    assert!(
        ended
            .stderr
            .contains("~/.pi/agent/mcp.json: skipped: cannot read"),
        "{ended}"
    );
    assert!(!ended.stderr.contains("kimi"), "{ended}");
    let one = test.home.join("list.txt");
    std::fs::write(&one, json!({"mcpServers": {}}).to_string()).unwrap();
    test.ok(&["adopt", "--dry-run", "--config", &one.display().to_string()]);
}

/// A file with tokens and no server entry: nothing can be adopted, and that is not all there is to say.
#[test]
fn a_token_outside_the_entries_is_named() {
    let test = Test::new();
    test.init();
    let file = test.home.join("secrets.yaml");
    std::fs::write(
        &file,
        "provider:\n  api_key: ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8\n",
    )
    .unwrap();
    let args = ["adopt", "--dry-run", "--config", file.to_str().unwrap()];
    let said = test.ok(&args);
    let expected = "~/secrets.yaml has 1 secret outside its server entries, which `adopt` cannot move; run \
                    `mcpwrap check ~/secrets.yaml` to see where";
    assert!(said.stderr.contains(expected), "{said}");

    std::fs::write(&file, "provider:\n  api_key: ${KEY}\n").unwrap();
    let said = test.ok(&args);
    assert!(!said.stderr.contains("outside"), "{said}");
}
