//! AI agents: what they may not do, with and without `--yes`, and the only setting that lifts it.
//!
//! No command here has an agent among its real ancestors: the harness starts each with parents of its
//! own. So a refusal comes from a variable that the test has set.

use std::path::PathBuf;

use mcpwrap::testing::client::CLIENTS;

use crate::harness::{Ended, TOKEN, Test, slot};
use crate::messages::message;

const POLICY: &str = "version = 1\ncommand = [\"cat\", \"-u\"]\n";
const AGENT: &[(&str, &str)] = &[("CLAUDECODE", "1")];

/// A home with a policy that is not granted, a secret, and a client config to adopt.
fn case() -> (Test, PathBuf) {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    test.write_policy(
        "github",
        &format!("{POLICY}{}", slot("TOKEN", "github/token")),
    );
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let entry = r#"{"mcpServers": {"a": {"command": "/bin/cat", "env": {"API_KEY": "q9Kx2LmP7vRt4WzB8nYc"}}}}"#;
    std::fs::write(&file, entry).unwrap();
    (test, file)
}

fn status(test: &Test, server: &str) -> String {
    let list = test.ok(&["policy", "list", "--json"]).json();
    let mut list = list.as_array().unwrap().iter();
    let entry = list.find(|entry| entry["server"] == server).unwrap();
    entry["status"].as_str().unwrap().to_owned()
}

#[track_caller]
fn is_refused(ended: &Ended, args: &[&str]) {
    assert_eq!(ended.code, 2, "{args:?}: {ended}");
    let error = "error[agent-refused]";
    assert!(ended.stderr.contains(error), "{args:?}: {ended}");
    let hint = "open a terminal not started from it";
    assert!(ended.stderr.contains(hint), "{args:?}: {ended}");
}

/// Every command that approves, changes or sends something.
const REFUSED: &[&[&str]] = &[
    &["adopt"],
    &["adopt", "--yes"],
    &["adopt", "--undo"],
    &["adopt", "--undo", "--yes"],
    &["add", "context7"],
    &["add", "context7", "--client", "cursor", "--yes"],
    &["remove", "github"],
    &["remove", "github", "--yes"],
    &["grant", "github"],
    &["grant", "github", "--yes"],
    &["policy", "new", "x", "--", "server"],
    &["policy", "edit", "github"],
    &["policy", "rm", "github", "--yes"],
    &["uninstall"],
    &["uninstall", "--yes", "--force"],
    &["secret", "set", "github/token"],
    &["secret", "set", "github/token", "--from-stdin"],
    &["secret", "rotate", "github/token"],
    &["secret", "rotate", "github/token", "--from-stdin"],
    &["secret", "import", "secrets.env"],
    &["secret", "import", "secrets.env", "--yes"],
    &["secret", "rm", "github/token"],
    &["secret", "rm", "github/token", "--yes"],
    &["secret", "move", "keychain"],
    &["secret", "move", "keychain", "--yes"],
    &["store", "add", "op", "--type", "op"],
    &["store", "add", "op", "--type", "op", "--yes"],
    &["store", "rm", "op"],
    &["store", "rm", "op", "--yes"],
    &["store", "login", "op"],
    &["pin", "github"],
    &["pin", "github", "--yes"],
    &["init"],
    &["init", "--store", "file"],
    &["config", "agents", "--allow", "grant"],
    &["config", "agents", "--allow", "grant", "--yes"],
    &["config", "network", "--clear"],
    &["unlock"],
    &["check", "--verify"],
    &["test", "github", "--verify"],
];

