//! Tokens that another program obtained for a server to which the user has logged in here.
//!
//! Invariant: they are sent to the issuer of the login here, and to no other one.

use super::client::{AuthMethod, ClientCredentials, ClientSource, OAuthClient};
use super::exchange::process::ProcessExchange;
use super::item::{self, TokenItem};
use super::network::network;
use super::owner::TokenOwner;
use super::renewal::unix_now;
use super::revoke_at::at_issuer;
use super::unrevoked::{self, is_worth_keeping};
use crate::bridge::channel::SecretText;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::secret::{Keys, ServerName};
use crate::store::Store;

/// The tokens of another program, and its client.
#[derive(Debug)]
pub struct ForeignToken {
    pub access: SecretText,
    pub refresh: Option<SecretText>,
    /// Seconds of Unix time.
    pub expires_at: Option<i64>,
    pub client_id: String,
    pub client_secret: Option<SecretText>,
    /// How the client authenticates, in the words of metadata.
    pub method: Option<String>,
    /// The issuer, if the program noted it.
    pub issuer: Option<String>,
}

/// What became of such tokens at their issuer.
#[derive(Debug)]
pub enum ForeignEnd {
    Revoked,
    /// The issuer does not answer; they are kept, to be revoked later.
    Kept(Error),
    /// The issuer does not revoke them.
    Valid(Error),
}

/// The issuer of the login to a server, if there is one.
///
/// # Errors
/// Those of the store.
pub fn issuer(store: &dyn Store, server: &ServerName) -> Result<Option<String>> {
    let own = item::read_token(store, &TokenOwner::remote(server, None).item_name()?)?;
    Ok(own.map(|own| own.issuer))
}

/// Revokes the tokens of another program at the issuer of the login to this server.
///
/// # Errors
/// `login-needed` without a login; `oauth-failed` if the tokens are of another issuer; those of the store,
/// if they cannot be kept.
pub fn revoke(
    dirs: &Dirs,
    store: &dyn Store,
    keys: &Keys,
    server: &ServerName,
    token: ForeignToken,
) -> Result<ForeignEnd> {
    let failed = |code| {
        Error::new(
            code,
            format!("cannot revoke the other tokens of server `{server}`"),
        )
    };
    let own = item::read_token(store, &TokenOwner::remote(server, None).item_name()?)?;
    let own = own.ok_or_else(|| failed(Code::LoginNeeded).cause("nobody has logged in"))?;
    if let Some(other) = token.issuer.as_ref().filter(|other| **other != own.issuer) {
        return Err(failed(Code::OAuthFailed).cause(format!(
            "they are of `{other}`, and you logged in at `{}`",
            own.issuer
        )));
    }
    let foreign = TokenItem {
        client: client(&token),
        access: token.access,
        refresh: token.refresh,
        expires_at: token.expires_at,
        subject: None,
        refreshing: None,
        ..own
    };
    let exchange = network(dirs, store, keys).map(ProcessExchange::new);
    let done =
        exchange.and_then(|exchange| at_issuer(&exchange, &foreign, &ClientCredentials::default()));
    match done {
        Ok(()) => Ok(ForeignEnd::Revoked),
        Err(error) if is_worth_keeping(&error, &foreign, unix_now()) => {
            unrevoked::keep(
                dirs,
                store,
                &TokenOwner::remote(server, None),
                foreign,
                unix_now(),
            )?;
            Ok(ForeignEnd::Kept(error))
        }
        Err(error) => Ok(ForeignEnd::Valid(error)),
    }
}

fn client(token: &ForeignToken) -> OAuthClient {
    let method = match (token.method.as_deref(), &token.client_secret) {
        (_, None) | (Some("none"), _) => AuthMethod::None,
        (Some("client_secret_post"), _) => AuthMethod::ClientSecretPost,
        _ => AuthMethod::ClientSecretBasic,
    };
    OAuthClient {
        id: token.client_id.clone(),
        // Its secret is in the item, as for a client that mcpwrap registered.
        source: ClientSource::Registered,
        method,
        secret: token.client_secret.clone(),
    }
}
