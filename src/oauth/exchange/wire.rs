//! What a process and its one exchange say to each other.

use serde::{Deserialize, Serialize};

use super::{ExchangeAnswer, Reach};
use crate::bridge::channel::{BridgeNetwork, SecretText};

/// The longest frame (bytes): an answer of [`BODY_MAX`], with escapes.
pub const FRAME_MAX: usize = 8 << 20;
/// The longest answer (bytes).
pub const BODY_MAX: u64 = 1 << 20;

/// One exchange.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireRequest {
    pub address: SecretText,
    pub headers: Vec<(String, SecretText)>,
    pub body: Option<SecretText>,
    pub reach: Reach,
    pub redirects: u8,
    pub network: BridgeNetwork,
}

/// The result of the exchange.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum WireAnswer {
    Answer(ExchangeAnswer),
    /// No answer, for this reason.
    Unreachable(String),
    /// The request was not sent, or its answer not accepted, for this reason.
    Refused(String),
}
