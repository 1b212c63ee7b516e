//! The memory of messages that are not complete yet.
//!
//! Invariant: all of them together stay below the limit of one message, however many streams a server
//! feeds.

use std::cell::Cell;
use std::rc::Rc;

use super::lines::MESSAGE_BYTES_MAX;

/// What is buffered in all streams (bytes).
#[derive(Clone, Debug, Default)]
pub struct Meter(Rc<Cell<usize>>);

/// The part of one stream. Given back when dropped.
#[derive(Debug)]
pub struct MeterShare {
    meter: Meter,
    bytes: usize,
}

impl Meter {
    pub fn share(&self) -> MeterShare {
        MeterShare {
            meter: self.clone(),
            bytes: 0,
        }
    }
}

impl MeterShare {
    /// Sets the size of this part; `false` if all parts together become too large.
    pub fn set(&mut self, bytes: usize) -> bool {
        let others = self.meter.0.get().saturating_sub(self.bytes);
        let all = others.saturating_add(bytes);
        self.meter.0.set(all);
        self.bytes = bytes;
        all <= MESSAGE_BYTES_MAX
    }
}

impl Drop for MeterShare {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_limited_together() {
        let meter = Meter::default();
        let (mut a, mut b) = (meter.share(), meter.share());
        assert!(a.set(MESSAGE_BYTES_MAX));
        assert!(!b.set(1));
        drop(a);
        assert!(b.set(1));
        drop(b);
        assert_eq!(meter.0.get(), 0);
    }
}
