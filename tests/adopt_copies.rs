//! What adopting does not reach: backups, locations of older versions, and histories of editors,
//! shells and git. They are listed with what to do, stay unchanged, and no value is shown.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::place::write_program;
use crate::harness::{TOKEN, Test, skip};

fn config(token: &str) -> String {
    let entry = json!({"command": "/bin/cat", "env": {"API_TOKEN": token}});
    format!("{:#}\n", json!({"mcpServers": {"x": entry}}))
}

fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Remaining copies (`*.bak`, client backups, old locations, editor history) are listed with what
/// to do.
#[test]
fn remaining_copies_are_listed_with_what_to_do() {
    let test = Test::new();
    test.init();
    let home = |path: &str| test.home.join(path);
    put(&home(".cursor/mcp.json"), &config(TOKEN));
    let known = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
    let leftovers = [
        (
            ".cursor/mcp.json.bak",
            config(TOKEN),
            "copy with a secret: delete the file",
        ),
        (".cursor/.mcp.json.swp", config(TOKEN), "copy with a secret"),
        (
            ".claude/backups/.claude.json.backup.1",
            config(known),
            "client backup with a secret",
        ),
        (
            ".config/Code/User/History/1a2b/Xy.json",
            config(TOKEN),
            "editor history",
        ),
        (
            ".bash_history",
            format!("x --token {TOKEN}\n"),
            "shell command with a secret",
        ),
        (
            "Documents/Cline/MCP/cline_mcp_settings.json",
            config("${env:X}"),
            "read by older versions of the client only",
        ),
    ];
    for (path, text, _) in &leftovers {
        put(&home(path), text);
    }
    put(&home(".cursor/mcp.json.old"), &config("${env:X}"));
    put(&home(".zsh_history"), "ls\n");
    for arguments in [["adopt", "--dry-run"], ["adopt", "--yes"]] {
        let said = test.ok(&arguments).stderr;
        for (path, _, advice) in &leftovers {
            let line = format!("warning: ~/{path}: ");
            let line = said.lines().find(|said| said.contains(&line));
            assert!(
                line.is_some_and(|line| line.contains(advice)),
                "{path}\n{said}"
            );
        }
        assert!(
            !said.contains("mcp.json.old") && !said.contains("zsh"),
            "{said}"
        );
        assert_eq!(
            said.matches("warning: ~/").count(),
            leftovers.len(),
            "{said}"
        );
    }
    for (path, text, _) in &leftovers {
        assert_eq!(std::fs::read_to_string(home(path)).unwrap(), *text);
        std::fs::remove_file(home(path)).unwrap();
    }
}

/// `adopt --dry-run` prints the searched locations and what it found.
#[test]
fn a_dry_run_lists_the_locations_searched() {
    let test = Test::new();
    test.init();
    put(&test.home.join(".cursor/mcp.json"), &config("${env:X}"));
    let ended = test.ok(&["adopt", "--dry-run"]);
    let said = ended.text();
    let line = |part: &str| said.lines().position(|line| line.contains(part)).unwrap();
    assert!(line(" locations, found 1 file") < line("~/.cursor/mcp.json (Cursor)"));
    // The locations of all clients would fill screens.
    assert!(!said.contains("Codex"), "{said}");
    let hint = "`--client ID` also lists the locations where nothing was found\n";
    assert!(said.contains(hint), "{said}");
    for (client, places) in [
        ("boltai", "  BoltAI: ~/.boltai/mcp.json\n"),
        (
            "codex",
            "  Codex: ~/.codex/config.toml, ~/.codex/*.config.toml",
        ),
    ] {
        let ended = test.ok(&["adopt", "--dry-run", "--client", client]);
        let (_, absent) = ended.text().split_once("not found:\n").unwrap();
        assert!(absent.starts_with(places), "{absent}");
        assert!(!ended.text().contains("Cursor"), "{ended}");
    }
}

/// A repository with one file; each text is a commit.
struct Repository<'a> {
    test: &'a Test,
    root: PathBuf,
}

