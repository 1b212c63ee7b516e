//! Scopes that a server asked for while it was used: kept for the next login, never acted on in `run`.

use super::challenge::BearerChallenge;
use super::index::OAuthIndex;
use super::owner::TokenOwner;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::policy::Policy;

/// Remembers what a refusal (HTTP 403, `insufficient_scope`) asks for. `challenge`: the lines of
/// `WWW-Authenticate`. Returns whether the next login asks for more than the token has.
///
/// # Errors
/// `file-unusable`.
pub fn remember(dirs: &Dirs, policy: &Policy, challenge: &[String]) -> Result<bool> {
    let found = BearerChallenge::read(challenge);
    let Some(scope) = found
        .filter(BearerChallenge::wants_more)
        .and_then(|found| found.scope)
    else {
        return Ok(false);
    };
    let name = TokenOwner::remote(&policy.server, policy.profile.as_ref()).item_name()?;
    let known = OAuthIndex::load(dirs)?;
    let Some(row) = known.tokens.get(&name) else {
        return Ok(false);
    };
    let wanted = row.wanted.clone().union(&scope);
    if wanted.is_within(&row.scope) || wanted == row.wanted {
        return Ok(!wanted.is_within(&row.scope));
    }
    OAuthIndex::update(dirs, |index| {
        if let Some(row) = index.tokens.get_mut(&name) {
            row.wanted = wanted;
        }
    })?;
    Ok(true)
}
