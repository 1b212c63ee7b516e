//! Golden files: the output that users see. `cargo xtask fix` updates them for review.

use std::path::{Path, PathBuf};

use super::Test;

/// The path of a golden file below `tests/golden`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Compares a text with a golden file.
#[track_caller]
pub(crate) fn check(name: &str, actual: &str) {
    check_file(&path(name), actual);
}

/// Compares a text with a generated file of the repository.
#[track_caller]
pub(crate) fn check_file(path: &Path, actual: &str) {
    if std::env::var_os("MCPWRAP_TEST_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, actual).unwrap();
        return;
    }
    let shown = path.display();
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected == actual {
        return;
    }
    let diff = similar::TextDiff::from_lines(expected.as_str(), actual);
    let diff = diff.unified_diff().header("expected", "actual").to_string();
    panic!("{shown} is stale; run `cargo xtask fix` to update it:\n{diff}");
}

/// The text with everything replaced that differs between machines and runs.
pub(crate) fn stable(test: &Test, text: &str) -> String {
    let text = text.replace(&test.dir.display().to_string(), "DIR");
    match test.programs.get() {
        Some(programs) => text.replace(&programs.path().display().to_string(), "PROGRAMS"),
        None => text,
    }
}
