//! Where `secret set` and `secret rotate` take a value from, what they say of it, and what `secret list` says of all.

use crate::harness::{Ended, TOKEN, Test};
use crate::messages::message;

const GITHUB: &str = "ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq";

/// Runs `secret …` with this file open as descriptor 3, like a shell.
fn with_descriptor(test: &Test, value: &str, args: &[&str]) -> Ended {
    let file = test.dir.join("value");
    std::fs::write(&file, value).unwrap();
    let mut command = test.command("/bin/sh");
    command.args(["-c", "exec 3<value; exec \"$0\" \"$@\""]);
    command.arg(test.program()).args(args);
    let mut run = test.start(&mut command);
    run.close();
    let ended = run.end();
    std::fs::remove_file(file).unwrap();
    ended
}

/// Programs of a desktop, whose clipboard is a file.
fn desktop(test: &Test, value: &str) -> std::path::PathBuf {
    let file = test.home.join("clipboard");
    std::fs::write(&file, value).unwrap();
    test.set("WAYLAND_DISPLAY", "wayland-0");
    let path = format!("{}:/usr/bin:/bin", test.programs().display());
    test.set("PATH", path);
    let paste =
        "#!/bin/sh\n[ \"$*\" = --no-newline ] || exit 9\nexec /bin/cat \"$HOME/clipboard\"\n";
    test.program_file("wl-paste", paste);
    let copy = "#!/bin/sh\n[ \"$*\" = --clear ] && : > \"$HOME/clipboard\"\n";
    test.program_file("wl-copy", copy);
    file
}

#[test]
fn a_value_comes_from_a_descriptor() {
    let test = Test::new();
    test.init();
    test.hide(GITHUB);
    test.hide(TOKEN);
    let value = format!("{GITHUB}\n");
    let ended = with_descriptor(
        &test,
        &value,
        &["secret", "set", "github/token", "--fd", "3"],
    );
    assert_eq!(ended.code, 0, "{ended}");
    let looks = "its value looks like: GitHub token (`ghp_…`), 32 to 63 characters";
    assert!(ended.stderr.contains(looks), "{ended}");
    let args = ["secret", "rotate", "github/token", "--fd", "3"];
    let ended = with_descriptor(&test, TOKEN, &args);
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.stderr.contains("no known format"), "{ended}");

    for (number, said) in [("7", "descriptor 7"), ("x", "expected the number")] {
        let args = ["secret", "set", "other", "--fd", number];
        let ended = with_descriptor(&test, TOKEN, &args);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains(said), "{ended}");
    }
    let ended = test.cli(&["secret", "set", "other", "--fd", "0", "--from-stdin"]);
    assert!(ended.stderr.contains("cannot be used with"), "{ended}");
}

