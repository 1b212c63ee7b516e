//! Takes tokens back: at the authorization server, then here.
//!
//! Invariant: nothing that fails at the authorization server keeps the local copy.

use super::approval;
use super::client::ClientCredentials;
use super::exchange::process::ProcessExchange;
use super::index::{OAuthIndex, TokenRow};
use super::item::{self, TokenItem};
use super::network::network;
use super::owner::TokenOwner;
use super::place::TokenPlace;
use super::renewal::unix_now;
use super::revoke_at::at_issuer;
use super::unrevoked::{self, is_worth_keeping};
use crate::audit::{Event, NewRecord, Outcome};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::policy;
use crate::secret::{Keys, SecretName, ServerName};
use crate::store::{self, Prompt, Store, own_items};

/// What became of the tokens of one owner.
#[derive(Debug)]
pub struct RevokedToken {
    pub owner: TokenOwner,
    pub issuer: String,
    /// Whether the authorization server revoked them.
    pub at_issuer: Result<()>,
    /// Whether they are kept, to be revoked later.
    pub is_kept: bool,
    /// Whether the local copy is gone.
    pub local: Result<()>,
}

impl RevokedToken {
    /// Its audit record.
    pub fn record(&self) -> NewRecord {
        let outcome = if self.local.is_ok() {
            Outcome::Ok
        } else {
            Outcome::Failed
        };
        let record = self.owner.record(Event::Logout, outcome);
        match self.local.as_ref().err().or(self.at_issuer.as_ref().err()) {
            Some(error) => record.reason(error.code.name()),
            None => record,
        }
    }
}

/// Revokes the tokens of a server, of all its profiles and mints, and removes them. Tries everything: neither a
/// policy that cannot be read nor an authorization server that does not answer spares the next.
/// Returns nothing for a server without tokens.
pub fn revoke_all(dirs: &Dirs, config: &Config, server: &ServerName) -> Vec<RevokedToken> {
    let Ok(index) = OAuthIndex::load(dirs) else {
        return Vec::new();
    };
    let rows = index.tokens.into_values();
    let rows: Vec<_> = rows.filter(|row| row.owner.server == *server).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let opened = store::open(dirs, config, Prompt::Never);
    let opened = opened.and_then(|store| Ok((store::keys(&*store)?, store)));
    let failed = |row: TokenRow, error: Error| RevokedToken {
        owner: row.owner,
        issuer: row.issuer,
        at_issuer: Err(error.clone()),
        is_kept: false,
        local: Err(error),
    };
    let one = |row: TokenRow| match &opened {
        Ok((keys, store)) => match revoke(dirs, &**store, keys, &row.owner) {
            Ok(done) => done,
            Err(error) => Some(failed(row, error)),
        },
        Err(error) => Some(failed(row, error.clone())),
    };
    rows.into_iter().filter_map(one).collect()
}

/// Revokes the tokens of an owner, and removes them; `None` if there are none.
///
/// # Errors
/// Those of the store, when it cannot be read.
pub fn revoke(
    dirs: &Dirs,
    store: &dyn Store,
    keys: &Keys,
    owner: &TokenOwner,
) -> Result<Option<RevokedToken>> {
    let name = owner.item_name()?;
    let found = item::read_token(store, &name)?;
    let row = OAuthIndex::load(dirs)?.tokens.remove(&name);
    let issuer = found.as_ref().map(|item| item.issuer.clone());
    let Some(issuer) = issuer.or_else(|| row.map(|row| row.issuer)) else {
        return Ok(None);
    };
    let at_issuer = found.as_ref().map_or(Ok(()), |item| {
        let exchange = ProcessExchange::new(network(dirs, store, keys)?);
        let credentials = credentials(dirs, store, keys, owner, item);
        let done = at_issuer(&exchange, item, &credentials);
        done.map_err(|error| match item.client.lacks(&credentials) {
            Some(field) => no_proof(owner, item, field),
            None => error,
        })
    });
    let kept = match (&at_issuer, found) {
        (Err(error), Some(item)) if is_worth_keeping(error, &item, unix_now()) => {
            Some(unrevoked::keep(dirs, store, owner, item, unix_now()))
        }
        _ => None,
    };
    let is_kept = match kept {
        Some(Err(error)) => {
            tracing::warn!("{}", error.text());
            false
        }
        Some(Ok(())) => true,
        None => false,
    };
    Ok(Some(RevokedToken {
        owner: owner.clone(),
        issuer,
        at_issuer,
        is_kept,
        local: remove(dirs, store, &name),
    }))
}

/// Those of the policy's client, if the policy still is about these tokens. Without them the
/// authorization server may refuse, and its answer says so.
fn credentials(
    dirs: &Dirs,
    store: &dyn Store,
    keys: &Keys,
    owner: &TokenOwner,
    item: &TokenItem,
) -> ClientCredentials {
    let found = || {
        let policy = policy::load(dirs, &owner.server, owner.profile.as_ref()).ok()?;
        let place = TokenPlace::of(dirs, store, &policy, owner).ok()?;
        let is_same = place
            .item()
            .ok()?
            .is_some_and(|now| now.issuer == item.issuer);
        is_same.then(|| place.credentials_anyway(keys).ok())?
    };
    found().unwrap_or_default()
}

/// The error without the secret or the key of the policy's client.
fn no_proof(owner: &TokenOwner, item: &TokenItem, field: &str) -> Error {
    let (server, id, issuer) = (&owner.server, &item.client.id, &item.issuer);
    let table = owner
        .mint
        .as_ref()
        .map_or_else(|| "oauth".to_owned(), |mint| format!("mint.{mint}"));
    Error::new(Code::OAuthFailed, "cannot authenticate the OAuth client")
        .cause(format!(
            "the policy of server `{server}` gives no `{table}.{field}`, which the issuer wants for a revocation"
        ))
        .hint(format!(
            "remove the access of client `{id}` in your account at {issuer}"
        ))
}

/// Removes the tokens, the approval of their login, and the facts about them.
///
/// # Errors
/// Those of the store; `file-unusable`.
pub fn remove(dirs: &Dirs, store: &dyn Store, name: &SecretName) -> Result<()> {
    own_items::remove(store, name)?;
    approval::withdraw(dirs, name)?;
    OAuthIndex::update(dirs, |index| index.tokens.remove(name)).map(drop)
}
