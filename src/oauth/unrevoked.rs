//! Tokens that were removed here and may still be valid at their issuer, because it did not answer.
//! They are kept, to be revoked later.
//!
//! Invariants: such an item has a name of its own, which nothing that sends a token to a server reads.
//! It is removed when it was revoked or has ended. One process at a time tries.

use std::fs::{File, TryLockError};

use serde::{Deserialize, Serialize};

use super::client::ClientCredentials;
use super::exchange::Exchange;
use super::index::{OAuthIndex, UnrevokedRow};
use super::item::{self, TokenItem};
use super::owner::TokenOwner;
use super::place::TokenPlace;
use super::revoke_at::at_issuer;
use crate::audit::{Detail, Event, NewRecord, Outcome};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::policy;
use crate::secret::SecretName;
use crate::store::{Store, own_items};

/// Between two tries that nobody asked for: at first, and at most (seconds).
const PAUSE_MIN: i64 = 60;
const PAUSE_MAX: i64 = 24 * 60 * 60;

/// The item of the store.
#[derive(Debug, Serialize, Deserialize)]
struct UnrevokedItem {
    #[serde(flatten)]
    owner: TokenOwner,
    /// When it was removed here; seconds of Unix time.
    since: i64,
    token: TokenItem,
}

/// Which tokens are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tries {
    /// All: the user waits.
    All,
    /// Those whose last try is long enough ago.
    Due,
}

/// One token that was tried again.
#[derive(Debug)]
pub struct RetriedToken {
    pub owner: TokenOwner,
    pub issuer: String,
    /// Seconds of Unix time.
    pub since: i64,
    pub result: Result<()>,
}

impl RetriedToken {
    /// Its audit record; none for a failure, because the token stays what it was.
    pub fn record(&self) -> Option<NewRecord> {
        let detail = Detail {
            host: Some(self.issuer.clone()),
            note: Some("revoked at the issuer later".to_owned()),
            ..Detail::default()
        };
        let record = self.owner.record(Event::Logout, Outcome::Ok);
        let record = record.detail(detail);
        self.result.is_ok().then_some(record)
    }
}

impl UnrevokedRow {
    fn is_tried(&self, tries: Tries, now: i64) -> bool {
        let pause = PAUSE_MAX.min(PAUSE_MIN << self.tries.min(16));
        let ago = now.saturating_sub(self.tried_at);
        // A clock that was set back counts as long ago.
        tries == Tries::All || ago < 0 || ago >= pause
    }
}

/// Whether a token is worth keeping after this error: the issuer may answer later.
pub fn is_worth_keeping(error: &Error, token: &TokenItem, now: i64) -> bool {
    error.code != Code::OAuthFailed
        && token.endpoints.revocation.is_some()
        && !has_ended(token, now)
}

/// Nothing of it is valid anymore. The end of a refresh token is not known.
fn has_ended(token: &TokenItem, now: i64) -> bool {
    token.refresh.is_none() && token.is_over(now)
}

/// Keeps a token that could not be revoked. `now`: seconds of Unix time.
///
/// # Errors
/// Those of the store; `file-unusable`.
pub fn keep(
    dirs: &Dirs,
    store: &dyn Store,
    owner: &TokenOwner,
    token: TokenItem,
    now: i64,
) -> Result<()> {
    let random = files::random_hex().map_err(|error| {
        Error::new(Code::FileUnusable, "cannot create a random number")
            .cause(files::io_text(&error))
    })?;
    let name = SecretName::new(&format!("oauth-revoke/{random}"))?;
    let row = UnrevokedRow {
        owner: owner.clone(),
        issuer: token.issuer.clone(),
        since: now,
        tried_at: now,
        tries: 0,
    };
    let item = UnrevokedItem {
        owner: owner.clone(),
        since: now,
        token,
    };
    item::write(store, &name, &item)?;
    OAuthIndex::update(dirs, |index| index.unrevoked.insert(name, row)).map(drop)
}

/// Whether there is a token to try.
pub fn has_any(dirs: &Dirs, tries: Tries, now: i64) -> bool {
    OAuthIndex::load(dirs)
        .is_ok_and(|index| index.unrevoked.values().any(|row| row.is_tried(tries, now)))
}

/// Tries to revoke the tokens that were kept. Does nothing while another process does.
///
/// # Errors
/// Those of the store; `file-unusable`. What fails at an issuer is in the result.
pub fn retry(
    dirs: &Dirs,
    store: &dyn Store,
    exchange: &Result<&dyn Exchange>,
    tries: Tries,
    now: i64,
) -> Result<Vec<RetriedToken>> {
    let Some(lock) = lock(dirs)? else {
        return Ok(Vec::new());
    };
    let mut done = Vec::new();
    let index = OAuthIndex::load(dirs)?;
    let rows = index.unrevoked.into_iter();
    for (name, row) in rows.filter(|(_, row)| row.is_tried(tries, now)) {
        let found: Option<UnrevokedItem> = item::read(store, &name)?;
        let Some(item) = found.filter(|item| !has_ended(&item.token, now)) else {
            forget(dirs, store, &name)?;
            continue;
        };
        let result = match exchange {
            Ok(exchange) => at_issuer(*exchange, &item.token, &credentials(dirs, store, &item)),
            Err(error) => Err(error.clone()),
        };
        if result.is_ok() {
            forget(dirs, store, &name)?;
        } else {
            OAuthIndex::update(dirs, |index| {
                if let Some(row) = index.unrevoked.get_mut(&name) {
                    row.tried_at = now;
                    row.tries = row.tries.saturating_add(1);
                }
            })?;
        }
        done.push(RetriedToken {
            owner: row.owner,
            issuer: item.token.issuer,
            since: item.since,
            result,
        });
    }
    drop(lock);
    Ok(done)
}

fn forget(dirs: &Dirs, store: &dyn Store, name: &SecretName) -> Result<()> {
    own_items::remove(store, name)?;
    OAuthIndex::update(dirs, |index| index.unrevoked.remove(name)).map(drop)
}

/// Those of the policy's client, if the token was granted to it.
fn credentials(dirs: &Dirs, store: &dyn Store, item: &UnrevokedItem) -> ClientCredentials {
    let found = || {
        let policy = policy::load(dirs, &item.owner.server, item.owner.profile.as_ref()).ok()?;
        let place = TokenPlace::of(dirs, store, &policy, &item.owner).ok()?;
        place.credentials_of(&item.token.client)
    };
    found().unwrap_or_default()
}

/// The lock of all kept tokens, until it is dropped.
struct RetryLock(File);

impl Drop for RetryLock {
    fn drop(&mut self) {
        // A process that another thread is just starting has the file, too, until it executes its program.
        drop(self.0.unlock());
    }
}

/// Takes the lock; `None` if another process has it.
fn lock(dirs: &Dirs) -> Result<Option<RetryLock>> {
    let path = dirs.oauth().join("revoke.lock");
    let shown = dirs.tilde(&path);
    let failed = |problem: Problem| {
        let what = "cannot revoke the tokens that were kept";
        problem.explain(Code::FileUnusable, what, &shown)
    };
    files::ensure_dir(&dirs.oauth()).map_err(failed)?;
    let file = files::open_write(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(RetryLock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(Problem::Io(error))),
    }
}
