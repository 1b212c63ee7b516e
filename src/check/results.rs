//! What one rule collects while it looks at the facts.

use super::finding::Finding;

/// What one rule found.
#[derive(Debug, Default)]
pub(super) struct CheckResults {
    pub(super) checked: usize,
    pub(super) skipped: Option<&'static str>,
    pub(super) findings: Vec<Finding>,
}

impl CheckResults {
    /// Counts checked items.
    pub(super) fn count(&mut self, count: usize) {
        self.checked += count;
    }

    /// Notes why nothing was checked.
    pub(super) fn skip(&mut self, why: &'static str) {
        self.skipped = Some(why);
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}
