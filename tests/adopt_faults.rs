//! Adopting under difficulties: other writers, killed processes, full disks, unusual files. The
//! file is old or new, and no secret is lost.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::apart::apart;
use crate::harness::golden::{self, stable};
use crate::harness::{TOKEN, Test, fake_server, skip};

/// A home directory with a store and one client config.
struct Case {
    test: Test,
    file: PathBuf,
}

impl Case {
    fn new(text: &str) -> Self {
        let test = Test::new();
        test.init();
        test.hide(TOKEN);
        let file = test.home.join(".cursor/mcp.json");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        Self { test, file }
    }

    fn read(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.file, text).unwrap();
    }

    /// Removes the secret from the file, as the checks after each test require.
    fn clear(&self) {
        std::fs::write(&self.file, "{}").unwrap();
    }
}

fn config(servers: &[(&str, serde_json::Value)]) -> String {
    let map: serde_json::Map<_, _> = servers
        .iter()
        .map(|(name, entry)| ((*name).to_owned(), entry.clone()))
        .collect();
    format!("{:#}\n", json!({ "mcpServers": map }))
}

fn entry(program: &Path) -> serde_json::Value {
    json!({"command": program, "args": ["stay"], "env": {"API_TOKEN": TOKEN, "LOG_LEVEL": "info"}})
}

fn plain() -> String {
    config(&[
        ("one", entry(Path::new("/bin/cat"))),
        ("two", entry(Path::new("/bin/ls"))),
    ])
}

/// "the same program, the same arguments, the same variables"
#[test]
fn what_was_adopted_starts_as_before() {
    let server = fake_server();
    let args = json!(["--api-key", TOKEN]);
    let case = Case::new(&config(&[
        (
            "fake",
            json!({"command": server, "args": [], "env": {"API_TOKEN": TOKEN, "LOG_LEVEL": "info"}}),
        ),
        ("arg", json!({"command": server, "args": args})),
    ]));
    case.test.cli(&["adopt", "--yes", "--server", "fake"]);
    let adopted: serde_json::Value = serde_json::from_str(&case.read()).unwrap();
    let entry = &adopted["mcpServers"]["fake"];
    assert_eq!(entry["env"], json!({"LOG_LEVEL": "info"}));
    let mut command = case.test.command(case.test.program());
    let words = entry["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap());
    command.args(words).env("LOG_LEVEL", "info");
    let mut run = case.test.start(&mut command);
    run.initialize();
    let env = run.call("env", &json!({}));
    assert!(
        env.contains("LOG_LEVEL=info") && env.contains("API_TOKEN=[secret"),
        "{env}"
    );
    run.finish();
    let events = case.test.events();
    assert!(
        events.contains(&"adopt".to_owned()) && events.contains(&"inject".to_owned()),
        "{events:?}"
    );
    case.clear();
}

#[test]
fn asked_on_the_terminal_and_refused_to_agents() {
    let case = Case::new(&plain());
    let before = case.read();
    let mut terminal = case.test.terminal(&["adopt"]);
    terminal.expect("proceed? [y/n] ").enter("n");
    let (code, shown) = terminal.end();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("[secret one/api-token …7q9Z]"), "{shown}");
    assert_eq!(case.read(), before);
    case.test.set("CLAUDECODE", "1");
    let ended = case.test.cli(&["adopt", "--yes"]);
    assert_eq!((ended.code, case.read()), (2, before));
    assert!(ended.stderr.contains("error[agent-refused]"), "{ended}");
    let refusal = case
        .test
        .audit()
        .into_iter()
        .find(|record| record["event"] == "adopt")
        .unwrap();
    assert_eq!(refusal["outcome"], "refused");
    case.clear();
}

#[test]
fn a_dry_run_changes_nothing() {
    let case = Case::new(&plain());
    let before = case.read();
    let ended = case.test.ok(&["adopt", "--dry-run"]);
    assert!(
        ended.text().contains("searched ") && ended.text().contains("~/.cursor/mcp.json"),
        "{ended}"
    );
    assert_eq!(case.read(), before);
    assert!(!case.test.root().join("policies/one.toml").exists());
    assert!(!case.test.root().join("state/secrets.toml").exists());
    case.clear();
}

