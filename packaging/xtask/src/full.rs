//! `cargo xtask full`: what takes too long for each change. It is run before a release, whole or by parts, and
//! how each part ended last goes with its date into docs/full.md.
//!
//! Invariants: a step that fails does not stop the others; what could not run is listed with the reason, and
//! never counts as passed.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use crate::cross::Cross;
use crate::dist::{self, Profile};
use crate::shell::{Done, Outcome, Programs, cargo, output, read, root, step, which, write};
use crate::{ci, clients, conformance, demo, deps, fuzz, mac_check, servers};

const DOCUMENT: &str = "docs/full.md";

/// A part, what it is, and how it is run.
type Part = (&'static str, &'static str, fn() -> Done<Outcome>);

/// In this order: what fails fastest comes first.
const PARTS: &[Part] = &[
    ("mac-check", "the macOS code, type-checked", mac_check::run),
    ("demo", "the story, with a real client", || {
        passed(demo::run(false, Programs::ToBuild))
    }),
    (
        "tests",
        "every test, also those with 10,000 calls; a skip for a need that is met fails",
        all_tests,
    ),
    (
        "soak",
        "kills, revocations and forks at random moments, and the laws of masking",
        || passed(ci::soak()),
    ),
    ("fuzz", "each fuzz target for five minutes", || {
        fuzz::run(300)
    }),
    (
        "conformance",
        "the official judge of MCP clients, all scenarios",
        conformance,
    ),
    (
        "dist --check",
        "every package, installed and used, and a new user by each channel",
        dist::check,
    ),
    (
        "aarch64",
        "the program for aarch64, and what of it runs under qemu",
        aarch64,
    ),
    (
        "clients",
        "every MCP client of npm and PyPI, headless",
        || npm(|| clients::run(&clients::Wanted::All, Programs::ToBuild)),
    ),
    (
        "servers",
        "the most used servers, pinned and compared with their launcher",
        || npm(|| servers::run(&[])),
    ),
];

fn passed(done: Done) -> Done<Outcome> {
    done.map(|()| Outcome::Passed)
}

fn npm(act: impl Fn() -> Done) -> Done<Outcome> {
    if which("npm").is_none() {
        return Ok(Outcome::NotRun("no `npm`".to_owned()));
    }
    passed(act())
}

/// Runs the parts with these names, or all, and writes their rows of the document.
pub fn run(wanted: &[String]) -> Done<Outcome> {
    let known = |name: &String| PARTS.iter().any(|(part, ..)| part == name);
    if let Some(name) = wanted.iter().find(|name| !known(name)) {
        let all: Vec<_> = PARTS.iter().map(|(name, ..)| *name).collect();
        return Err(format!("unknown part `{name}`; known: {}", all.join(", ")));
    }
    let chosen = PARTS
        .iter()
        .filter(|(name, ..)| wanted.is_empty() || wanted.iter().any(|one| one == name));
    let mut rows = Vec::new();
    for (name, about, act) in chosen {
        println!("── full: {name}: {about}");
        let start = Instant::now();
        let result = act();
        rows.push(Row {
            name,
            result,
            seconds: start.elapsed().as_secs(),
        });
    }
    println!("── full:");
    for row in &rows {
        println!("   {}: {}, {} s", row.name, row.said(), row.seconds);
    }
    let path = root().join(DOCUMENT);
    let before = String::from_utf8_lossy(&read(&path)?).into_owned();
    write(&path, document(&before, &rows, &about()).as_bytes())?;
    println!("── written: {DOCUMENT}");
    outcome(&rows)
}

/// A part that was tried.
struct Row {
    name: &'static str,
    result: Done<Outcome>,
    seconds: u64,
}

impl Row {
    /// How it ended, in one line.
    fn said(&self) -> String {
        let first = |text: &str| text.lines().next().unwrap_or_default().replace('|', "/");
        match &self.result {
            Ok(Outcome::Passed) => "passed".to_owned(),
            Ok(Outcome::NotRun(why)) => format!("NOT RUN: {}", first(why)),
            Err(why) => format!("FAILED: {}", first(why)),
        }
    }
}

fn outcome(rows: &[Row]) -> Done<Outcome> {
    let names = |is_wanted: fn(&Row) -> bool| {
        let rows = rows.iter().filter(|row| is_wanted(row));
        rows.map(|row| row.name).collect::<Vec<_>>().join(", ")
    };
    let failed = names(|row| row.result.is_err());
    let open = names(|row| matches!(row.result, Ok(Outcome::NotRun(_))));
    match (failed.as_str(), open.as_str()) {
        ("", "") => Ok(Outcome::Passed),
        ("", open) => Ok(Outcome::NotRun(format!("on this machine: {open}"))),
        (failed, _) => Err(format!("failed: {failed}")),
    }
}

