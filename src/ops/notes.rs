//! What the user should know about a policy beyond its text.

use super::embedded_secrets;
use crate::launch::container;
use crate::package;
use crate::policy::{Policy, ambient};

/// Notes about a policy, for whoever reads or approves it.
pub fn notes(policy: &Policy) -> Vec<String> {
    let mut notes = embedded_secrets::warnings(policy);
    if policy.fence
        && let Some(reason) = package::unfenced(&policy.command)
    {
        notes.push(format!(
            "{reason}, which does not work inside the fence; if the server fails, set `fence = false`"
        ));
    }
    let chosen = policy.env.pass.iter().filter(|name| ambient::chooses(name));
    let chosen: Vec<_> = chosen.map(|name| format!("`{name}`")).collect();
    if !chosen.is_empty() {
        notes.push(format!(
            "the client chooses {}, and with it a program, a daemon or an account: set it by value in `env.set`",
            chosen.join(", ")
        ));
    }
    notes.extend(container::untracked(&policy.command).map(str::to_owned));
    notes
}
