//! The result of a pass over the log.

use serde::Serialize;

use super::breaks::Break;
use super::head::Head;

/// The result of a pass over the log.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    pub records: u64,
    pub bytes: u64,
    pub files: u64,
    /// Records without a seal, because the store was locked. The next sealed record covers them.
    pub unsealed: u64,
    /// How many of them are at the end, not yet covered by a seal or an anchor.
    pub uncovered: u64,
    /// The anchors that are in the log, by number.
    pub found: Vec<Head>,
    /// The number of the first record.
    pub first: u64,
    pub head: Head,
    /// The first breaks, in the order of the log.
    pub breaks: Vec<Break>,
    pub breaks_more: u64,
    /// The number of the last record that retention removed, according to the log.
    pub pruned: Option<u64>,
    /// The first numbers of breaks that the log itself already reports.
    pub told: Vec<u64>,
}

/// What a verification says about the whole log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyResult {
    /// Everything was verified, and nothing differs.
    Intact,
    /// The log differs from what was written.
    Changed,
    /// No difference was found, but not everything could be verified.
    Unverified,
}

impl VerifyReport {
    /// `sealed`: whether the seals could be verified. `anchored`: whether the log contains a head that
    /// was kept out of the user's reach.
    pub fn result(&self, sealed: bool, anchored: bool) -> VerifyResult {
        if !self.breaks.is_empty() || !self.told.is_empty() {
            VerifyResult::Changed
        } else if sealed && anchored && self.records > 0 && self.uncovered == 0 {
            VerifyResult::Intact
        } else {
            VerifyResult::Unverified
        }
    }
}
