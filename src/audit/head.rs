//! The head of the chain, which identifies the log up to one record.

use std::fmt;

use super::record::Hash;
use crate::error::{Code, Error};

/// The last record: its number, and the hash that covers it and everything before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: Hash,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (seq, hash) = text.trim().split_once(':')?;
            Some(Self {
                seq: seq.parse().ok()?,
                hash: Hash::from_hex(hash.as_bytes())?,
            })
        };
        read().ok_or_else(|| {
            Error::new(Code::Usage, "invalid head of the audit log")
                .cause("expected NUMBER:HASH (32 hex digits)")
                .hint("run `mcpwrap log head` to print the current head")
        })
    }
}
