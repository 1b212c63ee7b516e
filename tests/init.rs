//! What `init` asks a person, and what it does not ask a script.

use crate::harness::Test;

/// A machine with a proxy and a client that can run commands.
fn machine() -> Test {
    let test = Test::new();
    test.set("HTTPS_PROXY", "http://proxy.corp.example:3128");
    let config = test.home.join(".claude.json");
    std::fs::write(config, r#"{"mcpServers": {"x": {"command": "true"}}}"#).unwrap();
    test
}

/// `init` with a vault file, whose key needs no question.
fn args(test: &Test) -> Vec<String> {
    let key = test.home.join("vault.key").display().to_string();
    ["init", "--store", "file", "--key-file", &key]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn a_person_is_asked_once_about_the_network_and_agents() {
    let test = machine();
    let args = args(&test);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut terminal = test.terminal(&args);
    terminal
        .expect("HTTPS_PROXY = http://proxy.corp.example:3128")
        .expect("[y/n] ")
        .enter("y")
        .expect("approved: network settings")
        .expect("`Claude Code` can run commands as you")
        .expect("> ")
        .enter("grant, pin")
        .expect("AI agents: allowed grant, pin")
        .expect("next:");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    let network = test.ok(&["config", "network", "--show"]);
    assert!(network.text().contains("HTTPS_PROXY"), "{network}");
    let agents = test.ok(&["config", "agents"]);
    assert!(agents.text().contains("grant    allowed"), "{agents}");
    assert!(agents.text().contains("secret   refused"), "{agents}");
    crate::audit::verify_intact(&test);

    let (code, screen) = test.terminal(&args).end();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("[y/n]"), "{screen}");
    assert!(!screen.contains("can run commands"), "{screen}");
}

#[test]
fn an_answer_that_is_no_changes_nothing() {
    let test = machine();
    let args = args(&test);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut terminal = test.terminal(&args);
    terminal
        .expect("[y/n] ")
        .enter("")
        .expect("run `mcpwrap config network`")
        .expect("> ")
        .enter("everything");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(
        screen.contains("expected `none`, or some of: adopt"),
        "{screen}"
    );
    let network = test.ok(&["config", "network", "--show"]);
    assert_eq!(network.text(), "", "{network}");
    let agents = test.ok(&["config", "agents"]);
    assert!(!agents.text().contains("allowed"), "{agents}");

    // It is asked again, and `none` is an answer that is kept.
    let mut terminal = test.terminal(&args);
    terminal
        .expect("[y/n] ")
        .enter("n")
        .expect("> ")
        .enter("none");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    let mut terminal = test.terminal(&args);
    terminal.expect("[y/n] ").enter("n").expect("next:");
    let (_, screen) = terminal.end();
    assert!(!screen.contains("can run commands"), "{screen}");
}

#[test]
fn a_script_is_asked_nothing() {
    let test = machine();
    let args = args(&test);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ended = test.ok(&args);
    assert!(
        ended.text().contains("run `mcpwrap config network`"),
        "{ended}"
    );
    let agents = test.ok(&["config", "agents"]);
    assert!(!agents.text().contains("allowed"), "{agents}");
}

#[test]
fn a_person_chooses_the_store() {
    let test = Test::new();
    let mut terminal = test.terminal(&["init"]);
    terminal
        .expect("where should secrets be stored?")
        .expect("type `keychain` or `file`: ")
        .enter("cloud");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("expected `keychain` or `file`"), "{screen}");
    let mut terminal = test.terminal(&["init"]);
    terminal
        .expect("type `keychain` or `file`: ")
        .enter("file")
        .expect("passphrase")
        .enter_hidden("1234567890");
    let (code, screen) = terminal.end();
    assert!(code == 2 && screen.contains("secret-weak"), "{screen}");
    assert!(!test.root().join("config.toml").exists());
}
