//! The undo journal: a line that mcpwrap did not seal restores nothing, and undo says what it would
//! overwrite before it asks.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{TOKEN, Test};
use crate::messages::message;

const KEY: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// A home in which one entry was adopted.
fn case() -> (Test, PathBuf) {
    let test = Test::new();
    test.init();
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let entry = json!({"command": "/bin/cat", "args": ["--fast"], "env": {"API_KEY": KEY}});
    write(&file, &json!({"mcpServers": {"a": entry}}));
    test.ok(&["adopt", "--yes"]);
    assert!(!read(&file).contains(KEY));
    (test, file)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn write(path: &Path, value: &Value) {
    std::fs::write(path, serde_json::to_string_pretty(value).unwrap()).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn journal(test: &Test) -> PathBuf {
    test.root().join("state/undo.jsonl")
}

/// A record that puts a secret into a file of the attacker's choice.
fn forged(file: &Path) -> Value {
    json!({
        "id": "0123456789abcdef",
        "at": "2026-11-26T12:00:00Z",
        "file": file,
        "mode": 0o644,
        "owner": [nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw()],
        "client": null,
        "entry": "x",
        "server": "github",
        "path": ["mcpServers", "x"],
        "secrets": {},
        "before": [[{"text": "{\"command\": \""}, {"secret": "github/token"}, {"text": "\"}"}]],
        "after": [[{"text": "{\"command\": \"mcpwrap\", \"args\": [\"run\", \"github\"]}"}]]
    })
}

/// Appends a line, as any program of this user can.
fn append(test: &Test, line: &str) {
    let path = journal(test);
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(&path, format!("{old}{line}\n")).unwrap();
    chmod(&path, 0o600);
}

#[test]
fn a_forged_line_releases_no_secret() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    let target = test.dir.join("world.json");
    let entry = json!({"command": "mcpwrap", "args": ["run", "github", "--", "x"]});
    write(&target, &json!({"mcpServers": {"x": entry}}));
    let before = read(&target);
    let record = forged(&target).to_string();
    let seal = "0".repeat(64);
    for (line, name) in [
        (format!("{{\"adopted\":{record}}}"), "no seal"),
        (
            format!("{{\"line\":{{\"adopted\":{record}}},\"mac\":\"{seal}\"}}"),
            "does not match the key",
        ),
    ] {
        append(&test, &line);
        let ended = test.cli(&["adopt", "--undo", "--yes"]);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains("error[journal-broken]"), "{ended}");
        assert!(ended.stderr.contains(name), "{ended}");
        assert_eq!(read(&target), before);
    }
    let ended = test.cli(&["adopt", "--undo", "--yes"]);
    message(&test, "journal-broken", &ended);
    // Not asked for either, and nothing is recorded as undone.
    assert!(!test.events().contains(&"undo".to_owned()));
}

