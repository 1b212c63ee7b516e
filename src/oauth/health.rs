//! What the index says about a token: whether it goes on by itself, and what the user has to do.
//!
//! Pure. The store is not asked, so a token that only the store has counts as missing.

use super::index::TokenRow;

/// An end is reported this long before (seconds).
const SOON: i64 = 14 * 24 * 60 * 60;

/// The state of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenHealth<'a> {
    /// It is valid, or is refreshed when it is needed.
    Good,
    /// It has ended at this time, and cannot be refreshed.
    Ended(i64),
    /// It ends at this time, and cannot be refreshed.
    Ends(i64),
    /// The last refresh failed with this error; the next use tries again.
    Failed(&'a str),
    /// The authorization server refused the refresh token with this error.
    Refused(&'a str),
}

impl TokenHealth<'_> {
    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Ended(_) => "ended",
            Self::Ends(_) => "ends",
            Self::Failed(_) => "refresh-failed",
            Self::Refused(_) => "refresh-refused",
        }
    }
}

impl TokenRow {
    /// The state of the token. `now`: seconds of Unix time.
    pub fn health(&self, now: i64) -> TokenHealth<'_> {
        match (&self.failed, self.expires_at) {
            (Some(failed), _) if self.renewable => TokenHealth::Failed(&failed.code),
            (Some(failed), _) => TokenHealth::Refused(&failed.code),
            (None, Some(end)) if !self.renewable && end <= now => TokenHealth::Ended(end),
            (None, Some(end)) if !self.renewable && end <= now.saturating_add(SOON) => {
                TokenHealth::Ends(end)
            }
            (None, _) => TokenHealth::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::index::RefreshFailure;
    use crate::oauth::owner::TokenOwner;
    use crate::oauth::scope::ScopeSet;
    use crate::secret::ServerName;

    #[test]
    fn only_what_goes_on_by_itself_is_good() {
        let row = |renewable, expires_at, failed: Option<&str>| TokenRow {
            owner: TokenOwner::remote(&ServerName::new("s").unwrap(), None),
            issuer: "https://as.example".into(),
            client_id: "c".into(),
            scope: ScopeSet::default(),
            obtained_at: 0,
            expires_at,
            generation: 1,
            renewable,
            failed: failed.map(|code| RefreshFailure {
                at: 0,
                code: code.into(),
            }),
            wanted: ScopeSet::default(),
        };
        let now = 1_000;
        for (renewable, end, failed, health) in [
            (true, Some(1), None, TokenHealth::Good),
            (false, None, None, TokenHealth::Good),
            (false, Some(now + SOON + 1), None, TokenHealth::Good),
            (false, Some(now + SOON), None, TokenHealth::Ends(now + SOON)),
            (false, Some(now), None, TokenHealth::Ended(now)),
            (true, Some(1), Some("x"), TokenHealth::Failed("x")),
            (false, Some(1), Some("x"), TokenHealth::Refused("x")),
        ] {
            assert_eq!(row(renewable, end, failed).health(now), health);
        }
    }
}
