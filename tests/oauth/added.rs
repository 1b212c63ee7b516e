//! `add --url URL --oauth`: the login is one of its steps, before the test and before any config.

use super::{Kind, Provider};

const CURSOR: &str = "{\"mcpServers\": {}}\n";

fn cursor(at: &Provider) -> std::path::PathBuf {
    let file = at.test.home.join(".cursor/mcp.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, CURSOR).unwrap();
    file
}

#[test]
fn a_server_is_added_after_its_login() {
    let Some(at) = Provider::start(Kind::FastMcp, 3600) else {
        return;
    };
    let file = cursor(&at);
    let mut terminal = at.test.terminal(&["add", "s", "--url", &at.url, "--oauth"]);
    terminal.expect("proceed? [y/n]").enter("y");
    terminal.expect("type `s` to confirm: ").enter("s");
    terminal
        .expect("granted by http://127.0.0.1:")
        .expect("go on? [y/n] ")
        .enter("n");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    let again = "run `mcpwrap add s --client cursor` again to continue";
    assert!(screen.contains(again), "{screen}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), CURSOR);
    assert_eq!(at.heard("/reg"), [""; 0], "nobody was registered");

    // What was granted is not asked for again.
    let mut terminal = at.test.terminal(&["add", "s", "--client", "cursor"]);
    terminal.expect("proceed? [y/n]").enter("y");
    terminal
        .expect("go on? [y/n] ")
        .enter("y")
        .expect("logged in: s, by http://127.0.0.1:")
        .expect("works: s, ")
        .expect("added to Cursor: ~/.cursor/mcp.json");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("type `s`"), "{screen}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"run\", \"s\""), "{text}");
    at.current();

    // `remove` takes the token back.
    let removed = at.test.ok(&["remove", "s", "--yes"]);
    assert!(removed.text().contains("removed: policy s"), "{removed}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), CURSOR);
    assert!(!at.test.root().join("policies/s.toml").exists());
    let list = at.test.ok(&["status", "--json"]);
    assert!(!list.text().contains(&at.url), "{list}");
}

/// There is nobody to log in.
#[test]
fn a_script_cannot_log_in() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    let file = cursor(&at);
    let args = ["add", "s", "--url", &at.url, "--oauth", "--yes"];
    let ended = at.test.cli(&args);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[no-terminal]"), "{ended}");
    let again = "run `mcpwrap add s --client cursor` again to continue";
    assert!(ended.stderr.contains(again), "{ended}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), CURSOR);
}
