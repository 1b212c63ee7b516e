//! What is shipped: the release build, the Debian package, completions and manual pages.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell::{Done, cargo, output, root, step, target, which};

const SHELLS: &[(&str, &str)] = &[
    ("bash", "mcpwrap"),
    ("zsh", "_mcpwrap"),
    ("fish", "mcpwrap.fish"),
];

pub fn run() -> Done {
    step(
        "release build",
        &mut cargo("build --locked --release --bin mcpwrap"),
    )?;
    let built = target("release")?.join("mcpwrap");
    let dist = root().join("target/dist");
    for name in ["man", "completions"] {
        let dir = dist.join(name);
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    if cfg!(target_os = "linux") && is_dynamic(&built)? {
        return Err(format!("{} asks for a dynamic loader", built.display()));
    }
    let program = dist.join("mcpwrap");
    fs::copy(&built, &program).map_err(|error| format!("{}: {error}", program.display()))?;
    step(
        "manual pages",
        Command::new(&program).arg("man").arg(dist.join("man")),
    )?;
    for (shell, name) in SHELLS {
        let script = output(Command::new(&program).args(["completions", shell]));
        let script = script.ok_or_else(|| format!("no completions for {shell}"))?;
        let path = dist.join("completions").join(name);
        fs::write(&path, script).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    debian(&dist)?;
    println!("── in {}:", dist.display());
    step("files", Command::new("ls").arg("-lR").arg(&dist))
}

fn debian(dist: &Path) -> Done {
    if which("cargo-deb").is_none() {
        println!(
            "── Debian package: NOT BUILT: no `cargo-deb` (`cargo install --locked cargo-deb`)"
        );
        return Ok(());
    }
    let mut command = cargo("deb --locked --no-build --output");
    step("Debian package", command.arg(dist))
}

/// Whether the program has a `PT_INTERP` header: then `LD_PRELOAD` would reach into it.
fn is_dynamic(program: &Path) -> Done<bool> {
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
