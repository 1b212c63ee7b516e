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
#[cfg(test)]
mod tests;

use hmac::Mac as _;
use jiff::Timestamp;
use serde::Serialize;

use self::file::{GrantFile, VERSION, broken, erase, now, read, sealing, write};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::invocation::Invocation;
use crate::policy::package::PackageSource;
use crate::policy::{Package, Policy, Tier};
use crate::secret::{Keys, ServerName, hex};
use crate::sys::user::is_root_real;

pub use self::file::{By, GrantState, incomplete, path};
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
    invocation: Invocation,
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
    let is_partial = is_partial(policy, &file);
    let (Some(digest), Some(by), Some(seal)) = (file.digest, file.by, file.seal) else {
        return Err(broken(dirs, server, "no `digest`, `by` or `seal`"));
    };
    if is_partial {
        return Err(Error::new(
            Code::PolicyChanged,
            format!("the grant of server `{server}` does not cover what its command runs"),
        )
        .cause("an older version of mcpwrap made it")
        .hint("run `mcpwrap grant --changed` to review the programs and approve them"));
    }
    let Some(invocation) = file.invocation else {
        return Err(broken(dirs, server, "no `invocation`"));
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
    invocation.verify_definitions(policy, dirs)?;
    let sealed = GrantSeal {
        digest,
        at: file.at,
        by,
        seal,
        invocation,
    };
    Ok(Grant {
        server: server.clone(),
        sealed: Some(sealed),
    })
}

/// Whether the version that wrote a grant did not seal all that the command runs: nothing, or nothing of a pinned
/// local program.
fn is_partial(policy: &Policy, file: &GrantFile) -> bool {
    let is_local = |package: &Package| package.registry == PackageSource::Local;
    let has_program = |invocation: &Invocation| invocation.program().is_some();
    file.version < VERSION
        || policy.package.as_ref().is_some_and(is_local)
            && !file.invocation.as_ref().is_some_and(has_program)
}

/// Whether a policy is the administrator's. Where uid 0 is not the root of this machine, anyone may
/// have written it, so it needs a grant.
pub fn needs_no_grant(policy: &Policy) -> bool {
    policy.tier == Tier::Managed && is_root_real()
}

impl Grant {
    /// What the command runs; `None` for a managed policy, whose files belong to root.
    pub fn invocation(&self) -> Option<&Invocation> {
        self.sealed.as_ref().map(|sealed| &sealed.invocation)
    }

    /// Whether a program that its command runs changed.
    pub fn program_changed(&self) -> bool {
        self.invocation()
            .is_some_and(|invocation| !invocation.changes().is_empty())
    }

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
            invocation,
        }) = &self.sealed
        else {
            return Ok(());
        };
        let found = base16ct::mixed::decode_vec(seal).unwrap_or_default();
        let mac = sealing(keys, &self.server, digest, *at, *by, invocation);
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

/// Stores the user's approval of a policy in its current form, and of what its command runs.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn grant(
    dirs: &Dirs,
    policy: &Policy,
    invocation: &Invocation,
    keys: &Keys,
    by: By,
) -> Result<()> {
    write(dirs, &policy.server, &sealed(policy, invocation, keys, by))
}

/// [`grant`] for several policies: all, or an error.
///
/// # Errors
/// As [`grant`].
pub fn grant_all<'a>(
    dirs: &Dirs,
    policies: impl Iterator<Item = (&'a Policy, &'a Invocation)>,
    keys: &Keys,
    by: By,
) -> Result<()> {
    let sealed = policies.map(|(policy, invocation)| {
        let file = sealed(policy, invocation, keys, by);
        (policy.server.clone(), file)
    });
    file::write_all(dirs, sealed)
}

fn sealed(policy: &Policy, invocation: &Invocation, keys: &Keys, by: By) -> GrantFile {
    let at = now();
    let seal = sealing(keys, &policy.server, &policy.digest, at, by, invocation)
        .finalize()
        .into_bytes();
    GrantFile {
        version: VERSION,
        state: GrantState::Granted,
        digest: Some(policy.digest.clone()),
        at,
        by: Some(by),
        reason: None,
        seal: Some(hex(&seal)),
        granted: None,
        evidence: None,
        policy: Some(policy.text.clone()),
        invocation: Some(invocation.clone()),
    }
}

/// Whether a policy in its current form has a grant of an older version, which did not cover what its
/// command runs.
pub fn is_of_older_form(dirs: &Dirs, policy: &Policy) -> bool {
    let is_old = |file: GrantFile| {
        file.state == GrantState::Granted
            && is_partial(policy, &file)
            && file.digest.as_ref() == Some(&policy.digest)
    };
    read(dirs, &policy.server).is_ok_and(|file| file.is_some_and(is_old))
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
    /// A program that its command runs changed after it was granted.
    ProgramChanged,
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
            Self::ProgramChanged => "program changed",
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
        Ok(grant) if grant.program_changed() => GrantStatus::ProgramChanged,
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
