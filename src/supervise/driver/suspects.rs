//! Credentials that a failed call shows as refused by their service. Nothing is retried: the next renewal
//! gets other credentials, if there are any.

use std::sync::Arc;

use super::Driver;
use crate::session::FailureText;
use crate::supervise::generation::Suspicion;
use crate::supervise::pipeline::FailureJudgement;
use crate::supervise::shared::{Notice, spawn_detached};

impl Driver {
    /// A call failed: finds out in a thread whether that is because of the credentials. One answer at a
    /// time, until one says so.
    pub(super) fn judge(&mut self, generation: u32, failure: FailureText) {
        let (pipeline, shared) = (Arc::clone(&self.pipeline), Arc::clone(&self.shared));
        let Some(server) = self.generation_mut(generation) else {
            return;
        };
        if server.injected.is_empty() || server.suspicion != Suspicion::None {
            return;
        }
        server.suspicion = Suspicion::Asked;
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
        server.suspicion = match judgement {
            FailureJudgement::Other => Suspicion::None,
            FailureJudgement::Refused | FailureJudgement::Replaceable => {
                Suspicion::Since(jiff::Timestamp::now())
            }
        };
        if is_current && judgement == FailureJudgement::Replaceable {
            self.replace_credentials(generation);
        }
    }
}
