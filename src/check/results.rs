//! What one rule finds.

use super::finding::Finding;

/// What one check found.
#[derive(Debug, Default)]
pub(super) struct CheckResults {
    pub(super) checked: usize,
    pub(super) skipped: Option<&'static str>,
    pub(super) findings: Vec<Finding>,
}

impl CheckResults {
    /// Counts what was looked at.
    pub(super) fn count(&mut self, count: usize) {
        self.checked += count;
    }

    /// Says why nothing was looked at.
    pub(super) fn skip(&mut self, why: &'static str) {
        self.skipped = Some(why);
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}