#[test]
fn a_sealed_line_that_was_edited_is_refused_and_the_others_are_restored() {
    let (test, file) = case();
    let line = read(&journal(&test));
    let other = test.dir.join("other.json");
    std::fs::copy(&file, &other).unwrap();
    let moved = line.replace(&file.display().to_string(), &other.display().to_string());
    assert_ne!(moved, line);
    append(&test, moved.trim_end());
    let ended = test.cli(&["adopt", "--undo", "--yes"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.stderr.contains("error[journal-broken]"), "{ended}");
    assert!(ended.stderr.contains("line 2:"), "{ended}");
    assert!(read(&file).contains(KEY) && !read(&other).contains(KEY));
}

/// The line is a good one, but what it restores was restored before.
#[test]
fn an_old_line_that_is_written_again_restores_nothing() {
    let (test, file) = case();
    let adopted = read(&file);
    let line = read(&journal(&test));
    test.ok(&["adopt", "--undo", "--yes"]);
    std::fs::write(&file, &adopted).unwrap();
    append(&test, line.trim_end());
    let ended = test.ok(&["adopt", "--undo", "--yes"]);
    assert!(ended.stderr.contains("nothing to undo"), "{ended}");
    assert_eq!(read(&file), adopted);
}

#[test]
fn an_entry_that_moved_to_another_file_is_not_restored_there() {
    let (test, file) = case();
    let value: Value = serde_json::from_str(&read(&file)).unwrap();
    let moved = test.home.join(".claude.json");
    write(&moved, &value);
    write(&file, &json!({"mcpServers": {}}));
    let ended = test.cli(&["adopt", "--undo", "--yes"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.stderr.contains("moved to another file"), "{ended}");
    assert!(!read(&moved).contains(KEY));
    // A link in the place of the file leads to another file too.
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&moved, &file).unwrap();
    assert_eq!(test.cli(&["adopt", "--undo", "--yes"]).code, 1);
    assert!(!read(&moved).contains(KEY));
}

#[test]
fn the_file_is_readable_by_nobody_who_could_not_read_it_before() {
    let test = Test::new();
    test.init();
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let entry = json!({"command": "/bin/cat", "env": {"API_KEY": KEY}});
    write(&file, &json!({"mcpServers": {"a": entry}}));
    chmod(&file, 0o600);
    test.ok(&["adopt", "--yes"]);
    chmod(&file, 0o644);
    let ended = test.ok(&["adopt", "--undo", "--dry-run"]);
    assert!(ended.stderr.contains("becomes 0600"), "{ended}");
    test.ok(&["adopt", "--undo", "--yes"]);
    assert!(read(&file).contains(KEY));
    assert_eq!(mode(&file), 0o600);
}

/// By name, before the file is written: without the record the file stays as it is.
#[test]
fn each_secret_that_goes_back_is_recorded_first() {
    let (test, file) = case();
    let adopted = read(&file);
    let audit = test.root().join("state/audit");
    let away = test.root().join("state/away");
    std::fs::rename(&audit, &away).unwrap();
    std::fs::write(&audit, "in the way").unwrap();
    let ended = test.cli(&["adopt", "--undo", "--yes"]);
    assert!(ended.stderr.contains("error[audit-unwritable]"), "{ended}");
    assert_eq!(read(&file), adopted);
    std::fs::remove_file(&audit).unwrap();
    std::fs::rename(&away, &audit).unwrap();
    test.ok(&["adopt", "--undo", "--yes"]);
    let events = test.events();
    assert_eq!(events[events.len() - 2..], ["release", "undo"]);
    let released = test.audit().remove(events.len() - 2);
    assert_eq!(released["secret"]["name"], "a/api-key", "{released}");
    assert_eq!(released["server"], "a");
    assert_eq!(released["reason"], "undo");
    assert_eq!(released["detail"]["file"], file.display().to_string());
}

#[test]
fn what_would_be_overwritten_is_said_before_the_question() {
    let (test, file) = case();
    let new = "0d9e1f2a-7425-40de-944b-e07fc1f90ae7";
    let ended = test.feed(
        &["secret", "rotate", "a/api-key", "--from-stdin"],
        new.as_bytes(),
    );
    assert_eq!(ended.code, 0, "{ended}");
    let mut value: Value = serde_json::from_str(&read(&file)).unwrap();
    value["mcpServers"]["a"]["disabled"] = json!(true);
    value["mcpServers"]["a"]["args"]
        .as_array_mut()
        .unwrap()
        .push(json!("--mine"));
    write(&file, &value);
    let before = read(&file);
    let mut terminal = test.terminal(&["adopt", "--undo"]);
    terminal
        .expect("`a` was changed after it was adopted: only what adopt changed is restored")
        .expect("`a`: later changes in `args` are lost")
        .expect("`a/api-key` was rotated after it was adopted")
        .expect("[y/n] ")
        .enter("n");
    assert_eq!(terminal.end().0, 1);
    assert_eq!(read(&file), before);
}
