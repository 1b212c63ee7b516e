//! The user's approval of one policy in its current form, and its revocation.
//!
//! One file per server, `grants/SERVER.toml`. A grant contains the policy's digest and is sealed with
//! a key from the store, so that only this user's mcpwrap can create one. An old grant that is
//! restored as a file is valid again: only the audit log reveals that.
//!
//! Invariants: an unreadable grant is refused. Detecting a missing grant and revoking work without the
//! store, so that the kill switch works while the store is locked.

mod file;
mod history;

use hmac::Mac as _;
use jiff::Timestamp;
use serde::Serialize;

use self::file::{GrantFile, broken, erase, now, read, sealing, write};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::policy::{Policy, Tier};
use crate::secret::{Keys, ServerName, hex};
use crate::sys::user::is_root_real;

pub use self::file::{By, GrantState, path};
pub use self::history::{LastPolicy, last_text, record};

/// A grant that matches the policy. Its seal is not verified yet.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    server: ServerName,
    /// `None` for a managed policy, which needs no seal.
    sealed: Option<GrantSeal>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct GrantSeal {
    digest: String,
    at: Timestamp,
    by: By,
    seal: String,
}

/// Finds the grant of a policy in its current form. Does not use the store.
///
/// # Errors
/// `not-granted`, `revoked`, `policy-changed`; `grant-broken` if the file cannot be parsed;
/// `file-not-private`.
pub fn find(dirs: &Dirs, policy: &Policy) -> Result<Grant> {
    let server = &policy.server;
    let managed = needs_no_grant(policy);
    let unsealed = || Grant {
        server: server.clone(),
        sealed: None,
    };
    let Some(file) = read(dirs, server)? else {
        if managed {
            return Ok(unsealed());
        }
        return Err(Error::new(
            Code::NotGranted,
            format!("the policy of server `{server}` is not granted"),
        )
        .cause(if policy.tier == Tier::Managed {
            "in a user namespace, a policy of the administrator needs a grant too"
        } else {
            "it was never approved"
        })
        .hint(format!(
            "run `mcpwrap grant {server}` to review and approve it"
        )));
    };
    if file.state == GrantState::Revoked {
        return Err(revoked(server, &file));
    }
    if managed {
        return Ok(unsealed());
    }
    let (Some(digest), Some(by), Some(seal)) = (file.digest, file.by, file.seal) else {
        return Err(broken(dirs, server, "no `digest`, `by` or `seal`"));
    };
    if digest != policy.digest {
        return Err(Error::new(
            Code::PolicyChanged,
            format!("the policy of server `{server}` changed since it was granted"),
        )
        .cause(format!(
            "{} was modified after the grant of {}",
            dirs.tilde(&policy.path),
            day(file.at)
        ))
        .hint(format!(
            "run `mcpwrap grant {server}` to see what changed and approve it"
        )));
    }
    let sealed = GrantSeal {
        digest,
        at: file.at,
        by,
        seal,
    };
    Ok(Grant {
        server: server.clone(),
        sealed: Some(sealed),
    })
}

/// Whether a policy is the administrator's. Where uid 0 is not the root of this machine, anyone may
/// have written it, so it needs a grant.
pub fn needs_no_grant(policy: &Policy) -> bool {
    policy.tier == Tier::Managed && is_root_real()
}

impl Grant {
    /// Verifies that this user's mcpwrap made the grant.
    ///
    /// # Errors
    /// `grant-broken`.
    pub fn verify(&self, keys: &Keys) -> Result<()> {
        let Some(GrantSeal {
            digest,
            at,
            by,
            seal,
        }) = &self.sealed
        else {
            return Ok(());
        };
        let found = base16ct::mixed::decode_vec(seal).unwrap_or_default();
        let mac = sealing(keys, &self.server, digest, *at, *by);
        mac.verify_slice(&found).map_err(|_| {
            let server = &self.server;
            Error::new(
                Code::GrantBroken,
                format!("cannot accept the grant of server `{server}`"),
            )
            .cause("its seal does not match the key in your store")
            .hint(format!(
                "run `mcpwrap grant {server}` to review and approve the policy; if you changed neither the \
                     store nor the machine, find out who wrote the grant"
            ))
        })
    }
}

/// Stores the user's approval of a policy in its current form.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn grant(dirs: &Dirs, policy: &Policy, keys: &Keys, by: By) -> Result<()> {
    let at = now();
    let seal = sealing(keys, &policy.server, &policy.digest, at, by)
        .finalize()
        .into_bytes();
    write(
        dirs,
        &policy.server,
        &GrantFile {
            version: 1,
            state: GrantState::Granted,
            digest: Some(policy.digest.clone()),
            at,
            by: Some(by),
            reason: None,
            seal: Some(hex(&seal)),
            granted: None,
            evidence: None,
            policy: Some(policy.text.clone()),
        },
    )
}

/// How a grant was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// The grant file records the revocation and its reason.
    Recorded,
    /// The file could not be written, so it was removed or emptied.
    Erased,
}

/// Revokes the grant of a server. Needs neither the store nor a readable policy, and replaces a grant
/// file that cannot be read. If the file cannot be written, it is removed, which needs no disk space;
/// if it cannot be removed, it is emptied, which needs no permission for the directory.
///
/// # Errors
/// `file-unusable`, `file-not-private`: the grant is still there.
pub fn revoke(dirs: &Dirs, server: &ServerName, reason: Option<&str>) -> Result<Withdrawal> {
    let file = history::revocation(dirs, server, reason);
    match write(dirs, server, &file) {
        Ok(()) => Ok(Withdrawal::Recorded),
        Err(_) if erase(dirs, server) => Ok(Withdrawal::Erased),
        Err(error) => Err(error),
    }
}

