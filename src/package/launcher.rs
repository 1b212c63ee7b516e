//! A launcher and its arguments: which package they name, and what is left for the server.

use super::shell;
use super::spec::{Spec, spec};
use super::table::{Flags, LAUNCHERS, Launcher};
use super::{ParsedCommand, Pin, Registry};

pub(super) const SCRIPT: &str = "started by a shell script";
const NO_PACKAGE: &str = "no package named";
const FROM_FILES: &str = "takes packages from local files";
const ENV_FILE: &str = "reads variables from a file";
const OF_PROJECT: &str = "starts a script or a project with further packages";

/// Options that add what a lock cannot hold.
const OBSTACLES: &[(&str, &str)] = &[
    ("--with-editable", FROM_FILES),
    ("--with-requirements", FROM_FILES),
    ("-w", "runs in workspaces"),
    ("--workspace", "runs in workspaces"),
    ("--env-file", ENV_FILE),
];

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

/// The arguments of a launcher, sorted.
#[derive(Debug, Default)]
pub(super) struct LauncherArgs {
    options: Vec<(String, Option<String>)>,
    packages: Vec<String>,
    with: Vec<String>,
    /// What a shell would run.
    script: Option<String>,
    positional: Vec<String>,
}

/// What these words start, if the first ones are a launcher.
pub(super) fn at_front(words: &[String]) -> Option<ParsedCommand> {
    let name = launcher_name(words.first()?);
    let same = |launcher: &&Launcher| launcher.words.first() == Some(&name.as_str());
    let (launcher, parts) = LAUNCHERS
        .iter()
        .filter(same)
        .find_map(|launcher| Some((launcher, sort(launcher, words)?)))?;
    Some(from_parts(launcher, words, parts))
}

/// The name of a program, as launchers are called: also for `npx-cli.js`, which Node.js runs, and
/// `pnpm@9`, which corepack takes.
pub(super) fn launcher_name(word: &str) -> String {
    let name = program_name(word);
    let name = match name.split_once('@') {
        Some((start, _)) if !start.is_empty() => start,
        _ => &name,
    };
    if let Some((_, launcher)) = SCRIPTS.iter().find(|(script, _)| *script == name) {
        return (*launcher).to_owned();
    }
    name.to_owned()
}

/// Whether a word is the file of a launcher that Node.js runs.
pub(super) fn is_launcher_script(word: &str) -> bool {
    SCRIPTS
        .iter()
        .any(|(script, _)| *script == program_name(word))
}

/// Whether a word alone starts packages.
pub(super) fn is_launcher(word: &str) -> bool {
    let name = launcher_name(word);
    LAUNCHERS
        .iter()
        .any(|launcher| launcher.words == [name.as_str()] && !AMBIGUOUS.contains(&name.as_str()))
}

/// Names of launchers that are also ordinary words.
const AMBIGUOUS: &[&str] = &["dx", "dnx", "pnx", "jbang", "nix-shell"];

/// The files of launchers, for `node FILE`.
const SCRIPTS: &[(&str, &str)] = &[
    ("npx-cli.js", "npx"),
    ("npm-cli.js", "npm"),
    ("pnpm.cjs", "pnpm"),
    ("pnpx.cjs", "pnpx"),
    ("yarn.js", "yarn"),
    ("yarn.cjs", "yarn"),
];

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
    // Without these, they start what a project names.
    let is_project = match launcher.words {
        ["uv", "run"] => parts.with.is_empty(),
        ["nix", ..] => parts.positional.is_empty(),
        ["nix-shell"] => parts.packages.is_empty(),
        _ => false,
    };
    (expect.is_none() && !is_project).then_some(parts)
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
        parts.script = Some(value.unwrap_or_default());
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
    let run_with = launcher.words == ["uv", "run"];
    if run_with {
        let main = main_of_with(&mut parts);
        parts.packages.push(main);
    }
    let is_of_project = run_with && is_of_project(&parts);
    let is_script = take_script(&mut parts);
    let mut args = std::mem::take(&mut parts.positional).into_iter();
    let mut specs = parts.packages.into_iter();
    let (text, entry) = match specs.next() {
        Some(first) => (Some(first), args.next()),
        None if is_script => (None, None),
        None => (args.next(), None),
    };
    parts.with.splice(0..0, specs);
    // `npx -- -y package` runs a package called `-y`.
    let named = text.as_deref().filter(|text| !text.starts_with('-'));
    let main = named.map(|text| spec(launcher.registry, text));
    let mut main = main.unwrap_or(Spec {
        registry: launcher.registry,
        pin: Pin::Floating,
        package: None,
        version: None,
        obstacle: Some(if is_script { SCRIPT } else { NO_PACKAGE }),
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
    let is_image = launcher.registry == Registry::Image;
    let option_obstacle = option_obstacle(&parts.options).filter(|_| !is_image);
    let project_obstacle = is_of_project.then_some(OF_PROJECT);
    ParsedCommand {
        launcher: launcher.words.join(" "),
        registry: main.registry,
        pin: others.fold(main.pin, Pin::min),
        spec: text,
        // The code is the project's; the packages only come with it.
        package: main.package.filter(|_| !is_of_project),
        version: main.version,
        with: parts.with,
        entry,
        wrapper: Vec::new(),
        words: words.to_vec(),
        args: args.collect(),
        env: Vec::new(),
        options: parts.options,
        obstacle: main
            .obstacle
            .or(is_script.then_some(SCRIPT))
            .or(option_obstacle)
            .or(project_obstacle),
    }
}

/// Why an option cannot be pinned. Docker still reads `--env-file` and `-w` itself.
fn option_obstacle(options: &[(String, Option<String>)]) -> Option<&'static str> {
    let of = |(option, _): &(String, Option<String>)| {
        let known = OBSTACLES.iter().find(|(name, _)| name == option);
        known.map(|(_, why)| *why)
    };
    options.iter().find_map(of)
}

/// Takes `npx -p PACKAGE -c "PROGRAM ARGUMENT"` apart, as if no shell was asked for. Whether it is a
/// script that needs one.
fn take_script(parts: &mut LauncherArgs) -> bool {
    let Some(script) = parts.script.take() else {
        return false;
    };
    let words = shell::plain(&script).filter(|words| {
        let first = words.first().map_or("", String::as_str);
        // `X=1 program` sets a variable.
        !parts.packages.is_empty() && !first.contains('=')
    });
    let Some(words) = words else {
        return true;
    };
    parts.positional = words;
    false
}

/// The package of `uv run --with PACKAGE PROGRAM`: the one that is called like the program.
fn main_of_with(parts: &mut LauncherArgs) -> String {
    let program = parts.positional.first().map_or("", String::as_str);
    let same = |text: &String| spec(Registry::Pypi, text).package.as_deref() == Some(program);
    let at = parts.with.iter().position(same).unwrap_or_default();
    parts.with.remove(at)
}

/// Whether `uv run` starts code of a project or a script.
fn is_of_project(parts: &LauncherArgs) -> bool {
    let program = parts.positional.first().map_or("", String::as_str);
    let option = |(name, _): &(String, Option<String>)| {
        let names = [
            "-m",
            "--module",
            "-s",
            "--script",
            "--directory",
            "--project",
            "--package",
            "--extra",
            "--all-extras",
            "--group",
        ];
        names.contains(&name.as_str())
    };
    let ending = program.rsplit_once('.').map_or("", |(_, ending)| ending);
    program.is_empty()
        || program.contains('/')
        || matches!(ending, "py" | "pyw")
        || program_name(program).starts_with("python")
        || parts.options.iter().any(option)
}
