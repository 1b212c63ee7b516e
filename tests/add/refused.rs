//! What `add` refuses, before anything is changed.

use super::{CURSOR, Case};
use crate::messages::message;

#[test]
fn a_name_that_the_catalog_does_not_have() {
    let case = Case::new(CURSOR);
    for (name, hint) in [
        ("githb", "did you mean `github`?"),
        ("cloudflare", "cloudflare-bindings"),
        ("zzzzzzzzz", "known servers: airtable, "),
    ] {
        let ended = case.test.cli(&["add", name, "--client", "cursor", "--yes"]);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains(hint), "{ended}");
        let other = format!("run `mcpwrap add {name} -- COMMAND`");
        assert!(ended.stderr.contains(&other), "{ended}");
    }
    assert_eq!(case.text(), CURSOR);
    assert!(!case.policy("githb").exists());
}

#[test]
fn an_entry_that_exists_is_never_replaced() {
    let text = CURSOR.replace("other", "s");
    let case = Case::new(&text);
    let ended = case.add(&["--client", "cursor"]);
    assert_eq!(ended.code, 2, "{ended}");
    message(&case.test, "entry-exists", &ended);
    assert_eq!(case.text(), text);
    assert!(!case.policy("s").exists(), "nothing else was changed");
    // Something else of this name, too.
    std::fs::write(&case.file, "{\"mcpServers\": {\"s\": null}}").unwrap();
    let ended = case.add(&["--client", "cursor"]);
    assert!(ended.stderr.contains("error[entry-exists]"), "{ended}");
}

#[test]
fn clients_that_cannot_get_it() {
    let case = Case::new(CURSOR);
    for (client, words) in [
        ("pi", "mcpwrap does not know how its configs are written"),
        ("zed", "the directory of this client does not exist"),
        ("cursr", "did you mean `cursor`?"),
    ] {
        let ended = case.add(&["--client", client]);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains(words), "{ended}");
    }
    for broken in ["{\"mcpServers\": {", "{\"mcpServers\": []}"] {
        std::fs::write(&case.file, broken).unwrap();
        let ended = case.add(&["--client", "cursor"]);
        assert_eq!(ended.code, 2, "{ended}");
        assert_eq!(case.text(), broken);
    }
    assert!(!case.policy("s").exists());
}

#[test]
fn a_script_names_the_client_and_stores_the_secrets_first() {
    let case = Case::new(CURSOR);
    std::fs::create_dir(case.test.home.join(".codex")).unwrap();
    let ended = case.add(&[]);
    assert!(
        ended
            .stderr
            .contains("several clients were found: cursor, codex"),
        "{ended}"
    );
    let args = ["add", "context7", "--yes", "--client", "cursor"];
    let ended = case.test.cli(&args);
    assert_eq!(ended.code, 2, "{ended}");
    for part in [
        "the store has no secret `context7/api-key`",
        "run `mcpwrap secret set context7/api-key --from-stdin`",
        "then run `mcpwrap add context7 --client cursor` again to continue",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {ended}");
    }
    assert_eq!(case.text(), CURSOR);
    // Without a terminal nobody can agree.
    let ended = case.test.cli(&["add", "context7", "--client", "cursor"]);
    assert!(ended.stderr.contains("error[no-terminal]"), "{ended}");
}

#[test]
fn secrets_on_the_command_line() {
    let case = Case::new(CURSOR);
    let token = "q9Kx2LmP7vRt4WzB8nYcD3fG";
    let header = format!("Authorization: Bearer {token}");
    let url = format!("https://mcp.example.com/mcp?key={token}");
    for args in [
        &["--url", "https://mcp.example.com/mcp", "--header", &header][..],
        &["--url", &url],
        &["--", "npx", "-y", "s@1.0.0", "--api-key", token],
    ] {
        let fixed = ["add", "s", "--yes", "--client", "cursor"];
        let ended = case.test.cli(&[&fixed[..], args].concat());
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains("looks like a secret"), "{ended}");
        assert!(!ended.stderr.contains(&token[4..12]), "{ended}");
    }
    assert!(!case.policy("s").exists());
}

#[test]
fn a_dry_run_shows_everything_and_changes_nothing() {
    let case = Case::new(CURSOR);
    let ended = case
        .test
        .ok(&["add", "github", "--client", "cursor", "--dry-run"]);
    for part in [
        "policy `github`:",
        "from       remote server https://api.githubcopilot.com/mcp/, first-party",
        "secret `github/token`: for `GITHUB_PERSONAL_ACCESS_TOKEN`",
        "create one at https://github.com/settings/tokens",
        "~/.cursor/mcp.json (Cursor)",
        "\"github\": {",
    ] {
        assert!(ended.text().contains(part), "{part}: {ended}");
    }
    let ended = case
        .test
        .ok(&["add", "slack", "--client", "cursor", "--dry-run"]);
    assert!(
        ended
            .text()
            .contains("package slack-mcp-server, third-party"),
        "{ended}"
    );
    assert_eq!(case.text(), CURSOR);
    assert!(!case.policy("github").exists());
}
