//! `mcpwrap uninstall` and `mcpwrap policy rm`: complete, with a list first, and nothing that an entry
//! still needs is removed.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use crate::desktop::Desktop;
use crate::harness::{TOKEN, Test};

const KEY: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

fn text() -> String {
    format!(
        "{{\"mcpServers\": {{\"a\": {{\"command\": \"/bin/cat\", \"env\": {{\"API_KEY\": \"{KEY}\"}}}}}}}}\n"
    )
}

/// An adopted entry, and an installed package with read-only files.
fn case() -> (Test, PathBuf) {
    let test = Test::new();
    test.init();
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text()).unwrap();
    test.ok(&["adopt", "--yes"]);
    let package = test.root().join("data/packages").join("0".repeat(64));
    std::fs::create_dir_all(package.join("tree")).unwrap();
    std::fs::write(package.join("tree/index.js"), "").unwrap();
    for (path, mode) in [("tree/index.js", 0o400), ("tree", 0o500), ("", 0o500)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(package.join(path), mode).unwrap();
    }
    (test, file)
}

fn read(file: &PathBuf) -> String {
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn everything_goes_and_the_entries_come_back() {
    let (test, file) = case();
    let adopted = read(&file);
    let listed = test.ok(&["uninstall", "--dry-run"]);
    for part in [
        "to restore in client configs:\n  a in ~/.cursor/mcp.json\n",
        "1 secret in the vault file",
        "1 policy",
        "1 installed package",
        "~/mcpwrap/policies/a.toml",
        "~/mcpwrap/data/vault.age",
        "~/mcpwrap/state",
    ] {
        assert!(listed.text().contains(part), "{part}: {listed}");
    }
    assert_eq!(read(&file), adopted, "a list changes nothing");
    assert!(test.root().join("state/undo.jsonl").exists());

    let ended = test.ok(&["uninstall", "--yes"]);
    assert_eq!(read(&file), text(), "{ended}");
    assert!(!test.root().exists(), "{ended}");
    assert!(
        ended.stderr.contains("the vault's key `~/vault.key` stays"),
        "{ended}"
    );
    assert!(ended.stderr.contains("the program `"), "{ended}");
    let again = test.ok(&["uninstall", "--yes"]);
    assert!(again.stderr.contains("nothing to remove"), "{again}");
    assert!(!test.root().exists(), "{again}");
}

#[test]
fn what_somebody_else_put_there_stays() {
    let (test, _) = case();
    let other = test.root().join("notes.txt");
    std::fs::write(&other, "mine").unwrap();
    // The policies are in the user's dotfiles: only the link goes.
    let dots = test.home.join("dots");
    std::fs::create_dir(&dots).unwrap();
    std::fs::set_permissions(&dots, std::fs::Permissions::from_mode(0o700)).unwrap();
    let policy = test.root().join("policies/a.toml");
    std::fs::rename(&policy, dots.join("a.toml")).unwrap();
    symlink(dots.join("a.toml"), &policy).unwrap();
    let ended = test.ok(&["uninstall", "--yes"]);
    assert!(
        ended.stderr.contains("`~/mcpwrap/notes.txt` stays"),
        "{ended}"
    );
    assert_eq!(std::fs::read(&other).unwrap(), b"mine");
    assert!(
        dots.join("a.toml").exists() && !policy.is_symlink(),
        "{ended}"
    );
}

/// An entry that cannot be restored needs its policy and its secret.
#[test]
fn nothing_is_removed_while_an_entry_needs_it() {
    let (test, file) = case();
    let by_hand = read(&file).replace("\"run\", \"a\"", "\"run\", \"other\"");
    std::fs::write(&file, &by_hand).unwrap();
    let ended = test.cli(&["uninstall", "--yes"]);
    assert_eq!(ended.code, 1, "{ended}");
    let still = "`a` in ~/.cursor/mcp.json still starts through `mcpwrap run other`";
    assert!(ended.stderr.contains(still), "{ended}");
    assert!(ended.stderr.contains("nothing was removed"), "{ended}");
    assert!(test.root().join("policies/a.toml").exists());
    assert!(test.ok(&["secret", "list"]).text().contains("a/api-key"));
    let ended = test.cli(&["uninstall", "--yes", "--force"]);
    assert_eq!(ended.code, 1, "the entry stays: {ended}");
    assert!(!test.root().exists(), "{ended}");
    assert_eq!(read(&file), by_hand);
}

#[test]
fn the_name_is_typed_at_a_terminal() {
    let (test, file) = case();
    let adopted = read(&file);
    let mut terminal = test.terminal(&["uninstall"]);
    terminal
        .expect("type `uninstall` to confirm: ")
        .enter("yes");
    let (code, shown) = terminal.end();
    assert_eq!((code, read(&file)), (1, adopted), "{shown}");
    let mut terminal = test.terminal(&["uninstall"]);
    terminal
        .expect("type `uninstall` to confirm: ")
        .enter("uninstall");
    let (code, shown) = terminal.end();
    assert_eq!((code, read(&file)), (0, text()), "{shown}");
    assert!(!test.root().exists(), "{shown}");
}

#[test]
fn a_running_server_is_stopped() {
    let test = Test::new();
    test.serve("one", &[], "");
    let mut run = test.run("one");
    run.initialize();
    let ended = test.ok(&["uninstall", "--yes"]);
    assert!(ended.text().contains("stopped: 1 server"), "{ended}");
    run.finish();
    assert!(!test.root().exists(), "{ended}");
}

#[test]
fn a_policy_is_removed() {
    let (test, file) = case();
    let ended = test.ok(&["policy", "rm", "a", "--dry-run"]);
    assert!(
        ended
            .text()
            .contains("would remove: ~/mcpwrap/policies/a.toml"),
        "{ended}"
    );
    assert!(
        ended
            .stderr
            .contains("`a` in ~/.cursor/mcp.json will no longer start"),
        "{ended}"
    );
    assert!(test.root().join("policies/a.toml").exists());
    let ended = test.ok(&["policy", "rm", "a", "--yes"]);
    assert!(ended.text().contains("removed: policy a\n"), "{ended}");
    assert!(
        ended.stderr.contains("`mcpwrap secret rm a/api-key`"),
        "{ended}"
    );
    assert!(!test.root().join("policies/a.toml").exists());
    assert_eq!(test.events().last().unwrap(), "revoke");
    // It is not approved again by adopting the entry again.
    test.ok(&["adopt", "--undo", "--yes"]);
    assert_eq!(read(&file), text());
    let ended = test.cli(&["adopt", "--yes"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.stderr.contains("not granted: it was revoked"),
        "{ended}"
    );
    test.ok(&["adopt", "--undo", "--yes"]);
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn each_name_is_tried() {
    let test = Test::new();
    test.serve("one", &[], "");
    test.serve("two", &[], "");
    let ended = test.cli(&["policy", "rm", "twp", "one", "--yes"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("did you mean `two`?"), "{ended}");
    assert!(ended.text().contains("removed: policy one"), "{ended}");
    assert!(test.root().join("policies/two.toml").exists());
}

/// Items of mcpwrap's services, also doubles and those with a name that mcpwrap does not use.
#[test]
fn uninstall_leaves_no_item() {
    let test = Test::new();
    let Some(desktop) = Desktop::start(&test) else {
        return;
    };
    test.ok(&["init"]);
    test.hide(TOKEN);
    let set = ["secret", "set", "github/token", "--from-stdin"];
    assert_eq!(test.feed(&set, TOKEN.as_bytes()).code, 0);
    for name in ["github/token", "not a name"] {
        let item = [
            "store",
            "--label=x",
            "service",
            "mcpwrap",
            "username",
            name,
            "more",
            "1",
        ];
        assert_eq!(desktop.secret_tool(&item, b"another value").code, 0);
    }
    let mine = [
        "store",
        "--label=mine",
        "service",
        "other",
        "username",
        "mcpwrap",
    ];
    assert_eq!(desktop.secret_tool(&mine, b"my own value").code, 0);
    // The index knows one of them.
    let ended = test.ok(&["uninstall", "--yes"]);
    assert!(
        ended
            .text()
            .contains("removed: secrets and keys in the keychain"),
        "{ended}"
    );
    assert!(!test.root().exists(), "{ended}");
    for service in ["mcpwrap", "mcpwrap-internal"] {
        let mut search = test.command("/usr/bin/secret-tool");
        let found = search
            .args(["search", "--all", "service", service])
            .output()
            .unwrap();
        let text = [found.stdout, found.stderr].concat();
        assert_eq!(String::from_utf8_lossy(&text), "", "{service}");
    }
    let other = ["lookup", "service", "other", "username", "mcpwrap"];
    assert_eq!(desktop.secret_tool(&other, b"").stdout, b"my own value");
}
