//! Everything that must pass, in the order in which it fails fastest; the tests come last, so that
//! their result lines end the output.

use std::process::Command;
use std::time::Instant;

use crate::shell::{Done, cargo, output, root, step, which};
use crate::{demo, deps};

pub fn run() -> Done {
    let start = Instant::now();
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    let clippy = [
        "clippy",
        "--quiet",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
    ];
    step("clippy", cargo(&clippy).args(["-D", "warnings"]))?;
    let doc = [
        "doc",
        "--quiet",
        "--locked",
        "--no-deps",
        "--lib",
        "--document-private-items",
    ];
    step(
        "documentation",
        cargo(&doc).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    deny()?;
    if root().join("benches").is_dir() {
        step(
            "benchmarks build",
            &mut cargo(&["bench", "--locked", "--no-run"]),
        )?;
    }
    let found = deps::install()?;
    println!("{found}");
    demo::run()?;
    println!(
        "── tests (what is there and fails is no skip: {})",
        found.words.join(",")
    );
    let mut tests = cargo(&["test", "--locked", "--workspace"]);
    tests.env("MCPWRAP_TEST_REQUIRE", found.words.join(","));
    let result = step("tests", &mut tests);
    println!("{found}");
    println!("── ci: {} s in all", start.elapsed().as_secs());
    result
}

/// Advisories, licences, duplicates, sources. Advisories need a copy of the database, which some
/// machines cannot fetch: the other three do not.
fn deny() -> Done {
    if which("cargo-deny").is_none() {
        println!("── cargo deny: NOT RUN, `cargo install --locked cargo-deny` brings it");
        return Ok(());
    }
    let checks = ["bans", "licenses", "sources"];
    step(
        "cargo deny",
        cargo(&["deny", "--offline", "check"]).args(checks),
    )
}

pub fn fix() -> Done {
    step("format", &mut cargo(&["fmt", "--all"]))?;
    let clippy = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--fix",
        "--allow-dirty",
    ];
    step("clippy", cargo(&clippy).args(["--allow-staged"]))?;
    let mut tests = cargo(&["test"]);
    step(
        "tests, which write their expectations anew",
        tests.env("MCPWRAP_TEST_BLESS", "1"),
    )?;
    if let Some(changed) = output(Command::new("git").args(["status", "--short"])) {
        println!("{changed}");
    }
    Ok(())
}
