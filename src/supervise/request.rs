//! What other commands ask a supervisor for, with the way to answer; docs/control.md is the contract.

use std::sync::mpsc::Sender;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the protocol.
pub(super) const VERSION: u32 = 1;
/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlVerb {
    /// Tell what runs.
    Status,
    /// Look at the grant now; answer when nothing of an unwanted server is alive.
    Check,
    /// Put a new server behind the session; answer when that is done.
    Renew,
}

/// A request with the way to answer it.
#[derive(Debug)]
pub(super) struct Request {
    pub verb: ControlVerb,
    pub reply: Sender<Value>,
}

impl Request {
    /// Answers; the peer may be gone.
    pub(super) fn answer(self, reply: Value) {
        drop(self.reply.send(reply));
    }
}
