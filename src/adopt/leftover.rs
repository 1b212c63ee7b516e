//! No policy has in plaintext what the plan makes a secret somewhere else.

use aho_corasick::AhoCorasick;

use super::names::Names;
use super::plan::{AdoptPlan, Left};
use super::proof::ChangedEntry;
use crate::policy::Policy;

/// The length of the shortest value that is searched for (bytes). A shorter one may be a word, like the password
/// `postgres` of the user `postgres`.
const BYTES_MIN: usize = 16;

/// Takes the entries out of the plan whose policy would have such a value.
pub(super) fn refuse(
    found: usize,
    changed: &mut Vec<ChangedEntry>,
    values: &PlannedValues,
    names: &Names,
    plan: &mut AdoptPlan,
) {
    changed.retain(|one| {
        let planned = names.planned(&one.server);
        let name = planned.and_then(|planned| values.first_in(&planned.policy));
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

/// The values of a plan, which are searched for all at once.
#[derive(Debug)]
pub(super) struct PlannedValues {
    names: Vec<String>,
    search: Option<AhoCorasick>,
}

impl PlannedValues {
    pub(super) fn new(names: &Names) -> Self {
        let long = names.secrets().iter();
        let long = long.filter(|secret| secret.text.len() >= BYTES_MIN);
        let (names, texts): (Vec<_>, Vec<_>) = long
            .map(|secret| (secret.name.to_string(), secret.text.as_str()))
            .unzip();
        let search = (!texts.is_empty()).then(|| AhoCorasick::new(texts).ok());
        Self {
            names,
            search: search.flatten(),
        }
    }

    /// The secret whose value a policy has in plaintext.
    fn first_in(&self, policy: &Policy) -> Option<&str> {
        let search = self.search.as_ref()?;
        let remote = policy.remote.iter();
        let sent = remote.flat_map(|remote| remote.headers.values().chain([&remote.url]));
        let mut texts = policy
            .command
            .iter()
            .chain(policy.env.set.values())
            .chain(sent);
        let found = texts.find_map(|text| search.find(text.as_str()))?;
        self.names
            .get(found.pattern().as_usize())
            .map(String::as_str)
    }
}
