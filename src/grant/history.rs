//! The last grant or revocation of a server, to show what changed since.
//!
//! Invariant: a text counts as the policy that was granted last only if a seal proves it. A revocation
//! is written without the store, so it keeps a digest of the seal that it replaces.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::file::{GrantFile, GrantState, VERSION, now, read, sealing};
use crate::dirs::Dirs;
use crate::error::Result;
use crate::invocation::Invocation;
use crate::secret::{Keys, ServerName, hex};

/// The previous grant or revocation, to show to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantHistory {
    pub state: GrantState,
    pub at: Timestamp,
    pub reason: Option<String>,
    pub policy: LastPolicy,
}

/// The policy that was granted last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastPolicy {
    /// As a seal proves: its text, and what it meant on this machine.
    Sealed(String, Box<Invocation>),
    /// Not known: no seal proves the text, or there is none.
    Unknown,
}

/// The last grant or revocation of a server, or `None` if there was none. Without `keys` the policy is
/// not known.
///
/// # Errors
/// `grant-broken`, `file-not-private`.
pub fn record(
    dirs: &Dirs,
    server: &ServerName,
    keys: Option<&Keys>,
) -> Result<Option<GrantHistory>> {
    let record = |file: GrantFile| {
        let sealed = keys.and_then(|keys| sealed(&file, server, keys));
        GrantHistory {
            state: file.state,
            at: file.at,
            reason: file.reason,
            policy: sealed.unwrap_or(LastPolicy::Unknown),
        }
    };
    Ok(read(dirs, server)?.map(record))
}

/// The text of the last grant that the file claims. Nothing may be allowed because of it.
pub fn last_text(dirs: &Dirs, server: &ServerName) -> Option<String> {
    read(dirs, server).ok().flatten()?.policy
}

/// The revocation of the current grant. Does not use the store.
pub(super) fn revocation(dirs: &Dirs, server: &ServerName, reason: Option<&str>) -> GrantFile {
    let before = read(dirs, server).ok().flatten();
    let (granted, evidence) = match &before {
        Some(file) if file.state == GrantState::Granted => {
            (Some(file.at), file.seal.as_deref().map(evidence_of))
        }
        Some(file) => (file.granted, file.evidence.clone()),
        None => (None, None),
    };
    let version = before.as_ref().map_or(VERSION, |file| file.version);
    let (digest, by, policy, invocation) = before.map_or((None, None, None, None), |file| {
        (file.digest, file.by, file.policy, file.invocation)
    });
    GrantFile {
        version,
        state: GrantState::Revoked,
        digest,
        at: now(),
        by,
        reason: reason.map(str::to_owned),
        seal: None,
        granted,
        evidence,
        policy,
        invocation,
    }
}

/// The granted policy, if the seal of the grant covers its digest.
fn sealed(file: &GrantFile, server: &ServerName, keys: &Keys) -> Option<LastPolicy> {
    use hmac::Mac as _;
    let digest = file.digest.as_ref()?;
    let text = file.policy.as_ref()?;
    let invocation = file.invocation.as_ref()?;
    let at = match file.state {
        GrantState::Granted => file.at,
        GrantState::Revoked => file.granted?,
    };
    let seal = hex(&sealing(keys, server, digest, at, file.by?, invocation)
        .finalize()
        .into_bytes());
    let proves = match file.state {
        GrantState::Granted => file.seal.as_deref() == Some(seal.as_str()),
        GrantState::Revoked => file.evidence.as_deref() == Some(evidence_of(&seal).as_str()),
    };
    let proves = proves && *digest == hex(&Sha256::digest(text));
    proves.then(|| LastPolicy::Sealed(text.clone(), Box::new(invocation.clone())))
}

fn evidence_of(seal: &str) -> String {
    hex(&Sha256::digest(seal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;
    use crate::grant::{By, grant, path, revoke};
    use crate::policy::load::parse_text;
    use crate::secret::Secret;

    #[test]
    fn only_a_sealed_text_was_granted_also_after_revocations() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let keys = Keys::from_master(&Secret::new(b"ours".to_vec()));
        let policy = parse_text("version = 1\ncommand = [\"x\"]\n").unwrap();
        let last = |keys: Option<&Keys>| {
            let record = record(&dirs, &policy.server, keys).unwrap().unwrap();
            record.policy
        };
        let forge = |from: &str, to: &str| {
            let path = path(&dirs, &policy.server);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{from}: {text}");
            files::replace(&path, text.replace(from, to).as_bytes()).unwrap();
            let found = last(Some(&keys));
            files::replace(&path, text.as_bytes()).unwrap();
            found
        };
        let invocation = Invocation::default();
        let sealed = LastPolicy::Sealed(policy.text.clone(), Box::default());
        grant(&dirs, &policy, &invocation, &keys, By::Yes).unwrap();
        let seal = read(&dirs, &policy.server).unwrap().unwrap().seal.unwrap();
        assert_eq!(last(Some(&keys)), sealed);
        assert_eq!(last(None), LastPolicy::Unknown);
        assert_eq!(forge("command = ", "command= "), LastPolicy::Unknown);
        for _ in 0..2 {
            revoke(&dirs, &policy.server, Some("leaked")).unwrap();
            assert_eq!(last(Some(&keys)), sealed);
            assert_eq!(forge("command = ", "command= "), LastPolicy::Unknown);
            assert_eq!(
                forge("evidence = \"", "evidence = \"0"),
                LastPolicy::Unknown
            );
        }
        // The grant cannot be restored from the revocation.
        let path = path(&dirs, &policy.server);
        assert!(!std::fs::read_to_string(path).unwrap().contains(&seal));
        let other = Keys::from_master(&Secret::new(b"other".to_vec()));
        assert_eq!(last(Some(&other)), LastPolicy::Unknown);
    }
}
