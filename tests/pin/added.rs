//! `mcpwrap add` of a package: the current version is installed, shown, approved and tested.

use serde_json::json;

use super::Npm;
use crate::harness::TOKEN;

const NAME: &str = "@brave/brave-search-mcp-server";
const KEY: &str = "BSAx7Kq2mV9pL4nR8sT1wZ5yB3cD6";

impl Npm {
    /// Publishes a server under another name.
    pub(crate) fn package(&self, name: &str, version: &str) {
        let bin = name.rsplit('/').next().unwrap();
        let more = json!({ "name": name, "bin": { bin: "server.js" } });
        self.publish(version, &more);
    }
}

fn case() -> Option<Npm> {
    let npm = Npm::new()?;
    let more = json!({ "name": NAME });
    let (manifest, code) = Npm::server("2.0.1", "real", &more);
    npm.registry
        .npm(&npm.test.home, &manifest, &[("server.js", &code)]);
    std::fs::create_dir(npm.test.home.join(".cursor")).unwrap();
    Some(npm)
}

#[test]
fn a_server_of_the_catalog_is_current_and_pinned() {
    let Some(npm) = case() else { return };
    npm.test.hide(KEY);
    let mut terminal = npm
        .test
        .terminal(&["add", "brave-search", "--client", "cursor"]);
    terminal
        .expect("package @brave/brave-search-mcp-server, first-party")
        .expect("pin        the current version is installed and pinned")
        .expect("proceed? [y/n]")
        .enter("y")
        .expect("create one at https://api-dashboard.search.brave.com")
        .expect("value of `brave/api-key` (not shown): ")
        .enter_hidden(KEY)
        .expect("stored: brave/api-key")
        .expect("package    @brave/brave-search-mcp-server 2.0.1 from npm")
        .expect("type `brave-search` to confirm: ")
        .enter("brave-search")
        .expect("pinned: brave-search, ")
        .expect("works: brave-search, 0 tools")
        .expect("added to Cursor: ~/.cursor/mcp.json");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    let status = npm.test.cli(&["status"]);
    assert!(status.text().contains("granted: brave-search"), "{status}");
    let events = npm.test.events();
    for event in ["secret-set", "pin", "grant", "launch", "adopt"] {
        assert!(
            events.iter().any(|known| known == event),
            "{event}: {events:?}"
        );
    }
    npm.test.ok(&["remove", "brave-search", "--yes"]);
    assert!(!npm.test.home.join(".cursor/mcp.json").exists());
}

/// A secret that is stored is not asked for again, and a failed pin is resumed.
#[test]
fn a_registry_that_does_not_answer_is_asked_again() {
    let Some(npm) = case() else { return };
    npm.test.secret("brave/api-key", TOKEN);
    npm.test.set("npm_config_registry", "http://127.0.0.1:9");
    let args = ["add", "brave-search", "--client", "cursor", "--yes"];
    let ended = npm.test.cli(&args);
    assert_eq!(ended.code, 2, "{ended}");
    let again =
        "when that is solved, run `mcpwrap add brave-search --client cursor` again to continue";
    assert!(ended.stderr.contains(again), "{ended}");
    assert!(!npm.test.home.join(".cursor/mcp.json").exists());
    npm.test.set("npm_config_registry", &npm.registry.url);
    let ended = npm.test.ok(&args);
    assert!(ended.text().contains("works: brave-search"), "{ended}");
    assert!(npm.test.home.join(".cursor/mcp.json").exists());
}

/// What is written by hand says that it will be refused.
#[test]
fn what_is_not_pinned_says_that_it_will_be_refused() {
    let Some(npm) = case() else { return };
    let new = npm.test.ok(&["policy", "new", "brave-search"]);
    let refused = "will be refused: not pinned; run `mcpwrap pin brave-search`";
    assert!(new.stderr.contains(refused), "{new}");
    let set = "run `mcpwrap secret set brave/api-key`";
    assert!(new.stderr.contains(set), "{new}");
    let granted = npm.test.ok(&["grant", "brave-search", "--yes"]);
    assert!(granted.stderr.contains(refused), "{granted}");
    let lint = npm.test.ok(&["policy", "lint"]);
    assert!(lint.stderr.contains(refused), "{lint}");
    let status = npm.test.ok(&["status"]);
    let line = "granted, will be refused (not pinned): brave-search";
    assert!(status.text().contains(line), "{status}");
    npm.test.ok(&["pin", "brave-search", "--yes"]);
    let lint = npm.test.ok(&["policy", "lint"]);
    assert!(!lint.stderr.contains("will be refused"), "{lint}");
}
