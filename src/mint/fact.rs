//! What happened to credentials, for the audit log.

use crate::error::Code;
use crate::secret::MintName;

/// What happened to a credential, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintFact {
    pub mint: MintName,
    /// Who made it, for users.
    pub maker: String,
    pub event: MintEvent,
}

/// See [`MintFact`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintEvent {
    /// Made, for so many seconds, with what the issuer says that it may do.
    Made(Option<u64>, Vec<(String, String)>),
    Extended(Option<u64>),
    Withdrawn,
    /// It could not be withdrawn: the code of the error.
    NotWithdrawn(Code),
}

/// Writes facts into the audit log.
pub type MintReport = Box<dyn Fn(MintFact) + Send + Sync>;