#[test]
fn symlinks_are_followed_and_stay() {
    let case = Case::new("{}");
    let real = case.test.home.join("dotfiles.json");
    std::fs::write(&real, plain()).unwrap();
    std::fs::remove_file(&case.file).unwrap();
    symlink(&real, &case.file).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o604)).unwrap();
    case.test.ok(&["adopt", "--yes"]);
    assert!(case.file.symlink_metadata().unwrap().is_symlink());
    assert!(!std::fs::read_to_string(&real).unwrap().contains(TOKEN));
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o604);
}

#[test]
fn read_only_files_and_files_that_git_tracks_are_left() {
    let case = Case::new(&plain());
    let before = case.read();
    std::fs::set_permissions(&case.file, std::fs::Permissions::from_mode(0o444)).unwrap();
    let ended = case.test.cli(&["adopt", "--yes"]);
    assert_eq!((ended.code, case.read()), (1, before.clone()));
    assert!(ended.stderr.contains("read-only"), "{ended}");
    std::fs::set_permissions(&case.file, std::fs::Permissions::from_mode(0o644)).unwrap();
    // An index of version 4 is not parsed: the name in it is enough.
    std::fs::create_dir(case.test.home.join(".git")).unwrap();
    std::fs::write(
        case.test.home.join(".git/index"),
        b"DIRC\0\0\0\x04\0\0\0\x01 .cursor/mcp.json\0",
    )
    .unwrap();
    let ended = case.test.cli(&["adopt", "--yes"]);
    assert_eq!((ended.code, case.read()), (1, before));
    assert!(ended.stderr.contains("tracked by git"), "{ended}");
    let file = case.file.display().to_string();
    case.test.ok(&["adopt", "--yes", "--config", &file]);
    assert!(!case.read().contains(TOKEN));
}

#[test]
fn twenty_at_once() {
    let case = Case::new(&plain());
    let runs: Vec<_> = (0..20)
        .map(|_| {
            let mut command = case.test.command(case.test.program());
            let mut run = case.test.start(command.args(["adopt", "--yes"]));
            run.close();
            run
        })
        .collect();
    for run in runs {
        let ended = run.end();
        assert_eq!(ended.code, 0, "{ended}");
    }
    let adopted = case.read();
    assert!(
        !adopted.contains(TOKEN) && adopted.matches("\"run\"").count() == 2,
        "{adopted}"
    );
    assert_eq!(
        case.test
            .events()
            .iter()
            .filter(|event| *event == "adopt")
            .count(),
        2
    );
    crate::audit::verify_intact(&case.test);
    case.test.ok(&["adopt", "--undo", "--yes"]);
    assert_eq!(case.read(), plain());
    case.clear();
}

