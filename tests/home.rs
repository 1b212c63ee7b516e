//! The home: a store opens only for the directories that it belongs to.

use std::path::Path;

use serde_json::json;

use crate::harness::{TOKEN, Test, skip, slot};
use crate::messages::message;
use crate::policy::with_etc;

const POLICY: &str = "version = 1\ncommand = [\"cat\"]\n";

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .args(["-a", "--"])
        .args([from, to])
        .status();
    assert!(status.unwrap().success());
}

/// A program of the user makes a home of its own, with the user's vault and key file, to approve there
/// what it likes.
#[test]
fn the_vault_does_not_open_in_another_home() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    let home = test.root();
    let other = test.home.join("other");
    for part in ["data/vault.age", "state/home.toml"] {
        let to = other.join(part);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        copy(&home.join(part), &to);
    }
    std::fs::copy(home.join("config.toml"), other.join("config.toml")).unwrap();
    for path in [&other, &other.join("state"), &other.join("data")] {
        crate::faults::chmod(path, 0o700);
    }
    test.set("MCPWRAP_HOME", &other);
    let policy = other.join("policies/github.toml");
    std::fs::create_dir(policy.parent().unwrap()).unwrap();
    std::fs::write(
        &policy,
        format!("{POLICY}{}", slot("TOKEN", "github/token")),
    )
    .unwrap();
    crate::faults::chmod(policy.parent().unwrap(), 0o700);
    crate::faults::chmod(&policy, 0o600);
    let refused = |args: &[&str]| {
        let ended = test.cli(args);
        assert_eq!(ended.code, 2, "{args:?}: {ended}");
        assert!(
            ended.stderr.contains("error[home-moved]"),
            "{args:?}: {ended}"
        );
        ended
    };
    message(&test, "home-moved", &refused(&["grant", "github", "--yes"]));
    refused(&["init"]);
    refused(&["secret", "set", "x", "--from-stdin"]);
    refused(&["log", "verify"]);
    says_so(&test);
    // Without the file of the home it is not a new home either.
    std::fs::remove_file(other.join("state/home.toml")).unwrap();
    let ended = refused(&["grant", "github", "--yes"]);
    assert!(ended.stderr.contains("does not exist"), "{ended}");
    says_so(&test);
    // What narrows and what lists works.
    test.ok(&["revoke", "github"]);
    test.ok(&["lock"]);
    test.ok(&["policy", "list"]);
    test.ok(&["secret", "list"]);
    test.ok(&["ps"]);
    test.ok(&["log"]);
    // Nothing can be started there, and the user's own home is as it was.
    let ended = test.run("github").refused();
    assert_eq!(ended.code, 125, "{ended}");
    test.set("MCPWRAP_HOME", &home);
    test.write_policy("github", POLICY);
    test.ok(&["grant", "github", "--yes"]);
}

/// `status` looks at the directories without the keys of the store.
fn says_so(test: &Test) {
    let status = test.cli(&["status", "--json"]);
    let store = &status.json()["store"];
    let expected = (&json!(false), &json!("home-moved"));
    assert_eq!((&store["works"], &store["error"]), expected, "{status}");
    assert_eq!(status.code, 1);
}

#[test]
fn a_home_that_was_moved_is_sealed_anew_on_a_terminal() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    test.write_policy("github", POLICY);
    test.ok(&["grant", "github", "--yes"]);
    let moved = test.home.join("moved");
    std::fs::rename(test.root(), &moved).unwrap();
    test.set("MCPWRAP_HOME", &moved);
    let ended = test.cli(&["grant", "github", "--yes"]);
    assert!(ended.stderr.contains("error[home-moved]"), "{ended}");
    let cause = format!("used in `{}`", moved.display());
    assert!(ended.stderr.contains(&cause), "{ended}");
    // A link to the directories is not another place.
    std::os::unix::fs::symlink(&moved, test.root()).unwrap();
    let mut terminal = test.terminal(&["init", "--moved"]);
    terminal.expect("type `moved` to confirm: ").enter("yes");
    assert_eq!(terminal.end().0, 1);
    let mut terminal = test.terminal(&["init", "--moved"]);
    terminal.expect("type `moved` to confirm: ").enter("moved");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    test.set("MCPWRAP_HOME", test.root());
    test.ok(&["grant", "github", "--yes"]);
    crate::audit::verify_intact(&test);
    let records = test.audit();
    let record = records
        .iter()
        .find(|record| record["event"] == "config")
        .unwrap();
    assert_eq!(record["reason"], "home");
    assert_eq!(record["detail"]["by"], "terminal");
}

/// Some clients start servers without `HOME`, or with one that is not a path: the home of the account is taken, and the client gets an
/// answer.
#[test]
fn without_a_home_variable_the_home_of_the_account_is_used() {
    let test = Test::new();
    test.unset("MCPWRAP_HOME");
    test.serve("fake", &[], "");
    let etc = test.dir.join("etc");
    std::fs::create_dir(&etc).unwrap();
    let passwd = format!("me:x:0:0::{}:/bin/sh\n", test.home.display());
    std::fs::write(etc.join("passwd"), passwd).unwrap();
    for (name, value) in [
        // As in a snap and in a Flatpak.
        ("XDG_CONFIG_HOME", test.home.join("snap/code/170/.config")),
        ("XDG_STATE_HOME", test.home.join(".var/app/com.x/state")),
        (
            "XDG_DATA_HOME",
            test.home.join("snap/code/170/.local/share"),
        ),
        ("HOME", test.home.join("snap/code/170")),
    ] {
        test.set(name, value);
    }
    for home in [None, Some("relative/home"), Some("")] {
        if let Some(home) = home {
            test.set("HOME", home);
        }
        let Some(mut command) = with_etc(&test, &["run", "fake"]) else {
            return skip("namespaces", "`unshare --mount` is not allowed here");
        };
        let mut run = test.start(&mut command);
        let answer = run.initialize();
        assert!(answer["result"].is_object(), "{answer}");
        assert_eq!(run.finish().code, 0);
    }
}

/// Otherwise another home than the one that was meant would be used, and perhaps removed.
#[test]
fn a_relative_home_is_refused() {
    let test = Test::new();
    test.set("MCPWRAP_HOME", "relative");
    for args in [&["status"][..], &["uninstall", "--yes"]] {
        let ended = test.cli(args);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains("error[home-unusable]"), "{ended}");
        assert!(ended.stderr.contains("is not an absolute path"), "{ended}");
    }
}
