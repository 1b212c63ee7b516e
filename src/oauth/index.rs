//! The index of OAuth tokens, `oauth.toml`: facts about each, without the token.
//!
//! `ps`, `check` and `secret list` read it without the store. Sessions watch it: `generation` grows
//! with every change.
//!
//! Invariants: it contains no token. It is changed under a lock and replaced atomically. It is not
//! trusted: what is sent where is in the store.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::item::TokenItem;
use super::owner::TokenOwner;
use super::scope::ScopeSet;
use crate::dirs::Dirs;
use crate::error::{Code, Result};
use crate::files::Problem;
use crate::secret::SecretName;
use crate::store::{read_facts, update_locked};

/// All tokens and registrations of this user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OAuthIndex {
    /// Grows with every change.
    pub generation: u64,
    /// Keyed by the name of the item.
    pub tokens: BTreeMap<SecretName, TokenRow>,
    pub registrations: BTreeMap<SecretName, RegistrationRow>,
    /// Tokens that were removed and may still be valid at their issuer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unrevoked: BTreeMap<SecretName, UnrevokedRow>,
}

/// Facts about one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    #[serde(flatten)]
    pub owner: TokenOwner,
    pub issuer: String,
    pub client_id: String,
    pub scope: ScopeSet,
    /// Seconds of Unix time.
    pub obtained_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// That of the token.
    pub generation: u64,
    /// Whether it can be renewed without the user.
    pub renewable: bool,
    /// The last refresh that failed: when, and the code of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<RefreshFailure>,
    /// Scopes that the server asked for since the login.
    #[serde(default, skip_serializing_if = "ScopeSet::is_empty")]
    pub wanted: ScopeSet,
}

/// A refresh that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshFailure {
    /// Seconds of Unix time.
    pub at: i64,
    pub code: String,
}

/// Facts about a token that is still to be revoked at its issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnrevokedRow {
    #[serde(flatten)]
    pub owner: TokenOwner,
    pub issuer: String,
    /// When it was removed; seconds of Unix time.
    pub since: i64,
    /// The last try; seconds of Unix time.
    pub tried_at: i64,
    /// How often it was tried again.
    pub tries: u32,
}

/// Facts about a registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationRow {
    pub issuer: String,
    pub client_id: String,
    pub redirect: String,
}

/// After a failure, and after a refusal by the server: one refresh in this time (seconds).
const PAUSE: i64 = 30;

/// Whether what was at this time is not long ago. Seconds of Unix time.
pub fn is_recent(at: i64, now: i64) -> bool {
    (0..PAUSE).contains(&now.saturating_sub(at))
}

impl OAuthIndex {
    /// The path of the file, for those that watch it.
    pub fn path(dirs: &Dirs) -> PathBuf {
        dirs.oauth_index()
    }

    /// Reads the index. A missing or damaged one is empty: it is written again from the store.
    ///
    /// # Errors
    /// `file-unusable`, `file-not-private`.
    pub fn load(dirs: &Dirs) -> Result<Self> {
        let path = Self::path(dirs);
        read_facts(&path, &|problem| {
            let what = "cannot read the index of OAuth tokens";
            problem.explain(Code::FileUnusable, what, &dirs.tilde(&path))
        })
    }

    /// Changes the index under its lock and increments the generation.
    ///
    /// # Errors
    /// `file-unusable`, `file-not-private`.
    pub fn update<T>(dirs: &Dirs, change: impl FnOnce(&mut Self) -> T) -> Result<T> {
        let path = Self::path(dirs);
        let shown = dirs.tilde(&path);
        let failed = |problem: Problem| {
            problem.explain(
                Code::FileUnusable,
                "cannot write the index of OAuth tokens",
                &shown,
            )
        };
        let load = || Self::load(dirs);
        update_locked(&path, &failed, load, |index| {
            index.generation += 1;
            change(index)
        })
    }

