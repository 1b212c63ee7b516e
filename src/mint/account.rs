//! Tokens of accounts: those of `[mint.NAME]` with `type = "oauth"`. The store owns them, and all sessions
//! share them (see [`crate::oauth`]); a run only remembers which one each of its servers has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::access::MadeCredential;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::host;
use crate::oauth::index::{OAuthIndex, TokenRow};
use crate::oauth::owner::TokenOwner;
use crate::oauth::place::{TokenPlace, login_needed};
use crate::oauth::token;
use crate::policy::{OAuthMint, Policy};
use crate::secret::MintName;
use crate::store::Store;
use crate::store::source::{MintLife, Minted};

/// How long a start waits for a new token: less than a client waits for its first answer.
const LIMIT: Duration = Duration::from_millis(6500);

/// The tokens that the servers of this run have.
#[derive(Debug, Default)]
pub(super) struct AccountTokens(Mutex<BTreeMap<MintName, TokenInUse>>);

/// See [`AccountTokens`].
#[derive(Debug)]
struct TokenInUse {
    owner: TokenOwner,
    generation: u64,
    /// Gone with the server.
    holder: Weak<()>,
    /// Its service refused it.
    is_rejected: bool,
}

impl AccountTokens {
    fn all(&self) -> MutexGuard<'_, BTreeMap<MintName, TokenInUse>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token for a server, refreshed if it is not good for a while.
    ///
    /// # Errors
    /// Those of [`token::current`].
    pub(super) fn take(
        &self,
        (dirs, store): (&Dirs, &dyn Store),
        policy: &Policy,
        (name, oauth): (&MintName, &OAuthMint),
    ) -> Result<MadeCredential> {
        let owner = TokenOwner {
            mint: Some(name.clone()),
            ..TokenOwner::remote(&policy.server, policy.profile.as_ref())
        };
        let place = TokenPlace::of(dirs, store, policy, &owner)?;
        let deadline = Instant::now() + LIMIT;
        let (in_use, is_rejected) = match self.all().get(name) {
            Some(known) => {
                let is_held = known.holder.strong_count() > 0;
                (
                    is_held.then_some(known.generation),
                    known.is_rejected.then_some(known.generation),
                )
            }
            None => (None, None),
        };
        let token = match is_rejected {
            Some(generation) => token::renew(&place, generation, deadline)?,
            None => token::current(&place, in_use, deadline)?,
        };
        let holder = Arc::new(());
        let one = TokenInUse {
            owner,
            generation: token.generation,
            holder: Arc::downgrade(&holder),
            is_rejected: false,
        };
        self.all().insert(name.clone(), one);
        let now = Timestamp::now().as_second();
        let left = token.expires_at.map(|end| end.saturating_sub(now));
        Ok(MadeCredential {
            minted: Minted {
                fields: BTreeMap::from([(OAuthMint::FIELD.to_owned(), token.access)]),
                life: MintLife {
                    seconds: left.map(|left| u64::try_from(left).unwrap_or(0)),
                    is_extendable: false,
                },
                handle: None,
                granted: vec![("scope".to_owned(), token.scope.to_string())],
            },
            by: shown(oauth),
            maker: None,
            holder,
        })
    }

    /// A service refused these credentials: the next token is a refreshed one.
    pub(super) fn reject(&self) {
        for token in self.all().values_mut() {
            token.is_rejected = true;
        }
    }

    /// Whether a server has a token that was replaced or removed.
    pub(super) fn is_outdated(&self, dirs: &Dirs) -> bool {
        let all = self.all();
        let mut held = all.values().filter(|one| one.holder.strong_count() > 0);
        let is_newer =
            |row: Option<&TokenRow>, generation| row.is_none_or(|row| row.generation > generation);
        OAuthIndex::load(dirs)
            .is_ok_and(|index| held.any(|one| is_newer(index.find(&one.owner), one.generation)))
    }

    /// Whether the tokens that this run had are still there.
    ///
    /// # Errors
    /// `login-needed` if the user logged out.
    pub(super) fn check(&self, dirs: &Dirs, policy: &Policy) -> Result<()> {
        let all = self.all();
        if all.is_empty() {
            return Ok(());
        }
        let index = OAuthIndex::load(dirs)?;
        for (name, rules) in policy.used_mints() {
            if let (Some(one), Some(oauth)) = (all.get(name), rules.oauth())
                && oauth.rules.needs_user()
                && index.find(&one.owner).is_none()
            {
                return Err(login_needed(&one.owner, "its token was removed"));
            }
        }
        Ok(())
    }
}

fn shown(oauth: &OAuthMint) -> String {
    let issuer = oauth.rules.issuer.as_deref().unwrap_or_default();
    format!("`{}`", host::of_url(issuer).unwrap_or(issuer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::oauth::scope::ScopeSet;
    use crate::policy::load::parse_text;

    /// A run that has the token of this generation, in a server that lives as long as `holder`.
    fn run(owner: &TokenOwner, generation: u64, holder: &Arc<()>) -> AccountTokens {
        let one = TokenInUse {
            owner: owner.clone(),
            generation,
            holder: Arc::downgrade(holder),
            is_rejected: false,
        };
        let name = owner.mint.clone().unwrap();
        AccountTokens(Mutex::new(BTreeMap::from([(name, one)])))
    }

    fn row(owner: &TokenOwner, generation: u64) -> TokenRow {
        TokenRow {
            owner: owner.clone(),
            issuer: "https://as.example".into(),
            client_id: "c1".into(),
            scope: ScopeSet::default(),
            obtained_at: 0,
            expires_at: None,
            generation,
            renewable: true,
            failed: None,
            wanted: ScopeSet::default(),
        }
    }

    fn policy(more: &str) -> Policy {
        let text = format!(
            "version = 1\ncommand = [\"/bin/true\"]\n[secrets.T]\nfrom = \"mint:m\"\n[mint.m]\ntype = \"oauth\"\n\
             issuer = \"https://as.example\"\nscopes = [\"read\"]\n{more}"
        );
        parse_text(&text).unwrap()
    }

    #[test]
    fn a_token_that_was_replaced_or_removed_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let owner = TokenOwner::of_policy(&policy("")).remove(0);
        let name = owner.item_name().unwrap();
        let note = |generation| {
            let change =
                |index: &mut OAuthIndex| index.tokens.insert(name.clone(), row(&owner, generation));
            OAuthIndex::update(&dirs, change).unwrap();
        };
        let holder = Arc::new(());
        let tokens = run(&owner, 4, &holder);
        note(4);
        assert!(!tokens.is_outdated(&dirs));
        assert!(run(&owner, 3, &holder).is_outdated(&dirs));
        note(5);
        assert!(tokens.is_outdated(&dirs));
        OAuthIndex::update(&dirs, |index| index.tokens.clear()).unwrap();
        assert!(tokens.is_outdated(&dirs));
        drop(holder);
        assert!(!tokens.is_outdated(&dirs), "no server has it anymore");
    }

    #[test]
    fn only_a_person_has_to_log_in_again() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        let person = policy("");
        let owner = TokenOwner::of_policy(&person).remove(0);
        let tokens = run(&owner, 1, &Arc::new(()));
        let error = tokens.check(&dirs, &person).unwrap_err();
        assert_eq!(error.code, Code::LoginNeeded);
        let machine = policy(
            "grant = \"client-credentials\"\nclient_id = \"c\"\nclient_secret = \"secret:a/b\"\n",
        );
        assert!(tokens.check(&dirs, &machine).is_ok());
        assert!(AccountTokens::default().check(&dirs, &person).is_ok());
    }
}
