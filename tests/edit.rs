//! `policy edit`: the editor gets a copy, and only a valid copy replaces the policy.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::Test;
use crate::harness::place::write_program;
use crate::messages::message;

const POLICY: &str = "version = 1\ncommand = [\"server\"]\n";

/// An editor that appends this line to the file.
fn editor(test: &Test, line: &str) -> String {
    let path = test.dir.join("editor");
    let text = format!("#!/bin/sh\nprintf '%s\\n' '{line}' >> \"$2\"\n");
    write_program(&path, &text);
    // With a flag, as in real configurations.
    format!("{} --wait", path.display())
}

#[test]
fn an_edit_replaces_the_policy_once_it_is_valid() {
    let test = Test::new();
    let path = test.write_policy("github", POLICY);
    let text = || std::fs::read_to_string(&path).unwrap();
    test.set("EDITOR", editor(&test, "description = \"one\""));
    test.ok(&["policy", "edit", "github"]);
    assert_eq!(text(), format!("{POLICY}description = \"one\"\n"));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    // An invalid edit is kept, and the next edit resumes it.
    let before = text();
    test.set("EDITOR", editor(&test, "[limits"));
    let ended = test.cli(&["policy", "edit", "github"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[policy-invalid]"), "{ended}");
    assert!(ended.stderr.contains("to resume the saved edit"), "{ended}");
    assert_eq!(text(), before);
    test.set("EDITOR", "sed -i s/.limits/[limits]/");
    test.ok(&["policy", "edit", "github"]);
    assert_eq!(text(), format!("{before}[limits]\n"));
    assert!(!test.root().join("state/edit/github.toml").exists());

    test.set("EDITOR", "true");
    let ended = test.ok(&["policy", "edit", "github"]);
    assert!(ended.stderr.contains("nothing changed"), "{ended}");
    test.set("EDITOR", "false");
    let ended = test.cli(&["policy", "edit", "github"]);
    message(&test, "declined", &ended);
}

#[test]
fn an_edit_does_not_overwrite_a_policy_that_changed() {
    let test = Test::new();
    let path = test.write_policy("github", POLICY);
    let other = format!(
        "printf '#\\n' >> {}; printf 'cwd = \"/\"\\n' >>",
        path.display()
    );
    test.set("EDITOR", other);
    let ended = test.cli(&["policy", "edit", "github"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(
        ended
            .stderr
            .contains("the file changed after the edit was begun"),
        "{ended}"
    );
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!("{POLICY}#\n")
    );
    // What was saved is not put over the change by a later edit, and not lost.
    test.set("EDITOR", "true");
    let ended = test.cli(&["policy", "edit", "github"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(
        ended
            .stderr
            .contains("take what you need from the saved edit"),
        "{ended}"
    );
    assert!(test.root().join("state/edit/github.toml").exists());
    test.ok(&["policy", "rm", "github", "--yes"]);
    assert!(!test.root().join("state/edit/github.toml").exists());
}

/// A mistake in `EDITOR` leaves nothing to resume.
#[test]
fn an_editor_that_fails_leaves_no_edit() {
    let test = Test::new();
    test.write_policy("github", POLICY);
    test.set("EDITOR", "false");
    assert_eq!(test.cli(&["policy", "edit", "github"]).code, 1);
    assert!(!test.root().join("state/edit/github.toml").exists());
    assert!(!test.root().join("state/edit/github.before").exists());
}

/// An invalid policy must be editable.
#[test]
fn an_invalid_policy_can_be_edited() {
    let test = Test::new();
    let path = test.write_policy("github", "version = 1\n");
    test.set("VISUAL", editor(&test, "command = [\"server\"]"));
    test.ok(&["policy", "edit", "github"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), POLICY);
}
