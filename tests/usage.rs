//! Wrong command lines: each message says what is accepted, and none repeats a secret.

use crate::harness::{TOKEN, Test};

const GITHUB: &str = "ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq";

#[test]
fn what_is_accepted_is_said() {
    let test = Test::new();
    for (line, parts) in [
        (
            "policy allow x",
            &[
                "unknown command of `mcpwrap policy`",
                "expected one of: new, list",
                "`mcpwrap grant SERVER`",
            ][..],
        ),
        ("polcy list", &["unknown command", "did you mean `policy`?"]),
        (
            "secret get x",
            &["expected one of: set, rotate", "values are never printed"],
        ),
        (
            "secret set x --profile",
            &[
                "missing value for `--profile`",
                "expected: Restrict to runs",
            ],
        ),
        (
            "secret set x --expires soon",
            &["invalid value for `--expires`", "e.g. `2027-06-30`"],
        ),
        (
            "secret set x --profle p",
            &[
                "unknown flag `--profle`",
                "expected one of: --profile",
                "did you mean `--profile`?",
            ],
        ),
        (
            "secret set",
            &["missing argument `<NAME>`", "expected: Name of the secret"],
        ),
        (
            "policy list x",
            &["unexpected argument", "takes no arguments, only flags"],
        ),
        (
            "check --fail-on",
            &[
                "missing value for `--fail-on`",
                "expected one of: critical, high",
            ],
        ),
        (
            "check --client x y",
            &["cannot be used with", "usage: mcpwrap check"],
        ),
        ("log --event nothing", &["expected one of:"]),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let ended = test.cli(&args);
        assert_eq!(ended.code, 2, "{line}: {ended}");
        for part in parts {
            assert!(ended.stderr.contains(part), "{line}: no {part}: {ended}");
        }
    }
}

/// Words of other tools lead to the command that does it.
#[test]
fn a_word_of_another_tool_is_understood() {
    let test = Test::new();
    for (line, command) in [
        ("scan", "check"),
        ("doctor", "check"),
        ("audit", "check"),
        ("undo", "adopt --undo"),
        ("logs", "log"),
        ("rotate", "secret rotate NAME"),
        ("tools", "test SERVER"),
        ("log tail", "log` with `--since`"),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let ended = test.cli(&args);
        let said = format!("hint: run `mcpwrap {command}");
        assert!(ended.code == 2 && ended.stderr.contains(&said), "{ended}");
    }
}

/// A token typed as a name, or as a value after the name, is refused, not stored and not repeated.
#[test]
fn a_secret_in_the_wrong_place() {
    let test = Test::new();
    test.init();
    let pair = format!("GITHUB_TOKEN={GITHUB}");
    let plain = format!("API_TOKEN={TOKEN}");
    for args in [
        &["secret", "set", GITHUB][..],
        &["secret", "set", TOKEN, "--from-stdin"],
        &["secret", "set", &pair],
        &["secret", "set", &plain, "--from-stdin"],
        &["secret", "set", "github/token", GITHUB],
        &["secret", "set", "github/token", "correct horse"],
        &["secret", "rotate", "github/token", TOKEN],
        &["secret", "rm", TOKEN, "--yes"],
        &["grant", GITHUB],
        &["policy", "show", TOKEN],
        &["log", "--secret", GITHUB],
    ] {
        let ended = test.feed(args, b"some-value-to-store\n");
        assert_eq!(ended.code, 2, "{ended}");
        let shown = format!("{}{}", ended.text(), ended.stderr);
        for secret in [&GITHUB[4..12], &TOKEN[4..12], "horse"] {
            assert!(!shown.contains(secret), "a secret is repeated");
        }
        for part in ["shell's history", "new one at its provider", "--from-stdin"] {
            assert!(ended.stderr.contains(part), "{part}: {ended}");
        }
    }
    // No file may have one, not even a name in the index.
    test.hide(TOKEN);
    test.hide(GITHUB);
    let list = test.ok(&["secret", "list", "--json"]);
    assert_eq!(list.json(), serde_json::json!([]));
}

/// A name that is nearly right.
#[test]
fn the_nearest_name_is_suggested() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    test.serve("github", &[], "");
    for line in [
        "secret rm github/tokne --yes",
        "secret rotate github/tokne --from-stdin",
        "policy show githb",
        "policy rm githb --yes",
        "grant githb",
        "revoke githb",
        "log --event injekt",
        "check --client cursr",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let ended = test.cli(&args);
        assert_eq!(ended.code, 2, "{line}: {ended}");
        assert!(ended.stderr.contains("did you mean `"), "{line}: {ended}");
    }
}

/// The command of `run` is compared with the policy, and may have anything in it.
#[test]
fn the_command_of_run_is_not_judged() {
    let test = Test::new();
    test.init();
    let ended = test.cli(&["run", "x", "--", "server", GITHUB]);
    assert!(ended.stderr.contains("error[policy-not-found]"), "{ended}");
}

/// Whoever reads the answer from a file must not take half of it for all.
#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let test = Test::new();
    for args in [&["policy", "schema"][..], &["completions", "bash"]] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = test.command(test.program());
        command.args(args).stdout(full.unwrap());
        let ended = command
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let ended = ended.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("the output is not complete"), "{said}");
    }
}
