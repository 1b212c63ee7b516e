//! Everything that must pass, in the order in which it fails fastest; the tests come last, so that
//! their result lines end the output.

use std::process::Command;
use std::time::Instant;

use crate::shell::{Done, cargo, output, root, step, which};
use crate::{demo, deps};

pub fn run() -> Done {
    let start = Instant::now();
    step("format", &mut cargo("fmt --all --check"))?;
    let clippy = "clippy --quiet --locked --workspace --all-targets -- -D warnings";
    step("clippy", &mut cargo(clippy))?;
    let doc = "doc --quiet --locked --no-deps --lib --document-private-items";
    step(
        "documentation",
        cargo(doc).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    deny()?;
    // Not optimised: whether they build is the question here, `cargo bench` measures.
    step(
        "benchmarks build",
        &mut cargo("bench --quiet --locked --no-run --profile dev"),
    )?;
    fuzz()?;
    let found = deps::install()?;
    println!("{found}");
    demo::run()?;
    let words = found.words.join(",");
    println!("── tests; these needs are met, so a skip for one of them is a failure: {words}");
    let mut tests = cargo("test --locked --workspace");
    let result = step("tests", tests.env("MCPWRAP_TEST_REQUIRE", words));
    println!("{found}");
    println!("── ci: {} s in all", start.elapsed().as_secs());
    result
}

/// Licences, duplicates, sources. Advisories need a copy of a database that some machines cannot
/// fetch, so they are not asked for here.
fn deny() -> Done {
    if which("cargo-deny").is_none() {
        println!("── cargo deny: NOT RUN, `cargo install --locked cargo-deny` brings it");
        return Ok(());
    }
    step(
        "cargo deny",
        &mut cargo("deny --offline check bans licenses sources"),
    )
}

/// Ten seconds of each fuzz target. Their saved inputs run as tests everywhere.
fn fuzz() -> Done {
    let nightly = output(Command::new("rustc").args(["+nightly", "--version"]));
    if which("cargo-fuzz").is_none() || nightly.is_none() {
        println!("── fuzzing: NOT RUN, it needs `cargo install --locked cargo-fuzz` and a nightly");
        return Ok(());
    }
    let dir = root().join("tests/fuzz");
    let list = "+nightly fuzz list --fuzz-dir .";
    let targets =
        output(cargo_of_user(list).current_dir(&dir)).ok_or("`cargo fuzz list` failed")?;
    for target in targets.lines() {
        let words = format!("+nightly fuzz run --fuzz-dir . {target} -- -max_total_time=10");
        step(
            &format!("fuzz {target}"),
            cargo_of_user(&words).current_dir(&dir),
        )?;
    }
    Ok(())
}

/// The `cargo` that takes `+nightly`: not the one that started us, which is of one toolchain.
fn cargo_of_user(line: &str) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(line.split_whitespace())
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

pub fn fix() -> Done {
    step("format", &mut cargo("fmt --all"))?;
    let clippy = "clippy --quiet --workspace --all-targets --fix --allow-dirty --allow-staged";
    step("clippy", &mut cargo(clippy))?;
    let mut tests = cargo("test");
    step(
        "tests, which write their expectations anew",
        tests.env("MCPWRAP_TEST_BLESS", "1"),
    )?;
    if let Some(changed) = output(Command::new("git").args(["status", "--short"])) {
        println!("{changed}");
    }
    Ok(())
}
