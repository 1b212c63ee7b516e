//! The program for one target.

use std::fs;
use std::path::{Path, PathBuf};

use super::targets::{NAME, Target};
use crate::cross::Cross;
use crate::shell::{Done, cargo, root, step};

/// How much time is spent on the program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What users get.
    Release,
    /// Built sooner, to check packages.
    Check,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Check => "dist-check",
        }
    }
}

/// Builds the program, and returns its file. It names no directory of this machine.
pub fn build(target: &'static Target, profile: Profile) -> Done<PathBuf> {
    let name = format!("{NAME} for {}", target.triple);
    let mut command = if target.is_linux() {
        let cross = Cross::prepare(target.triple)?;
        let mut command = cross.build()?;
        let mut flags = remapped();
        if cross.builds_library() {
            // rustc's own start files come with its standard library, which is not installed.
            flags += " -C link-self-contained=no";
        }
        let variable = target.triple.replace('-', "_").to_uppercase();
        command.env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), flags);
        command
    } else {
        let mut command = cargo("build --locked --target");
        command.arg(target.triple).env("RUSTFLAGS", remapped());
        command
    };
    let base = root().join("target/dist-build");
    command
        .args(["--bin", NAME, "--profile", profile.name()])
        .env("CFLAGS", c_flags())
        .env("CARGO_TARGET_DIR", &base);
    step(&name, &mut command)?;
    let built = base.join(target.triple).join(profile.name()).join(NAME);
    if target.is_linux() && is_dynamic(&built)? {
        return Err(format!("{} asks for a dynamic loader", built.display()));
    }
    Ok(built)
}

/// The directories that compilers write into programs, each with a name that is the same everywhere.
fn places() -> Vec<(PathBuf, &'static str)> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(home?.join(".cargo")));
    let registry = cargo.map(|cargo| (cargo.join("registry/src"), "/cargo"));
    std::iter::once((root(), "/mcpwrap"))
        .chain(registry)
        .collect()
}

fn remapped() -> String {
    let all = places();
    let flags = all
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    flags.collect::<Vec<_>>().join(" ")
}

fn c_flags() -> String {
    let all = places();
    let flags = all
        .iter()
        .map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    flags.collect::<Vec<_>>().join(" ")
}

/// Whether the program has a `PT_INTERP` header: then `LD_PRELOAD` would reach into it.
pub fn is_dynamic(program: &Path) -> Done<bool> {
    let bytes = fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    let number = |at: usize, count: usize| -> Option<usize> {
        let field = bytes.get(at..at + count)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | usize::from(*byte)),
        )
    };
    // The table of program headers of a 64-bit ELF file: its place, the size and count of entries.
    let table = (number(32, 8), number(54, 2), number(56, 2));
    let (Some(start), Some(size), Some(count)) = table else {
        return Err(format!("{} is not an ELF file", program.display()));
    };
    Ok((0..count).any(|n| number(start + n * size, 4) == Some(3)))
}
