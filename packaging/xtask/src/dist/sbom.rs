//! The list of the crates in the program, as `CycloneDX`. cargo-cyclonedx makes it.

use std::path::Path;

use super::about::About;
use super::targets::NAME;
use crate::shell::{Done, cargo, read, root, step, which, write};

pub fn build(about: &About, dist: &Path) -> Done {
    if which("cargo-cyclonedx").is_none() {
        println!(
            "── SBOM: NOT MADE: no `cargo-cyclonedx` (`cargo install --locked cargo-cyclonedx`)"
        );
        return Ok(());
    }
    let stem = format!("{NAME}-v{}.cdx", about.version);
    let mut command = cargo("cyclonedx --format json --spec-version 1.5 --top-level --quiet");
    command
        .args(["--override-filename", &stem])
        .env("SOURCE_DATE_EPOCH", about.date.to_string());
    step("SBOM", &mut command)?;
    // It is written beside `Cargo.toml`.
    let made = root().join(format!("{stem}.json"));
    write(&dist.join(format!("{stem}.json")), &read(&made)?)?;
    std::fs::remove_file(&made).map_err(|error| error.to_string())
}
