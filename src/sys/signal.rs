//! Signals as bytes in a pipe, so that one `poll` waits for everything.
//!
//! Invariant: the handler is async-signal-safe; it writes one byte to a non-blocking pipe. Signals
//! that cannot be handled (KILL, STOP), that mean a bug (SEGV, …) or that belong to job control
//! keep their default action.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};

/// Signals that end the session: the server gets the same one, then TERM and KILL.
pub const ENDING: &[Signal] = &[
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];
/// Signals that are only forwarded to the server.
pub const FORWARDED: &[Signal] = &[
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
    Signal::SIGCONT,
];

static PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn handler(signal: nix::libc::c_int) {
    let fd = PIPE.load(Ordering::Relaxed);
    let byte = u8::try_from(signal).unwrap_or(0);
    let errno = nix::errno::Errno::last_raw();
    write_byte(fd, byte);
    nix::errno::Errno::set_raw(errno);
}

#[expect(
    unsafe_code,
    reason = "a signal handler may only call async-signal-safe functions"
)]
fn write_byte(fd: i32, byte: u8) {
    // SAFETY: write(2) is async-signal-safe, and the buffer is one byte on this stack. A full pipe
    // already has a byte that wakes the reader.
    unsafe { nix::libc::write(fd, std::ptr::from_ref(&byte).cast(), 1) };
}

/// Gives these signals their default action again.
pub fn release(signals: &[Signal]) -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    signals
        .iter()
        .try_for_each(|signal| set_action(*signal, &default).map(drop))
}

/// Starts to collect these signals; returns the pipe with one byte per signal.
pub fn collect(signals: &[Signal]) -> io::Result<File> {
    let (pipe, _) = new_pipe()?;
    for signal in signals {
        set_action(*signal, &collecting())?;
    }
    unblock_all();
    Ok(pipe)
}

/// The pipe that the handler writes to from now on, and the number of the former one.
fn new_pipe() -> io::Result<(File, i32)> {
    let (reader, writer) = super::fds::pipe()?;
    nonblocking(&reader)?;
    nonblocking(&writer)?;
    // The write end is never closed, because a handler may run at any time.
    let writer = std::os::fd::IntoRawFd::into_raw_fd(writer);
    Ok((File::from(reader), PIPE.swap(writer, Ordering::Relaxed)))
}

/// What a collected signal does.
fn collecting() -> SigAction {
    let handler = SigHandler::Handler(handler);
    SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty())
}

/// Signals that are collected for a while: afterwards each has its former action again.
#[derive(Debug)]
pub struct Collecting {
    pipe: File,
    before: Vec<(Signal, SigAction)>,
    other_pipe: i32,
}

impl Collecting {
    /// Collects these signals until it is dropped.
    ///
    /// # Errors
    /// No pipe, or a signal that cannot be handled.
    pub fn start(signals: &[Signal]) -> io::Result<Self> {
        let (pipe, other_pipe) = new_pipe()?;
        let mut started = Self {
            pipe,
            before: Vec::new(),
            other_pipe,
        };
        for signal in signals {
            let before = set_action(*signal, &collecting())?;
            started.before.push((*signal, before));
        }
        Ok(started)
    }

    /// Readable when there is a signal.
    pub const fn pipe(&self) -> &File {
        &self.pipe
    }

    /// Whether a signal was ignored before.
    pub fn was_ignored(&self, signal: Signal) -> bool {
        let mut before = self.before.iter();
        before.any(|(one, action)| *one == signal && matches!(action.handler(), SigHandler::SigIgn))
    }

    /// The next signal, if there was one.
    pub fn next(&self) -> Option<Signal> {
        let mut byte = [0];
        let count = (&self.pipe).read(&mut byte).ok()?;
        let number = byte.first().filter(|_| count == 1)?;
        Signal::try_from(i32::from(*number)).ok()
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            super::ignore(set_action(*signal, before));
        }
        PIPE.store(self.other_pipe, Ordering::Relaxed);
    }
}

/// Makes a write beyond the file size limit an error instead of a fatal signal.
pub fn survive_file_limit() {
    let ignored = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    super::ignore(set_action(Signal::SIGXFSZ, &ignored));
}

/// Restores the state that a new program expects: no signal blocked or ignored.
pub fn reset() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        // KILL and STOP cannot be set.
        super::ignore(set_action(signal, &default));
    }
    unblock_all();
}

#[expect(
    unsafe_code,
    reason = "sigaction is unsafe because a handler could do anything"
)]
fn set_action(signal: Signal, action: &SigAction) -> io::Result<SigAction> {
    // SAFETY: the handlers used here are SIG_DFL, SIG_IGN and `handler`, which only calls write(2).
    Ok(unsafe { sigaction(signal, action) }?)
}

fn unblock_all() {
    super::ignore(nix::sys::signal::sigprocmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::empty()),
        None,
    ));
}

/// Makes reads and writes non-blocking.
pub fn nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    debug_assert!(fd.as_raw_fd() >= 0);
    Ok(())
}
