//! Everything that must pass, fastest failures first. The tests come last, so that their result
//! lines end the output, with one list of what could not run.

use std::fmt;
use std::process::Command;
use std::time::Instant;

use crate::deps::{self, Install};
use crate::shell::{Done, Outcome, Programs, cargo, output, root, step, target, which};
use crate::{clients, conformance, demo, fuzz, mac_check};

pub fn run(install: Install) -> Done {
    let start = Instant::now();
    let mut not_run = NotRun::default();
    step("format", &mut cargo("fmt --all --check"))?;
    // Also whether the benchmarks compile; `cargo bench` links and measures them.
    let clippy = "clippy --quiet --locked --workspace --all-targets -- -D warnings";
    step("clippy", &mut cargo(clippy))?;
    let doc = "doc --quiet --locked --no-deps --lib --document-private-items";
    step(
        "documentation",
        cargo(doc).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    not_run.note("cargo deny", deny()?);
    not_run.note("macOS type check", mac_check(install)?);
    let found = deps::install(install)?;
    print!("{found}{not_run}");
    // With all that the tests build, so that the dependencies are compiled with one set of features. But
    // not this program, which parts of the demo start again.
    Programs::ToBuild.build("--quiet --workspace --exclude xtask --bins --examples")?;
    corpus(None, false, Programs::Built)?;
    demo::run(false, Programs::Built)?;
    fuzz::is_locked()?;
    // This and the packages need a second compilation, with other options, of several minutes.
    let fuzzing = "run `cargo xtask fuzz`; saved inputs are among the tests";
    not_run.note("fuzzing", Outcome::NotRun(fuzzing.to_owned()));
    let packages = "run `cargo xtask dist --check` before a release";
    not_run.note("packages", Outcome::NotRun(packages.to_owned()));
    if found.words.contains(&"registry") {
        clients::run(&clients::Wanted::Quick, Programs::Built)?;
    } else {
        let reason = "no registry".to_owned();
        not_run.note("clients", Outcome::NotRun(reason));
    }
    if ["remote", "npm"]
        .iter()
        .all(|need| found.words.contains(need))
    {
        conformance::run(&[], Programs::Built)?;
    } else {
        let reason = "the judge is not installed".to_owned();
        not_run.note("conformance", Outcome::NotRun(reason));
    }
    let words = found.words.join(",");
    println!("── tests; these needs are met, so a skip for one of them is a failure: {words}");
    let mut tests = cargo("test --locked --workspace");
    tests.env("MCPWRAP_TEST_REQUIRE", words);
    // They wait for other programs half of the time.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        tests.env("RUST_TEST_THREADS", (cores + cores / 2).to_string());
    }
    let result = step("tests", &mut tests);
    print!("{found}{not_run}");
    println!("── ci: {} s in all", start.elapsed().as_secs());
    result
}

/// Measures detection and adoption, with a program that has the product in it.
pub fn corpus(dir: Option<&str>, misses: bool, programs: Programs) -> Done {
    programs.build("--quiet --package mcpwrap --package corpus --bins")?;
    let mut run = Command::new(target("debug")?.join("corpus"));
    // It runs at the top of the project.
    let dir = dir.map(std::path::absolute).transpose();
    let dir = dir.map_err(|error| error.to_string())?;
    run.args(misses.then_some("--misses")).args(dir);
    run.current_dir(root());
    step("corpus", &mut run)
}

/// The steps that this machine cannot run, with the reason.
#[derive(Default)]
struct NotRun(Vec<(&'static str, String)>);

impl NotRun {
    fn note(&mut self, name: &'static str, outcome: Outcome) {
        if let Outcome::NotRun(reason) = outcome {
            println!("── {name}: NOT RUN: {reason}");
            self.0.push((name, reason));
        }
    }
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, reason) in &self.0 {
            writeln!(f, "NOT RUN {name}: {reason}")?;
        }
        Ok(())
    }
}

/// Licences, duplicates, sources. Advisories need a copy of a database that some machines cannot
/// fetch, so they are not asked for here.
fn deny() -> Done<Outcome> {
    if which("cargo-deny").is_none() {
        let reason = "no `cargo-deny` (`cargo install --locked cargo-deny`)";
        return Ok(Outcome::NotRun(reason.to_owned()));
    }
    let check = "deny --offline check bans licenses sources";
    step("cargo deny", &mut cargo(check)).map(|()| Outcome::Passed)
}

/// Downloads what the check needs only if the caller asked for installations.
fn mac_check(install: Install) -> Done<Outcome> {
    if install == Install::CacheOnly && !mac_check::is_prepared() {
        let reason = "not prepared (`cargo xtask mac-check` once, or pass --install)";
        return Ok(Outcome::NotRun(reason.to_owned()));
    }
    mac_check::run()
}

/// All rounds of `tests/soak.rs`, of which the other test runs do a few, and other random cases of the
/// laws of masking.
pub fn soak() -> Done {
    // Cargo builds them for all tests, and not for one of them.
    Programs::ToBuild.build("--examples")?;
    let mut tests = cargo("test --locked --test integration -- soak:: mask::");
    step("soak", tests.env("MCPWRAP_TEST_SOAK", "1"))
}

pub fn fix() -> Done {
    step("format", &mut cargo("fmt --all"))?;
    let clippy = "clippy --quiet --workspace --all-targets --fix --allow-dirty --allow-staged";
    step("clippy", &mut cargo(clippy))?;
    let mut tests = cargo("test");
    step(
        "tests, which rewrite their expectations",
        tests.env("MCPWRAP_TEST_BLESS", "1"),
    )?;
    if let Some(changed) = output(Command::new("git").args(["status", "--short"])) {
        println!("{changed}");
    }
    Ok(())
}
