//! Revokes tokens at their authorization server.

use jiff::Timestamp;

use super::client::ClientCredentials;
use super::endpoint::IssuerAccess;
use super::exchange::Exchange;
use super::item::TokenItem;
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
    let now = Timestamp::now().as_second();
    let access = IssuerAccess::of(item, exchange, credentials, now);
    let refresh = item.refresh.as_ref().map(SecretText::as_str);
    let refreshed = refresh.map_or(Ok(()), |token| access.revoke(token, "refresh_token"));
    if item.is_over(now) {
        return refreshed;
    }
    refreshed.and(access.revoke(item.access.as_str(), "access_token"))
}