/// The status of a policy's grant. Determined without the store, so the seal is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantStatus {
    Granted,
    /// Changed after it was granted.
    Changed,
    Revoked,
    NotGranted,
    /// A policy of the administrator, which needs no grant.
    Managed,
    /// The grant cannot be used.
    Broken,
}

impl GrantStatus {
    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Changed => "changed",
            Self::Revoked => "revoked",
            Self::NotGranted => "not granted",
            Self::Managed => "managed",
            Self::Broken => "broken",
        }
    }
}

/// The status of a policy's grant.
pub fn status(dirs: &Dirs, policy: &Policy) -> GrantStatus {
    match find(dirs, policy).map_err(|error| error.code) {
        Ok(_) if needs_no_grant(policy) => GrantStatus::Managed,
        Ok(_) => GrantStatus::Granted,
        Err(Code::PolicyChanged) => GrantStatus::Changed,
        Err(Code::Revoked) => GrantStatus::Revoked,
        Err(Code::NotGranted) => GrantStatus::NotGranted,
        Err(_) => GrantStatus::Broken,
    }
}

/// The servers that have a grant file, valid or not.
pub fn names(dirs: &Dirs) -> Vec<ServerName> {
    let entries = std::fs::read_dir(dirs.grants())
        .into_iter()
        .flatten()
        .flatten();
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        ServerName::new(name.to_str()?.strip_suffix(".toml")?).ok()
    };
    entries.filter_map(name).collect()
}

fn revoked(server: &ServerName, file: &GrantFile) -> Error {
    let reason = file
        .reason
        .as_deref()
        .map_or_else(String::new, |reason| format!(": {reason}"));
    Error::new(Code::Revoked, format!("server `{server}` is revoked"))
        .cause(format!("revoked on {}{reason}", day(file.at)))
        .hint(format!("run `mcpwrap grant {server}` to allow it again"))
}

/// A timestamp for messages.
pub fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;
    use crate::policy::load::parse_text;
    use crate::secret::Secret;

    fn keys(master: &str) -> Keys {
        Keys::from_master(&Secret::new(master.into()))
    }

    fn policy(description: &str) -> Policy {
        let text = format!("version = 1\ncommand = [\"x\"]\ndescription = \"{description}\"\n");
        parse_text(&text).unwrap()
    }

    fn code(dirs: &Dirs, policy: &Policy, keys: &Keys) -> Option<Code> {
        find(dirs, policy)
            .and_then(|grant| grant.verify(keys))
            .err()
            .map(|error| error.code)
    }

    #[test]
    fn the_life_of_a_grant() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let (first, second) = (policy("one"), policy("two"));
        let ours = keys("ours");
        assert_eq!(code(&dirs, &first, &ours), Some(Code::NotGranted));

        grant(&dirs, &first, &ours, By::Terminal).unwrap();
        assert_eq!(code(&dirs, &first, &ours), None);
        assert_eq!(code(&dirs, &first, &keys("other")), Some(Code::GrantBroken));
        assert_eq!(code(&dirs, &second, &ours), Some(Code::PolicyChanged));

        revoke(&dirs, &first.server, Some("leaked")).unwrap();
        assert_eq!(code(&dirs, &first, &ours), Some(Code::Revoked));
        let record = record(&dirs, &first.server, Some(&ours)).unwrap().unwrap();
        assert_eq!(record.policy, LastPolicy::Sealed(first.text.clone()));
        assert!(
            find(&dirs, &first)
                .unwrap_err()
                .to_string()
                .contains("leaked")
        );

        grant(&dirs, &second, &ours, By::Yes).unwrap();
        assert_eq!(code(&dirs, &second, &ours), None);
    }

    #[test]
    fn a_grant_that_was_changed_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let (policy, keys) = (policy("one"), keys("ours"));
        grant(&dirs, &policy, &keys, By::Yes).unwrap();
        let path = path(&dirs, &policy.server);
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to) in [
            ("by = \"yes\"", "by = \"terminal\""),
            ("at = \"2", "at = \"1"),
            ("seal = \"", "seal = \"0"),
            ("version = 1\nstate", "version = 2\nstate"),
            ("state", "stat"),
            ("seal", "seel"),
        ] {
            assert!(text.contains(from), "{from}");
            files::replace(&path, text.replacen(from, to, 1).as_bytes()).unwrap();
            assert_eq!(
                code(&dirs, &policy, &keys),
                Some(Code::GrantBroken),
                "{from}"
            );
        }
    }

    #[test]
    fn a_managed_policy_needs_no_grant_and_can_be_revoked() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let managed = Policy {
            tier: Tier::Managed,
            ..policy("one")
        };
        let keys = keys("ours");
        assert_eq!(code(&dirs, &managed, &keys), None);
        revoke(&dirs, &managed.server, None).unwrap();
        assert_eq!(code(&dirs, &managed, &keys), Some(Code::Revoked));
        grant(&dirs, &managed, &keys, By::Terminal).unwrap();
        assert_eq!(code(&dirs, &managed, &keys), None);
    }

    #[test]
    fn revoking_works_on_a_file_that_cannot_be_read() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let policy = policy("one");
        files::replace(&path(&dirs, &policy.server), b"\xff").unwrap();
        assert_eq!(code(&dirs, &policy, &keys("ours")), Some(Code::GrantBroken));
        revoke(&dirs, &policy.server, None).unwrap();
        assert_eq!(code(&dirs, &policy, &keys("ours")), Some(Code::Revoked));
    }
}
