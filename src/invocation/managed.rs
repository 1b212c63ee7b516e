//! Managed policies, which nobody grants.

use std::path::Path;

use super::file::{FileRole, only_root_changes};
use super::resolve::resolve_in;
use super::sealed::Invocation;
use super::stores;
use super::terminal::Terminal;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::policy::Policy;

/// The PATH of a managed policy that sets none.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Resolves the command of a managed policy, which nobody grants: with the variables of the account,
/// and from files that only root can change.
///
/// # Errors
/// Those of [`super::resolve()`]; `program-untrusted`.
pub fn managed(policy: &Policy, dirs: &Dirs) -> Result<Invocation> {
    let stores = stores::managed(policy, dirs)?;
    if policy.remote.is_some() {
        return Ok(Invocation {
            stores,
            ..Invocation::default()
        });
    }
    let terminal = Terminal::with_path(dirs, PATH.as_ref());
    let mut invocation = resolve_in(policy, dirs, &terminal)?.invocation;
    invocation.env = terminal.account;
    invocation.stores = stores;
    let untrusted = |path: &Path, why: &str| {
        Error::new(
            Code::ProgramUntrusted,
            format!("cannot trust `{}`", path.display()),
        )
        .not_started(&policy.server)
        .cause(why)
        .hint("ask your administrator to name a program and a script that belong to root, by full path")
    };
    for file in &invocation.files {
        let by_name = file.name.is_some() && file.role == FileRole::Program;
        if by_name {
            return Err(untrusted(
                &file.found,
                "the managed policy names it without its directory",
            ));
        }
        if !only_root_changes(&file.found, &file.real) {
            return Err(untrusted(
                &file.found,
                "a user other than root can change it",
            ));
        }
    }
    Ok(invocation)
}
