//! Which servers the last `revoke --all` ended, so that one command brings them back.
//!
//! Invariant: the list only chooses what the user is asked about. Each policy is shown and granted
//! like any other, because any program of this user can write the list.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::approve;
use super::question;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::grant;
use crate::invocation;
use crate::oauth::index::OAuthIndex;
use crate::oauth::owner::TokenOwner;
use crate::policy::{self, Policy};
use crate::secret::{ProfileName, ServerName};

fn file(dirs: &Dirs) -> PathBuf {
    dirs.state().join("revoked-all.json")
}

/// Those of the servers whose policies are granted now.
pub fn granted(dirs: &Dirs, servers: &[ServerName]) -> Vec<ServerName> {
    let is_granted = |server: &&ServerName| {
        let policy = policy::load(dirs, server, None);
        // Not the status, which also hashes programs: `revoke` asks.
        policy.is_ok_and(|policy| grant::find(dirs, &policy).is_ok())
    };
    servers.iter().filter(is_granted).cloned().collect()
}

/// The content of the list.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct RevokedList {
    servers: Vec<ServerName>,
    logins: Vec<EndedLogin>,
}

/// A login that was ended with its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedLogin {
    pub server: ServerName,
    pub profile: Option<ProfileName>,
}

/// What the last `revoke --all` ended.
#[derive(Debug)]
pub struct Recalled {
    /// The policies that are not granted again yet.
    pub policies: Vec<Policy>,
    /// The errors of policies that are gone.
    pub gone: Vec<Error>,
    pub logins: Vec<EndedLogin>,
}

/// Keeps the list. An older one does not stay in its place if it cannot be written.
///
/// # Errors
/// `file-unusable`.
pub fn remember(dirs: &Dirs, servers: &[ServerName], logins: &[EndedLogin]) -> Result<()> {
    let list = RevokedList {
        servers: servers.to_vec(),
        logins: logins.to_vec(),
    };
    let text = serde_json::to_string(&list).unwrap_or_default();
    files::replace(&file(dirs), text.as_bytes()).map_err(|problem| {
        drop(files::remove(&file(dirs)));
        let what = "cannot save what `grant --again` would grant";
        problem.explain(Code::FileUnusable, what, &dirs.tilde(&file(dirs)))
    })
}

/// Reads the list.
///
/// # Errors
/// `usage` if there is no list; `file-unusable`, `file-not-private`.
pub fn recall(dirs: &Dirs) -> Result<Recalled> {
    let what = "cannot grant what was revoked";
    let bytes = files::read_private(&file(dirs)).map_err(|problem| match problem {
        Problem::Missing => Error::new(Code::Usage, what)
            .cause("no server was granted when `mcpwrap revoke --all` ran last, or it never ran")
            .hint("run `mcpwrap grant SERVER`"),
        problem => problem.explain(Code::FileUnusable, what, &dirs.tilde(&file(dirs))),
    })?;
    let list: RevokedList = serde_json::from_slice(&bytes).unwrap_or_default();
    let (mut policies, mut gone) = (Vec::new(), Vec::new());
    for name in &list.servers {
        match policy::load(dirs, name, None) {
            Ok(policy) if granted(dirs, std::slice::from_ref(name)).is_empty() => {
                policies.push(policy);
            }
            Ok(_) => {}
            Err(error) => gone.push(error),
        }
    }
    Ok(Recalled {
        policies,
        gone,
        logins: list.logins,
    })
}

/// The commands that log in again: for the logins that were ended, and for servers that never had one.
/// Only those of granted servers.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn logins(dirs: &Dirs, ended: &[EndedLogin], servers: &[ServerName]) -> Result<Vec<String>> {
    let index = OAuthIndex::load(dirs)?;
    let is_missing = |server: &ServerName, profile: Option<&ProfileName>| {
        let policy = policy::load(dirs, server, profile);
        let policy = policy
            .ok()
            .filter(|policy| grant::find(dirs, policy).is_ok());
        policy.is_some_and(|policy| {
            let owners = TokenOwner::of_policy(&policy);
            policy.needs_login() && owners.iter().any(|owner| index.find(owner).is_none())
        })
    };
    let mut commands = Vec::new();
    for EndedLogin { server, profile } in ended {
        if is_missing(server, profile.as_ref()) {
            commands.push(TokenOwner::remote(server, profile.as_ref()).login_command());
        }
    }
    for server in servers {
        let is_named = ended.iter().any(|login| login.server == *server);
        let has_one = index.tokens.values().any(|row| row.owner.server == *server);
        if !is_named && !has_one && is_missing(server, None) {
            commands.push(TokenOwner::remote(server, None).login_command());
        }
    }
    commands.dedup();
    Ok(commands)
}

/// Approves policies with one question for all of them; `agree` is not called if a flag gave consent.
/// Returns the errors of policies whose command cannot be approved; the others are.
///
/// # Errors
/// Those of `agree`, of the store, and of [`approve::approve`].
pub fn grant(
    dirs: &Dirs,
    config: &Config,
    policies: Vec<Policy>,
    actor: Actor,
    agree: &mut dyn FnMut(&str) -> Result<()>,
    done: &mut dyn FnMut(&Policy),
) -> Result<Vec<Error>> {
    let (mut resolved, mut failed) = (Vec::new(), Vec::new());
    for policy in policies {
        match invocation::resolve(&policy, dirs) {
            Ok(found) => resolved.push((policy, found)),
            Err(error) => failed.push(error),
        }
    }
    if resolved.is_empty() {
        return Ok(failed);
    }
    let keys = approve::open_keys(dirs, config)?;
    if actor.is_asked() {
        let questions = resolved
            .iter()
            .map(|(policy, found)| question::of_grant(dirs, config, policy, found, &keys));
        agree(&questions.collect::<Vec<_>>().join("\n"))?;
    }
    for (policy, found) in &resolved {
        approve::approve(dirs, policy, found, &keys, actor)?;
        done(policy);
    }
    Ok(failed)
}
