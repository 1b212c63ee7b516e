//! Logs out of a remote server: revokes its tokens at their issuer and removes them here.

use super::actor::Actor;
use crate::audit::{Detail, Log};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::oauth::later;
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

/// Logs out, and records it. `None` if there is no token.
///
/// # Errors
/// Those of the store; `audit-unwritable`. What fails at the issuer is in the result.
pub fn logout(
    dirs: &Dirs,
    config: &Config,
    server: &ServerName,
    profile: Option<&ProfileName>,
) -> Result<Option<RevokedToken>> {
    let store = store::open(dirs, config, Prompt::Allowed)?;
    let keys = store::keys(&*store)?;
    let Some(done) = revoke(dirs, &*store, &keys, server, profile)? else {
        return Ok(None);
    };
    let detail = Detail {
        host: Some(done.issuer.clone()),
        ..Actor::unasked().detail()
    };
    Log::open(dirs, Some(&keys))?.append(&[done.record().detail(detail)])?;
    Ok(Some(done))
}
