//! A failure during installation leaves nothing incomplete.

use nix::sys::signal::Signal;
use serde_json::json;

use super::{Npm, Registry};
use crate::harness::apart::without_terminal;
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
        (&["npx", "-y", "/usr/share"], "installs the directory"),
        (
            &["npx", "-y", "-p", "@s/server@1.0.0", "-c", "server; date"],
            "started by a shell script",
        ),
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
    npm.policy(&["npx", "-y", "/usr/share"]);
    let checked = npm.test.cli(&["check"]);
    let found = "`/usr/share` is a directory that `npx` installs at each start";
    assert!(checked.text().contains(found), "{checked}");
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

/// The text of `-c` is taken apart if it is one plain command.
#[test]
fn the_command_of_a_script_is_the_one_that_starts() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&[
        "npx",
        "-y",
        "-p",
        "@s/server@1.0.0",
        "-c",
        "server --flag 'two words'",
    ]);
    npm.test.ok(&["pin", "s", "--yes"]);
    let facts = npm.start().2;
    assert_eq!(facts["args"], json!(["--flag", "two words"]));
}

/// A damaged tree that was pinned is installed anew; nothing is left of the rest.
#[test]
fn an_installation_is_listed_repaired_and_removed() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    let shown = npm.test.ok(&["pin", "s", "--dry-run"]);
    assert!(
        shown
            .text()
            .contains("would pin: s\n  package    @s/server 1.0.0"),
        "{shown}"
    );
    assert_eq!(npm.installations().len(), 0);
    assert!(!npm.text().contains("[package]"));

    npm.test.ok(&["pin", "s", "--yes"]);
    let asked = npm.registry.asked().len();
    npm.test.ok(&["pin", "s", "--repair", "--yes"]);
    assert!(npm.registry.asked().len() > asked, "it is installed again");
    assert_eq!(npm.start().0, "real");
    let tree = npm
        .installed()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();

    let listed = npm.test.ok(&["pin", "--list"]);
    assert!(
        listed.text().contains(&tree[..12]) && listed.stderr.contains("0 unused"),
        "{listed}"
    );
    let json = npm.test.ok(&["pin", "--list", "--json"]).json();
    assert_eq!(json["installed"][0]["tree"], json!(tree));
    assert_eq!(json["installed"][0]["servers"], json!(["s"]));

    npm.publish("2.0.0", &json!({}));
    npm.test.ok(&["pin", "s", "--to", "latest", "--yes"]);
    npm.policy(&["npx", "-y", "@s/server@2.0.0"]);
    npm.test.ok(&["pin", "s", "--yes"]);
    let shown = npm.test.ok(&["pin", "--prune", "--dry-run"]);
    assert!(
        shown.text().contains("would remove: ") && shown.text().contains(&tree),
        "{shown}"
    );
    assert_eq!(npm.installations().len(), 2);
    npm.test.ok(&["pin", "--prune"]);
    assert_eq!(npm.start().1, "2.0.0");
    npm.installed();
}

/// A package for another platform that the registry lacks, and versions for another Node.js.
#[test]
fn what_npx_would_take_is_taken() {
    let Some(npm) = Npm::new() else { return };
    let lacking = json!({ "optionalDependencies": { "@s/server-other-platform": "1.0.0" } });
    npm.publish("1.1.0", &lacking);
    let newer = json!({ "engines": { "node": ">=999" } });
    npm.publish("1.2.0", &newer);
    npm.policy(&["npx", "-y", "@s/server"]);
    let said = npm.test.ok(&["pin", "s", "--yes"]);
    for part in [
        "package    @s/server 1.1.0 from npm",
        "latest     1.2.0, which needs Node.js >=999",
    ] {
        assert!(said.text().contains(part), "{part}\n{said}");
    }
    assert_eq!(npm.start().1, "1.1.0");
    // What cannot run here is not offered.
    let outdated = npm.test.ok(&["pin", "--outdated"]);
    assert!(
        outdated.stderr.contains("1 of 1 pinned package up to date"),
        "{outdated}"
    );
    npm.policy(&["npx", "-y", "@s/server@1.2.0"]);
    let said = npm.test.ok(&["pin", "s", "--yes"]);
    assert!(
        said.text()
            .contains("may fail   @s/server@1.2.0 needs Node.js >=999"),
        "{said}"
    );

    npm.registry.close();
    let unknown = npm.test.cli(&["pin", "--outdated", "--json"]);
    assert_eq!(unknown.code, 2, "{unknown}");
    assert_eq!(unknown.json()["unanswered"], json!(["s"]));
}

