//! From the words of a command line to a `ParsedCommand`: removes wrappers, finds the launcher,
//! sorts its arguments.
//!
//! The launchers are in `table`. Each step removes at least one word, so parsing ends.

use super::spec::{Spec, spec};
use super::table::{Flags, LAUNCHERS, Launcher, WRAPPERS, Wrapper};
use super::{ParsedCommand, Pin, Registry, shell};

const SCRIPT: &str = "started by a shell script";
const NO_PACKAGE: &str = "no package named";
const FROM_FILES: &str = "takes packages from local files";
const ENV_FILE: &str = "reads variables from a file";

/// Options that add what a lock cannot hold.
const OBSTACLES: &[(&str, &str)] = &[
    ("--with-editable", FROM_FILES),
    ("--with-requirements", FROM_FILES),
    ("-w", "runs in workspaces"),
    ("--workspace", "runs in workspaces"),
    ("--env-file", ENV_FILE),
];

/// Parses a command line. An empty one is a local program without a name.
pub fn parse(command: &[String]) -> ParsedCommand {
    let mut words = command.to_vec();
    let mut env = Vec::new();
    // Some configs hold a whole command line where the program belongs.
    if let [only] = command
        && only.contains(char::is_whitespace)
        && let Some(plain) = shell::plain(only)
        && (launcher(&plain).is_some() || plain.first().is_some_and(|first| is_known(first)))
    {
        words = plain;
    }
    loop {
        if let Some(script) = shell_script(&words) {
            match shell::plain(script) {
                Some(plain) => words = plain,
                None => {
                    return ParsedCommand {
                        env,
                        ..search(script)
                    };
                }
            }
        } else if let Some(rest) = unwrap(&words, &mut env) {
            words = rest;
        } else {
            break;
        }
    }
    let found = launcher(&words).map(|(launcher, parts)| from_parts(launcher, &words, parts));
    ParsedCommand {
        env,
        ..found.unwrap_or_else(|| local(&words))
    }
}

/// The name of a program, without directory, extension and case.
pub fn program_name(word: &str) -> String {
    let name = word
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(word)
        .to_ascii_lowercase();
    let ends = [".exe", ".cmd", ".bat", ".ps1"];
    ends.iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name)
        .to_owned()
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
fn unwrap(words: &[String], env: &mut Vec<(String, String)>) -> Option<Vec<String>> {
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
            .find_map(|wrapper| unwrap_table(wrapper, words)),
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

fn unwrap_table(wrapper: &Wrapper, words: &[String]) -> Option<Vec<String>> {
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
        return Some(rest.get(dashes + 1..)?.to_vec());
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

/// What a script that cannot be split seems to start: the first launcher in it.
fn search(script: &str) -> ParsedCommand {
    let commands = shell::commands(script);
    let suffixes = commands
        .iter()
        .flat_map(|c| (0..c.words.len()).filter_map(|n| c.words.get(n..)));
    for words in suffixes {
        if let Some((launcher, parts)) = launcher(words) {
            let found = from_parts(launcher, words, parts);
            let pin = if found.spec.is_some() {
                found.pin
            } else {
                Pin::Floating
            };
            return ParsedCommand {
                pin,
                obstacle: Some(SCRIPT),
                ..found
            };
        }
    }
    let words: Vec<_> = commands
        .into_iter()
        .flat_map(|command| command.words)
        .collect();
    ParsedCommand {
        obstacle: Some(SCRIPT),
        ..local(&words)
    }
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
        words: words.to_vec(),
        args: args.to_vec(),
        env: Vec::new(),
        options: Vec::new(),
        obstacle: None,
    }
}

/// The arguments of a launcher, sorted.
#[derive(Debug, Default)]
struct LauncherArgs {
    options: Vec<(String, Option<String>)>,
    packages: Vec<String>,
    with: Vec<String>,
    is_script: bool,
    positional: Vec<String>,
}

fn launcher(words: &[String]) -> Option<(&'static Launcher, LauncherArgs)> {
    let name = program_name(words.first()?);
    let same = |launcher: &&Launcher| launcher.words.first() == Some(&name.as_str());
    LAUNCHERS
        .iter()
        .filter(same)
        .find_map(|launcher| Some((launcher, sort(launcher, words)?)))
}

/// Sorts the arguments; none if the launcher's further words are missing.
fn sort(launcher: &Launcher, words: &[String]) -> Option<LauncherArgs> {
    let mut parts = LauncherArgs::default();
    let mut expected = launcher.words.iter().skip(1);
    let mut expect = expected.next();
    let mut rest = words.iter().skip(1).peekable();
    while let Some(word) = rest.next() {
        if word == "--" {
            parts.positional.extend(rest.cloned());
            break;
        }
        if word.starts_with('-') && word.len() > 1 {
            let next = rest.peek().map(|next| next.as_str());
            if flag(launcher, word, next, &mut parts) {
                rest.next();
            }
        } else if let Some(wanted) = expect {
            if word != wanted {
                return None;
            }
            expect = expected.next();
        } else {
            parts.positional.push(word.clone());
            // npm itself reads flags after the package, up to `--`; other launchers pass them on.
            if launcher.words.first() != Some(&"npm") {
                parts.positional.extend(rest.cloned());
                break;
            }
        }
    }
    expect.is_none().then_some(parts)
}

/// Reads one flag. Returns whether it used the next argument too.
fn flag(launcher: &Launcher, word: &str, next: Option<&str>, parts: &mut LauncherArgs) -> bool {
    let (mut name, mut value) = match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word.to_owned(), None),
    };
    // `-it` and `-eNAME=value`, as docker and podman take them.
    if launcher.registry == Registry::Image && !word.starts_with("--") && word.chars().count() > 2 {
        let letters: Vec<_> = word.chars().skip(1).collect();
        let takes = letters
            .iter()
            .position(|c| takes_next(launcher, &format!("-{c}"), next));
        let at = takes.unwrap_or(letters.len() - 1);
        let rest_of_word: String = letters.iter().skip(at + 1).collect();
        name = format!("-{}", letters.get(at).copied().unwrap_or_default());
        value = Some(rest_of_word).filter(|rest_of_word| !rest_of_word.is_empty());
    }
    let taken = value.is_none() && takes_next(launcher, &name, next);
    if taken {
        value = next.map(str::to_owned);
    }
    let name = name.as_str();
    if launcher.shell.contains(&name) {
        parts.is_script = true;
    } else if launcher.package.contains(&name) {
        parts.packages.extend(value);
    } else if launcher.with.contains(&name) {
        // uv takes a list here.
        let list = value.unwrap_or_default();
        parts.with.extend(
            list.split(',')
                .filter(|one| !one.is_empty())
                .map(str::to_owned),
        );
    } else {
        parts.options.push((name.to_owned(), value));
    }
    taken
}

