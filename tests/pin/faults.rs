//! A failure during installation leaves nothing incomplete.

use nix::sys::signal::Signal;
use serde_json::json;

use super::{Npm, Registry};
use crate::harness::{DEADLINE, policy_text, process};

/// Kill -9 during install: no half install is ever used.
#[test]
fn a_killed_installation_leaves_nothing_in_use() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    let before = npm.text();
    npm.registry.hold();
    let pin = npm.test.start(
        npm.test
            .command(npm.test.program())
            .args(["pin", "s", "--yes"]),
    );
    npm.registry.wait_for(".tgz");
    pin.signal(Signal::SIGKILL);
    assert_eq!(pin.end().signal, Some(9));
    // npm, which still waits for the registry, is killed with its parent. Not on macOS.
    if cfg!(not(target_os = "linux")) {
        npm.registry.release();
    }
    let left = process::wait_for_none(&npm.test.dir, DEADLINE);
    assert!(left.is_empty(), "{left:?}");
    npm.registry.release();
    assert_eq!(npm.text(), before);
    let is_install = |path: &std::path::PathBuf| path.file_name().unwrap().len() == 64;
    assert!(!npm.installations().iter().any(is_install));

    npm.test.ok(&["pin", "s", "--yes"]);
    assert_eq!(npm.start().0, "real");
    // The incomplete installation is gone.
    npm.installed();
}

/// Two pins at once.
#[test]
fn two_at_once_do_not_disturb_each_other() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    npm.registry.hold();
    let start = || {
        npm.test.start(
            npm.test
                .command(npm.test.program())
                .args(["pin", "s", "--yes"]),
        )
    };
    let (first, second) = (start(), start());
    npm.registry.wait_for(".tgz");
    npm.registry.release();
    let ended = [first.finish(), second.finish()];
    assert!(
        ended.iter().any(|one| one.code == 0),
        "{}\n{}",
        ended[0],
        ended[1]
    );
    for one in ended.iter().filter(|one| one.code != 0) {
        assert!(
            one.stderr.contains("was changed while `pin` was running"),
            "{one}"
        );
    }
    assert_eq!(npm.start().0, "real");
    npm.installed();
}

#[test]
fn what_cannot_be_installed_is_said() {
    let Some(npm) = Npm::new() else { return };
    for (command, part) in [
        (&["npx", "-y", "@s/absent@1.0.0"][..], "404"),
        (&["npx", "-y", "@s/server@9.9.9"], "9.9.9"),
        (&["npx", "-y", "owner/repo"], "git repository"),
        (&["npx", "-y", "-c", "server"], "started by a shell script"),
        (
            &["npx", "-y", "-p", "@s/server@1.0.0", "absent"],
            "has no program `absent`",
        ),
    ] {
        npm.policy(command);
        let before = npm.text();
        let ended = npm.test.cli(&["pin", "s", "--yes"]);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains("error[package-failed]"), "{ended}");
        assert!(ended.stderr.contains(part), "{part}\n{ended}");
        assert_eq!(npm.text(), before);
        assert_eq!(npm.installations().len(), 0);
    }
    npm.registry.close();
    npm.policy(&["npx", "-y", "@s/other"]);
    let ended = npm.test.cli(&["pin", "s", "--yes"]);
    assert!(ended.stderr.contains("error[package-failed]"), "{ended}");
    npm.test.set("PATH", "/nowhere");
    let ended = npm.test.cli(&["pin", "s", "--yes"]);
    assert!(ended.stderr.contains("program `npm` not found"), "{ended}");
}

/// The second package, and the named program of the first.
#[test]
fn several_packages_are_installed_together() {
    let Some(npm) = Npm::new() else { return };
    let helper = json!({ "name": "helper", "version": "2.0.0", "main": "h.js" });
    npm.registry.npm(
        &npm.test.home,
        &helper,
        &[("h.js", "module.exports = 'helper'")],
    );
    npm.policy(&[
        "npm",
        "exec",
        "--yes",
        "-p",
        "@s/server@1.0.0",
        "-p",
        "helper",
        "--",
        "server",
        "-x",
    ]);
    npm.test.ok(&["pin", "s", "--yes"]);
    let facts = npm.start().2;
    assert_eq!(
        (&facts["dependency"], &facts["args"]),
        (&json!("helper"), &json!(["-x"]))
    );
}

/// A registry that hangs holds up only what comes from it, and its user sees that something runs.
#[test]
fn a_registry_that_hangs_holds_up_nobody_else() {
    let Some(npm) = Npm::new() else { return };
    let other = Registry::start();
    let (manifest, code) = Npm::server("3.0.0", "real", &json!({}));
    other.npm(&npm.test.home, &manifest, &[("server.js", &code)]);
    other.hold();
    let from_other = format!("--registry={}", other.url);
    let policy = |name: &str, command: &[&str]| {
        npm.test.write_policy(name, &policy_text(command, ""));
    };
    policy("h", &["npx", "-y", &from_other, "@s/server@3.0.0"]);
    policy("s", &["npx", "-y", "@s/server@1.0.0"]);
    policy("t", &["npx", "-y", "@s/server@1.0.0"]);
    policy("absent", &["npx", "-y", "@s/absent@1.0.0"]);
    let args = ["pin", "h", "s", "absent", "nobody", "--yes"];
    let run = npm
        .test
        .start(npm.test.command(npm.test.program()).args(args));
    run.heard("server `h` (@s/server@3.0.0): installing");
    // Another command installs meanwhile.
    npm.test.ok(&["pin", "t", "--yes"]);
    other.release();
    let ended = run.end();
    assert_eq!(ended.code, 2, "{ended}");
    assert!(
        ended.text().contains("pinned: h, @s/server 3.0.0 from npm"),
        "{ended}"
    );
    for part in [
        "cannot pin server `absent`",
        "`nobody`",
        "failed: `nobody`, `absent`",
    ] {
        assert!(ended.stderr.contains(part), "{part}\n{ended}");
    }
}
