//! The one command of the project.
//!
//!     cargo xtask ci      everything that must pass, as CI runs it
//!     cargo xtask fix     format, mend what clippy can, update the expectations of tests
//!     cargo xtask demo    the main job from start to end, in a throw-away home
//!     cargo xtask corpus DIR  how well secrets are found in real configurations, and put back
//!     cargo xtask dist    the release build, the Debian package, completions, manual pages
//!     cargo xtask deps    install what the tests need, and say what is missing
//!
//! Starts other programs and prints what they say. Nothing of it is in the shipped program.

mod ci;
mod corpus;
mod demo;
mod deps;
mod dist;
mod session;
mod shell;

use std::process::ExitCode;

fn main() -> ExitCode {
    let word = std::env::args().nth(1).unwrap_or_default();
    let done = match word.as_str() {
        "ci" => ci::run(),
        "fix" => ci::fix(),
        "corpus" => corpus::run(),
        "demo" => demo::run(),
        "dist" => dist::run(),
        "deps" => deps::install().map(|found| println!("{found}")),
        _ => Err("usage: cargo xtask ci|fix|corpus DIR|demo|dist|deps".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
