//! Pinning as a part of `mcpwrap adopt`: what can be pinned is installed, and a failure does not
//! prevent adopting.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Npm;
use crate::harness::{Ended, TOKEN};

/// A test with a client config that has these servers.
struct Case {
    npm: Npm,
    file: PathBuf,
    before: String,
}

impl Case {
    /// None without npm, with a message.
    fn new(servers: &[(&str, &str)]) -> Option<Self> {
        let npm = Npm::new()?;
        npm.test.hide(TOKEN);
        let entry = |(name, package): &(&str, &str)| {
            let env = json!({ "API_TOKEN": TOKEN });
            let entry = json!({ "command": "npx", "args": ["-y", package], "env": env });
            ((*name).to_owned(), entry)
        };
        let all: serde_json::Map<String, Value> = servers.iter().map(entry).collect();
        let before = json!({ "mcpServers": all }).to_string();
        let file = npm.test.home.join("client.json");
        std::fs::write(&file, &before).unwrap();
        Some(Self { npm, file, before })
    }

    fn adopt(&self, more: &[&str]) -> Ended {
        let file = self.file.display().to_string();
        let fixed = ["adopt", "--yes", "--config", &file];
        self.npm.test.ok(&[&fixed[..], more].concat())
    }

    fn policy(&self, name: &str) -> String {
        let path = self.npm.test.root().join(format!("policies/{name}.toml"));
        std::fs::read_to_string(path).unwrap()
    }

    /// Restores everything, byte for byte.
    fn undo(self) {
        self.npm.test.ok(&["adopt", "--undo", "--yes"]);
        assert_eq!(std::fs::read_to_string(&self.file).unwrap(), self.before);
        std::fs::remove_file(&self.file).unwrap();
    }
}

/// `adopt` pins as part of adopting (progress bar), and says so if it cannot.
#[test]
fn what_can_be_pinned_is_pinned_and_the_rest_is_adopted() {
    let Some(case) = Case::new(&[("s", "@s/server"), ("t", "@s/absent")]) else {
        return;
    };
    let ended = case.adopt(&[]);
    for part in [
        "[1/2] pinning server `",
        "[2/2] pinning server `",
        "server `t` is adopted but not pinned: its launcher starts whatever version is current",
        "run `mcpwrap pin t` to try again",
    ] {
        assert!(ended.stderr.contains(part), "{part}\n{ended}");
    }
    assert!(
        ended.text().contains("pinned: s, @s/server 1.0.0 from npm"),
        "{ended}"
    );
    // The pin removes the permission to start any version.
    let (s, t) = (case.policy("s"), case.policy("t"));
    assert!(s.contains("[package]") && !s.contains("unpinned"), "{s}");
    assert!(
        !t.contains("[package]") && t.contains("unpinned = \"allow\""),
        "{t}"
    );
    let pinned = case.npm.test.events();
    assert_eq!(pinned.iter().filter(|event| *event == "pin").count(), 1);
    assert_eq!(case.npm.start().0, "real");
    case.undo();
}

#[test]
fn a_registry_that_does_not_answer_is_asked_once() {
    let Some(case) = Case::new(&[("s", "@s/server@1.0.0"), ("t", "@s/other")]) else {
        return;
    };
    case.npm.registry.close();
    let ended = case.adopt(&[]);
    assert_eq!(
        ended.stderr.matches("error[package-failed]").count(),
        1,
        "{ended}"
    );
    assert_eq!(
        ended.stderr.matches("adopted but not pinned").count(),
        2,
        "{ended}"
    );
    assert!(
        ended
            .stderr
            .contains("its launcher starts the exact version"),
        "{ended}"
    );
    case.undo();
}

#[test]
fn without_npm_and_without_pins() {
    let Some(case) = Case::new(&[("s", "@s/server")]) else {
        return;
    };
    let ended = case.adopt(&["--no-pin"]);
    assert!(!ended.stderr.contains("pinning"), "{ended}");
    assert!(
        ended.stderr.contains("run `mcpwrap pin s` to pin it"),
        "{ended}"
    );
    case.npm.test.ok(&["adopt", "--undo", "--yes"]);
    case.npm.test.set("PATH", "/nowhere");
    let ended = case.adopt(&[]);
    for part in [
        "program `npm` not found",
        "adopted but not pinned",
        "`mcpwrap pin s`",
    ] {
        assert!(ended.stderr.contains(part), "{part}\n{ended}");
    }
    case.undo();
}

