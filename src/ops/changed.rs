//! Approves programs that changed, for all policies that share them: after an upgrade of Node.js, say.
//!
//! Only what a grant sealed beside the policy: a policy whose text changed has to be granted by
//! itself.

use std::collections::BTreeMap;

use super::actor::Actor;
use super::approve;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::grant;
use crate::invocation::{self, Resolved};
use crate::package;
use crate::policy::{self, Policy, Tier};
use crate::secret::{Keys, ServerName};

/// A policy whose programs changed since it was granted.
#[derive(Debug)]
pub struct ChangedServer {
    /// The policy to approve; its pin names the new interpreter, if that changed.
    pub next: Policy,
    /// The policy in its file.
    before: Policy,
    pub resolved: Resolved,
    /// What changed, as shown to the user.
    changes: Vec<String>,
}

/// The servers whose programs changed, and those that cannot be approved again.
#[derive(Debug, Default)]
pub struct ChangedServers {
    pub servers: Vec<ChangedServer>,
    pub failed: Vec<Error>,
}

/// Finds the servers that are granted, but whose programs changed, and those with a grant of an
/// older version that did not cover them.
pub fn find(dirs: &Dirs) -> ChangedServers {
    let mut found = ChangedServers::default();
    for (_, policy) in policy::list(dirs) {
        let Ok(policy) = policy else { continue };
        if policy.tier == Tier::Managed {
            continue;
        }
        match changed(dirs, policy) {
            Ok(one) => found.servers.extend(one),
            Err(error) => found.failed.push(error),
        }
    }
    found
}

fn changed(dirs: &Dirs, policy: Policy) -> Result<Option<ChangedServer>> {
    let old = grant::find(dirs, &policy);
    let mut changes = Vec::new();
    let mut next = policy.clone();
    match &old {
        Ok(grant) => {
            let invocation = grant.invocation().cloned().unwrap_or_default();
            let now = invocation::resolve(&policy, dirs);
            for (file, change) in invocation.changes() {
                let same_role = |new: &&invocation::SealedFile| {
                    new.role == file.role && new.found.file_name() == file.found.file_name()
                };
                let new = now.as_ref().ok();
                let new = new.and_then(|now| now.invocation.files.iter().find(same_role));
                changes.push(match new {
                    Some(new) => format!("{}\n    → {}", file.shown(dirs), new.shown(dirs)),
                    None => format!("{}\n    {change}", file.shown(dirs)),
                });
            }
            let located = |name: &str| invocation::locate(name, dirs);
            if let Some(package) = package::with_new_interpreter(&policy, dirs, &located)? {
                let before = policy.package.as_ref().map_or("", |old| &old.interpreter);
                changes.push(format!("{before}\n    → {}", package.interpreter));
                let text = package.written(&policy.text);
                next = policy::load::check(dirs, &policy.server, &text)?;
            }
        }
        Err(_) if grant::is_of_older_form(dirs, &policy) => {
            changes.push("not covered by the grant, which an older version made".to_owned());
        }
        Err(_) => return Ok(None),
    }
    if changes.is_empty() {
        return Ok(None);
    }
    let resolved = invocation::resolve(&next, dirs)?;
    if old.is_err() {
        // Nothing to compare with: everything is shown.
        let files = &resolved.invocation.files;
        changes.extend(files.iter().map(|file| format!("    {}", file.shown(dirs))));
        let text = changes.join("\n");
        changes = vec![text];
    }
    Ok(Some(ChangedServer {
        before: policy,
        next,
        resolved,
        changes,
    }))
}

impl ChangedServers {
    /// Each change once, with the servers that share it.
    pub fn question(&self) -> String {
        let mut shared: BTreeMap<&str, Vec<&ServerName>> = BTreeMap::new();
        for one in &self.servers {
            for change in &one.changes {
                shared.entry(change).or_default().push(&one.next.server);
            }
        }
        let mut text = "changed since they were granted:\n".to_owned();
        for (change, servers) in shared {
            let servers: Vec<_> = servers.iter().map(|server| server.as_str()).collect();
            text.extend(["  ", change, "\n    for ", &servers.join(", "), "\n"]);
        }
        text
    }
}

impl ChangedServer {
    /// Grants the policy with its programs as they are now.
    ///
    /// # Errors
    /// `policy-changed` if the policy was changed while the user was asked; `audit-unwritable`,
    /// `file-unusable`.
    pub fn approve(&self, dirs: &Dirs, keys: &Keys, actor: Actor) -> Result<()> {
        let server = &self.next.server;
        let now = policy::load(dirs, server, None)?;
        if now.digest != self.before.digest {
            return Err(Error::new(
                Code::PolicyChanged,
                format!("the policy of server `{server}` changed while you were asked"),
            )
            .cause("its new text was not shown")
            .hint(format!("run `mcpwrap grant {server}`")));
        }
        if self.next.text != self.before.text {
            policy::draft::replace(dirs, server, self.next.text.as_bytes())?;
        }
        approve::approve(dirs, &self.next, &self.resolved, keys, actor)
    }
}
