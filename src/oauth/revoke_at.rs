//! Revokes tokens at their authorization server.

use super::client::ClientCredentials;
use super::endpoint::IssuerAccess;
use super::exchange::Exchange;
use super::item::TokenItem;
use super::renewal::unix_now;
use crate::bridge::channel::SecretText;
use crate::error::Result;

/// Revokes both tokens at their issuer: the refresh token first, which ends both at most servers.
///
/// # Errors
/// `oauth-failed`, `oauth-unreachable`: a token may still be valid.
pub fn at_issuer(
    exchange: &dyn Exchange,
    item: &TokenItem,
    credentials: &ClientCredentials,
) -> Result<()> {
    let access = IssuerAccess::of(item, exchange, credentials, unix_now());
    let refresh = item.refresh.as_ref().map(SecretText::as_str);
    let refreshed = refresh.map_or(Ok(()), |token| access.revoke(token, "refresh_token"));
    if item.is_over(unix_now()) {
        return refreshed;
    }
    refreshed.and(access.revoke(item.access.as_str(), "access_token"))
}
