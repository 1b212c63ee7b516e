//! When the stores of a server are asked whether their values have changed.

use std::time::{Duration, Instant};

/// When the stores of a server are asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct PollClock {
    every: Duration,
    /// `None` while they are being asked.
    next: Option<Instant>,
}

impl PollClock {
    /// The first time is after one interval: the start has just asked them.
    pub(super) fn new(every: Duration) -> Self {
        Self {
            every,
            next: Some(Instant::now() + every),
        }
    }

    /// When they are asked next; `None` while they are being asked.
    pub(super) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// They are asked now. `false` if they are being asked already.
    pub(super) const fn begin(&mut self) -> bool {
        self.next.take().is_some()
    }

    /// They have answered.
    pub(super) fn end(&mut self) {
        self.next = Some(Instant::now() + self.every);
    }
}
