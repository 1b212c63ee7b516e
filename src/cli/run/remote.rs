//! The part of a launch that is different for a remote server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::LaunchPipeline;
use crate::bridge::channel::Rejection;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::launch::remote::{self, BridgeSources};
use crate::mint::LiveMints;
use crate::network::Network;
use crate::oauth::index::OAuthIndex;
use crate::oauth::owner::TokenOwner;
use crate::oauth::place::TokenPlace;
use crate::oauth::step_up;
use crate::oauth::token::{self, OAuthToken};
use crate::policy::{Policy, Remote};
use crate::secret::{Keys, SecretName};
use crate::store::{self, Prompt, SecretItem, Store};
use crate::supervise::{Prepared, Target};

/// How long a start waits for a new token: less than a client waits for its first answer.
const TOKEN_LIMIT: Duration = Duration::from_millis(6500);
/// When a client that waits since the start has its answer.
const ANSWER_LIMIT: Duration = Duration::from_millis(7500);
/// The shortest wait for a refresh.
const SHORT_LIMIT: Duration = Duration::from_millis(300);

/// What a run knows of the OAuth token of its remote server.
#[derive(Default)]
pub(super) struct TokenState {
    /// The generation of the token in use; 0 without one.
    used: AtomicU64,
    /// The generation of the token that the server refused for good; 0 without one.
    refused: AtomicU64,
    /// When the last refresh began that gave no answer in time.
    late: Mutex<Option<Instant>>,
}

impl LaunchPipeline {
    /// The last steps of a preparation: the settings of the bridge.
    pub(super) fn prepare_remote(
        &self,
        policy: Policy,
        store: &dyn Store,
        (values, mints): (Vec<Result<SecretItem>>, LiveMints),
        (network, proxies): (&Network, Vec<(SecretName, Result<SecretItem>)>),
        keys: &Keys,
    ) -> Result<Prepared> {
        let token = if has_oauth(&policy) {
            self.current_token(store, &policy)?
        } else {
            None
        };
        if let Some(token) = &token
            && let Some(weakness) = token.access.weakness()
        {
            self.say_weak(&format!("`{}`", token.name), weakness);
        }
        let generation = token.as_ref().map_or(0, |token| token.generation);
        self.token.used.store(generation, Ordering::Relaxed);
        let token_expires = token.as_ref().and_then(|token| token.expires_at);
        let sources = BridgeSources {
            values,
            network,
            proxies,
            token,
        };
        let (env, settings) = remote::resolve(&policy, sources, keys)?;
        Ok(Prepared {
            policy,
            env: env.marked(self.mark(keys)),
            mints,
            poll: None,
            target: Target::Remote {
                settings,
                token_expires,
            },
        })
    }

    /// The token, refreshed if it ends soon. If the authorization server cannot be reached, the one
    /// that there is: the first request that is refused asks again.
    fn current_token(&self, store: &dyn Store, policy: &Policy) -> Result<Option<OAuthToken>> {
        let began = Instant::now();
        let place = TokenPlace::new(&self.dirs, store, policy)?;
        match token::current(&place, None, began + TOKEN_LIMIT) {
            Ok(token) if token.generation == self.token.refused.load(Ordering::Relaxed) => {
                Err(place.login_needed("the server refused the token that is stored"))
            }
            Ok(token) => Ok(Some(token)),
            Err(error) if matches!(error.code, Code::OAuthUnreachable | Code::OAuthFailed) => {
                tracing::warn!("{}", error.text());
                *self.late_refresh() = Some(began);
                token::stored(&place)
            }
            Err(error) => Err(error),
        }
    }

    /// Has the token refreshed that the server refused.
    pub(super) fn renew_token(&self, rejection: &Rejection) -> Result<()> {
        let policy = self.load()?;
        if !has_oauth(&policy) {
            return Ok(());
        }
        let server = &policy.server;
        if rejection.status == 403 {
            let more = step_up::remember(&self.dirs, &policy, &rejection.challenge)?;
            let what = format!("server `{server}` does not allow this with the token it got");
            let error = Error::new(Code::CredentialsRefused, what);
            return Err(if more {
                error
                    .cause("it asks for more scopes than were granted at the login")
                    .hint(format!(
                        "run `mcpwrap login {server}` to see and grant them"
                    ))
            } else {
                error.cause("it answered with status 403")
            });
        }
        let used = self.token.used.load(Ordering::Relaxed);
        let deadline = self.refresh_deadline(Instant::now());
        let store = store::open(&self.dirs, &Config::load(&self.dirs)?, Prompt::Never)?;
        let place = TokenPlace::new(&self.dirs, &*store, &policy)?;
        let renewed = token::renew(&place, used, deadline);
        if matches!(&renewed, Err(error) if error.code == Code::LoginNeeded) {
            // A session that waits for a login does not start again with it.
            self.token.refused.store(used, Ordering::Relaxed);
        }
        renewed.map(drop)
    }

    fn late_refresh(&self) -> MutexGuard<'_, Option<Instant>> {
        let late = self.token.late.lock();
        late.unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when a refused request waits. One that has waited at the start waits only for the rest of the time in
    /// which its client gets an answer.
    fn refresh_deadline(&self, now: Instant) -> Instant {
        let late = self.late_refresh().take();
        let late = late.filter(|began| now < *began + ANSWER_LIMIT);
        let rest = late.map(|began| (began + ANSWER_LIMIT).max(now + SHORT_LIMIT));
        rest.map_or(now + TOKEN_LIMIT, |rest| rest.min(now + TOKEN_LIMIT))
    }

    /// Whether the token in use was refreshed by another process, or is gone.
    pub(super) fn is_token_outdated(&self) -> bool {
        let used = self.token.used.load(Ordering::Relaxed);
        used > 0
            && OAuthIndex::load(&self.dirs).is_ok_and(|index| {
                let owner = TokenOwner::remote(&self.server, self.profile.as_ref());
                let row = index.find(&owner);
                row.is_none_or(|row| row.generation > used)
            })
    }
}

fn has_oauth(policy: &Policy) -> bool {
    let remote = policy.remote.as_ref();
    remote.is_some_and(|remote| remote.oauth.is_some())
}

/// The remote server refused credentials that are the current ones.
pub(super) fn refused(prepared: &Prepared, rejection: &Rejection) -> Error {
    let server = &prepared.policy.server;
    let host = prepared
        .policy
        .remote
        .as_ref()
        .map(Remote::host)
        .unwrap_or_default();
    let error = Error::new(
        Code::CredentialsRefused,
        format!("server `{server}` refused the credentials"),
    )
    .cause(format!(
        "`{host}` answered with status {}",
        rejection.status
    ));
    let mut names: Vec<_> = prepared
        .env
        .injected()
        .iter()
        .map(|one| &one.name)
        .collect();
    names.dedup();
    names.into_iter().fold(error, |error, name| {
        error.hint(format!(
            "create a new one with the provider, then run `mcpwrap secret rotate {name}`"
        ))
    })
}
