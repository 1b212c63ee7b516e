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
        "[1/2] pinning server `s`",
        "[2/2] pinning server `t`",
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

/// Ctrl-C ends between two packages and says what is left; the next adopt goes on there.
#[test]
fn an_interrupted_adopt_is_resumed() {
    let Some(case) = Case::new(&[("s", "@s/server"), ("t", "@s/server")]) else {
        return;
    };
    let test = &case.npm.test;
    let file = case.file.display().to_string();
    let args = ["adopt", "--yes", "--config", &file];
    let run = test.start(test.command(test.program()).args(args));
    // What the user must know is there before the long part.
    let before = run.heard("[1/2] pinning server `s`");
    assert!(
        before.contains("Ctrl-C stops after the current one"),
        "{before}"
    );
    // Only mcpwrap gets it: npm finishes what it does.
    let program = test.program().display().to_string();
    let own = crate::harness::process::of_test(&test.dir);
    let own = own.iter().find(|(_, line)| line.starts_with(&program));
    nix::sys::signal::kill(own.unwrap().0, nix::sys::signal::Signal::SIGINT).unwrap();
    let ended = run.end();
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.text().contains("to undo, run `mcpwrap adopt --undo`"),
        "{ended}"
    );
    let left = "interrupted: the entries are adopted, 1 of 2 packages pinned; not pinned: `t`; run `mcpwrap adopt`";
    assert!(ended.stderr.contains(left), "{ended}");
    assert!(!case.policy("t").contains("[package]"));
    let ended = case.adopt(&[]);
    assert!(ended.stderr.contains("[1/1] pinning server `t`"), "{ended}");
    assert!(case.policy("t").contains("[package]"), "{ended}");
    case.undo();
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
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("pinned: s, @s/server 1.0.0 from npm"),
        "{shown}"
    );
    assert!(
        shown.contains("] 1/1 pinning server `s`") || !shown.contains("[1/1]"),
        "{shown}"
    );
    assert_eq!(case.npm.start().0, "real");
    case.undo();
}
