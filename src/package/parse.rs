//! From the words of a command line to a `ParsedCommand`: removes wrappers, finds the launcher,
//! sorts its arguments.
//!
//! The launchers are in `table`. Each step removes at least one word, so parsing ends.

use super::launcher::{SCRIPT, at_front, program_name};
use super::table::{LAUNCHERS, WRAPPERS, Wrapper};
use super::{ParsedCommand, Pin, Registry, search, shell};

/// Parses a command line. An empty one is a local program without a name.
pub fn parse(command: &[String]) -> ParsedCommand {
    let mut words = command.to_vec();
    let mut env = Vec::new();
    let mut wrapper = Vec::new();
    let mut found = loop {
        if let Some(script) = shell_script(&words) {
            match shell::plain(script) {
                Some(plain) => words = plain,
                None => {
                    break search::script(script).unwrap_or_else(|| ParsedCommand {
                        obstacle: Some(SCRIPT),
                        ..local(&shell::words(script))
                    });
                }
            }
        } else if let Some(split) = split_line(&words) {
            words = split;
        } else if let Some(rest) = unwrap(&words, &mut env, &mut wrapper) {
            words = rest;
        } else if let Some(found) = at_front(&words) {
            break search::within(found);
        } else {
            break search::behind(&words).unwrap_or_else(|| local(&words));
        }
    };
    found.env.splice(0..0, env);
    found.wrapper.splice(0..0, wrapper);
    if found.obstacle.is_none() && search::is_elsewhere(&found.wrapper) {
        found.obstacle = Some(search::ELSEWHERE);
    }
    found
}

/// The words of a command whose first one is a whole command line, as some configs have it.
fn split_line(words: &[String]) -> Option<Vec<String>> {
    let (first, rest) = words.split_first()?;
    // A program in a directory with spaces in its name.
    let drive = first.as_bytes().get(1) == Some(&b':');
    let path = drive || first.starts_with(['/', '~', '.', '\\']);
    if !first.contains(char::is_whitespace) || (path && !rest.is_empty()) {
        return None;
    }
    let mut plain = shell::plain(first)?;
    plain.extend(rest.iter().cloned());
    let is_command = plain.first().is_some_and(|first| is_known(first))
        || at_front(&plain).is_some()
        || search::behind(&plain).is_some();
    is_command.then_some(plain)
}

fn is_known(word: &str) -> bool {
    let name = program_name(word);
    matches!(
        name.as_str(),
        "node" | "python" | "python3" | "cmd" | "env" | "sh" | "bash"
    ) || LAUNCHERS
        .iter()
        .any(|launcher| launcher.words.first() == Some(&name.as_str()))
}

/// The script of `sh -c SCRIPT`, also with other short options before the `c`.
fn shell_script(words: &[String]) -> Option<&String> {
    let (first, rest) = words.split_first()?;
    if !matches!(
        program_name(first).as_str(),
        "sh" | "bash" | "zsh" | "dash" | "ash" | "ksh" | "fish"
    ) {
        return None;
    }
    let flag = rest.iter().position(|word| {
        word == "--command"
            || (word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'))
    })?;
    let options_only = rest.iter().take(flag).all(|word| word.starts_with('-'));
    rest.get(flag + 1).filter(|_| options_only)
}

/// Removes one wrapper from the front; none if there is no wrapper.
fn unwrap(
    words: &[String],
    env: &mut Vec<(String, String)>,
    kept: &mut Vec<String>,
) -> Option<Vec<String>> {
    let (first, rest) = words.split_first()?;
    if let Some(pair) = assignment(first) {
        env.push(pair);
        return Some(rest.to_vec());
    }
    match program_name(first).as_str() {
        "env" => Some(unwrap_env(rest, env)),
        "timeout" | "gtimeout" => {
            let start = rest.iter().position(|word| !word.starts_with('-'))?;
            Some(rest.get(start + 1..)?.to_vec())
        }
        "corepack" => Some(rest.to_vec()),
        "py" | "python" | "python3" => match rest {
            [flag, module, ..] if flag == "-m" && matches!(module.as_str(), "uv" | "pipx") => {
                Some(rest.get(1..)?.to_vec())
            }
            _ => None,
        },
        _ => WRAPPERS
            .iter()
            .find_map(|wrapper| unwrap_table(wrapper, words, kept)),
    }
}

fn unwrap_env(rest: &[String], env: &mut Vec<(String, String)>) -> Vec<String> {
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-u" | "--unset" | "-C" | "--chdir" => drop(rest.next()),
            "-S" | "--split-string" => {
                let text = rest.next().map(String::as_str).unwrap_or_default();
                let split = shell::plain(text).unwrap_or_else(|| vec![text.to_owned()]);
                return split.into_iter().chain(rest.cloned()).collect();
            }
            flag if flag.starts_with('-') => {}
            text => match assignment(text) {
                Some(pair) => env.push(pair),
                None => return std::iter::once(word).chain(rest).cloned().collect(),
            },
        }
    }
    Vec::new()
}

/// `NAME=value` in the place of a program.
fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name =
        !name.is_empty() && name.chars().all(allowed) && !name.starts_with(char::is_numeric);
    is_name.then(|| (name.to_owned(), value.to_owned()))
}

fn unwrap_table(
    wrapper: &Wrapper,
    words: &[String],
    kept: &mut Vec<String>,
) -> Option<Vec<String>> {
    let (head, rest) = words.split_at_checked(wrapper.words.len())?;
    let (first, others) = head.split_first()?;
    let same = wrapper.words.first() == Some(&program_name(first).as_str())
        && others
            .iter()
            .zip(wrapper.words.iter().skip(1))
            .all(|(a, b)| a == b);
    if !same {
        return None;
    }
    if wrapper.after_dashes {
        let dashes = rest.iter().position(|word| word == "--")?;
        let inner = rest.get(dashes + 1..)?;
        if wrapper.is_kept {
            kept.extend(words.iter().take(words.len() - inner.len()).cloned());
        }
        return Some(inner.to_vec());
    }
    let switch = |word: &str| word.starts_with('-') || (word.len() == 2 && word.starts_with('/'));
    let mut start = 0;
    while let Some(word) = rest.get(start).filter(|word| switch(word)) {
        start += if wrapper.take.contains(&word.as_str()) {
            2
        } else {
            1
        };
    }
    Some(rest.get(start..).unwrap_or_default().to_vec())
}

fn local(words: &[String]) -> ParsedCommand {
    let (first, args) = words
        .split_first()
        .map_or(("", &[][..]), |(a, b)| (a.as_str(), b));
    ParsedCommand {
        launcher: program_name(first),
        registry: Registry::Local,
        pin: Pin::Local,
        spec: None,
        package: None,
        version: None,
        with: Vec::new(),
        entry: Some(first.to_owned()),
        wrapper: Vec::new(),
        words: words.to_vec(),
        args: args.to_vec(),
        env: Vec::new(),
        options: Vec::new(),
        obstacle: None,
    }
}
