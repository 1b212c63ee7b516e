//! `--config FILE`: files that the user names, also those of a project.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{CURSOR, Case};
use crate::harness::{Ended, fake_server};

impl Case {
    /// A repository in which git tracks this file.
    fn tracked(&self, path: &str, text: &str) -> PathBuf {
        let file = self.test.dir.join("project").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        let git = self.test.dir.join("project/.git");
        std::fs::create_dir_all(&git).unwrap();
        // An index that is not parsed: the name in it is enough.
        let index = format!("DIRC\0\0\0\u{4}\0\0\0\u{1} {path}\0");
        std::fs::write(git.join("index"), index).unwrap();
        file
    }

    /// Runs mcpwrap in a directory.
    fn within(&self, dir: &Path, args: &[&str]) -> Ended {
        let mut command = self.test.command(self.test.program());
        let mut run = self.test.start(command.args(args).current_dir(dir));
        run.close();
        run.end()
    }
}

fn entry(file: &Path, keys: &str) -> Value {
    let text = std::fs::read_to_string(file).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    value.pointer(keys).cloned().unwrap_or_default()
}

/// The form is that of the client that reads the file, also if git tracks it.
#[test]
fn a_file_of_a_project() {
    let case = Case::new(CURSOR);
    let program = fake_server().display().to_string();
    let before = "{\n  \"servers\": {}\n}\n";
    let file = case.tracked(".vscode/mcp.json", before);
    let project = case.test.dir.join("project");
    let args = [
        "add",
        "s",
        "--yes",
        "--config",
        "./.vscode/mcp.json",
        "--",
        &program,
    ];
    let added = case.within(&project, &args);
    assert_eq!(added.code, 0, "{added}");
    for part in [
        "project/.vscode/mcp.json (VS Code)",
        "git tracks it: whoever else uses it needs mcpwrap at the same path, and this policy",
        "added to VS Code: ",
    ] {
        assert!(added.text().contains(part), "{part}: {added}");
    }
    let own = case.test.program().display().to_string();
    assert_eq!(
        entry(&file, "/servers/s"),
        json!({"type": "stdio", "command": own, "args": ["run", "s"]})
    );
    assert_eq!(case.text(), CURSOR, "no other file");
    let again = case.within(&project, &args[..5]);
    assert!(again.stderr.contains("nothing to do"), "{again}");

    // From anywhere else, too.
    case.test.ok(&["remove", "s", "--yes"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    assert!(!case.policy("s").exists());
}

/// The one for a team, and the one of the user: each can be taken out alone.
#[test]
fn a_file_and_a_client() {
    let case = Case::new(CURSOR);
    let dir = case.test.dir.join("two words");
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join(".mcp.json");
    let named = file.display().to_string();
    let added = case.add(&["--client", "cursor", "--config", &named]);
    assert_eq!(added.code, 0, "{added}");
    assert_eq!(entry(&file, "/mcpServers/s/type"), "stdio");
    assert!(case.text().contains("\"run\", \"s\""));
    let removed = case.test.ok(&["remove", "s", "--yes", "--config", &named]);
    assert!(
        removed.stderr.contains("the server is still started by"),
        "{removed}"
    );
    assert!(!file.exists(), "it was made by `add`");
    assert!(case.policy("s").exists());
    case.test.ok(&["remove", "s", "--yes"]);
    assert_eq!(case.text(), CURSOR);
    assert!(!case.policy("s").exists());
}

/// A file that no known client reads has the form of what is in it.
#[test]
fn a_file_of_an_unknown_client() {
    let case = Case::new(CURSOR);
    for (name, text, keys) in [
        (
            "a.json",
            "{\"context_servers\": {}}",
            "/context_servers/s/args",
        ),
        ("b.json", "{\"mine\": true}", "/mcpServers/s/args"),
        ("c.json", "", "/mcpServers/s/args"),
    ] {
        let file = case.test.dir.join(name);
        std::fs::write(&file, text).unwrap();
        let named = file.display().to_string();
        let added = case.add(&["--config", &named]);
        assert_eq!(added.code, 0, "{added}");
        assert!(
            added.text().contains(&format!("added to {named}")),
            "{added}"
        );
        assert_eq!(entry(&file, keys), json!(["run", "s"]), "{name}");
        case.test.ok(&["remove", "s", "--yes"]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn files_that_cannot_get_it() {
    let case = Case::new(CURSOR);
    for (name, text, words) in [
        ("x.toml", "a = 1\n", "does not know which client reads it"),
        ("x.json", "{", "cannot add server `s` to `"),
        ("none/x.json", "", "its directory does not exist"),
        (
            "y.json",
            "{\"mcpServers\": {\"s\": {\"command\": \"cat\"}}}",
            "y.json` to start",
        ),
    ] {
        let file = case.test.dir.join(name);
        if !text.is_empty() {
            std::fs::write(&file, text).unwrap();
        }
        let ended = case.add(&["--config", &file.display().to_string()]);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains(words), "{words}: {ended}");
    }
    assert!(!case.policy("s").exists());
}

/// The own file of a client, which `--client` finds, is left if git tracks it, and the error says how to add
/// to it. `--config` is part of the command that continues.
#[test]
fn a_clients_file_that_git_tracks() {
    let case = Case::new(CURSOR);
    let git = case.test.home.join(".git");
    std::fs::create_dir(&git).unwrap();
    let index = b"DIRC\0\0\0\x04\0\0\0\x01 .cursor/mcp.json\0";
    std::fs::write(git.join("index"), index).unwrap();
    let refused = case.add(&["--client", "cursor"]);
    assert_eq!(refused.code, 2, "{refused}");
    let how = "tracked by git, teammates may lack mcpwrap; pass `--config ~/.cursor/mcp.json` to add it anyway";
    assert!(refused.stderr.contains(how), "{refused}");
    assert_eq!(case.text(), CURSOR);
    assert!(!case.policy("s").exists());

    let named = case.file.display().to_string();
    let args = ["add", "s", "--yes", "--config", &named, "--", "false"];
    let failed = case.test.cli(&args);
    assert_eq!(failed.code, 1, "{failed}");
    let again = format!("run `mcpwrap add s --config {named}` to continue");
    assert!(failed.stderr.contains(&again), "{failed}");
    case.test.ok(&["remove", "s", "--yes"]);
    let added = case.add(&["--config", &named]);
    assert_eq!(added.code, 0, "{added}");
    assert!(added.text().contains("added to Cursor: "), "{added}");
    case.test.ok(&["remove", "s", "--yes"]);
    assert_eq!(case.text(), CURSOR);
}
