//! The last grant or revocation of a server, to show what changed since.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::file::{GrantFile, GrantState, read};
use crate::dirs::Dirs;
use crate::error::Result;
use crate::secret::{ServerName, hex};

/// The previous grant or revocation, to show to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantHistory {
    pub state: GrantState,
    pub at: Timestamp,
    pub reason: Option<String>,
    /// The policy that was granted last, if any.
    pub policy: Option<String>,
}

/// The last grant or revocation of a server, or `None` if there was none.
///
/// # Errors
/// `grant-broken`, `file-not-private`.
pub fn record(dirs: &Dirs, server: &ServerName) -> Result<Option<GrantHistory>> {
    let record = |file: GrantFile| GrantHistory {
        state: file.state,
        at: file.at,
        reason: file.reason,
        // The seal covers the digest only, so the text must match the digest.
        policy: file.policy.filter(|text| {
            file.digest
                .as_ref()
                .is_none_or(|digest| *digest == hex(&Sha256::digest(text)))
        }),
    };
    Ok(read(dirs, server)?.map(record))
}
