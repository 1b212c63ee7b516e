//! The value of a secret that the user types or pipes: what looks wrong with it.

use super::pasted::{has_unseen, pasted};
use super::{ask, print, print_weak};
use crate::error::Result;
use crate::secret::{Secret, SecretName};

/// Asks for a value, and whether what was pasted around it is part of it.
///
/// # Errors
/// `no-terminal`; `declined` if nothing was typed.
pub(super) fn typed(name: &SecretName, prompt: &str) -> Result<Secret> {
    unwrapped(name, ask::hidden(prompt)?, true)
}

/// Asks whether what was pasted around a value is part of it, if a person is there. A script's value is stored
/// as it is, with a warning.
///
/// # Errors
/// `no-terminal`.
pub(super) fn unwrapped(name: &SecretName, value: Secret, is_asked: bool) -> Result<Secret> {
    let Some(found) = pasted(&value) else {
        return Ok(value);
    };
    let wrappers = found.wrappers.join(" and ");
    if !is_asked {
        print::warning(&format!(
            "the value of `{name}` has {wrappers} around it, which are stored too"
        ));
    } else if ask::confirm(&format!(
        "the value has {wrappers} around it; store it without?"
    ))? {
        return Ok(found.value);
    }
    Ok(value)
}

/// Says what will not work with a value that is stored all the same.
pub(super) fn warn(name: &SecretName, value: &Secret) {
    if let Some(weakness) = value.weakness() {
        print_weak::not_masked(&format!("`{name}`"), weakness);
    }
    if pasted(value).is_none() && has_unseen(value) {
        print::warning(&format!(
            "the value of `{name}` contains an invisible character, e.g. a zero-width space; if it was \
             copied by accident, providers refuse the value"
        ));
    }
    if value.has_nul() {
        print::warning(&format!(
            "the value of `{name}` contains a NUL byte: only a secret with `to = \"file\"` can use it"
        ));
    }
}