    /// Records that a refresh failed. The same failure is recorded once in a while only: each change wakes
    /// the sessions that wait for a token, and what they do may fail again.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn note_failure(dirs: &Dirs, name: &SecretName, failure: RefreshFailure) -> Result<()> {
        let index = Self::load(dirs)?;
        let Some(row) = index.tokens.get(name) else {
            return Ok(());
        };
        let is_known = row
            .failed
            .as_ref()
            .is_some_and(|known| known.code == failure.code && is_recent(known.at, failure.at));
        if is_known {
            return Ok(());
        }
        Self::update(dirs, |index| {
            if let Some(row) = index.tokens.get_mut(name) {
                row.failed = Some(failure);
            }
        })
    }

    /// The token of this owner.
    pub fn find(&self, owner: &TokenOwner) -> Option<&TokenRow> {
        let mut rows = self.tokens.values();
        rows.find(|row| row.owner == *owner)
    }

    /// Records a token. What the server asked for in the meantime is kept if the token lacks it.
    pub fn note(
        &mut self,
        name: &SecretName,
        owner: TokenOwner,
        item: &TokenItem,
        renewable: bool,
    ) {
        let wanted = self.tokens.get(name).map(|row| row.wanted.clone());
        let row = TokenRow {
            owner,
            issuer: item.issuer.clone(),
            client_id: item.client.id.clone(),
            scope: item.scope.clone(),
            obtained_at: item.obtained_at,
            expires_at: item.expires_at,
            generation: item.generation,
            renewable,
            failed: None,
            wanted: wanted
                .filter(|wanted| !wanted.is_within(&item.scope))
                .unwrap_or_default(),
        };
        self.tokens.insert(name.clone(), row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_counts_and_damage_is_no_obstacle() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        assert_eq!(OAuthIndex::load(&dirs).unwrap(), OAuthIndex::default());
        let name: SecretName = "oauth-client/x".parse().unwrap();
        OAuthIndex::update(&dirs, |index| {
            let row = RegistrationRow {
                issuer: "https://as.example".into(),
                client_id: "c1".into(),
                redirect: "http://127.0.0.1:1/callback".into(),
            };
            index.registrations.insert(name.clone(), row);
        })
        .unwrap();
        OAuthIndex::update(&dirs, |_| ()).unwrap();
        let index = OAuthIndex::load(&dirs).unwrap();
        assert_eq!((index.generation, index.registrations.len()), (2, 1));
        crate::files::replace(&OAuthIndex::path(&dirs), b"damaged").unwrap();
        assert_eq!(OAuthIndex::load(&dirs).unwrap(), OAuthIndex::default());
    }

    #[test]
    fn the_same_failure_changes_nothing_for_a_while() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let name: SecretName = "oauth/s".parse().unwrap();
        let note = |at, code: &str| {
            let code = code.to_owned();
            OAuthIndex::note_failure(&dirs, &name, RefreshFailure { at, code }).unwrap();
            OAuthIndex::load(&dirs).unwrap().generation
        };
        assert_eq!(note(100, "a"), 0, "there is no such token");
        let row = TokenRow {
            owner: TokenOwner::remote(&crate::secret::ServerName::new("s").unwrap(), None),
            issuer: "https://as.example".into(),
            client_id: "c1".into(),
            scope: ScopeSet::default(),
            obtained_at: 0,
            expires_at: None,
            generation: 1,
            renewable: true,
            failed: None,
            wanted: ScopeSet::default(),
        };
        OAuthIndex::update(&dirs, |index| index.tokens.insert(name.clone(), row)).unwrap();
        assert_eq!([note(100, "a"), note(100, "a"), note(129, "a")], [2, 2, 2]);
        assert_eq!([note(130, "a"), note(131, "b"), note(131, "b")], [3, 4, 4]);
        assert_eq!(note(90, "b"), 5, "the clock was set back");
    }
}
