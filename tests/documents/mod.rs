//! Every `mcpwrap …` and `cargo …` line in a block of README.md and docs/ is run here as it stands there, or
//! carries a mark that readers do not see, with its reason:
//!
//! `<!-- not run here: WHY -->` above a block is for all its lines, `<!-- not run here (COMMAND): WHY -->` for one.
//! Output that a document shows is compared with a real one. The marks are counted below, so that a new one is a change that somebody reads.

mod first_steps;
mod references;
mod scene;

use std::path::{Path, PathBuf};

use self::scene::Scene;

/// The marks of each document.
const MARKS: &[(&str, usize)] = &[
    ("README.md", 2),
    ("docs/checks.md", 1),
    ("docs/guide.md", 2),
    ("docs/stores.md", 1),
];

macro_rules! documents {
    ($($name:ident $file:literal $scenario:path,)+) => {
        /// Those with commands that are run.
        const RUN: &[&str] = &[$($file),+];

        $(#[test]
        fn $name() {
            let mut scene = Scene::new($file);
            if $scenario(&mut scene) {
                scene.end();
            }
        })+
    };
}

documents! {
    the_readme "README.md" first_steps::readme,
    the_guide "docs/guide.md" first_steps::guide,
    adding "docs/add.md" references::adding,
    adopting "docs/adopt.md" references::adopting,
    agents "docs/agents.md" references::agents,
    checks "docs/checks.md" references::checks,
    stores "docs/stores.md" references::stores,
    testing "docs/test.md" references::testing,
}

/// A line of a document that somebody types.
#[derive(Clone, Debug)]
struct DocCommand {
    line: usize,
    /// With the lines that continue it, without its comment.
    text: String,
    mark: Option<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md and everything in docs/.
fn all() -> Vec<String> {
    let names = std::fs::read_dir(root().join("docs")).unwrap();
    let names = names.map(|entry| PathBuf::from("docs").join(entry.unwrap().file_name()));
    let mut all: Vec<_> = names
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .map(|path| path.display().to_string())
        .collect();
    all.push("README.md".to_owned());
    all.sort();
    all
}

/// The commands in the blocks of a document, and how many marks it has.
fn commands(file: &str) -> (Vec<DocCommand>, usize) {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    parse(&text).unwrap_or_else(|problem| panic!("{file}: {problem}"))
}

/// The text of a mark: the command that it is for, if it is for one, and the reason.
fn mark(line: &str) -> Option<(Option<&str>, &str)> {
    let inner = line
        .strip_prefix("<!-- not run here")?
        .strip_suffix(" -->")?;
    let (of, why) = match inner.strip_prefix(" (") {
        Some(rest) => rest.split_once("): ").map(|(of, why)| (Some(of), why))?,
        None => (None, inner.strip_prefix(": ")?),
    };
    (!why.is_empty()).then_some((of, why))
}

fn parse(text: &str) -> Result<(Vec<DocCommand>, usize), String> {
    let mut found: Vec<DocCommand> = Vec::new();
    let mut marks: Vec<(Option<&str>, &str, bool)> = Vec::new();
    let (mut fenced, mut continued, mut count) = (false, false, 0);
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("<!-- not run here") {
            let (of, why) = mark(line).ok_or(format!("line {number}: a mark without a reason"))?;
            marks.push((of, why, false));
            count += 1;
            continue;
        }
        if line.starts_with("```") {
            fenced = !fenced;
        }
        let is_block = fenced || line.starts_with("    ") || line.starts_with("```");
        if !is_block {
            if !line.is_empty() {
                unused(&marks, number)?;
                marks.clear();
            }
            continue;
        }
        let line = line.trim().strip_prefix("$ ").unwrap_or(line.trim());
        let is_continuation = continued;
        continued = line.ends_with('\\');
        let line = line.trim_end_matches('\\').trim_end();
        if is_continuation && let Some(last) = found.last_mut() {
            last.text = format!("{} {line}", last.text);
        } else if line.starts_with("mcpwrap ") || line == "mcpwrap" || line.starts_with("cargo ") {
            let text = line
                .split_once(" #")
                .map_or(line, |(text, _)| text.trim_end());
            let why = marks
                .iter_mut()
                .find(|(of, ..)| of.is_none_or(|of| of == text));
            found.push(DocCommand {
                line: number,
                text: text.to_owned(),
                mark: why.map(|(_, why, used)| {
                    *used = true;
                    (*why).to_owned()
                }),
            });
        } else {
            continued = false;
        }
    }
    unused(&marks, text.lines().count())?;
    Ok((found, count))
}

fn unused(marks: &[(Option<&str>, &str, bool)], line: usize) -> Result<(), String> {
    let unused = marks.iter().find(|(.., used)| !used);
    unused.map_or(Ok(()), |(_, why, _)| {
        Err(format!("before line {line}: a mark for no command: {why}"))
    })
}

#[test]
fn every_command_is_run_or_marked() {
    let mut marks = Vec::new();
    for file in all() {
        let (commands, count) = commands(&file);
        if count > 0 {
            marks.push((file.clone(), count));
        }
        let is_run = commands.iter().any(|command| command.mark.is_none());
        let open = commands.iter().find(|command| command.mark.is_none());
        assert_eq!(
            is_run,
            RUN.contains(&file.as_str()),
            "{file}: it has commands to run and no scenario, or a scenario and no commands: {open:?}"
        );
    }
    let counted = MARKS
        .iter()
        .map(|(file, count)| ((*file).to_owned(), *count));
    assert_eq!(marks, counted.collect::<Vec<_>>(), "count the marks");
}

#[test]
fn marks_and_commands_are_found() {
    let text = "x `mcpwrap no`\n\n    mcpwrap a b  # why\n    mcpwrap c \\\n      -- d\n    other\n\n\
                <!-- not run here (mcpwrap e): slow -->\n```sh\n$ mcpwrap e\nmcpwrap f\n```\n\n\
                <!-- not run here: a build -->\n\n    cargo g\n    cargo h\n";
    let (commands, count) = parse(text).unwrap();
    let found: Vec<_> = commands
        .iter()
        .map(|one| (one.line, one.text.as_str(), one.mark.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            (3, "mcpwrap a b", None),
            (4, "mcpwrap c -- d", None),
            (10, "mcpwrap e", Some("slow")),
            (11, "mcpwrap f", None),
            (16, "cargo g", Some("a build")),
            (17, "cargo h", Some("a build")),
        ]
    );
    assert_eq!(count, 2);
    for wrong in [
        "<!-- not run here -->\n\n    mcpwrap a\n",
        "<!-- not run here: -->\n\n    mcpwrap a\n",
        "<!-- not run here (mcpwrap b): why -->\n\n    mcpwrap a\n",
        "<!-- not run here: why -->\n\ntext\n\n    mcpwrap a\n",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
