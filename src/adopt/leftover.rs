//! No policy has in plaintext what the plan makes a secret somewhere else.

use super::names::Names;
use super::plan::{AdoptPlan, Left};
use super::proof::ChangedEntry;
use super::redact::{Cut, Cutter};
use crate::policy::Policy;
use crate::secret::SecretName;

/// The length of the shortest value that is searched for (bytes). A shorter one may be a word, like the password
/// `postgres` of the user `postgres`.
const BYTES_MIN: usize = 16;

/// Takes the entries out of the plan whose policy would have such a value.
pub(super) fn refuse(
    found: usize,
    changed: &mut Vec<ChangedEntry>,
    values: &Cutter,
    names: &Names,
    plan: &mut AdoptPlan,
) {
    changed.retain(|one| {
        let planned = names.planned(&one.server);
        let name = planned.and_then(|planned| first_in(&planned.policy, values));
        let Some(name) = name else {
            return true;
        };
        plan.left.push(Left {
            found,
            entry: Some(one.entry.name.clone()),
            reason: format!(
                "its command or a variable has the value of secret `{name}` under a name that is not one of a secret: move \
                 it into a variable like `API_KEY`, then adopt it"
            ),
            counts: true,
        });
        false
    });
}

/// The values of a plan that are searched for.
pub(super) fn values(names: &Names) -> Cutter {
    let long = names.secrets().iter();
    let long = long.filter(|secret| secret.text.len() >= BYTES_MIN);
    let cuts = long.map(|secret| Cut {
        name: secret.name.clone(),
        text: secret.text.clone(),
    });
    Cutter::new(&cuts.collect::<Vec<_>>())
}

/// The secret whose value a policy has in plaintext.
fn first_in(policy: &Policy, values: &Cutter) -> Option<SecretName> {
    let remote = policy.remote.iter();
    let sent = remote.flat_map(|remote| remote.headers.values().chain([&remote.url]));
    let texts = policy.command.iter().chain(policy.env.set.values());
    let mut found = texts
        .chain(sent)
        .flat_map(|text| values.places(text, BYTES_MIN));
    found.next().map(|(_, name)| name)
}
