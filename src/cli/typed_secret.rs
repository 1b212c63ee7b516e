//! The value of a secret that the user types or pipes.

use super::pasted::{has_unseen, pasted};
use super::{ask, print};
use crate::error::Result;
use crate::secret::{Secret, SecretName};

/// Asks for a value, and whether what was pasted around it is part of it.
///
/// # Errors
/// `no-terminal`; `declined` if nothing was typed.
pub(super) fn typed(prompt: &str) -> Result<Secret> {
    let value = ask::hidden(prompt)?;
    let Some(found) = pasted(&value) else {
        return Ok(value);
    };
    let wrappers = found.wrappers.join(" and ");
    let question = format!("the value has {wrappers} around it; store it without?");
    Ok(if ask::confirm(&question)? {
        found.value
    } else {
        value
    })
}

/// A script's value, which is stored as it is, with a warning.
///
/// # Errors
/// As [`ask::piped`].
pub(super) fn piped(name: &SecretName) -> Result<Secret> {
    let value = ask::piped()?;
    if let Some(found) = pasted(&value) {
        let wrappers = found.wrappers.join(" and ");
        print::warning(&format!(
            "the value of `{name}` has {wrappers} around it, which are stored too"
        ));
    }
    Ok(value)
}

/// Says what will not work with a value that is stored all the same.
pub(super) fn warn(name: &SecretName, value: &Secret) {
    if let Some(weakness) = value.weakness() {
        let weakness = weakness.text();
        print::warning(&format!(
            "`{name}` is not masked, because its value {weakness}"
        ));
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