#[test]
fn a_value_comes_from_the_clipboard_which_is_cleared() {
    let test = Test::new();
    test.init();
    test.hide(GITHUB);
    let clipboard = desktop(&test, GITHUB);
    let ended = test.ok(&["secret", "set", "github/token", "--clipboard"]);
    assert!(ended.stderr.contains("GitHub token (`ghp_…`)"), "{ended}");
    assert!(
        ended.stderr.contains("the clipboard was cleared with `"),
        "{ended}"
    );
    assert_eq!(std::fs::read_to_string(&clipboard).unwrap(), "");
    assert_eq!(
        test.ok(&["secret", "list", "--json"]).json()[0]["name"],
        "github/token"
    );

    // Nothing is stored of an empty one.
    let ended = test.cli(&["secret", "set", "other", "--clipboard"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("the value is empty"), "{ended}");

    std::fs::write(&clipboard, GITHUB).unwrap();
    std::fs::remove_file(test.programs().join("wl-copy")).unwrap();
    let ended = test.ok(&["secret", "rotate", "github/token", "--clipboard"]);
    assert!(
        ended.stderr.contains("the value is still in the clipboard"),
        "{ended}"
    );
    std::fs::remove_file(&clipboard).unwrap();

    let ended = test.cli(&["secret", "set", "other", "--clipboard"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("exit code 1"), "{ended}");
    let ended = test.cli(&["secret", "rotate", "a", "b", "--clipboard"]);
    assert!(ended.stderr.contains("one secret at a time"), "{ended}");
}

#[test]
fn without_a_desktop_there_is_no_clipboard() {
    let test = Test::new();
    test.init();
    let ended = test.cli(&["secret", "set", "github/token", "--clipboard"]);
    assert_eq!(ended.code, 2, "{ended}");
    message(&test, "clipboard-unusable", &ended);
}

/// Others could put another program there.
#[test]
fn a_clipboard_program_that_others_can_replace_is_not_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let test = Test::new();
    test.init();
    test.hide(TOKEN);
    let clipboard = desktop(&test, TOKEN);
    let program = test.programs().join("wl-paste");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o777)).unwrap();
    let ended = test.cli(&["secret", "set", "github/token", "--clipboard"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(
        ended.stderr.contains("error[clipboard-unusable]"),
        "{ended}"
    );
    assert_eq!(std::fs::read_to_string(&clipboard).unwrap(), TOKEN);
    std::fs::remove_file(clipboard).unwrap();
}

#[test]
fn the_list_has_age_users_and_fits_80_columns() {
    let test = Test::new();
    test.secret("github/token", GITHUB);
    for server in ["github", "github-of-the-other-team", "issues"] {
        let slot = crate::harness::slot("GITHUB_TOKEN", "github/token");
        test.serve(server, &[], &slot);
    }
    let args = [
        "secret",
        "set",
        "short",
        "--from-stdin",
        "--allow-weak",
        "--expires",
        "2020-01-01",
    ];
    assert_eq!(test.feed(&args, b"hunter2").code, 0);
    test.unset("COLUMNS");
    let list = test.ok(&["secret", "list"]);
    let text = list.text();
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{text}");
    }
    // Each name is whole, and can be copied.
    assert!(text.contains("github-of-the-other-team"), "{text}");
    for part in ["age", "used by", "today", "2020-01-01", "expired", "weak"] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let rows = test.ok(&["secret", "list", "--json"]).json();
    let servers = serde_json::json!(["github", "github-of-the-other-team", "issues"]);
    assert_eq!(rows[0]["servers"], servers);
    assert_eq!(rows[1]["servers"], serde_json::json!([]));
}

/// A shell would run the other lines.
#[test]
fn a_pasted_key_is_taken_with_all_its_lines() {
    let test = Test::new();
    test.init();
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ";
    test.hide(line);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----");
    for pasted in [format!("{pem}\n"), format!("\u{1b}[200~{pem}\u{1b}[201~")] {
        let mut terminal = test.terminal(&["secret", "set", "k/pem"]);
        terminal.enter_hidden(&pasted);
        let (code, screen) = terminal.end();
        assert_eq!(code, 0, "{screen}");
        assert!(screen.contains("64 to 127 characters"), "{screen}");
    }
}

#[test]
fn several_lines_that_are_no_key_are_refused_and_discarded() {
    let test = Test::new();
    test.init();
    test.hide(GITHUB);
    let mut terminal = test.terminal(&["secret", "set", "a/b"]);
    terminal.enter_hidden(&format!("{GITHUB}\necho {GITHUB}"));
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("several lines were pasted"), "{screen}");
    assert!(!test.ok(&["secret", "list"]).text().contains("a/b"));

    // An empty line after a token is not another line.
    let mut terminal = test.terminal(&["secret", "set", "a/b"]);
    terminal.enter_hidden(&format!("{GITHUB}\n"));
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn the_terminal_is_as_before_after_ctrl_c() {
    let test = Test::new();
    test.init();
    for key in ["\u{3}", "\u{1c}"] {
        let mut terminal = test.terminal(&["secret", "set", "a/b"]);
        terminal.enter_hidden(&format!("half a value{key}"));
        terminal.until_echo_is(true);
        let (code, screen) = terminal.end();
        assert!(code > 128, "{code}: {screen}");
    }
}

/// A shell without job control starts programs in the background like this.
#[test]
fn ctrl_c_ends_a_prompt_where_the_signal_was_ignored() {
    let test = Test::new();
    test.init();
    let ignoring = ["sh", "-c", "trap '' INT; exec \"$0\" \"$@\""];
    let mut terminal = test.terminal_through(&ignoring, &["secret", "set", "a/b"]);
    terminal.enter_hidden("half a value\u{3}");
    terminal.until_echo_is(true);
    let (code, screen) = terminal.end();
    assert_eq!(code, 130, "{screen}");
    assert!(!screen.contains("terminal"), "{screen}");
}
