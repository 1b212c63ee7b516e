//! Every time at which something is due, in one place: what is due first is what the driver waits
//! for, so no timer can be forgotten.

use std::collections::BTreeMap;
use std::time::Instant;

/// What is due at a time. At most one of each name is set. Those that are due at once are handled in
/// this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next step to end this server.
    Ladder(u32),
    /// The output of this ended server is no longer waited for.
    Output(u32),
    /// The limit of the candidate's stage.
    Candidate,
    /// The client left before there was a server.
    Abort,
    /// The client has not said a word to a server that ended.
    FirstWord,
    /// A server that crashed is started again.
    Restart,
    /// What a launch needed of this program is given back.
    Trim,
    /// The files are looked at again.
    Check,
}

#[derive(Debug, Default)]
pub(super) struct Timers(BTreeMap<Timer, Instant>);

impl Timers {
    /// Sets a timer, in place of the one of the same name.
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

    /// Takes out the first that is due, in the order of the names.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let timer = *self.0.iter().find(|(_, at)| **at <= now)?.0;
        self.0.remove(&timer);
        Some(timer)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }
}
