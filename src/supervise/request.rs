//! Requests of other commands to a supervisor; docs/control.md is the contract.

use std::sync::mpsc::Sender;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the protocol.
pub(super) const VERSION: u32 = 1;
/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlVerb {
    /// Report what runs.
    Status,
    /// End the server now, before the grant is withdrawn; answer when no process of it is alive.
    Revoke,
    /// Read the grant now; answer when no process of a revoked server is alive.
    Check,
    /// Restart the server behind the session; answer when done.
    Renew,
    /// The same, if the server has outdated values.
    Update,
}

/// A request and the channel for its answer.
#[derive(Debug)]
pub(super) struct Request {
    pub verb: ControlVerb,
    pub reply: Sender<Value>,
}

impl Request {
    /// Answers; ignores a peer that is gone.
    pub(super) fn answer(self, reply: Value) {
        drop(self.reply.send(reply));
    }
}