/// "compare-and-swap … clients rewrite their own files"
#[test]
fn a_client_that_saves_at_the_same_moment_loses_nothing() {
    let case = Case::new(&plain());
    for n in 0..12 {
        case.write(&plain());
        let mut command = case.test.command(case.test.program());
        let mut run = case.test.start(command.args(["adopt", "--yes"]));
        run.close();
        // The client replaces the file again and again while adopt works.
        let mut text = String::new();
        for save in 0..40 {
            text = plain().replacen('{', &format!("{{\"save\": {}, ", n * 100 + save), 1);
            let beside = case.file.with_extension("new");
            std::fs::write(&beside, &text).unwrap();
            std::fs::rename(&beside, &case.file).unwrap();
        }
        let ended = run.end();
        let now = case.read();
        let last = now == text;
        let ours = now.contains("\"run\"") && now.contains(&format!("\"save\": {}", n * 100 + 39))
            || now.contains("\"run\"");
        assert!(
            last || ours,
            "neither the client's last text nor the adopted one:\n{ended}\n{now}"
        );
        serde_json::from_str::<serde_json::Value>(&now).unwrap();
    }
    let others: Vec<_> = std::fs::read_dir(case.file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(others, ["mcp.json"], "something was left beside the file");
    case.clear();
}

#[test]
fn a_second_adopt_says_that_it_waits() {
    let case = Case::new(&plain());
    let lock = case.test.root().join("state/adopt.lock");
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let lock = std::fs::File::create(lock).unwrap();
    lock.lock().unwrap();
    let mut command = case.test.command(case.test.program());
    let mut run = case.test.start(command.args(["adopt", "--yes"]));
    run.close();
    run.heard("waiting: another mcpwrap changes client configs");
    assert_eq!(case.read(), plain());
    drop(lock);
    let ended = run.end();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(!case.read().contains(TOKEN));
    case.clear();
}

/// "any failure leaves the file as it was and no secret lost", also when mcpwrap is killed.
#[test]
fn killed_at_any_moment() {
    let case = Case::new(&plain());
    let dir = case.file.parent().unwrap().to_path_buf();
    let steps: [&dyn Fn() -> bool; 6] = [
        &|| true,
        &|| case.test.root().join("state/adopt.lock").exists(),
        &|| case.test.root().join("state/secrets.toml").exists(),
        &|| case.test.root().join("policies/one.toml").exists(),
        &|| case.test.root().join("state/undo.jsonl").exists(),
        &|| !case.read().contains(TOKEN) || std::fs::read_dir(&dir).unwrap().count() > 1,
    ];
    for step in steps {
        case.write(&plain());
        let mut command = case.test.command(case.test.program());
        let mut child = apart(command.args(["adopt", "--yes"]), &[])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !step() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let now = case.read();
        assert!(
            now == plain() || !now.contains(TOKEN),
            "neither old nor new:\n{now}"
        );
        // The next adopt finishes the work from any state, and undo still works.
        case.test.ok(&["adopt", "--yes"]);
        assert!(!case.read().contains(TOKEN));
        case.test.ok(&["adopt", "--undo", "--yes"]);
        assert_eq!(case.read(), plain());
        for entry in std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if entry != case.file {
                std::fs::remove_file(entry).unwrap();
            }
        }
    }
    case.clear();
}

#[test]
fn a_full_disk_leaves_the_file_as_it_was() {
    let case = Case::new(&plain());
    let small = case.test.dir.join("small");
    std::fs::create_dir(&small).unwrap();
    let mut mount = std::process::Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
        .arg(&small)
        .stderr(std::process::Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        case.clear();
        return skip("mount", "a small file system cannot be mounted here");
    }
    let file = small.join("mcp.json");
    std::fs::write(&file, plain()).unwrap();
    let filler = vec![b'x'; 64 << 10];
    drop(std::fs::write(small.join("filler"), filler));
    let shown = file.display().to_string();
    let ended = case.test.cli(&["adopt", "--yes", "--config", &shown]);
    let now = std::fs::read_to_string(&file).unwrap();
    let others = std::fs::read_dir(&small).unwrap().count();
    std::process::Command::new("umount")
        .arg(&small)
        .status()
        .unwrap();
    assert_eq!(
        (ended.code, now.as_str(), others),
        (1, plain().as_str(), 2),
        "{ended}"
    );
    assert!(ended.stderr.contains("no space left on device"), "{ended}");
    case.clear();
}

#[test]
fn a_store_that_does_not_work_changes_nothing() {
    let case = Case::new(&plain());
    std::fs::remove_file(case.test.home.join("vault.key")).unwrap();
    let ended = case.test.cli(&["adopt", "--yes"]);
    assert_eq!((ended.code, case.read()), (2, plain()), "{ended}");
    case.clear();
}

#[test]
fn a_file_that_changed_after_it_was_shown_is_not_written() {
    let case = Case::new(&plain());
    let mut terminal = case.test.terminal(&["adopt"]);
    terminal.expect("proceed? [y/n] ");
    case.write(&plain().replace("/bin/cat", "/bin/sed"));
    terminal.enter("y");
    let (code, shown) = terminal.end();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("error[client-config-changed]"), "{shown}");
    assert!(case.read().contains("/bin/sed"));
    let shown = stable(&case.test, &shown).replace('\r', "");
    let lines: Vec<_> = shown
        .lines()
        .skip_while(|line| !line.starts_with("mcpwrap: error"))
        .collect();
    golden::check(
        "messages/client-config-changed.txt",
        &(lines.join("\n") + "\n"),
    );
    case.clear();
}
