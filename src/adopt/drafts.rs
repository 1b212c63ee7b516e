//! The policy of an adopted entry, and whether two policies are the same.

use super::extracted::Extracted;
use crate::package;
use crate::policy::draft::Draft;
use crate::policy::remote::OAuthTable;
use crate::policy::schema::{Delivery, OnFailure};
use crate::policy::{Policy, Unpinned};
use crate::reference::Reference;
use crate::secret::SecretName;

/// The policy of an entry. `secrets`: the variable, the name and the value of each.
pub(super) fn draft(
    entry: &str,
    extracted: &Extracted,
    secrets: &[(String, SecretName, String)],
) -> Draft {
    let title = extracted.shipped.map(|shipped| shipped.title.as_str());
    let slot = |(variable, name, _): &(String, SecretName, String)| {
        (
            variable.clone(),
            (Reference::Local(name.clone()), Delivery::Env),
        )
    };
    let others = extracted
        .references
        .iter()
        .map(|(variable, reference)| (variable.clone(), (reference.clone(), Delivery::Env)));
    let wish = extracted.wish.as_ref().filter(|wish| wish.is_optional);
    let optional = wish.into_iter().flat_map(|wish| &wish.values);
    let optional = optional.map(|(variable, _)| variable.clone()).collect();
    let pinned = package::parse(&extracted.command).pin.holds();
    let mut draft = Draft {
        description: Some(
            title
                .unwrap_or(entry)
                .chars()
                .filter(|c| !c.is_control())
                .take(80)
                .collect(),
        ),
        command: extracted.command.clone(),
        remote: extracted.remote.clone(),
        argv_secrets: extracted.argv_secrets,
        cwd: extracted.cwd.clone(),
        pass: extracted.pass.clone(),
        set: extracted.set.clone(),
        secrets: secrets.iter().map(slot).chain(others).collect(),
        optional,
        unpinned: if pinned {
            Unpinned::Refuse
        } else {
            Unpinned::Allow
        },
        unfenced: package::unfenced(&extracted.command),
        on_failure: OnFailure::Stub,
        ..Draft::default()
    };
    if let Some(shipped) = extracted.shipped {
        shipped.describe(&mut draft);
    }
    draft
}

/// Whether two policies start the same command, or name the same remote server. How the user made the
/// server of a policy log in is not a difference.
pub(super) fn same_target(a: &Policy, b: &Policy) -> bool {
    let plain = |policy: &Policy| {
        let mut remote = policy.remote.clone();
        if let Some(oauth) = remote.as_mut().and_then(|remote| remote.oauth.as_mut()) {
            *oauth = OAuthTable::default();
        }
        remote
    };
    a.command == b.command && plain(a) == plain(b)
}

/// Whether two policies allow the same. A later pin is not a difference.
pub(super) fn same(a: &Policy, b: &Policy) -> bool {
    let secrets = |policy: &Policy| {
        policy
            .secrets
            .iter()
            .map(|(name, slot)| (name.clone(), slot.from.clone()))
            .collect::<Vec<_>>()
    };
    same_target(a, b)
        && a.argv_secrets == b.argv_secrets
        && a.cwd == b.cwd
        && a.env == b.env
        && secrets(a) == secrets(b)
}
