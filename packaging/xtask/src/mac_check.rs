//! Type-checks the macOS code on Linux, without an Apple SDK and without linking.

use crate::cross::Cross;
use crate::shell::{Done, Outcome, cache, step};

const TARGET: &str = "aarch64-apple-darwin";

pub fn run() -> Done<Outcome> {
    if !cfg!(target_os = "linux") {
        let reason = "this is not Linux; `cargo check` does the same here";
        return Ok(Outcome::NotRun(reason.to_owned()));
    }
    let cross = match Cross::prepare_library(TARGET) {
        Ok(cross) => cross,
        Err(reason) => return Ok(Outcome::NotRun(reason)),
    };
    let mut check = cross.check()?;
    // The program, its tests and benchmarks, and this tool.
    check
        .args(["--workspace", "--all-targets"])
        .env("CARGO_TARGET_DIR", cache().join("mac-check/target"))
        .env("RUSTFLAGS", "-D warnings");
    step("macOS type check", &mut check).map(|()| Outcome::Passed)
}

/// Whether `run` has nothing left to download.
pub fn is_prepared() -> bool {
    Cross::has_library(TARGET)
}
