//! A value, or why there is none.

use crate::store::source::SourceValue;

/// The longest answer that is one value (bytes).
pub const VALUE_MAX: usize = 64 << 10;
/// The longest answer that has several values, or more than values (bytes).
pub const BATCH_MAX: usize = 4 << 20;

/// A value, or why there is none.
pub type ReadValue = Result<SourceValue, Fault>;

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    NotFound,
    /// The item exists, but not this part of it.
    NoField,
    Deleted,
    Ambiguous,
    SignedOut,
    Locked,
    Denied,
    /// The user closed its dialog.
    Dismissed,
    Throttled,
    Unavailable,
    /// The store itself (a file, a folder) does not exist.
    Absent,
    /// A plain reference to a short-lived credential.
    Mint,
    /// The store makes no such credential.
    MintRefused,
    /// Another program of the same name.
    OtherProgram,
    /// The answer has not the expected form: what is wrong with it.
    Answer(&'static str),
    Other,
}

impl Fault {
    /// Whether it is about one value, so that others can still be read.
    pub const fn is_of_value(self) -> bool {
        self.may_spoil_others() || matches!(self, Self::Mint | Self::Answer(_))
    }

    /// Whether it may be about one of several values in a run, so that each is asked for alone.
    pub const fn may_spoil_others(self) -> bool {
        matches!(
            self,
            Self::NotFound | Self::NoField | Self::Deleted | Self::Ambiguous | Self::Denied
        )
    }
}
