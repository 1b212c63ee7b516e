//! `cargo xtask fuzz`: each target of `tests/fuzz` for a while, with the toolchain that builds the product.
//!
//! libFuzzer needs marks for coverage, which stable rustc inserts. What cargo-fuzz and a nightly toolchain
//! add is a sanitizer for memory, and the code under test is safe Rust.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::shell::{Done, Outcome, cache, cargo, output, problem, root, step, target_in, which};

/// What `cargo fuzz` passes to rustc: the marks that libFuzzer reads.
const COVERAGE: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
const MANIFEST: &str = "tests/fuzz/Cargo.toml";

/// Runs each target for so many seconds, beginning with the saved inputs. New inputs and what made a target
/// fail stay in `.cache/fuzz`.
pub fn run(seconds: u32) -> Done<Outcome> {
    // libFuzzer is C++, and compiled with the targets.
    if which("c++").is_none() {
        return Ok(Outcome::NotRun("no C++ compiler (`c++`)".to_owned()));
    }
    let dir = cache().join("fuzz");
    let build_dir = dir.join("target");
    let mut build = cargo("build --quiet --locked --bins --manifest-path");
    build
        .arg(MANIFEST)
        .env("CARGO_TARGET_DIR", &build_dir)
        .env("RUSTFLAGS", COVERAGE.join(" "));
    step("build of the fuzz targets", &mut build)?;
    let programs = target_in(&build_dir, "debug")?;
    for name in targets()? {
        let found = dir.join(&name);
        std::fs::create_dir_all(&found).map_err(|error| problem(&found, &error))?;
        let mut fuzz = Command::new(programs.join(&name));
        fuzz.arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/{name}-", dir.display()))
            .args(["-verbosity=0", "-print_final_stats=1", "-timeout=20"])
            .arg(&found)
            .args(saved(&name))
            .current_dir(root());
        step(&format!("fuzz {name}"), &mut fuzz)?;
    }
    Ok(Outcome::Passed)
}

/// Whether their lock file has the dependencies of the project as they are now.
///
/// # Errors
/// It has not.
pub fn is_locked() -> Done {
    targets().map(|_| ()).map_err(|problem| {
        format!(
            "{problem}; `cargo update --workspace --manifest-path {MANIFEST}` updates the lock file"
        )
    })
}

/// The directory of saved inputs, which is only read.
fn saved(name: &str) -> Option<std::path::PathBuf> {
    Some(root().join("tests/fuzz/corpus").join(name)).filter(|dir| dir.is_dir())
}

/// The names of the programs of the manifest.
fn targets() -> Done<Vec<String>> {
    let mut metadata = cargo("metadata --format-version 1 --locked --manifest-path");
    let text = output(metadata.arg(Path::new(MANIFEST))).ok_or("`cargo metadata` failed")?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let packages = value["packages"].as_array().into_iter().flatten();
    let own = packages.filter(|package| package["id"] == value["workspace_members"][0]);
    let all = own.filter_map(|package| package["targets"].as_array());
    let names: Vec<_> = all
        .flatten()
        .filter(|target| target["kind"][0] == "bin")
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect();
    if names.is_empty() {
        return Err(format!("{MANIFEST} has no targets"));
    }
    Ok(names)
}