impl<'a> Repository<'a> {
    fn new(test: &'a Test) -> Option<Self> {
        if !Path::new("/usr/bin/git").exists() && !Path::new("/usr/local/bin/git").exists() {
            skip("git", "there is no git in /usr/bin or /usr/local/bin");
            return None;
        }
        let root = test.dir.join("project");
        std::fs::create_dir(&root).unwrap();
        let new = Self { test, root };
        new.git(&["init", "-q"]);
        Some(new)
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        git.args(who).args(arguments).current_dir(&self.root);
        git.env("HOME", &self.test.home)
            .env("GIT_CONFIG_NOSYSTEM", "1");
        let output = git.stdout(Stdio::null()).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn file(&self) -> PathBuf {
        self.root.join(".mcp.json")
    }

    fn commit(&self, text: &str) {
        put(&self.file(), text);
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", "x", "--date", "2026-01-02T00:00:00"]);
    }
}

/// A secret that was in plaintext or in git should be rotated.
#[test]
fn a_secret_in_git_is_found_and_named() {
    let test = Test::new();
    test.init();
    let Some(repository) = Repository::new(&test) else {
        return;
    };
    repository.commit(&config(TOKEN));
    repository.commit(&config("${env:X}"));
    let file = repository.file().display().to_string();
    let adopt = |more: &[&str]| {
        let ended = test.cli(&[&["adopt", "--config", &file], more].concat());
        (ended.code, ended.stderr)
    };
    // A value that is only in the history is not one of the file's known secrets.
    let (code, said) = adopt(&["--dry-run"]);
    assert!(code == 0 && !said.contains("git history"), "{said}");
    put(&repository.file(), &config(TOKEN));
    let (code, said) = adopt(&["--yes"]);
    let expected = [
        "contains the value of `x/api-token`, in 2 commits since",
        "of 2026-01-02: rotate it",
    ];
    assert!(
        code == 0 && expected.iter().all(|part| said.contains(part)),
        "{said}"
    );
    // The secrets of a file that is skipped because git tracks it are named too.
    repository.commit(&config(TOKEN));
    let mut command = test.command(test.program());
    let run = test.start(
        command
            .args(["adopt", "--dry-run"])
            .current_dir(&repository.root),
    );
    let ended = run.end();
    assert!(
        ended
            .stderr
            .contains("contains the value of a secret of `x`, in"),
        "{ended}"
    );
    std::fs::remove_file(repository.file()).unwrap();
}

/// A repository's settings can name programs; reading its history starts none of them.
#[test]
fn a_hostile_repository_runs_nothing() {
    let test = Test::new();
    test.init();
    let Some(repository) = Repository::new(&test) else {
        return;
    };
    put(&repository.root.join(".gitattributes"), "* diff=x\n");
    repository.commit(&config(TOKEN));
    repository.commit(&config("${env:X}"));
    put(&repository.file(), &config(TOKEN));
    let mark = test.dir.join("ran");
    let script = test.dir.join("script");
    let text = "#!/bin/sh\necho \"$0\" >> 'MARK'\ncat \"$1\"\n";
    write_program(&script, &text.replace("MARK", mark.to_str().unwrap()));
    let script = script.display().to_string();
    for setting in [
        "diff.x.textconv",
        "diff.x.command",
        "diff.external",
        "core.fsmonitor",
        "core.pager",
        "pager.log",
        "gpg.program",
        "core.sshCommand",
        "core.editor",
        "filter.x.clean",
        "interactive.diffFilter",
    ] {
        repository.git(&["config", setting, &script]);
    }
    repository.git(&["config", "log.showSignature", "true"]);
    drop(std::fs::remove_file(&mark));
    let file = repository.file().display().to_string();
    let ended = test.cli(&["adopt", "--dry-run", "--config", &file]);
    assert!(ended.stderr.contains("the git history of"), "{ended}");
    assert!(
        !mark.exists(),
        "{}",
        std::fs::read_to_string(&mark).unwrap()
    );
    std::fs::remove_file(repository.file()).unwrap();
}
