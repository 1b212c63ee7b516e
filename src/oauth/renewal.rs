//! Obtains a new token without the user: one refresh, under the lock of the tokens.
//!
//! Invariants: nothing is sent while the store cannot be written: the mark of the refresh is stored
//! first. The new tokens are stored and read back before anyone uses them. A fault of the network
//! changes nothing. A refused refresh token is not sent again.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::client::{AuthMethod, ClientCredentials, ClientSource, OAuthClient, method_of};
use super::endpoint::IssuerAccess;
use super::exchange::Exchange;
use super::index::{OAuthIndex, is_recent};
use super::item::{self, TokenItem};
use super::place::TokenPlace;
use super::registration::is_unknown_client;
use super::registry;
use super::revoke_at::at_issuer;
use super::scope::ScopeSet;
use super::token_answer::{GrantedToken, TokenFault};
use super::unrevoked;
use crate::error::{CauseKind, Code, Error, Result};
use crate::files;
use crate::secret::Keys;

/// How long tokens that were just obtained are tried to be stored.
const STORE_TRIES: u32 = 10;
const STORE_PAUSE: Duration = Duration::from_millis(300);
/// How long another process may refresh.
pub const LOCK_LIMIT: Duration = Duration::from_secs(20);

/// Why a new token is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalOrder {
    /// The generation of the token that the caller has; 0 without one.
    pub seen: u64,
    /// The server refused that token.
    pub is_rejected: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// There is a newer token already.
    Found,
    /// The token was refreshed.
    Refreshed,
}

/// Refreshes the token, unless there is a newer one. `now`: seconds of Unix time.
///
/// # Errors
/// `login-needed`; `oauth-unreachable` and `oauth-failed`, after which the tokens are what they were;
/// those of the store.
pub fn renew(
    place: &TokenPlace<'_>,
    keys: &Keys,
    exchange: &dyn Exchange,
    order: RenewalOrder,
    now: &dyn Fn() -> i64,
) -> Result<Renewed> {
    let lock = place.lock(LOCK_LIMIT)?;
    let Some(mut item) = place.item()? else {
        if place.is_for_client() {
            let item = obtain(place, keys, exchange, now())?;
            set_aside_other(place, &item)?;
            place.keep(&item)?;
            return Ok(Renewed::Refreshed);
        }
        return Err(without_login(place)?);
    };
    // A newer token was not refused yet.
    let is_rejected = order.is_rejected && item.generation <= order.seen;
    if !is_rejected && (!place.is_due(&item, now()) || is_as_good_as_new(place, &item, now())) {
        return Ok(Renewed::Found);
    }
    let was_begun = item.refreshing.is_some();
    if is_rejected {
        check_pause(place, &item, now())?;
    }
    if item.refresh.is_none() && !place.is_for_client() {
        let index = OAuthIndex::load(place.dirs)?;
        let row = index.tokens.get(&place.name()?);
        // A refused refresh token is not kept.
        let why = if row.is_some_and(|row| row.failed.is_some()) {
            "the authorization server refused to refresh it"
        } else {
            "it cannot be refreshed: the authorization server gave no refresh token"
        };
        return Err(place.login_needed(why));
    }
    let credentials = place.credentials(keys)?;
    item.refreshing = Some(now());
    item::write(place.store, &place.name()?, &item)?;
    let answer = ask(place, &item, exchange, &credentials, now());
    let granted = match answer {
        Ok(granted) => granted,
        Err(fault) => return Err(refused(place, item, fault, was_begun, now())),
    };
    let next = next(place, item, granted, now());
    check_login(place, &next, exchange, &credentials)?;
    store(place, &next)?;
    drop(lock);
    Ok(Renewed::Refreshed)
}

const LOGGED_OUT: &str = "the user logged out while the token was refreshed";

/// A logout does not wait for a refresh. The tokens that it could not know are revoked, and not stored.
fn check_login(
    place: &TokenPlace<'_>,
    next: &TokenItem,
    exchange: &dyn Exchange,
    credentials: &ClientCredentials,
) -> Result<()> {
    let is_gone = matches!(place.item(), Ok(None));
    if !is_gone || place.is_for_client() {
        return Ok(());
    }
    let gone = place.login_needed(LOGGED_OUT);
    match at_issuer(exchange, next, credentials) {
        Ok(()) => Err(gone),
        Err(error) => Err(gone.cause(format!(
            "the new token may still be valid: {}",
            error.reasons()
        ))),
    }
}

