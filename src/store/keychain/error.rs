//! Failures of requests to the keychain.

use super::bus::Fault;

/// A failure, before it becomes a message.
#[derive(Debug)]
pub(super) enum KeychainError {
    Fault(Fault),
    Locked,
    Dismissed,
    /// The prompt was not answered.
    Unanswered,
    NoCollection,
    Ambiguous(String, usize),
    Malformed(String),
}

impl From<Fault> for KeychainError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(name, _) if name.ends_with(".IsLocked") => Self::Locked,
            other => Self::Fault(other),
        }
    }
}
