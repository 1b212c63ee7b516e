//! Ctrl-C during long work: noticed between two steps, so that none is left half done; or with a last word
//! before it ends the process.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, PipeWriter, Read as _};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, raise};

use crate::sys;
use crate::sys::signal::{self, Collecting};

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

/// Something that is said before Ctrl-C ends the process, whatever the process waits for then.
#[derive(Debug)]
pub(super) struct LastWords {
    thread: Option<JoinHandle<()>>,
    /// Its end stops the thread.
    stop: Option<PipeWriter>,
}

impl LastWords {
    /// From now on until this is dropped, `say` is called first. If that is not possible, Ctrl-C does what
    /// it did.
    pub(super) fn new(say: impl Fn() + Send + 'static) -> Self {
        let (thread, stop) = Self::start(say).unzip();
        Self { thread, stop }
    }

    fn start(say: impl Fn() + Send + 'static) -> Option<(JoinHandle<()>, PipeWriter)> {
        let (ended, stop) = io::pipe().ok()?;
        let signals = Collecting::start(&[Signal::SIGINT]).ok()?;
        let wait = move || loop {
            let mut ready = [signals.pipe().as_fd(), ended.as_fd()]
                .map(|end| PollFd::new(end, PollFlags::POLLIN));
            // A failure is an interrupted wait.
            sys::ignore(poll(&mut ready, PollTimeout::NONE));
            if signals.next().is_some() {
                say();
                drop(signal::release(&[Signal::SIGINT]));
                sys::ignore(raise(Signal::SIGINT));
            }
            if ready[1].any().unwrap_or(false) {
                return;
            }
        };
        let thread = std::thread::Builder::new().spawn(wait).ok()?;
        Some((thread, stop))
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        drop(self.stop.take());
        // The signal has its former action again when the thread has ended.
        drop(self.thread.take().map(JoinHandle::join));
    }
}
