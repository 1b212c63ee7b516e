//! Files that hold what users see. `cargo xtask fix` writes them anew; the change shows in review.

use std::path::{Path, PathBuf};

use super::Test;

/// Where a golden file is, from its place below `tests/golden`.
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

/// Compares a text with any file of the repository that is generated.
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
    panic!("{shown} is stale; `cargo xtask fix` writes it anew:\n{diff}");
}

/// A text without what differs between machines and runs.
pub(crate) fn stable(test: &Test, text: &str) -> String {
    text.replace(&test.dir.display().to_string(), "DIR")
}
