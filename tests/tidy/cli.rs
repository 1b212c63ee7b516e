//! The rules of the top floor: `src/cli` asks, prints and calls what is below it.

use super::source::Source;
use super::{files, none};

/// The files of `src/cli` that touch the terminal.
const TERMINAL: &[&str] = &["cli/print/mod.rs", "cli/ask.rs", "cli/hidden_input.rs"];

/// What touches it. `run` relays in `supervise`.
const TERMINAL_WORDS: &[&str] = &[
    "IsTerminal",
    "dbg!",
    "eprint!",
    "eprintln!",
    "is_terminal",
    "print!",
    "println!",
    "stderr",
    "stdin",
    "stdout",
    "termios",
];

fn terminal_uses(source: &Source) -> Vec<String> {
    let cli = source
        .files
        .iter()
        .filter(|file| file.name.starts_with("cli/") && !TERMINAL.contains(&file.name.as_str()));
    let mut found = Vec::new();
    for file in cli {
        let is_terminal = |word: &str| TERMINAL_WORDS.contains(&word) || word.starts_with("/dev/");
        let words = file.words.iter().filter(|(word, _)| is_terminal(word));
        found.extend(words.map(|(word, line)| format!("src/{}:{line}: `{word}`", file.name)));
    }
    found
}

#[test]
fn only_print_and_ask_touch_the_terminal() {
    let source = Source::read(&files("src", "rs"));
    none(
        "the terminal outside of print and ask",
        &terminal_uses(&source),
    );

    let sample = |name: &str, text: &str| {
        let file = (format!("cli/{name}.rs"), text.to_owned());
        terminal_uses(&Source::read(&[file])).len()
    };
    assert_eq!(sample("ps", "use std::io::{self as i, stdout as out};"), 1);
    assert_eq!(sample("ps", "fn f() { std::io::stdin().lock(); }"), 1);
    assert_eq!(sample("ps", "fn f() { g(|| println!(\"x\")) }"), 1);
    assert_eq!(
        sample("ps", "fn f() { g(format!(\"{}\", io::stderr())) }"),
        1
    );
    assert_eq!(sample("ps", "fn f() { File::open(\"/dev/tty\") }"), 1);
    assert_eq!(sample("ps", "fn f() { g!(\"/dev/tty\") }"), 1);
    assert_eq!(sample("print/mod", "fn f() { std::io::stdout() }"), 0);
    assert_eq!(
        sample("ps", "/// Not `/dev/tty`.\nfn f() { print::line(\"\") }"),
        0
    );
}

/// The modules of `cli` that every command may use.
const CLI_SHARED: &[&str] = &[
    "adopt_turn",
    "ask",
    "browser_login",
    "diagnostics",
    "help",
    "hidden_input",
    "installing",
    "interrupts",
    "overview",
    "own_copy",
    "pasted",
    "pin_report",
    "policy_removal",
    "print",
    "print_ended",
    "print_revoked",
    "print_unused",
    "print_weak",
    "reloads",
    "typed_secret",
    "usage",
    "verifying",
];

fn command_uses(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for file in &source.files {
        let [floor, own, ..] = file.module.as_slice() else {
            continue;
        };
        if floor != "cli" {
            continue;
        }
        for (path, line) in &file.named {
            let used = source.home(path).map(|home| home.module.as_slice());
            let is_other = match used {
                Some([floor, used, ..]) => {
                    floor == "cli" && used != own && !CLI_SHARED.contains(&used.as_str())
                }
                // The whole module hides which part of it is used.
                _ => *path == ["cli"],
            };
            if is_other {
                found.push(format!(
                    "src/{}:{line}: `{own}` uses `{}`",
                    file.name,
                    path.join("::")
                ));
            }
        }
    }
    found
}

#[test]
fn a_command_uses_no_other_command() {
    let source = Source::read(&files("src", "rs"));
    none("commands that use another command", &command_uses(&source));

    let sample = |text: &str| {
        let files = [
            ("cli/mod.rs", "mod a; mod b; mod print;"),
            ("cli/a/mod.rs", text),
            ("cli/a/own.rs", ""),
            ("cli/b.rs", ""),
            ("cli/print/mod.rs", ""),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        command_uses(&Source::read(&files)).len()
    };
    assert_eq!(sample("use super::b::Args;"), 1);
    assert_eq!(sample("use crate::cli::{b, print};"), 1);
    assert_eq!(sample("fn f() { super::b::run() }"), 1);
    assert_eq!(sample("use crate::cli;"), 1);
    assert_eq!(sample("use self::own::x; use super::{Context, print};"), 0);
}
