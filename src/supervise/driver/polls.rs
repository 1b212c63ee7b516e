//! Asks stores from time to time whether the values of the current server have changed.

use std::sync::Arc;
use std::time::Instant;

use super::Driver;
use crate::error::Result;
use crate::supervise::shared::{Notice, spawn_detached};

impl Driver {
    /// Asks the stores if it is time to. Returns when the next time is.
    pub(super) fn mind_polls(&mut self) -> Option<Instant> {
        let current = self.state.current()?;
        let (pipeline, shared) = (Arc::clone(&self.pipeline), Arc::clone(&self.shared));
        let is_renewing = self.state.is_renewing();
        let server = self.generation_mut(current)?;
        let clock = server.poll.as_mut()?;
        let now = Instant::now();
        if let Some(next) = clock.next().filter(|next| *next > now) {
            return Some(next);
        }
        // The end of a renewal is an event, and the new server has a clock of its own.
        if is_renewing || !clock.begin() {
            return None;
        }
        let injected = server.injected.clone();
        spawn_detached(move || {
            let result = pipeline.has_changed(&injected);
            shared.post(Notice::Polled {
                generation: current,
                result,
            });
        });
        None
    }

    /// Takes the answers of the stores.
    pub(super) fn polled(&mut self, generation: u32, result: Result<bool>) {
        let is_current = self.state.current() == Some(generation);
        let Some(clock) = self
            .generation_mut(generation)
            .and_then(|server| server.poll.as_mut())
        else {
            return;
        };
        clock.end();
        match result {
            Ok(true) if is_current => self.replace_credentials(generation),
            Ok(_) => {}
            Err(error) => tracing::warn!("cannot ask the stores for changes: {}", error.text()),
        }
    }
}
