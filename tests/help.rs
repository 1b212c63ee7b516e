//! What the command line says of itself.

use crate::harness::Test;

#[test]
fn every_shell_gets_a_completion_script() {
    let test = Test::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = test.ok(&["completions", shell]);
        assert!(script.text().contains("mcpwrap"), "{shell}");
    }
    let refused = test.cli(&["completions", "ksh"]);
    assert_eq!((refused.code, refused.text()), (2, ""), "{refused}");
}

#[test]
fn every_verb_has_a_manual_page() {
    let test = Test::new();
    test.ok(&["man", "."]);
    let page = std::fs::read_to_string(test.dir.join("mcpwrap.1")).unwrap();
    assert!(
        page.contains("A credential\\-injecting process launcher"),
        "{page}"
    );
    assert!(test.dir.join("mcpwrap-completions.1").is_file());

    let refused = test.cli(&["man", "no/such/directory"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("error[file-unusable]"), "{refused}");
}

#[test]
fn help_and_version_need_no_home() {
    let test = Test::new();
    test.unset("HOME");
    test.unset("MCPWRAP_HOME");
    assert!(test.ok(&["--version"]).text().starts_with("mcpwrap 0."));
    assert!(test.ok(&["--help"]).text().contains("Usage: mcpwrap"));
    test.ok(&["completions", "bash"]);
}
