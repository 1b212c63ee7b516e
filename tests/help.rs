//! What the command line says of itself.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory as _;

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
        page.contains("Run MCP servers without keeping API keys"),
        "{page}"
    );
    for (path, _) in commands() {
        let file = test.dir.join(format!("{}.1", path.replace(' ', "-")));
        let page = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("no page of {path}"));
        for part in ["NAME", "SYNOPSIS", "EXIT STATUS", "EXAMPLES"] {
            assert!(page.contains(part), "{path}: no {part}\n{page}");
        }
    }
    let rotate = std::fs::read_to_string(test.dir.join("mcpwrap-secret-rotate.1")).unwrap();
    for part in [
        "a running server keeps the old value",
        "secrets.toml",
        "MCPWRAP_HOME",
        "\\-\\-clipboard",
    ] {
        assert!(rotate.contains(part), "{part}: {rotate}");
    }
    let run = std::fs::read_to_string(test.dir.join("mcpwrap-run.1")).unwrap();
    assert!(
        run.contains("126") && run.contains("the server died of signal N"),
        "{run}"
    );

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

/// A command with its name and what it is below, without clap's own `help`.
fn commands() -> Vec<(String, clap::Command)> {
    let mut open = vec![("mcpwrap".to_owned(), mcpwrap::testing::cli::Cli::command())];
    let mut found = Vec::new();
    while let Some((path, command)) = open.pop() {
        for next in command.get_subcommands() {
            open.push((format!("{path} {}", next.get_name()), next.clone()));
        }
        found.push((path, command));
    }
    found
}

#[test]
fn the_help_lists_every_command_once_in_the_order_of_the_enum() {
    let test = Test::new();
    let help = test.ok(&["--help"]).text().to_owned();
    let (groups, rest) = help.split_once("\nOptions:\n").unwrap();
    let listed: Vec<&str> = groups
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .collect();
    let command = mcpwrap::testing::cli::Cli::command();
    let expected: Vec<String> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| {
            let about = command.get_about().unwrap();
            format!("{:<11}  {about}", command.get_name())
        })
        .collect();
    assert_eq!(listed, expected);
    assert!(rest.contains("\nExamples:\n"), "{help}");
}

#[test]
fn every_command_and_argument_has_a_short_text() {
    let mut found = Vec::new();
    for (path, command) in commands() {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        if about.is_empty() || about.len() > 60 || about.contains(';') {
            found.push(format!("{path}: {about}"));
        }
        for argument in command.get_arguments() {
            let text = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            if text.is_empty() || text.len() > 72 || text.contains(';') {
                found.push(format!("{path} {}: {text}", argument.get_id()));
            }
        }
    }
    assert!(
        found.is_empty(),
        "empty, too long, or two sentences:\n{}",
        found.join("\n")
    );
}

/// Flags whose meaning depends on the command.
const SEVERAL_MEANINGS: &[&str] = &[
    "client",
    "config",
    "dry-run",
    "env",
    "from-stdin",
    "json",
    "profile",
    "secret",
    "server",
];

#[test]
fn a_flag_has_the_same_text_in_every_command() {
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, command) in commands() {
        for argument in command.get_arguments() {
            if let (Some(flag), Some(text)) = (argument.get_long(), argument.get_help()) {
                let known = texts.entry(flag.to_owned()).or_default();
                known.insert(text.to_string());
            }
        }
    }
    assert!(texts.len() > 20, "{texts:?}");
    texts.retain(|flag, known| (known.len() > 1) != SEVERAL_MEANINGS.contains(&flag.as_str()));
    assert!(texts.is_empty(), "{texts:#?}");
}

#[test]
fn the_old_name_of_no_limit_is_understood_and_hidden() {
    let test = Test::new();
    for flag in ["--no-limit", "--all"] {
        test.ok(&["check", flag]);
    }
    assert!(!test.ok(&["check", "--help"]).text().contains("--all"));
}
