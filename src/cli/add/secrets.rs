//! The secrets that the server needs and the store does not have: asked for, checked, stored.
//!
//! Invariant: a value is typed without being shown, and is never an argument.

use super::{Args, with_again};
use crate::audit::Event;
use crate::catalog::{self, KnownSecret};
use crate::cli::{Context, ask, print, typed_secret};
use crate::error::{Code, Error, Result};
use crate::expiry;
use crate::ops::actor::Actor;
use crate::ops::secrets::{self, SecretChange};
use crate::policy::Policy;
use crate::secret::{Secret, SecretName};
use crate::store::{Index, SecretItem, Store};

/// A secret that the store does not have.
pub(super) struct MissingSecret {
    pub(super) name: SecretName,
    /// The variable that gets it.
    variable: String,
    is_optional: bool,
    known: Option<&'static KnownSecret>,
}

impl MissingSecret {
    /// What it is, and where to make one.
    pub(super) fn about(&self) -> String {
        let mut facts = vec![format!("for `{}`", self.variable)];
        if self.is_optional {
            facts.push("optional".to_owned());
        }
        if let Some(known) = self.known {
            if !known.looks.is_empty() {
                facts.push(format!("starts with {}", known.looks.join(" or ")));
            }
            facts.extend(
                known
                    .rotate
                    .iter()
                    .map(|url| format!("create one at {url}")),
            );
        }
        facts.join(", ")
    }
}

/// The secrets of a policy that the index does not have.
///
/// # Errors
/// Those of the index.
pub(super) fn named(cx: &Context, policy: &Policy) -> Result<Vec<MissingSecret>> {
    let index = Index::load(&cx.dirs)?;
    Ok(of_policy(policy, &|name| index.secrets.contains_key(name)))
}

fn of_policy(policy: &Policy, is_known: &dyn Fn(&SecretName) -> bool) -> Vec<MissingSecret> {
    let file = catalog::of_policy(policy);
    let missing = policy.secrets.iter().filter_map(|(variable, slot)| {
        let name = slot.from.local().filter(|name| !is_known(name))?;
        Some(MissingSecret {
            name: name.clone(),
            variable: variable.clone(),
            is_optional: slot.optional,
            known: file.and_then(|file| file.secrets.get(variable)),
        })
    });
    let mut missing: Vec<_> = missing.collect();
    missing.sort_by_key(|secret| secret.is_optional);
    missing
}

/// Asks for each, and stores it.
///
/// # Errors
/// `secret-not-found` without a terminal; `declined`; those of the store.
pub(super) fn ask(
    args: &Args,
    cx: &Context,
    store: &dyn Store,
    actor: Actor,
    policy: &Policy,
) -> Result<()> {
    let has = |name: &SecretName| match store.get(name) {
        Err(error) => error.code != Code::SecretNotFound,
        Ok(_) => true,
    };
    let missing = of_policy(policy, &has);
    if !actor.is_asked() {
        let mut required = missing.iter().filter(|secret| !secret.is_optional);
        return required.next().map_or(Ok(()), |secret| {
            let name = &secret.name;
            Err(with_again(
                args,
                Error::new(
                    Code::SecretNotFound,
                    format!("cannot add server `{}`", args.server),
                )
                .cause(format!(
                    "the store has no secret `{name}`, and `--yes` asks for nothing"
                ))
                .hint(format!("run `mcpwrap secret set {name} --from-stdin`")),
            ))
        });
    }
    for secret in &missing {
        let Some(value) = one(secret)? else { continue };
        let expires = expiry::of_secret(&value);
        let change = SecretChange {
            event: Event::SecretSet,
            name: secret.name.clone(),
            item: SecretItem {
                expires,
                ..SecretItem::plain(value)
            },
        };
        let prints = secrets::record_and_store(&cx.dirs, store, actor, &[change])?;
        for print in prints {
            print::line(&format!("stored: {} (fingerprint {print})", secret.name));
        }
    }
    Ok(())
}

/// Asks for one; `None` for an optional one that the user does not give.
fn one(secret: &MissingSecret) -> Result<Option<Secret>> {
    let name = &secret.name;
    let skip = if secret.is_optional {
        "; Enter leaves it out"
    } else {
        ""
    };
    print::note(&format!("`{name}`: {}", secret.about()));
    for line in secret.known.iter().flat_map(|known| &known.advice) {
        if !line.starts_with("Prefixes of a value") {
            print::note(line);
        }
    }
    let value = match typed_secret::typed(name, &format!("value of `{name}` (not shown{skip}): ")) {
        Err(error) if error.code == Code::Declined && secret.is_optional => return Ok(None),
        value => value?,
    };
    secrets::check(name, &value, false)?;
    typed_secret::warn(name, &value);
    let looks = secret.known.map_or(&[][..], |known| &known.looks);
    if !looks.is_empty() && !looks.iter().any(|look| value.starts_with(look)) {
        let question = format!(
            "the value does not start with {}, as values of `{}` do; store it anyway?",
            looks.join(" or "),
            secret.variable
        );
        if !ask::confirm(&question)? {
            return Err(
                Error::new(Code::Declined, format!("`{name}` was not stored"))
                    .hint("run the command again to type another value"),
            );
        }
    }
    Ok(Some(value))
}
