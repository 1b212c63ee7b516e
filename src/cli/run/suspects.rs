//! What a failed call says about the credentials of its server.

use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::LaunchPipeline;
use crate::catalog;
use crate::launch::injected::Injected;
use crate::policy::Policy;
use crate::session::FailureText;
use crate::supervise::{FailureJudgement, Pipeline as _};
use crate::suspects::SuspectIndex;

/// What a JSON-RPC error says when a service refused the credentials, in lower case. A tool's result may
/// quote anybody, so only the words of the catalog for this server count there.
const WORDS: &[&str] = &[
    "401",
    "unauthorized",
    "unauthenticated",
    "bad credentials",
    "invalid credentials",
    "invalid_token",
    "invalid token",
    "token expired",
    "token_expired",
    "token has expired",
    "expired token",
    "invalid_auth",
    "invalid api key",
    "invalid_api_key",
    "authentication failed",
];

/// Other credentials are looked for once in this time: stores count what they are asked.
const PAUSE: Duration = Duration::from_mins(10);

impl LaunchPipeline {
    /// See [`crate::supervise::Pipeline::judge_failure`].
    pub(super) fn judge(&self, failure: &FailureText, injected: &[Injected]) -> FailureJudgement {
        let Ok(policy) = self.load() else {
            return FailureJudgement::Other;
        };
        let is_refusal =
            failure.has_any(own_words(&policy)) || !failure.is_of_tool && failure.has_any(WORDS);
        if !is_refusal {
            return FailureJudgement::Other;
        }
        if let Err(error) = SuspectIndex::note(&self.dirs, &self.server, injected) {
            tracing::warn!("{}", error.text());
        }
        if self.has_others(&policy, injected) {
            FailureJudgement::Replaceable
        } else {
            FailureJudgement::Refused
        }
    }

    fn asked_others(&self) -> MutexGuard<'_, Option<Instant>> {
        self.asked_others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the stores have other values now, or others can be made.
    fn has_others(&self, policy: &Policy, injected: &[Injected]) -> bool {
        {
            let mut asked = self.asked_others();
            if asked.is_some_and(|at| at.elapsed() < PAUSE) {
                return false;
            }
            *asked = Some(Instant::now());
        }
        if policy.used_mints().next().is_some() {
            self.mints.reject_tokens();
            return true;
        }
        let prepared = self.prepare(true);
        prepared.is_ok_and(|prepared| prepared.env.injected() != injected)
    }

    /// Forgets refusals of values that this server no longer gets.
    pub(super) fn forget_suspects(&self, injected: &[Injected]) {
        if let Err(error) = SuspectIndex::keep_only(&self.dirs, &self.server, injected) {
            tracing::warn!("{}", error.text());
        }
    }
}

/// What the catalog says that this server answers.
fn own_words(policy: &Policy) -> &'static [String] {
    catalog::of_policy(policy).map_or(&[], |known| &known.refused)
}
