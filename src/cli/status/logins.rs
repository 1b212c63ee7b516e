//! The OAuth tokens of remote servers and of mints, as `mcpwrap status` shows them.

use jiff::Timestamp;
use serde::Serialize;

use crate::oauth::health::TokenHealth;
use crate::oauth::index::{OAuthIndex, TokenRow};
use crate::oauth::scope::ScopeSet;
use crate::secret::{MintName, ProfileName, ServerName};

/// One token; `docs/secrets.md` describes the JSON.
#[derive(Serialize)]
pub(super) struct LoginStatus {
    server: ServerName,
    profile: Option<ProfileName>,
    /// The mint of a local server that the token is for.
    mint: Option<MintName>,
    /// Whose it is, in lines.
    #[serde(skip)]
    shown: String,
    issuer: String,
    state: &'static str,
    /// The code of the refresh that failed.
    error: Option<String>,
    /// Scopes that the server asked for since the login.
    wanted: ScopeSet,
    expires_at: Option<Timestamp>,
    renewable: bool,
    /// The command that obtains a new token, if that is needed.
    fix: Option<String>,
}

/// All tokens of the index.
pub(super) fn logins(index: &OAuthIndex, now: i64) -> Vec<LoginStatus> {
    index.tokens.values().map(|row| login(row, now)).collect()
}

fn login(row: &TokenRow, now: i64) -> LoginStatus {
    let health = row.health(now);
    let error = match health {
        TokenHealth::Failed(code) | TokenHealth::Refused(code) => Some(code.to_owned()),
        _ => None,
    };
    let is_good = health == TokenHealth::Good && row.wanted.is_empty();
    LoginStatus {
        server: row.owner.server.clone(),
        profile: row.owner.profile.clone(),
        mint: row.owner.mint.clone(),
        shown: row.owner.brief(),
        issuer: row.issuer.clone(),
        state: health.name(),
        error,
        wanted: row.wanted.clone(),
        expires_at: row
            .expires_at
            .and_then(|end| Timestamp::from_second(end).ok()),
        renewable: row.renewable,
        fix: (!is_good).then(|| row.owner.login_command()),
    }
}

/// The lines of the logins.
pub(super) fn lines(logins: &[LoginStatus]) -> Vec<String> {
    logins.iter().map(line).collect()
}

fn line(login: &LoginStatus) -> String {
    let profile = login.profile.as_ref();
    let profile = profile.map_or_else(String::new, |profile| format!(" (profile {profile})"));
    let date = login.expires_at.map_or_else(String::new, |at| {
        let at = at.to_zoned_datetime(jiff::tz::TimeZone::system());
        format!(" on {}", at.date())
    });
    let error = login.error.as_deref().unwrap_or_default();
    let mut text = match login.state {
        "ok" if login.renewable => "refreshed when needed".to_owned(),
        "ok" => "valid".to_owned(),
        "ended" => format!("expired{date}"),
        "ends" => format!("expires{date}"),
        "refresh-failed" => format!("the last refresh failed ({error})"),
        _ => format!("the refresh was refused ({error})"),
    };
    if !login.wanted.is_empty() {
        text.extend([format!(", lacks {}", login.wanted)]);
    }
    if let Some(fix) = &login.fix {
        text.extend([format!(": run `{fix}`")]);
    }
    format!("{}{profile} by {}: {text}", login.shown, login.issuer)
}

/// One token that was removed and may still be valid at its issuer.
#[derive(Serialize)]
pub(super) struct UnrevokedStatus {
    server: ServerName,
    profile: Option<ProfileName>,
    mint: Option<MintName>,
    #[serde(skip)]
    shown: String,
    issuer: String,
    /// When it was removed.
    since: Option<Timestamp>,
}

/// The tokens that are still to be revoked.
pub(super) fn unrevoked(index: &OAuthIndex) -> Vec<UnrevokedStatus> {
    let rows = index.unrevoked.values();
    rows.map(|row| UnrevokedStatus {
        server: row.owner.server.clone(),
        profile: row.owner.profile.clone(),
        mint: row.owner.mint.clone(),
        shown: row.owner.brief(),
        issuer: row.issuer.clone(),
        since: Timestamp::from_second(row.since).ok(),
    })
    .collect()
}

/// The lines of these tokens.
pub(super) fn unrevoked_lines(all: &[UnrevokedStatus]) -> Vec<String> {
    let line = |one: &UnrevokedStatus| {
        let since = one.since.map_or_else(String::new, |at| {
            let at = at.to_zoned_datetime(jiff::tz::TimeZone::system());
            format!(" since {}", at.date())
        });
        format!(
            "a token of {}{since}: {} did not revoke it yet, `mcpwrap logout {}` tries again",
            one.shown, one.issuer, one.server
        )
    };
    all.iter().map(line).collect()
}