/// Ctrl-C lets those that have begun end, and says what is left; the next adopt goes on there.
#[test]
fn an_interrupted_adopt_is_resumed() {
    let specs: Vec<_> = (0..5).map(|n| format!("@s/server@1.0.{n}")).collect();
    let names = ["a", "b", "c", "d", "s"];
    let servers: Vec<_> = names
        .into_iter()
        .zip(specs.iter().map(String::as_str))
        .collect();
    let Some(case) = Case::new(&servers) else {
        return;
    };
    for n in 1..5 {
        case.npm.publish(&format!("1.0.{n}"), &json!({}));
    }
    let test = &case.npm.test;
    let file = case.file.display().to_string();
    case.npm.registry.hold();
    let args = ["adopt", "--yes", "--config", &file];
    let run = test.start(test.command(test.program()).args(args));
    // What the user must know is there before the long part. One registry gets four at once.
    let before = run.heard("[4/5] pinning server `");
    assert!(
        before.contains("Ctrl-C stops when those that have begun are done"),
        "{before}"
    );
    // Only mcpwrap gets it: npm finishes what it does.
    let program = test.program().display().to_string();
    let own = crate::harness::process::of_test(&test.dir);
    let own = own.iter().find(|(_, line)| line.starts_with(&program));
    nix::sys::signal::kill(own.unwrap().0, nix::sys::signal::Signal::SIGINT).unwrap();
    case.npm.registry.release();
    let ended = run.end();
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.text().contains("to undo, run `mcpwrap adopt --undo`"),
        "{ended}"
    );
    let left = "interrupted: the entries are adopted, 4 of 5 packages pinned; not pinned: `s`; run `mcpwrap adopt`";
    assert!(ended.stderr.contains(left), "{ended}");
    assert!(!case.policy("s").contains("[package]"));
    let ended = case.adopt(&[]);
    assert!(
        ended
            .stderr
            .contains("mcpwrap: pinning server `s` (@s/server@1.0.4)"),
        "{ended}"
    );
    assert!(case.policy("s").contains("[package]"), "{ended}");
    assert_eq!(case.npm.start().1, "1.0.4");
    case.undo();
}

/// A registry that hangs does not hold up the undo.
#[test]
fn what_is_adopted_can_be_undone_while_packages_are_installed() {
    let Some(case) = Case::new(&[("s", "@s/server")]) else {
        return;
    };
    let test = &case.npm.test;
    let file = case.file.display().to_string();
    case.npm.registry.hold();
    let args = ["adopt", "--yes", "--config", &file];
    let run = test.start(test.command(test.program()).args(args));
    case.npm.registry.wait_for(".tgz");
    test.ok(&["adopt", "--undo", "--yes"]);
    assert_eq!(std::fs::read_to_string(&case.file).unwrap(), case.before);
    case.npm.registry.release();
    let ended = run.end();
    // The policy stays, and its package with it.
    assert!(ended.text().contains("pinned: s, "), "{ended}");
    assert_eq!(std::fs::read_to_string(&case.file).unwrap(), case.before);
    // The restored entry has the secret again.
    std::fs::remove_file(&case.file).unwrap();
}

/// At a terminal one question covers everything.
#[test]
fn one_question_covers_the_pins() {
    let Some(case) = Case::new(&[("s", "@s/server")]) else {
        return;
    };
    let file = case.file.display().to_string();
    let mut terminal = case.npm.test.terminal(&["adopt", "--config", &file]);
    terminal
        .expect("install and pin 1 package. proceed? [y/n] ")
        .enter("y");
    terminal
        .expect("test the server now? it starts with its secrets. [y/n] ")
        .enter("n");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("pinned: s, @s/server 1.0.0 from npm"),
        "{shown}"
    );
    assert!(
        shown.contains("of 1 installed") || !shown.contains("pinning server"),
        "{shown}"
    );
    assert_eq!(case.npm.start().0, "real");
    case.undo();
}
