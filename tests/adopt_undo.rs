//! `adopt --undo`: byte for byte, even if the file was changed in the meantime.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::Test;

const KEY: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const OTHER: &str = "f3a1c0de-55aa-4bbc-9ddd-0a1b2c3d4e5f";

fn text() -> String {
    format!(
        "{{\n  \"theme\": 1,\n  \"mcpServers\": {{\n    \"a\": {{ \"command\": \"/bin/cat\",   \"env\": {{\"API_KEY\": \"{KEY}\"}} }},\n    \
         \"b\": {{\n      \"command\": \"/bin/ls\", // b\n      \"args\": [\"--api-key\", \"{OTHER}\"]\n    }}\n  }}\n}}\n"
    )
}

fn case() -> (Test, PathBuf) {
    let test = Test::new();
    test.init();
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text()).unwrap();
    test.ok(&["adopt", "--yes"]);
    assert!(!read(&file).contains(KEY) && !read(&file).contains(OTHER));
    (test, file)
}

fn read(file: &PathBuf) -> String {
    std::fs::read_to_string(file).unwrap()
}

fn undo(test: &Test, more: &[&str]) -> i32 {
    test.cli(&[&["adopt", "--undo", "--yes"], more].concat())
        .code
}

#[test]
fn only_some_servers() {
    let (test, file) = case();
    assert_eq!(undo(&test, &["--server", "b"]), 0);
    assert!(!read(&file).contains(KEY) && read(&file).contains(OTHER));
    assert_eq!(undo(&test, &["--server", "a"]), 0);
    assert_eq!(read(&file), text());
    assert_eq!(undo(&test, &[]), 0, "nothing is left to undo");
}

#[test]
fn after_several_adopts() {
    let (test, file) = case();
    let more = text()
        .replace("/bin/cat", "/bin/dd")
        .replace("\"a\"", "\"z\"");
    let other = test.home.join("other.json");
    std::fs::write(&other, &more).unwrap();
    test.ok(&["adopt", "--yes", "--config", &other.display().to_string()]);
    assert_eq!(undo(&test, &[]), 0);
    assert_eq!((read(&file), read(&other)), (text(), more));
    // Again, and with the entries changed in between.
    test.ok(&["adopt", "--yes"]);
    let changed = read(&file).replace("\"theme\": 1", "\"theme\": 2");
    std::fs::write(&file, changed).unwrap();
    assert_eq!(undo(&test, &[]), 0);
    assert_eq!(read(&file), text().replace("\"theme\": 1", "\"theme\": 2"));
}

/// Undo also works in a file that was changed elsewhere: it restores only the bytes of the entry.
#[test]
fn after_the_client_rewrote_the_file() {
    let (test, file) = case();
    let own = |text: &str| text.replace(" // b", "");
    let value: Value = serde_json::from_str(&own(&read(&file))).unwrap();
    std::fs::write(&file, serde_json::to_string(&value).unwrap()).unwrap();
    assert_eq!(undo(&test, &[]), 0);
    let now = read(&file);
    assert!(
        now.contains(&format!(
            "{{ \"command\": \"/bin/cat\",   \"env\": {{\"API_KEY\": \"{KEY}\"}} }}"
        )),
        "{now}"
    );
    assert!(now.contains("\"/bin/ls\", // b\n"), "{now}");
}

/// Under another name, in the same file: an entry in another file is not restored (see
/// `adopt_journal`).
#[test]
fn after_the_entry_was_moved() {
    let (test, file) = case();
    let value: Value = serde_json::from_str(&read(&file).replace(" // b", "")).unwrap();
    let a = value["mcpServers"]["a"].clone();
    std::fs::write(
        &file,
        json!({"projects": {"/p": {"mcpServers": {"renamed": a}}}}).to_string(),
    )
    .unwrap();
    assert_eq!(undo(&test, &["--server", "a"]), 0);
    assert!(read(&file).contains(&format!(
        "\"renamed\":{{ \"command\": \"/bin/cat\",   \"env\": {{\"API_KEY\": \"{KEY}\"}} }}"
    )));
    // The other one is missing, which is reported.
    assert_eq!(undo(&test, &[]), 1);
}