/// The day, the commit, the compiler and the system of a run, as cells of a table.
fn about() -> String {
    let say = |words: &[&str]| {
        let (program, args) = words.split_first()?;
        output(
            std::process::Command::new(program)
                .args(args)
                .current_dir(root()),
        )
    };
    let day = say(&["date", "-u", "+%F"]).unwrap_or_default();
    let commit = say(&["git", "rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let others = [".", ":!docs/full.md"];
    let changes = say(&[&["git", "status", "--porcelain", "--"][..], &others].concat());
    let commit = match changes.as_deref() {
        Some("") => commit,
        _ => format!("{commit} with changes"),
    };
    let system = say(&["uname", "-srm"]).unwrap_or_default();
    let rustc = say(&["rustc", "--version"]).unwrap_or_default();
    let rustc = rustc.split_whitespace().take(2).collect::<Vec<_>>();
    format!("{day} | {commit} | {}, {system}", rustc.join(" "))
}

/// The document with new rows; the row of a part that was not tried stays.
fn document(before: &str, rows: &[Row], about: &str) -> String {
    let mut text = "# The last full run of each part\n\n\
         `cargo xtask full` wrote this. It runs what takes too long for each change.\n\n\
         | part | what | result | s | day | commit | with |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (name, what, _) in PARTS {
        let start = format!("| {name} |");
        if let Some(row) = rows.iter().find(|row| row.name == *name) {
            let (said, seconds) = (row.said(), row.seconds);
            _ = writeln!(text, "{start} {what} | {said} | {seconds} | {about} |");
        } else if let Some(row) = before.lines().find(|line| line.starts_with(&start)) {
            _ = writeln!(text, "{row}");
        } else {
            _ = writeln!(text, "{start} {what} | no run is recorded | | | | |");
        }
    }
    text
}

fn all_tests() -> Done<Outcome> {
    let found = deps::install(deps::Install::CacheOnly)?;
    print!("{found}");
    let mut tests = cargo("test --locked --workspace");
    tests.env("MCPWRAP_TEST_REQUIRE", found.words.join(","));
    passed(step("tests", &mut tests))
}

fn conformance() -> Done<Outcome> {
    let found = deps::install(deps::Install::CacheOnly)?;
    let has = |need: &str| found.words.contains(&need);
    if has("remote") && has("npm") {
        return passed(conformance::run(&[], Programs::ToBuild));
    }
    Ok(Outcome::NotRun("the judge is not installed".to_owned()))
}

/// Without qemu only the build is known to work, so the part counts as not run.
fn aarch64() -> Done<Outcome> {
    let target = dist::named("aarch64-unknown-linux-musl")?;
    if target.is_native() {
        let reason = "this machine is one: `tests` and `dist --check` are about it";
        return Ok(Outcome::NotRun(reason.to_owned()));
    }
    if let Err(reason) = Cross::prepare(target.triple) {
        return Ok(Outcome::NotRun(reason));
    }
    let program = dist::build(target, Profile::Check)?;
    let qemu = match qemu() {
        Ok(qemu) => qemu,
        Err(reason) => return Ok(Outcome::NotRun(format!("it was built; {reason}"))),
    };
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let key = home.path().join("vault.key").display().to_string();
    for words in [
        &["--version"][..],
        &["init", "--store", "file", "--key-file", &key],
        &["status"],
        &["policy", "new", "echo", "--", "/bin/cat"],
        &["check", "--fail-on", "never"],
    ] {
        let mut command = std::process::Command::new(&qemu);
        command.arg(&program).args(words).env_clear();
        command.env("HOME", home.path()).current_dir(home.path());
        step(&format!("mcpwrap {}", words.join(" ")), &mut command)?;
    }
    Ok(Outcome::Passed)
}

/// The machine's own qemu, or Debian's in `.cache`.
fn qemu() -> Done<PathBuf> {
    let names = ["qemu-aarch64-static", "qemu-aarch64"];
    if let Some(installed) = names.iter().find_map(|name| which(name)) {
        return Ok(installed);
    }
    let program = "usr/bin/qemu-aarch64-static";
    let found = deps::debian::unpacked("qemu-user-static", program, "--version")?;
    Ok(found.join(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, result: Done<Outcome>) -> Row {
        Row {
            name,
            result,
            seconds: 1,
        }
    }

    #[test]
    fn what_did_not_run_has_not_passed() {
        let not_run = || Ok(Outcome::NotRun("no `npm`\nmore".to_owned()));
        let rows = [row("soak", Ok(Outcome::Passed)), row("fuzz", not_run())];
        assert!(matches!(outcome(&rows), Ok(Outcome::NotRun(why)) if why.ends_with(": fuzz")));
        let text = document("", &rows, "day | commit | with");
        assert!(
            text.contains("| NOT RUN: no `npm` | 1 | day | commit | with |\n"),
            "{text}"
        );
        let rows = [row("fuzz", not_run()), row("soak", Err("x | y".to_owned()))];
        assert_eq!(outcome(&rows).err().as_deref(), Some("failed: soak"));
        assert!(document("", &rows, "").contains("FAILED: x / y"));
        assert!(matches!(
            outcome(&[row("soak", Ok(Outcome::Passed))]),
            Ok(Outcome::Passed)
        ));
    }

    #[test]
    fn a_run_of_some_parts_keeps_the_rows_of_the_others() {
        let first = document("", &[row("fuzz", Ok(Outcome::Passed))], "one | a | x");
        assert!(first.contains("| demo | the story, with a real client | no run is recorded |"));
        let second = document(&first, &[row("demo", Ok(Outcome::Passed))], "two | b | x");
        assert!(second.contains("passed | 1 | one | a | x |"), "{second}");
        assert!(second.contains("passed | 1 | two | b | x |"), "{second}");
        assert_eq!(second.lines().count(), 6 + PARTS.len());
    }
}
