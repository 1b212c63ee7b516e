//! The candidate as data: why it is wanted, and how far it is.

use std::time::Instant;

use super::server::TrackedServer;
use crate::policy::SessionRules;

/// Why a new server is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartCause {
    Start,
    /// A server may run again.
    Grant,
    /// A credential that the session waited for can be had.
    Recover,
    /// A secret has a new value.
    Rotate,
    Crash,
    /// Requested through the control socket.
    Renew,
}

impl StartCause {
    /// The name in the audit log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Grant => "grant",
            Self::Recover => "recover",
            Self::Rotate => "rotate",
            Self::Crash => "crash",
            Self::Renew => "renew",
        }
    }
}

/// A server that may take over.
#[derive(Debug)]
pub(super) struct Candidate {
    pub cause: StartCause,
    pub since: Instant,
    /// The number of its preparation.
    pub attempt: u32,
    pub stage: CandidateStage,
}

#[derive(Debug)]
pub(super) enum CandidateStage {
    /// Its launch is being prepared.
    Preparing,
    /// The current server must be gone before the launch (`renew = "stop-first"`).
    Waiting(SessionRules),
    Launching {
        generation: u32,
        rules: SessionRules,
        step: LaunchStep,
    },
    /// It was started and must answer the handshake.
    Probation(TrackedServer),
    /// It is ready and waits for the last answers of the current server.
    Ready(TrackedServer),
}

/// The current step of a launch. The grant is checked before the record and before the start,
/// because a locked audit log can delay the steps in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaunchStep {
    FirstCheck,
    Record,
    SecondCheck,
    Launch,
}

impl Candidate {
    pub(super) fn server(&self) -> Option<&TrackedServer> {
        match &self.stage {
            CandidateStage::Probation(server) | CandidateStage::Ready(server) => Some(server),
            _ => None,
        }
    }

    pub(super) fn server_mut(&mut self) -> Option<&mut TrackedServer> {
        match &mut self.stage {
            CandidateStage::Probation(server) | CandidateStage::Ready(server) => Some(server),
            _ => None,
        }
    }

    pub(super) const fn rules(&self) -> Option<SessionRules> {
        match &self.stage {
            CandidateStage::Launching { rules, .. } => Some(*rules),
            _ => None,
        }
    }

    pub(super) const fn is_preparing(&self) -> bool {
        matches!(self.stage, CandidateStage::Preparing)
    }

    /// Whether the current server is about to lose the session to it.
    pub(super) const fn is_next(&self) -> bool {
        matches!(
            self.stage,
            CandidateStage::Ready(_) | CandidateStage::Waiting(_)
        )
    }
}
