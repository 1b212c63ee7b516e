//! Compiles the modules of a Python environment, so that the same sources give the same bytes.
//!
//! The installers' own byte code holds the time of its source and the directory of the installation.

use std::path::Path;

use super::client::Call;

/// Compiles all modules below `root`, which is in `staging`. A file that this Python cannot compile may never
/// be loaded, so that is not an error.
pub(super) fn compile(staging: &Path, root: &Path, python: &str) {
    let below = format!("{}/", staging.display());
    let lib = root.join("lib").display().to_string();
    // Nobody can change a source of a finished tree, so its content is not compared at each import.
    let kind = ["--invalidation-mode", "unchecked-hash"];
    let all = ["-I", "-m", "compileall", "-q", "-j", "0", "-s", &below];
    let words: Vec<&str> = all.into_iter().chain(kind).chain([lib.as_str()]).collect();
    drop(Call::new(python, staging).args(&words).output());
}
