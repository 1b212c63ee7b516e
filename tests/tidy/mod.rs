//! The rules of `docs/architecture.md` that a machine can keep.

mod cli;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::source::Source;
use clap::CommandFactory as _;
use mcpwrap::testing::error::Code;

/// No file is longer (lines).
const LINES_MAX: usize = 400;
/// No head comment is longer (lines).
const HEAD_LINES_MAX: usize = 10;

/// Where a value may become bytes.
const EXPOSES: &[&str] = &[
    "adopt/undo.rs",       // puts values back where the user had them
    "cli/secret/looks.rs", // says its format and the class of its size
    "cli/pasted.rs",       // offers the value without what was pasted around it
    "expiry.rs",           // reads when a token says that it ends
    "https.rs",            // the URL of the proxy, with its password
    "launch/",
    "mask/forms.rs",
    "mint/github_app.rs", // signs with the key of an App, and withdraws a token with itself
    "mint/kept.rs",       // handles, as JSON
    "oauth/item.rs",      // tokens, as JSON
    "probe/service.rs",   // sends a value to its own provider, when the user says so
    "secret.rs",
    "store/",
    "weak.rs", // judges whether a value can be masked
];

/// Codes without a golden message, and why.
const NO_MESSAGE: &[(&str, &str)] = &[
    (
        "credential-ended",
        "the session is suspended, and answers in JSON-RPC: `mint`",
    ),
    (
        "start-timeout",
        "each step before it has its own, shorter limit",
    ),
    ("remote-failed", "the bridge answers in JSON-RPC: `bridge`"),
    ("remote-refused", "the bridge answers in JSON-RPC: `bridge`"),
    ("still-running", "no process outlives SIGKILL at will"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files with this ending below a directory, with their paths from there.
fn files(dir: &str, kind: &str) -> Vec<(String, String)> {
    let base = root().join(dir);
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![base.clone()];
    while let Some(path) = open.pop() {
        if path.is_dir() && !path.ends_with("node_modules") {
            open.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|ending| ending == kind) {
            let name = path.strip_prefix(&base).unwrap().display().to_string();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// The lines of a file that are code, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.trim_start()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

#[track_caller]
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// The modules of the crate, in the order of `src/lib.rs`.
fn order() -> Vec<String> {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let name = |line: &str| {
        let line = line.strip_prefix("pub(crate) mod ")?;
        Some(line.split_once(';')?.0.to_owned())
    };
    lib.lines().filter_map(name).collect()
}

/// "A module may use only modules declared above it in `src/lib.rs`."
#[test]
fn a_module_uses_only_what_is_declared_above_it() {
    let source = Source::read(&files("src", "rs"));
    let order = order();
    assert!(order.len() > 20, "{order:?}");
    let floor = |module: &str| order.iter().position(|name| name == module);
    let mut found = Vec::new();
    for file in &source.files {
        let own = file.module.first().map_or("", String::as_str);
        let Some(own_floor) = floor(own) else {
            continue;
        };
        let handed_on = file.handed_on.values().map(|path| (path, &0));
        let named = file.named.iter().map(|(path, line)| (path, line));
        for (path, line) in named.chain(handed_on) {
            let used = path.first().map_or("", String::as_str);
            if floor(used).is_some_and(|floor| floor > own_floor) {
                let name = &file.name;
                found.push(format!(
                    "src/{name}:{line}: `{own}` uses `{used}`, which is declared below it"
                ));
            }
        }
    }
    none("modules that use one declared below them", &found);
}

/// Files that use each other are one file in two pieces.
#[test]
fn no_files_use_each_other_in_a_circle() {
    let source = Source::read(&files("src", "rs"));
    let edges = source.edges();
    let reaches = |from: &str| {
        let mut open = vec![from];
        let mut seen = BTreeSet::new();
        while let Some(file) = open.pop() {
            for next in edges.get(file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(*next) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let mut found = Vec::new();
    for (file, used) in &edges {
        for (other, line) in used {
            if reaches(other).contains(file) {
                found.push(format!(
                    "src/{file}:{line} uses src/{other}, which leads back"
                ));
            }
        }
    }
    none("circles of files", &found);
}

/// One name, one thing.
#[test]
fn a_type_name_stands_for_one_type() {
    let source = Source::read(&files("src", "rs"));
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in &source.files {
        for (name, line) in &file.types {
            let place = format!("src/{}:{line}", file.name);
            all.entry(name).or_default().push(place);
        }
    }
    // The arguments of a command are `Args` in the file of that command.
    all.remove("Args");
    let found: Vec<_> = all
        .iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(name, places)| format!("`{name}`: {}", places.join(", ")))
        .collect();
    none("type names that stand for several types", &found);
}

#[test]
fn unsafe_code_is_in_sys_only() {
    let found: Vec<_> = files("src", "rs")
        .into_iter()
        .filter(|(file, _)| !file.starts_with("sys/"))
        .flat_map(|(file, text)| {
            let lines = code(&text).filter(|(_, line)| {
                line.contains("unsafe {")
                    || line.contains("unsafe fn")
                    || line.contains("(unsafe_code")
            });
            lines
                .map(|(n, _)| format!("src/{file}:{n}"))
                .collect::<Vec<_>>()
        })
        .collect();
    none("unsafe code outside of src/sys", &found);
}

/// What differs between Linux and macOS differs in `sys`, and in what reaches their keychains.
#[test]
fn systems_differ_in_a_few_places() {
    let places = [
        "sys/",
        "dirs/mod.rs", // the session bus, which only Linux has
        "store/kernel_key.rs",
        "store/keychain/mod.rs",
    ];
    let mut found = Vec::new();
    for (file, text) in files("src", "rs") {
        if !places.iter().any(|place| file.starts_with(place)) {
            let lines = code(&text).filter(|(_, line)| line.contains("target_os"));
            found.extend(lines.map(|(n, _)| format!("src/{file}:{n}")));
        }
    }
    none("`target_os` outside of its places", &found);
}

#[test]
fn values_become_bytes_in_a_few_places() {
    let allowed = |file: &str| EXPOSES.iter().any(|place| file.starts_with(place));
    let mut found = Vec::new();
    for (file, text) in files("src", "rs").iter().filter(|(file, _)| !allowed(file)) {
        // Tests may look: what they hold is made up.
        let text = text.split("#[cfg(test)]").next().unwrap();
        let lines = code(text).filter(|(_, line)| line.contains(".expose()"));
        found.extend(lines.map(|(n, _)| format!("src/{file}:{n}")));
    }
    none("`Secret::expose` outside of its places", &found);
}

#[test]
fn programs_are_started_in_a_few_places() {
    let mut found = Vec::new();
    for (file, text) in files("src", "rs") {
        if !file.starts_with("sys/") && !file.starts_with("package/") {
            let lines = code(&text).filter(|(_, line)| line.contains("Command::new("));
            found.extend(lines.map(|(n, _)| format!("src/{file}:{n}")));
        }
    }
    none(
        "programs started outside of src/sys and src/package",
        &found,
    );
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    let mut found = Vec::new();
    for dir in [
        "src",
        "tests",
        "packaging/corpus/src",
        "packaging/xtask/src",
    ] {
        if !root().join(dir).is_dir() {
            continue;
        }
        for (file, text) in files(dir, "rs") {
            let head = text
                .lines()
                .take_while(|line| line.starts_with("//!"))
                .count();
            let lines = text.lines().count();
            if head == 0 {
                found.push(format!("{dir}/{file}: no head comment"));
            } else if head > HEAD_LINES_MAX && file != "lib.rs" {
                found.push(format!("{dir}/{file}: a head comment of {head} lines"));
            }
            if lines > LINES_MAX {
                found.push(format!("{dir}/{file}: {lines} lines"));
            }
        }
    }
    none("files", &found);
}

#[test]
fn imports_name_what_they_import() {
    let mut found = Vec::new();
    for (file, text) in files("src", "rs") {
        let lines = code(&text).filter(|(_, line)| {
            line.starts_with("use ") && line.contains("::*") && !line.contains("super::*")
        });
        found.extend(lines.map(|(n, _)| format!("src/{file}:{n}")));
    }
    none("glob imports", &found);
}

#[test]
fn every_code_has_a_golden_message() {
    let mut found = Vec::new();
    for code in Code::ALL {
        let path = root().join(format!("tests/golden/messages/{code}.txt"));
        let excused = NO_MESSAGE.iter().any(|(name, _)| *name == code.name());
        match std::fs::read_to_string(path) {
            Ok(_) if excused => found.push(format!("{code}: excused, and there")),
            Ok(text) if !text.contains(&format!("error[{code}]: ")) => {
                found.push(format!("{code}: another message"));
            }
            Err(_) if !excused => found.push(format!("{code}: none")),
            _ => {}
        }
    }
    none("golden messages", &found);
}

/// Hints, help and documents name verbs; each has to exist.
#[test]
fn every_verb_that_is_named_exists() {
    let cli = mcpwrap::testing::cli::Cli::command();
    let mut texts = files("src", "rs");
    texts.extend(files("docs", "md"));
    texts.extend(files("tests/docs", "txt"));
    for name in [
        "README.md",
        ".github/SECURITY.md",
        ".github/CONTRIBUTING.md",
    ] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            texts.push((name.to_owned(), text));
        }
    }
    let mut found = Vec::new();
    for (file, text) in &texts {
        for (n, line) in text.lines().enumerate() {
            let start = line.trim_start();
            let typed = start
                .strip_prefix("$ ")
                .unwrap_or(start)
                .strip_prefix("mcpwrap ");
            let is_code = Path::new(file).extension().is_some_and(|kind| kind == "rs");
            let typed = typed.filter(|_| !is_code && start != line);
            for words in line.split("`mcpwrap ").skip(1).chain(typed) {
                if let Some(unknown) = unknown_verb(&cli, words) {
                    found.push(format!("{file}:{}: `mcpwrap {unknown}`", n + 1));
                }
            }
        }
    }
    none("verbs that do not exist", &found);
}

/// The first words of a command line, if they are no verb.
fn unknown_verb(cli: &clap::Command, words: &str) -> Option<String> {
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
    let mut at = cli;
    let mut seen = Vec::new();
    for word in words.split([' ', '`']) {
        if !at.has_subcommands()
            || word.is_empty()
            || !word.chars().all(is_word)
            || word.starts_with('-')
        {
            return None;
        }
        seen.push(word);
        match at.find_subcommand(word) {
            Some(verb) => at = verb,
            None if word == "help" => return None,
            None => return Some(seen.join(" ")),
        }
    }
    None
}

/// Documents name files; each has to exist, also one that is named from `src`.
#[test]
fn every_path_that_is_named_exists() {
    let mut texts = files("docs", "md");
    for name in ["README.md", ".github/CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        texts.push((format!("../{name}"), text));
    }
    let modules: Vec<String> = order().iter().map(|name| format!("{name}/")).collect();
    let mut found = Vec::new();
    for (file, text) in texts {
        for quoted in text.split('`').skip(1).step_by(2) {
            let path = quoted.split(':').next().unwrap();
            let plain = path
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if !plain {
                continue;
            }
            let ours = ["src/", "docs/", "tests/", "packaging/", "policies/"];
            let is_missing = if ours.iter().any(|dir| path.starts_with(dir)) {
                !root().join(path).exists()
            } else if modules.iter().any(|dir| path.starts_with(dir.as_str())) {
                let below = root().join("src").join(path);
                !below.exists() && !below.with_extension("rs").exists()
            } else {
                false
            };
            if is_missing {
                found.push(format!("docs/{file}: `{path}`"));
            }
        }
    }
    none("paths that do not exist", &found);
}
