//! The servers of the model world.

use std::time::Instant;

use super::world::ModelWorld;
use crate::supervise::state::{Action, ShutdownStep};

/// A server of the model world.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a made-up world"
)]
#[derive(Debug)]
pub(super) struct ModelProcess {
    pub has_stdin: bool,
    pub stopped_at: Option<Instant>,
    pub is_killed: bool,
    pub is_exited: bool,
    pub is_gone: bool,
    pub is_reaped: bool,
    /// It had the session once.
    pub had_session: bool,
}

impl ModelProcess {
    pub(super) const fn new() -> Self {
        Self {
            has_stdin: true,
            stopped_at: None,
            is_killed: false,
            is_exited: false,
            is_gone: false,
            is_reaped: false,
            had_session: false,
        }
    }
}

impl ModelWorld {
    pub(super) fn process(&mut self, generation: u32) -> &mut ModelProcess {
        self.processes
            .get_mut(&generation)
            .expect("a server that was launched")
    }

    pub(super) fn act_on_process(&mut self, action: &Action) {
        match *action {
            Action::CloseStdin { generation } => {
                let now = self.now;
                let process = self.process(generation);
                process.has_stdin = false;
                process.stopped_at = Some(now);
            }
            Action::Stop { generation, step } => {
                assert!(
                    !self.process(generation).has_stdin,
                    "stopped with an open stdin"
                );
                self.process(generation).is_killed |= step == ShutdownStep::Kill;
            }
            Action::Reap { generation, .. } => {
                let process = self.process(generation);
                assert!(process.is_gone && !process.is_reaped, "{process:?}");
                process.is_reaped = true;
                process.has_stdin = false;
                if self.holder == Some(generation) {
                    self.holder = None;
                }
            }
            _ => {}
        }
    }
}
