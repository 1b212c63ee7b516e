//! The unanswered requests of other commands, as data.

use std::time::Instant;

/// Unanswered requests of other commands.
#[derive(Debug, Default)]
pub(super) struct OpenRequests {
    pub renew: Vec<u32>,
    /// For a renewal if values are outdated.
    pub update: Vec<u32>,
    /// Arrived during a renewal, which may have started with the old value.
    pub later: Vec<u32>,
    pub check: Vec<OpenCheck>,
}

#[derive(Debug)]
pub(super) struct OpenCheck {
    pub request: u32,
    pub since: Instant,
    /// The files were read since the request.
    pub is_looked: bool,
}
