//! All timers of a session in one map. The driver waits for the first one, so none can be
//! forgotten.

use std::collections::BTreeMap;
use std::time::Instant;

/// The names of the timers. Each is set at most once; those due at the same time are handled in
/// this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next step to end this server.
    Ladder(u32),
    /// The end of the wait for the output of this exited server.
    Output(u32),
    /// The time limit of the candidate's stage.
    Candidate,
    /// The end of the wait for a launch after the client left.
    Abort,
    /// The end of the wait for the first line of a client whose server exited.
    FirstWord,
    /// The restart of a crashed server.
    Restart,
    /// The release of memory after a launch.
    Trim,
    /// The next look at the files.
    Check,
}

#[derive(Debug, Default)]
pub(super) struct Timers(BTreeMap<Timer, Instant>);

impl Timers {
    /// Sets a timer; replaces the one of the same name.
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.0.insert(timer, at);
    }

    /// Returns whether it was set.
    pub(super) fn cancel(&mut self, timer: Timer) -> bool {
        self.0.remove(&timer).is_some()
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0.contains_key(&timer)
    }

    /// Removes and returns the first due timer, in the order of the names.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let timer = *self.0.iter().find(|(_, at)| **at <= now)?.0;
        self.0.remove(&timer);
        Some(timer)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }
}
