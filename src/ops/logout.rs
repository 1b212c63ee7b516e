//! Logs out of a remote server: revokes its tokens at their issuer and removes them here.

use std::collections::BTreeSet;

use super::actor::Actor;
use crate::audit::{Detail, Log};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::oauth::index::OAuthIndex;
use crate::oauth::later;
use crate::oauth::owner::TokenOwner;
use crate::oauth::revoke::{RevokedToken, revoke};
use crate::oauth::unrevoked::{RetriedToken, Tries};
use crate::secret::{ProfileName, ServerName};
use crate::store::{self, Prompt};

/// Tries the tokens of earlier logouts that are still to be revoked, and records it.
///
/// # Errors
/// Those of the store; `audit-unwritable`. What fails at an issuer is in the result.
pub fn revoke_kept(dirs: &Dirs, config: &Config, prompt: Prompt) -> Result<Vec<RetriedToken>> {
    later::revoke_kept(dirs, config, prompt, Tries::All)
}

/// Logins of a server with other profiles than this one, one for each.
pub fn of_other_profiles(
    dirs: &Dirs,
    server: &ServerName,
    profile: Option<&ProfileName>,
) -> Result<Vec<TokenOwner>> {
    let index = OAuthIndex::load(dirs)?;
    let rows = index.tokens.into_values().map(|row| row.owner);
    let is_other =
        |owner: &TokenOwner| owner.server == *server && owner.profile.as_ref() != profile;
    let mut others: Vec<_> = rows.filter(is_other).collect();
    others.sort();
    others.dedup_by(|one, other| one.profile == other.profile);
    Ok(others)
}

/// Logs out of a server and of the accounts of its mints, and records it. Empty if there is no token.
///
/// # Errors
/// Those of the store; `audit-unwritable`. What fails at an issuer is in the result.
pub fn logout(
    dirs: &Dirs,
    config: &Config,
    server: &ServerName,
    profile: Option<&ProfileName>,
) -> Result<Vec<RevokedToken>> {
    let store = store::open(dirs, config, Prompt::Allowed)?;
    let keys = store::keys(&*store)?;
    // The token of a remote server is found without a row, too.
    let mut owners = BTreeSet::from([TokenOwner::remote(server, profile)]);
    let index = OAuthIndex::load(dirs)?;
    let rows = index.tokens.into_values().map(|row| row.owner);
    owners
        .extend(rows.filter(|owner| owner.server == *server && owner.profile.as_ref() == profile));
    let (mut all, mut records) = (Vec::new(), Vec::new());
    for owner in owners {
        let Some(done) = revoke(dirs, &*store, &keys, &owner)? else {
            continue;
        };
        let detail = Detail {
            host: Some(done.issuer.clone()),
            ..Actor::unasked().detail()
        };
        records.push(done.record().detail(detail));
        all.push(done);
    }
    if !records.is_empty() {
        Log::open(dirs, Some(&keys))?.append(&records)?;
    }
    Ok(all)
}