#[test]
fn changes_by_the_user_in_the_entry_are_kept() {
    let (test, file) = case();
    let changed = read(&file).replace("\"env\": {} }", "\"env\": {}, \"disabled\": true }");
    assert_ne!(changed, read(&file));
    std::fs::write(&file, changed).unwrap();
    assert_eq!(undo(&test, &["--server", "a"]), 0);
    let text = read(&file).replace(" // b", "");
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value["mcpServers"]["a"],
        json!({"command": "/bin/cat", "env": {"API_KEY": KEY}, "disabled": true})
    );
}

#[test]
fn a_rotated_secret_is_restored_with_its_new_value() {
    let (test, file) = case();
    let new = "0d9e1f2a-7425-40de-944b-e07fc1f90ae7";
    let ended = test.feed(
        &["secret", "rotate", "a/api-key", "--from-stdin"],
        new.as_bytes(),
    );
    assert_eq!(ended.code, 0, "{ended}");
    let ended = test.ok(&["adopt", "--undo", "--yes", "--server", "a"]);
    let warning = "warning: ~/.cursor/mcp.json: `a/api-key` was rotated after it was adopted";
    assert!(ended.stderr.contains(warning), "{ended}");
    assert!(read(&file).contains(new) && !read(&file).contains(KEY));
    // A removed secret cannot be restored, and the entry does not change.
    test.ok(&["revoke", "b"]);
    let ended = test.cli(&["secret", "rm", "b/api-key", "--yes"]);
    assert_eq!(ended.code, 0, "{ended}");
    let before = read(&file);
    assert_eq!((undo(&test, &[]), read(&file)), (1, before));
}

/// Codex writes its file again without tables that are empty.
#[test]
fn after_the_client_dropped_an_empty_table() {
    for (before, dropped) in [
        (
            "model = \"x\"\n\n[mcp_servers.a]\ncommand = \"/bin/cat\"\n\n[mcp_servers.a.env]\nAPI_KEY = \"KEY\"\n\n[tui]\nx = 1\n",
            "\n[mcp_servers.a.env]\n",
        ),
        (
            "[mcp_servers.a]\ncommand = \"/bin/cat\"\n[mcp_servers.b]\ncommand = \"y\"\n[mcp_servers.a.env]\nAPI_KEY = \"KEY\"\n",
            "[mcp_servers.a.env]\n",
        ),
    ] {
        let test = Test::new();
        test.init();
        let before = before.replace("KEY\"", &format!("{KEY}\""));
        let file = test.home.join(".codex/config.toml");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &before).unwrap();
        test.ok(&["adopt", "--yes", "--client", "codex"]);
        let adopted = read(&file);
        let rewritten = adopted.replace(dropped, "");
        assert_ne!(rewritten, adopted);
        std::fs::write(&file, rewritten).unwrap();
        assert_eq!(undo(&test, &[]), 0);
        let value = |text: &str| text.parse::<toml::Table>().unwrap();
        assert_eq!(value(&read(&file)), value(&before), "{}", read(&file));
        std::fs::remove_file(&file).unwrap();
    }
}

/// A member that a client dropped, and an edit, are named before the user is asked.
#[test]
fn an_edit_that_would_be_lost_is_named() {
    let (test, file) = case();
    let changed = read(&file).replace("\"env\": {} }", "\"disabled\": true }");
    assert_ne!(changed, read(&file));
    std::fs::write(&file, &changed).unwrap();
    let mut terminal = test.terminal(&["adopt", "--undo", "--server", "a"]);
    terminal.expect("warning: ~/.cursor/mcp.json: `a`: later changes in `disabled` are lost");
    terminal.expect("restore these entries?").enter("n");
    let (code, shown) = terminal.end();
    assert_eq!((code, read(&file)), (1, changed), "{shown}");
    assert_eq!(undo(&test, &["--server", "a"]), 0);
    let value: Value = serde_json::from_str(&read(&file).replace(" // b", "")).unwrap();
    assert_eq!(
        value["mcpServers"]["a"],
        json!({"command": "/bin/cat", "env": {"API_KEY": KEY}})
    );
}

#[test]
fn the_journal_holds_no_secret() {
    let (test, _) = case();
    let journal = std::fs::read_to_string(test.root().join("state/undo.jsonl")).unwrap();
    assert!(!journal.contains(KEY) && !journal.contains(OTHER) && journal.contains("a/api-key"));
}
