//! The steps of `add`: each is done once, the test comes before any config, and the same command continues.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::{CURSOR, Case};
use crate::bridge::web::{Then, Web, well};
use crate::harness::{TOKEN, fake_server};

/// The test fails, so no config is written; the same command continues when it is fixed.
#[test]
fn a_server_that_does_not_work_is_in_no_config() {
    let case = Case::new(CURSOR);
    let flag = case.test.home.join("works");
    let script = format!(
        "#!/bin/sh\n[ -e '{}' ] || exit 3\nexec '{}'\n",
        flag.display(),
        fake_server().display()
    );
    let program = case
        .test
        .program_file("server", &script)
        .display()
        .to_string();
    let args = ["add", "s", "--yes", "--client", "cursor", "--", &program];
    let ended = case.test.cli(&args);
    assert_eq!(ended.code, 1, "{ended}");
    for part in [
        "no client config was changed; the policy and the secrets stay",
        "run `mcpwrap add s --client cursor` to continue",
        "`mcpwrap remove s` to remove them",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {ended}");
    }
    assert_eq!(case.text(), CURSOR);
    assert!(case.policy("s").exists());
    assert!(!case.test.events().contains(&"adopt".to_owned()));

    std::fs::write(&flag, "").unwrap();
    let ended = case.test.ok(&["add", "s", "--yes", "--client", "cursor"]);
    assert!(
        ended.text().contains("policy `s` (exists, unchanged):"),
        "{ended}"
    );
    assert!(ended.text().contains("works: s, "), "{ended}");
    assert!(case.text().contains("\"run\", \"s\""), "{}", case.text());
    let grants = case
        .test
        .events()
        .into_iter()
        .filter(|event| event == "grant");
    assert_eq!(grants.count(), 1, "granted once");
    assert!(case.test.events().contains(&"adopt".to_owned()));
}

/// From nothing to a working entry, at a terminal: with a secret in a header of a remote server.
#[test]
fn a_remote_server_with_a_header() {
    let case = Case::new(CURSOR);
    std::fs::create_dir(case.test.home.join(".codex")).unwrap();
    case.test.hide(TOKEN);
    let expected = format!("Bearer {TOKEN}");
    let web = Web::start(move |asked, reply| {
        if asked.header("authorization") != Some(&expected) {
            reply.status(401);
            return Then::Keep;
        }
        if asked.rpc() == "tools/list" {
            let tool = json!({"name": "t", "inputSchema": {"type": "object"}});
            reply.result(asked, &json!({ "tools": [tool] }));
            return Then::Keep;
        }
        well(asked, reply)
    });
    let (url, header) = (web.url(), "Authorization: Bearer {secret.TOKEN}");
    let mut terminal = case
        .test
        .terminal(&["add", "s", "--url", &url, "--header", header]);
    terminal
        .expect("clients on this machine:")
        .expect("1  Cursor (cursor)")
        .expect("add it to which?")
        .enter("1")
        .expect("secret `s/token`: for `TOKEN`")
        .expect("\"s\": {")
        .expect("proceed? [y/n]")
        .enter("y")
        .expect("value of `s/token` (not shown): ")
        .enter_hidden(TOKEN)
        .expect("stored: s/token")
        .expect("type `s` to confirm: ")
        .enter("s")
        .expect("granted: s")
        .expect("works: s, ")
        .expect("added to Cursor: ~/.cursor/mcp.json")
        .expect("to undo, run `mcpwrap remove s`");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    let entry: serde_json::Value = serde_json::from_str(&case.text()).unwrap();
    let program = case.test.program().display().to_string();
    assert_eq!(
        entry["mcpServers"]["s"],
        json!({"command": program, "args": ["run", "s"]})
    );
    let policy = std::fs::read_to_string(case.policy("s")).unwrap();
    assert!(policy.contains("on_failure = \"stub\""), "{policy}");

    // Of all that, nothing is left.
    let ended = case.test.ok(&["remove", "s", "--yes"]);
    for part in [
        "removed: s from ~/.cursor/mcp.json",
        "removed: policy s",
        "removed: secret s/token",
    ] {
        assert!(ended.text().contains(part), "{part}: {ended}");
    }
    assert_eq!(case.text(), CURSOR);
    assert!(!case.policy("s").exists());
    assert!(!case.test.root().join("state/grants/s.toml").exists());
}

/// Another prefix than the catalog's is asked about, and nothing that is answered no is stored.
#[test]
fn the_shape_of_a_value_is_checked() {
    let case = Case::new(CURSOR);
    case.test.hide(TOKEN);
    let mut terminal = case
        .test
        .terminal(&["add", "context7", "--remote", "--client", "cursor"]);
    terminal
        .expect("from       remote server https://mcp.context7.com/mcp, first-party")
        .expect("proceed? [y/n]")
        .enter("y")
        .expect("value of `context7/api-key`")
        .enter_hidden(TOKEN)
        .expect("does not start with ctx7sk")
        .enter("n");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    let listed = case.test.ok(&["secret", "list"]);
    assert!(!listed.text().contains("context7"), "{listed}");
    assert_eq!(case.text(), CURSOR);
}

/// The forms of a known server: the vendor's own remote server comes first.
#[test]
fn the_vendors_own_server_is_proposed_first() {
    let case = Case::new(CURSOR);
    let mut terminal = case.test.terminal(&["add", "github", "--client", "cursor"]);
    terminal
        .expect("server `github` has several forms:")
        .expect("1  remote server https://api.githubcopilot.com/mcp/, first-party")
        .expect("2  package ghcr.io/github/github-mcp-server")
        .expect("which one? [1-2]")
        .enter("1")
        .expect("proceed?")
        .enter("n");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(!case.policy("github").exists());
}

/// What was revoked is not approved again by a flag.
#[test]
fn a_revoked_server_is_not_approved_by_yes() {
    let case = Case::new(CURSOR);
    let ended = case.add(&["--client", "cursor"]);
    assert_eq!(ended.code, 0, "{ended}");
    case.test.ok(&["revoke", "s"]);
    let ended = case.test.cli(&["add", "s", "--yes", "--client", "cursor"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[revoked]"), "{ended}");
}

/// A link stays a link, and mode and target are those of before.
#[test]
fn links_and_modes_are_kept() {
    let case = Case::new(CURSOR);
    let real = case.test.home.join("dotfiles.json");
    std::fs::rename(&case.file, &real).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&real, &case.file).unwrap();
    let ended = case.add(&["--client", "cursor"]);
    assert_eq!(ended.code, 0, "{ended}");
    assert!(case.file.symlink_metadata().unwrap().is_symlink());
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert!(case.text().contains("\"run\", \"s\""));
    case.test.ok(&["remove", "s", "--yes"]);
    assert_eq!(case.text(), CURSOR);
    assert!(case.file.symlink_metadata().unwrap().is_symlink());
}