#[test]
fn what_approves_changes_or_sends_is_refused() {
    let (test, file) = case();
    let import = test.dir.join("secrets.env");
    std::fs::write(import, "A_TOKEN=q9Kx2LmP7vRt4WzB8nYc\n").unwrap();
    let before = std::fs::read_to_string(&file).unwrap();
    for args in REFUSED {
        // In the process above, which had the variable when it started, and here.
        let ended = test.below(args, AGENT);
        is_refused(&ended, args);
        assert!(ended.stderr.contains("has `CLAUDECODE` set"), "{ended}");
        assert!(ended.stderr.contains("(`fake-server`)"), "{ended}");
        test.set("GEMINI_CLI", "1");
        let ended = test.cli(args);
        is_refused(&ended, args);
        assert!(
            ended.stderr.contains("cause: `GEMINI_CLI` is set"),
            "{ended}"
        );
        test.unset("GEMINI_CLI");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    assert_eq!(status(&test, "github"), "not-granted");
    let stored = test.ok(&["secret", "list", "--json"]).json();
    assert_eq!(stored.as_array().unwrap().len(), 1, "{stored}");
    assert_eq!(stored[0]["generation"], 1, "{stored}");
    let refusals: Vec<_> = test.audit();
    let refusals = refusals
        .iter()
        .filter(|record| record["outcome"] == "refused");
    for record in refusals.clone() {
        assert_eq!(record["reason"], "agent-refused", "{record}");
        assert!(record["detail"]["agent"].is_string(), "{record}");
    }
    // All but `policy new`, `policy edit`, `init` and `unlock`, which have no event.
    assert_eq!(refusals.count(), 2 * 35);
}

#[test]
fn each_variable_counts_if_it_has_a_value() {
    let (test, _) = case();
    let known = CLIENTS.iter().flat_map(|client| client.agent).copied();
    let document = include_str!("../docs/agents.md");
    for name in known.chain(["AI_AGENT"]) {
        assert!(document.contains(&format!("`{name}`")), "{name}");
        is_refused(
            &test.below(&["grant", "github", "--yes"], &[(name, "1")]),
            &[name],
        );
        test.set(name, "x");
        is_refused(&test.cli(&["grant", "github", "--yes"]), &[name]);
        test.set(name, "");
        test.ok(&["grant", "github", "--yes"]);
        test.unset(name);
    }
}

/// An agent can start a terminal and type the name of the server.
#[test]
fn a_terminal_below_an_agent_does_not_help() {
    let (test, _) = case();
    let (code, shown) = test.terminal_below(&["grant", "github"], AGENT).end();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("error[agent-refused]"), "{shown}");
    assert_eq!(status(&test, "github"), "not-granted");
    // The user's terminal.
    let mut terminal = test.terminal(&["grant", "github"]);
    terminal.expect("to confirm: ").enter("github");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(status(&test, "github"), "granted");
}

#[test]
fn what_reads_or_narrows_is_allowed() {
    let (test, _) = case();
    test.serve("fake", &[], "");
    for args in [
        &["adopt", "--dry-run"][..],
        &["adopt", "--undo", "--dry-run"],
        &["policy", "list"],
        &["policy", "show", "github"],
        &["policy", "lint"],
        &["policy", "new", "x", "--dry-run", "--", "server"],
        &["secret", "list"],
        &["config", "agents"],
        &["status"],
        &["ps"],
        &["log"],
        &["log", "verify"],
        &["drill"],
        &["revoke", "fake"],
        &["lock"],
    ] {
        let ended = test.below(args, AGENT);
        assert!(!ended.stderr.contains("agent-refused"), "{args:?}: {ended}");
        test.set("CLAUDECODE", "1");
        let ended = test.cli(args);
        assert!(!ended.stderr.contains("agent-refused"), "{args:?}: {ended}");
        test.unset("CLAUDECODE");
    }
    assert_eq!(status(&test, "fake"), "revoked");
}

#[test]
fn only_the_sealed_setting_lifts_it() {
    let (test, _) = case();
    let grant = ["grant", "github", "--yes"];
    // The setting of the first version: any program can write it.
    let config = test.root().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}[agents]\nallow_yes = true\n")).unwrap();
    let ended = test.below(&grant, AGENT);
    is_refused(&ended, &grant);
    let note = "`allow_yes` in config.toml has no effect";
    assert!(ended.stderr.contains(note), "{ended}");

    let mut terminal = test.terminal(&["config", "agents", "--allow", "grant"]);
    terminal.expect("without asking you: grant");
    terminal
        .expect("type `agents` to confirm: ")
        .enter("agents");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    let record = test.audit().pop().unwrap();
    assert_eq!(record["event"], "config");
    assert_eq!(
        (&record["reason"], &record["detail"]["note"]),
        (&"agents".into(), &"grant".into())
    );
    assert_eq!(test.below(&grant, AGENT).code, 0);
    assert_eq!(test.audit().pop().unwrap()["detail"]["agent"], "CLAUDECODE");
    // Nothing else, and not the setting itself.
    is_refused(
        &test.below(&["secret", "rm", "github/token", "--yes"], AGENT),
        &["secret"],
    );
    let more = ["config", "agents", "--allow", "secret", "--yes"];
    is_refused(&test.below(&more, AGENT), &more);

    // A list that was edited allows nothing.
    let path = test.root().join("state/settings.toml");
    let sealed = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, sealed.replace("\"grant\"", "\"grant\", \"secret\"")).unwrap();
    let ended = test.below(&grant, AGENT);
    is_refused(&ended, &grant);
    let cause = "the seal does not match the key in your store";
    assert!(ended.stderr.contains(cause), "{ended}");
    message(&test, "settings-broken", &test.cli(&["config", "agents"]));

    std::fs::write(&path, sealed).unwrap();
    test.ok(&["config", "agents", "--forbid", "grant"]);
    is_refused(&test.below(&grant, AGENT), &grant);
}