/// What a person wants to know before saying yes.
#[test]
fn another_publisher_new_scripts_and_a_deprecation_are_shown() {
    let Some(npm) = Npm::new() else { return };
    npm.publish("1.1.0", &json!({ "_npmUser": { "name": "ana" } }));
    let more = json!({
        "_npmUser": { "name": "eve" }, "deprecated": "use other",
        "scripts": { "postinstall": "true" },
    });
    npm.publish("1.2.0", &more);
    npm.policy(&["npx", "-y", "@s/server@1.1.0"]);
    let said = npm.test.ok(&["pin", "s", "--yes"]);
    assert!(
        said.text().contains("published  2026-01-02 by ana"),
        "{said}"
    );
    let said = npm.test.ok(&["pin", "s", "--to", "1.2.0", "--yes"]);
    for part in [
        "published  2026-01-02 by eve",
        "PUBLISHER  another one than before: ana",
        "DEPRECATED use other",
        "SCRIPTS    new in this version: @s/server",
    ] {
        assert!(said.text().contains(part), "{part}\n{said}");
    }
    // Without a version, npx passes a deprecated one over, too.
    npm.policy(&["npx", "-y", "@s/server"]);
    let said = npm.test.ok(&["pin", "s", "--yes"]);
    assert!(said.text().contains("pinned: s, @s/server 1.1.0"), "{said}");
}

/// Everything that a new version changes can be read before it is approved.
#[test]
fn the_changes_of_all_files_are_shown_on_request() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    let diff = |more: &[&str]| {
        let said = npm
            .test
            .ok(&[&["pin", "s", "--dry-run", "--diff"], more].concat());
        said.text().to_owned()
    };
    let first = diff(&[]);
    assert!(
        first.contains("nothing to compare: there is no earlier"),
        "{first}"
    );
    npm.test.ok(&["pin", "s", "--yes"]);
    assert!(diff(&[]).contains("no file differs"), "{}", diff(&[]));

    let (manifest, code) = Npm::server("1.1.0", "evil\u{1b}[2J", &json!({}));
    let files = [("server.js", code.as_str()), ("more.js", "run()\n")];
    npm.registry.npm(&npm.test.home, &manifest, &files);
    let before = npm.text();
    let shown = diff(&["--to", "1.1.0"]);
    assert!(
        shown.contains("node_modules/@s/server/more.js: new\n@@ -0,0 +1 @@\n+run()\n"),
        "{shown}"
    );
    assert!(shown.contains("server.js: changed\n@@ "), "{shown}");
    assert!(
        shown.contains("evil\u{fffd}[2J") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    assert_eq!(npm.text(), before);
    let alone = npm.test.cli(&["pin", "s", "--diff"]);
    assert!(alone.stderr.contains("--dry-run"), "{alone}");
}

/// Nothing is downloaded for a question that cannot be asked.
#[test]
fn without_a_terminal_nothing_is_installed() {
    let Some(npm) = Npm::new() else { return };
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    let before = npm.text();
    let ended = without_terminal(&npm.test, &["pin", "s"]).end();
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[no-terminal]"), "{ended}");
    assert!(npm.installations().is_empty());
    assert_eq!(npm.text(), before);
}
