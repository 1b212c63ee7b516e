//! Whether adopt approves the policy of an entry.
//!
//! Invariant: what the user revoked, or changed after it was granted, is not approved by adopting an
//! old entry again. Only `mcpwrap grant`, which shows the whole policy, approves it.

use crate::dirs::Dirs;
use crate::error::Code;
use crate::grant;
use crate::policy::Policy;
use crate::secret::ServerName;

/// What adopt does about the grant of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdoptApproval {
    /// It was never approved and is approved now, as shown.
    New,
    /// It is granted already.
    Granted,
    /// It is not approved.
    Withheld(Withheld),
}

/// Why a policy is not approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The server whose grant is in the way: its own, or one with the same command.
    pub server: ServerName,
    pub why: &'static str,
}

impl AdoptApproval {
    /// The approval of a policy that adopt writes, or of an `old` one of this name.
    pub(super) fn of(dirs: &Dirs, policy: &Policy, old: Option<&Policy>) -> Self {
        let withheld = |why| {
            Self::Withheld(Withheld {
                server: policy.server.clone(),
                why,
            })
        };
        let Some(old) = old else {
            return match grant::record(dirs, &policy.server, None) {
                Ok(None) => Self::New,
                Ok(Some(record)) if record.state == grant::GrantState::Revoked => {
                    withheld("it was revoked")
                }
                // Removing the policy file withdraws the grant.
                Ok(Some(_)) => withheld("its policy was removed after it was granted"),
                Err(_) => withheld("its grant cannot be read"),
            };
        };
        match grant::find(dirs, old).map_err(|error| error.code) {
            Ok(_) => Self::Granted,
            // An earlier adopt was interrupted before it granted what it had written.
            Err(Code::NotGranted) if old.text == policy.text => Self::New,
            Err(Code::NotGranted) => withheld("its policy exists and was never granted"),
            Err(Code::Revoked) => withheld("it was revoked"),
            Err(Code::PolicyChanged) => withheld("its policy changed after it was granted"),
            Err(_) => withheld("its grant cannot be read"),
        }
    }
}