fn takes_next(launcher: &Launcher, name: &str, next: Option<&str>) -> bool {
    let special = [launcher.package, launcher.with, launcher.shell];
    if special.iter().any(|names| names.contains(&name)) {
        return true;
    }
    match launcher.flags {
        Flags::Take(names) => names.contains(&name),
        Flags::Alone(names) => {
            !names.contains(&name) && next.is_some_and(|next| !next.starts_with('-'))
        }
    }
}

fn from_parts(launcher: &Launcher, words: &[String], mut parts: LauncherArgs) -> ParsedCommand {
    let mut args = std::mem::take(&mut parts.positional).into_iter();
    let mut specs = parts.packages.into_iter();
    let (text, entry) = match specs.next() {
        Some(first) => (Some(first), args.next()),
        None if parts.is_script => (None, None),
        None => (args.next(), None),
    };
    parts.with.splice(0..0, specs);
    let main = text.as_deref().map(|text| spec(launcher.registry, text));
    let mut main = main.unwrap_or(Spec {
        registry: launcher.registry,
        pin: Pin::Floating,
        package: None,
        version: None,
        obstacle: Some(if parts.is_script { SCRIPT } else { NO_PACKAGE }),
    });
    let named = parts.options.iter().find(|(name, _)| name == "--version");
    if launcher.registry == Registry::Nuget
        && let Some((_, Some(version))) = named
    {
        main = Spec {
            pin: Pin::Exact,
            version: Some(version.clone()),
            ..main
        };
    }
    let others = parts
        .with
        .iter()
        .map(|text| spec(launcher.registry, text).pin);
    let obstacle_of = |(option, _): &(String, Option<String>)| {
        OBSTACLES
            .iter()
            .find(|(name, _)| name == option)
            .map(|(_, why)| *why)
    };
    // Docker still runs and reads `--env-file` and `-w` itself.
    let is_image = launcher.registry == Registry::Image;
    let option_obstacle = if is_image {
        None
    } else {
        parts.options.iter().find_map(obstacle_of)
    };
    ParsedCommand {
        launcher: launcher.words.join(" "),
        registry: main.registry,
        pin: others.fold(main.pin, Pin::min),
        spec: text,
        package: main.package,
        version: main.version,
        with: parts.with,
        entry,
        words: words.to_vec(),
        args: args.collect(),
        env: Vec::new(),
        options: parts.options,
        obstacle: main.obstacle.or(option_obstacle),
    }
}
