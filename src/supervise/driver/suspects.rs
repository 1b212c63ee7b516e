//! Credentials that a failed call shows as refused by their service. Nothing is retried: the next renewal
//! gets other credentials, if there are any.

use std::sync::Arc;

use jiff::Timestamp;

use super::Driver;
use crate::session::FailureText;
use crate::supervise::generation::Suspicion;
use crate::supervise::pipeline::FailureJudgement;
use crate::supervise::shared::{Notice, spawn_detached};

impl Driver {
    /// A call failed: finds out in a thread whether that is because of the credentials.
    pub(super) fn judge(&mut self, generation: u32, failure: FailureText) {
        let (pipeline, shared) = (Arc::clone(&self.pipeline), Arc::clone(&self.shared));
        let Some(server) = self.generation_mut(generation) else {
            return;
        };
        if server.injected.is_empty() || !server.suspicion.begin() {
            return;
        }
        let injected = server.injected.clone();
        spawn_detached(move || {
            let judgement = pipeline.judge_failure(&failure, &injected);
            shared.post(Notice::Judged {
                generation,
                judgement,
            });
        });
    }

    pub(super) fn judged(&mut self, generation: u32, judgement: FailureJudgement) {
        let is_current = self.state.current() == Some(generation);
        let Some(server) = self.generation_mut(generation) else {
            return;
        };
        if server
            .suspicion
            .end(judgement, is_current, Timestamp::now())
        {
            self.replace_credentials(generation);
        }
    }
}

impl Suspicion {
    /// Whether a failure is looked at: one at a time, until one says that the credentials were refused.
    fn begin(&mut self) -> bool {
        let is_first = *self == Self::None;
        if is_first {
            *self = Self::Asked;
        }
        is_first
    }

    /// Takes what was found out. Returns whether other credentials are wanted: not for a server that has
    /// lost the session since.
    fn end(&mut self, judgement: FailureJudgement, is_current: bool, now: Timestamp) -> bool {
        *self = match judgement {
            FailureJudgement::Other => Self::None,
            FailureJudgement::Refused | FailureJudgement::Replaceable => Self::Since(now),
        };
        is_current && judgement == FailureJudgement::Replaceable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn one_failure_at_a_time_until_the_credentials_are_refused() {
        let mut suspicion = Suspicion::None;
        assert!(suspicion.begin());
        assert!(!suspicion.begin(), "another one is looked at");
        assert!(!suspicion.end(FailureJudgement::Other, true, NOW));
        assert!(suspicion.begin(), "it was about something else");
        assert!(!suspicion.end(FailureJudgement::Refused, true, NOW));
        assert_eq!(suspicion, Suspicion::Since(NOW));
        assert!(!suspicion.begin(), "it is known");
    }

    #[test]
    fn only_the_server_with_the_session_gets_other_credentials() {
        for (judgement, is_current, wants) in [
            (FailureJudgement::Replaceable, true, true),
            (FailureJudgement::Replaceable, false, false),
            (FailureJudgement::Refused, true, false),
            (FailureJudgement::Other, true, false),
        ] {
            let mut suspicion = Suspicion::Asked;
            let wanted = suspicion.end(judgement, is_current, NOW);
            assert_eq!(wanted, wants, "{judgement:?} {is_current}");
        }
    }
}
