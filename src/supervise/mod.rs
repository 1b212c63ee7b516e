//! Keeps a server running behind the client's session.
//!
//! The main thread waits in one `poll` for events and passes them to the driver; one thread reads
//! the client, one notices its end, two read each server. Invariants: every started process is ended, however this
//! process ends, because every server has a guard as its parent. The session is kept as long as
//! possible: without a server, requests are answered with an error that says why. stdout belongs to
//! the session; messages for the user go through [`Pipeline`].

mod bridge;
pub mod control;
mod credentials;
mod diagnostics;
mod driver;
pub mod find;
mod generation;
mod input;
mod output;
mod pipeline;
mod poll_clock;
mod presence;
mod question;
mod request;
pub mod running;
mod shared;
mod state;
mod triage;
mod utf8;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use self::driver::Driver;
pub use self::pipeline::{Fact, FailureJudgement, Options, Pipeline, Prepared, ServerExit, Target};
use self::shared::{Gate, Shared};
use self::state::KeeperEvent;
use crate::error::{Error, Result};
use crate::launch::mark;
use crate::launch::start::WaitingGuard;
use crate::sys::fds::{self, Standard};
use crate::sys::watch::Watch;
use crate::sys::{signal, stderr, tree};

/// Runs until the session ends; returns the exit code.
///
/// # Errors
/// `launch-failed` if this process cannot get the few descriptors it needs.
pub fn supervise(options: Options) -> Result<u8> {
    let server = options.label.server.clone();
    run(options).map_err(|error| {
        Error::new(
            crate::error::Code::LaunchFailed,
            "cannot start its supervisor",
        )
        .not_started(&server)
        .cause(crate::files::io_text(&error))
        .hint_if(crate::files::io_hint(&error))
    })
}

fn run(options: Options) -> io::Result<u8> {
    // It gets ready on another processor while everything before the launch is done here.
    let guard = WaitingGuard::start(&options.label).ok();
    stderr::begin_session();
    let collected: Vec<Signal> = signal::ENDING
        .iter()
        .chain(signal::FORWARDED)
        .copied()
        .collect();
    let signals = signal::collect(&collected)?;
    let (woken, wake) = fds::pipe()?;
    signal::nonblocking(&woken)?;
    signal::nonblocking(&wake)?;
    let stdout = fds::standard(Standard::Output)?;
    let shared = Shared::new(options.label.server.clone(), stdout, File::from(wake));
    shared.lock().session.set_reconnect(options.reconnect);
    let shared = Arc::new(shared);
    let stdin = fds::standard(Standard::Input)?;
    let on_terminal = io::stdin().is_terminal();
    let for_input = Arc::clone(&shared);
    std::thread::Builder::new()
        .name(mark::thread_name(&options.label.home))
        .spawn(move || input::relay(stdin, &for_input))?;
    let ends = (
        fds::standard(Standard::Input)?,
        fds::standard(Standard::Output)?,
    );
    let for_presence = Arc::clone(&shared);
    std::thread::Builder::new()
        .name("presence".to_owned())
        .spawn(move || presence::watch(ends.0, ends.1, &for_presence))?;
    tree::become_subreaper();
    let watch = Watch::new(options.watched.clone());
    let mut supervisor = Supervisor {
        signals,
        woken: File::from(woken),
        watch,
        driver: Driver::new(options, Arc::clone(&shared), on_terminal, guard),
        shared,
    };
    supervisor.driver.handle(KeeperEvent::Start);
    let code = supervisor.watch();
    supervisor.shared.set_gate(Gate::Closed);
    Ok(code)
}

struct Supervisor {
    signals: File,
    woken: File,
    watch: Watch,
    driver: Driver,
    shared: Arc<Shared>,
}

impl Supervisor {
    /// The main loop, until there is an exit code.
    fn watch(&mut self) -> u8 {
        let mut looked = Instant::now();
        loop {
            // Whether the kernel reports changes may change, so it is checked each time.
            if let Some(interval) = self.watch.interval()
                && looked.elapsed() >= interval
            {
                looked = Instant::now();
                self.look_for_changes();
            }
            let due = self.driver.process_pending();
            if let Some(code) = self.driver.exit_code() {
                return code;
            }
            let next_look = self.watch.interval().map(|interval| looked + interval);
            let timeout = due.into_iter().chain(next_look).min();
            self.wait(timeout.map(|at| at.saturating_duration_since(Instant::now())));
        }
    }

    fn look_for_changes(&mut self) {
        if self.watch.changed() {
            self.driver.handle(KeeperEvent::Changed);
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        // One millisecond more, so that the timer is due when `poll` returns.
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            let ms = timeout.as_millis().saturating_add(1).min(60_000);
            PollTimeout::try_from(u64::try_from(ms).unwrap_or(60_000)).unwrap_or(PollTimeout::MAX)
        });
        let (mut signalled, mut woken, mut changed) = (false, false, false);
        {
            let mut polled = vec![
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.woken.as_fd(), PollFlags::POLLIN),
            ];
            let watched = self.watch.fd();
            polled.extend(watched.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            for control in self.driver.controls() {
                polled.push(PollFd::new(control.as_fd(), PollFlags::POLLIN));
            }
            if poll(&mut polled, timeout).is_ok() {
                let is_ready =
                    |index: usize| polled.get(index).and_then(PollFd::any).unwrap_or(false);
                signalled = is_ready(0);
                woken = is_ready(1);
                changed = watched.is_some() && is_ready(2);
            }
        }
        let mut bytes = [0; 64];
        if woken {
            drop(self.woken.read(&mut bytes));
        }
        if signalled {
            let count = self.signals.read(&mut bytes).unwrap_or(0);
            for byte in bytes.iter().take(count) {
                if let Ok(signal) = Signal::try_from(i32::from(*byte)) {
                    self.driver.handle(KeeperEvent::Signalled(signal));
                }
            }
        }
        if changed {
            self.look_for_changes();
        }
    }
}
