//! What the user should know about a policy beyond its text.

use super::embedded_secrets;
use crate::launch::container;
use crate::package;
use crate::policy::Policy;

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
    notes.extend(container::untracked(&policy.command).map(str::to_owned));
    notes
}
