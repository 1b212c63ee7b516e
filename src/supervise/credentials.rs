//! What the driver and the pipeline tell each other about the credentials of a bridge.

use std::time::Instant;

use super::pipeline::Prepared;
use crate::bridge::channel::Rejection;
use crate::error::Result;

/// The end of a refresh.
#[derive(Debug)]
pub(super) struct Refreshed {
    pub generation: u32,
    /// Why it began, if the server refused something.
    pub rejection: Option<Rejection>,
    pub since: Instant,
    pub result: Result<Box<Prepared>>,
}