/// Whether a token was just obtained and lives shorter than the policy wants: another one of its issuer would
/// be no better.
fn is_as_good_as_new(place: &TokenPlace<'_>, item: &TokenItem, now: i64) -> bool {
    let wanted = place.min_life();
    is_recent(item.obtained_at, now) && wanted.is_some_and(|wanted| item.is_shorter(wanted))
}

/// A token may end this much earlier at its server than here (seconds).
const ROUNDING: i64 = 2;

/// A server that refuses each new token would cause a refresh with each call.
fn check_pause(place: &TokenPlace<'_>, item: &TokenItem, now: i64) -> Result<()> {
    // Lives are whole seconds, and the server counts from when it answered.
    if item.is_over(now.saturating_add(ROUNDING)) {
        return Ok(());
    }
    let age = now.saturating_sub(item.obtained_at);
    if is_recent(item.obtained_at, now) {
        return Err(place.login_needed(format!("the server refuses a token that is {age} s old")));
    }
    let failed = OAuthIndex::load(place.dirs)?;
    let name = place.name()?;
    let failed = failed.tokens.get(&name).and_then(|row| row.failed.as_ref());
    if let Some(failed) = failed.filter(|failed| is_recent(failed.at, now)) {
        let ago = now.saturating_sub(failed.at);
        let what = format!("cannot refresh the token of {}", place.owner().shown());
        return Err(Error::new(Code::OAuthUnreachable, what)
            .cause_of(
                CauseKind::Unreachable,
                format!("a refresh failed {ago} s ago"),
            )
            .hint("try again in half a minute"));
    }
    Ok(())
}

fn ask(
    place: &TokenPlace<'_>,
    item: &TokenItem,
    exchange: &dyn Exchange,
    credentials: &ClientCredentials,
    now: i64,
) -> Result<GrantedToken, TokenFault> {
    let access = IssuerAccess::of(item, exchange, credentials, now);
    match &item.refresh {
        Some(refresh) => access.refresh(refresh.as_str(), item.resource.as_deref()),
        None => access.client_credentials(&scopes_of(place, &item.scope), item.resource.as_deref()),
    }
}

fn scopes_of(place: &TokenPlace<'_>, known: &ScopeSet) -> ScopeSet {
    match place.rules.scopes.as_slice() {
        [] => known.clone(),
        scopes => ScopeSet::of(scopes),
    }
}

/// What a refusal means, and what remains of the tokens.
fn refused(
    place: &TokenPlace<'_>,
    mut item: TokenItem,
    fault: TokenFault,
    was_begun: bool,
    now: i64,
) -> Error {
    let TokenFault { error, code } = fault;
    let error = *error;
    let is_final = code.as_deref().is_some_and(is_refusal) && !place.is_for_client();
    place.note_failure(&error, now);
    if !is_final {
        return error;
    }
    // Nobody else writes under this lock but another version or the user: a newer one wins.
    match place.item() {
        Ok(Some(newer)) if newer.generation > item.generation => return error,
        Ok(None) => return place.login_needed(LOGGED_OUT),
        Ok(Some(_)) | Err(_) => {}
    }
    item.refresh = None;
    item.refreshing = None;
    item.expires_at = Some(item.expires_at.map_or(now, |end| end.min(now)));
    item.generation = place.next_generation(item.generation);
    let is_unknown = is_unknown_client(code.as_deref());
    if let Err(error) = place.keep(&item) {
        tracing::warn!("{}", error.text());
    }
    place.note_failure(&error, now);
    if is_unknown && item.client.source == ClientSource::Registered {
        registry::forget(place, &item.client.id);
    }
    let needed = place.login_needed(error.reasons());
    if was_begun {
        return needed.cause("an earlier refresh was interrupted, so its new token is lost");
    }
    needed
}

fn is_refusal(code: &str) -> bool {
    // Slack and GitHub have words of their own.
    matches!(
        code,
        "invalid_grant"
            | "invalid_refresh_token"
            | "bad_refresh_token"
            | "token_expired"
            | "token_revoked"
    ) || is_unknown_client(Some(code))
}

/// The tokens after a refresh.
fn next(place: &TokenPlace<'_>, item: TokenItem, granted: GrantedToken, now: i64) -> TokenItem {
    TokenItem {
        access: granted.access,
        // Without a new one the old one stays.
        refresh: granted.refresh.or(item.refresh),
        scope: granted.scope.unwrap_or(item.scope),
        obtained_at: now,
        expires_at: granted.life.map(|life| now.saturating_add(life)),
        generation: place.next_generation(item.generation),
        subject: item.subject.or(granted.subject),
        refreshing: None,
        ..item
    }
}

