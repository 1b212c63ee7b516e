//! The token of a policy, as the supervisor needs it.

use std::time::Instant;

use super::item::{TokenItem, secret_of};
use super::place::TokenPlace;
use super::refresh::ask;
use super::renewal::{RenewalOrder, unix_now, without_login};
use super::scope::ScopeSet;
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName};

/// A token that can be sent to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthToken {
    /// The name of its item in the store, under which it is logged and masked.
    pub name: SecretName,
    pub access: Secret,
    /// Grows with each refresh and each login.
    pub generation: u64,
    /// Seconds of Unix time; `None` if unknown.
    pub expires_at: Option<i64>,
    /// What it allows, as far as is known.
    pub scope: ScopeSet,
    /// Whose token it is, as a digest: another one means another MCP session.
    pub identity: String,
}

impl OAuthToken {
    fn of(name: SecretName, item: &TokenItem) -> Self {
        Self {
            name,
            access: secret_of(&item.access),
            generation: item.generation,
            expires_at: item.expires_at,
            scope: item.scope.clone(),
            identity: item.identity(),
        }
    }
}

/// The token of an owner; refreshed first if it ends soon. `in_use`: the generation of the token that the
/// running server of a mint has, which is not given to it again. `deadline`: when the caller has to answer.
///
/// # Errors
/// `login-needed`; `oauth-unreachable`, `oauth-failed` if it cannot be refreshed now; those of the
/// store.
pub fn current(
    place: &TokenPlace<'_>,
    in_use: Option<u64>,
    deadline: Instant,
) -> Result<OAuthToken> {
    let owner = place.owner();
    let found = place.item()?;
    let order = RenewalOrder {
        seen: found.as_ref().map_or(0, |item| item.generation),
        is_rejected: false,
    };
    let Some(item) = found else {
        if !place.is_for_client() {
            return Err(without_login(place)?);
        }
        ask(&owner, order, deadline)?;
        return read(place);
    };
    if !place.is_due(&item, unix_now()) {
        return Ok(OAuthToken::of(place.name()?, &item));
    }
    match ask(&owner, order, deadline) {
        Ok(()) => read(place),
        // It is good for some time, in which the fault may pass.
        Err(_) if in_use != Some(item.generation) && place.is_usable(&item, unix_now()) => {
            Ok(OAuthToken::of(place.name()?, &item))
        }
        Err(error) => Err(error),
    }
}

/// The token that is stored, even if it has ended; `None` if there is none. For a start while the
/// authorization server cannot be reached: the first request asks again.
///
/// # Errors
/// Those of the store.
pub fn stored(place: &TokenPlace<'_>) -> Result<Option<OAuthToken>> {
    let name = place.name()?;
    Ok(place.item()?.map(|item| OAuthToken::of(name, &item)))
}

/// The token after the server refused the one of `rejected_generation`: a newer one, or else a
/// refreshed one. At most one refresh per generation, and one per 30 s.
///
/// # Errors
/// As [`current`].
pub fn renew(
    place: &TokenPlace<'_>,
    rejected_generation: u64,
    deadline: Instant,
) -> Result<OAuthToken> {
    let newer = place
        .item()?
        .filter(|item| item.generation > rejected_generation);
    if let Some(item) = newer.filter(|item| !place.is_due(item, unix_now())) {
        return Ok(OAuthToken::of(place.name()?, &item));
    }
    let order = RenewalOrder {
        seen: rejected_generation,
        is_rejected: true,
    };
    ask(&place.owner(), order, deadline)?;
    read(place)
}

fn read(place: &TokenPlace<'_>) -> Result<OAuthToken> {
    let Some(item) = place.item()? else {
        return Err(place.login_needed("the token was removed in the meantime"));
    };
    if item.is_over(unix_now()) {
        let what = format!("no valid OAuth token for {}", place.owner().shown());
        return Err(Error::new(Code::OAuthFailed, what).cause(format!(
            "the one that `{}` gave had ended at once",
            item.issuer
        )));
    }
    Ok(OAuthToken::of(place.name()?, &item))
}
