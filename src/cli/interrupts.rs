//! Ctrl-C during long work: noticed between two steps, so that none is left half done.

use std::cell::Cell;
use std::fs::File;
use std::io::Read as _;

use nix::sys::signal::Signal;

use crate::sys::signal;

/// The interrupts since this was made.
#[derive(Debug)]
pub(super) struct Interrupts {
    /// None if they cannot be collected: then the first one ends the process.
    pipe: Option<File>,
    seen: Cell<bool>,
}

impl Interrupts {
    /// From now on until this is dropped, Ctrl-C does not end the process.
    pub(super) fn collect() -> Self {
        Self {
            pipe: signal::collect(&[Signal::SIGINT]).ok(),
            seen: Cell::new(false),
        }
    }

    /// Whether there was one.
    pub(super) fn any(&self) -> bool {
        if let Some(mut pipe) = self.pipe.as_ref() {
            // An empty pipe is an error, because it does not block.
            self.seen
                .set(self.seen.get() || pipe.read(&mut [0; 16]).is_ok_and(|bytes| bytes > 0));
        }
        self.seen.get()
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // Without the default action Ctrl-C would be ignored from now on.
        drop(signal::release(&[Signal::SIGINT]));
    }
}