/// The old refresh token may be dead by now, so this does not give up at once.
fn store(place: &TokenPlace<'_>, item: &TokenItem) -> Result<()> {
    let mut tries = 0;
    loop {
        match place.keep(item) {
            Ok(()) => return Ok(()),
            Err(error) if tries >= STORE_TRIES => {
                return Err(place
                    .login_needed("the new token cannot be stored")
                    .because(error));
            }
            Err(_) => {
                tries += 1;
                std::thread::sleep(STORE_PAUSE);
            }
        }
    }
}

/// Before tokens of another issuer or client are replaced by these: they are revoked later, because nobody would
/// find them anymore. Those of the same issuer and client may end with the new ones.
///
/// # Errors
/// Those of the store; `file-unusable`.
pub fn set_aside_other(place: &TokenPlace<'_>, new: &TokenItem) -> Result<()> {
    let old = item::read_token(place.store, &place.name()?)?;
    let is_other = |old: &TokenItem| (&old.issuer, &old.client.id) != (&new.issuer, &new.client.id);
    old.filter(is_other).map_or(Ok(()), |old| {
        unrevoked::keep(place.dirs, place.store, &place.owner(), old, unix_now())
    })
}

/// The error if there are no tokens of what the policy says now.
///
/// # Errors
/// Those of the store.
pub fn without_login(place: &TokenPlace<'_>) -> Result<Error> {
    let other = item::read_token(place.store, &place.name()?)?;
    Ok(place.login_needed(other.map_or_else(
        || "nobody has logged in".to_owned(),
        |other| {
            format!(
                "the login at `{}` is not for the address, the issuer and the client that the policy names now",
                other.issuer
            )
        },
    )))
}

/// The first token of a client of its own, without the user: only from an issuer that the granted
/// policy names, or that the user approved.
pub fn obtain(
    place: &TokenPlace<'_>,
    keys: &Keys,
    exchange: &dyn Exchange,
    now: i64,
) -> Result<TokenItem> {
    let credentials = place.credentials(keys)?;
    let found = place.discover(exchange)?;
    if !place.is_issuer_approved(keys, &found.issuer.issuer) {
        return Err(place.login_needed(format!(
            "the authorization server `{}` was not approved",
            found.issuer.issuer
        )));
    }
    let named = found.challenged.or(found.supported).unwrap_or_default();
    let scope = scopes_of(place, &named);
    let client = own_client(place, method_of(&found.issuer, &credentials)?)?;
    let endpoints = found.issuer.endpoints()?;
    let access = IssuerAccess {
        exchange,
        issuer: &found.issuer.issuer,
        endpoints: &endpoints,
        reach: found.reach,
        client: &client,
        credentials: &credentials,
        now,
    };
    let granted = access
        .client_credentials(&scope, found.resource.as_deref())
        .map_err(|fault| *fault.error)?;
    Ok(TokenItem {
        version: TokenItem::VERSION,
        url: place.url().to_owned(),
        issuer: found.issuer.issuer.clone(),
        resource: found.resource,
        endpoints,
        reach: found.reach,
        access: granted.access,
        refresh: None,
        scope: granted.scope.unwrap_or(scope),
        obtained_at: now,
        expires_at: granted.life.map(|life| now.saturating_add(life)),
        generation: place.next_generation(0),
        // The user is the client itself.
        subject: Some(client.id.clone()),
        login: login_id()?,
        refreshing: None,
        client,
    })
}

/// The client of the policy.
///
/// # Errors
/// `policy-invalid` if the policy names none.
pub fn own_client(place: &TokenPlace<'_>, method: AuthMethod) -> Result<OAuthClient> {
    let id = place.rules.client_id.clone().ok_or_else(|| {
        let what = format!("cannot get a token for {}", place.owner().shown());
        Error::new(Code::PolicyInvalid, what)
            .cause("`grant = \"client-credentials\"` needs a `client_id` below `[oauth]`")
    })?;
    Ok(OAuthClient {
        id,
        source: ClientSource::Policy,
        method,
        secret: None,
    })
}

/// Identifies a login.
///
/// # Errors
/// `file-unusable` if there are no random bytes.
pub fn login_id() -> Result<String> {
    files::random_hex().map_err(|error| {
        Error::new(Code::FileUnusable, "cannot create a random number")
            .cause(files::io_text(&error))
    })
}

/// Now, in seconds of Unix time.
pub fn unix_now() -> i64 {
    Timestamp::now().as_second()
}
