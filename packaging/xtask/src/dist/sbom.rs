//! The list of the crates in the program, on all systems, as `CycloneDX`. cargo-cyclonedx makes it.

use std::path::Path;

use super::about::About;
use super::targets::NAME;
use crate::shell::{Done, cargo, problem, read, root, step, which, write};

pub fn build(about: &About, dist: &Path) -> Done {
    if which("cargo-cyclonedx").is_none() {
        println!(
            "── SBOM: NOT MADE: no `cargo-cyclonedx` (`cargo install --locked cargo-cyclonedx`)"
        );
        return Ok(());
    }
    let stem = format!("{NAME}-v{}.cdx", about.version);
    let mut command = cargo("cyclonedx --format json --spec-version 1.5 --target all --quiet");
    command
        .args(["--override-filename", &stem])
        .env("SOURCE_DATE_EPOCH", about.date.to_string());
    step("SBOM", &mut command)?;
    // It writes one beside each `Cargo.toml`, and the paths of this machine into it.
    let file = format!("{stem}.json");
    let made = root().join(&file);
    let text = String::from_utf8_lossy(&read(&made)?).into_owned();
    let text = text.replace(&root().display().to_string(), "/mcpwrap");
    for path in [made, root().join("packaging/xtask").join(&file)] {
        std::fs::remove_file(&path).map_err(|error| problem(&path, &error))?;
    }
    write(&dist.join(file), text.as_bytes())
}
