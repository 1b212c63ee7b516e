//! One server behind the session, from its launch to the end of its last process.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::bridge::BridgeLink;
use super::diagnostics::{Diagnostics, StderrTail, relay_stderr};
use super::output::ServerOutput;
use super::pipeline::{Pipeline, Prepared, ServerExit};
use super::poll_clock::PollClock;
use super::shared::{Shared, spawn_detached};
use super::state::{KeeperEvent, ShutdownStep};
use crate::launch::guard::{self, GuardMessage, REPORT_BYTES};
use crate::launch::injected::Injected;
use crate::launch::start::StartedServer;
use crate::mint::LiveMints;
use crate::policy::Limits;
use crate::secret::Secret;

/// The pipe of a new server accepts this much without blocking (bytes).
const AT_ONCE_BYTES_MAX: usize = 32 << 10;

/// Whether a service refused the credentials of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    None,
    /// A failure is being looked at.
    Asked,
    Since(jiff::Timestamp),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Generation {
    pub number: u32,
    pub pid: i32,
    pub injected: Vec<Injected>,
    pub digest: String,
    /// The values masked because of it.
    pub values: Vec<(String, Secret)>,
    /// Owns the secret files, removed when this is dropped.
    env: crate::launch::resolve::ServerEnv,
    pub tail: Arc<StderrTail>,
    /// Its stdin, until it is ended.
    pub stdin: Option<Arc<File>>,
    /// No process of it is alive.
    pub gone: bool,
    /// Withdrawn when this is dropped.
    pub mints: LiveMints,
    pub suspicion: Suspicion,
    /// When its stores are asked for changes.
    pub poll: Option<PollClock>,
    /// Set if it is a bridge to a remote server.
    pub bridge: Option<BridgeLink>,
    /// Some of its output was read but not yet written to the client.
    busy: Arc<AtomicBool>,
    guard: Child,
    control: UnixStream,
    report: Vec<u8>,
}

impl Generation {
    /// Starts to relay the streams of a launched server.
    pub(super) fn new(
        number: u32,
        server: StartedServer,
        prepared: Prepared,
        bridge: Option<BridgeLink>,
        shared: &Arc<Shared>,
        pipeline: &Arc<dyn Pipeline>,
    ) -> io::Result<Self> {
        let tail = Arc::new(StderrTail::default());
        let limits: &Limits = &prepared.policy.limits;
        let output = ServerOutput::new(shared, number, limits, &tail, pipeline);
        let busy = output.busy();
        let diagnostics = Diagnostics::new(shared, limits, &tail);
        let StartedServer {
            has_group: _,
            guard,
            control,
            pid,
            stdin,
            stdout,
            stderr,
        } = server;
        control.set_nonblocking(true)?;
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("stdout").spawn(move || output.relay(stdout))?;
        thread("stderr").spawn(move || relay_stderr(stderr, number, diagnostics))?;
        if let Some(bridge) = &bridge {
            bridge.listen(number, shared)?;
        }
        Ok(Self {
            number,
            pid,
            injected: prepared.env.injected().to_vec(),
            digest: prepared.policy.digest,
            values: prepared.env.values().to_vec(),
            env: prepared.env,
            mints: prepared.mints,
            suspicion: Suspicion::None,
            poll: prepared.poll.map(PollClock::new),
            tail,
            stdin: Some(Arc::new(stdin)),
            gone: false,
            bridge,
            busy,
            guard,
            control,
            report: Vec::new(),
        })
    }

    pub(super) const fn control(&self) -> &UnixStream {
        &self.control
    }

    pub(super) fn guard_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.guard.id()).unwrap_or(0))
    }

    /// Writes lines to the server. Errors are ignored: the server is ending, and its guard reports
    /// that. More than [`AT_ONCE_BYTES_MAX`] is written in a thread, because a server that does not
    /// read blocks the writer; then returns `false` and posts `Resent` when done.
    pub(super) fn write(&self, bytes: Vec<u8>, shared: &Arc<Shared>) -> bool {
        let Some(stdin) = &self.stdin else {
            return true;
        };
        if bytes.len() <= AT_ONCE_BYTES_MAX {
            drop((&**stdin).write_all(&bytes));
            return true;
        }
        let (stdin, shared, generation) = (Arc::clone(stdin), Arc::clone(shared), self.number);
        let bytes = Arc::new(bytes);
        spawn_detached(move || {
            drop((&*stdin).write_all(&bytes));
            shared.post_event(KeeperEvent::Resent { generation });
        });
        false
    }

    /// Takes a step to end it. A send error means that the guard and the server are gone.
    pub(super) fn stop(&self, step: ShutdownStep) {
        match step {
            ShutdownStep::Signal(signal) => self.forward(signal),
            ShutdownStep::Kill => self.order(guard::KILL),
        }
    }

    /// Forwards a signal that does not end the server.
    pub(super) fn forward(&self, signal: Signal) {
        self.order(u8::try_from(signal as i32).unwrap_or(guard::KILL));
    }

    fn order(&self, byte: u8) {
        drop((&self.control).write(&[byte]));
    }

    /// Reads the reports of the guard. Returns `false` if the guard is gone without a final report.
    pub(super) fn listen(&mut self, events: &mut Vec<KeeperEvent>) -> bool {
        let mut bytes = [0; 64];
        loop {
            match self.control.read(&mut bytes) {
                Ok(0) => return self.gone,
                Ok(count) => {
                    self.report.extend(bytes.iter().take(count));
                    self.decode_report(events);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return self.gone,
            }
        }
    }

    fn decode_report(&mut self, events: &mut Vec<KeeperEvent>) {
        let generation = self.number;
        let exited = |exit| KeeperEvent::Exited { generation, exit };
        while let Some((&report, rest)) = self.report.split_first_chunk::<REPORT_BYTES>() {
            self.report = rest.to_vec();
            match GuardMessage::decode(report) {
                Some(GuardMessage::Exited { code }) => {
                    events.push(exited(ServerExit::Exited(code)));
                }
                Some(GuardMessage::Died { signal }) => {
                    events.push(exited(ServerExit::Died(signal)));
                }
                Some(GuardMessage::Gone) => {
                    self.gone = true;
                    events.push(KeeperEvent::Gone { generation });
                }
                _ => {}
            }
        }
    }

    /// The guard was killed: the kernel (Linux) or the driver kills the server.
    pub(super) fn guard_died(&mut self, events: &mut Vec<KeeperEvent>) {
        let generation = self.number;
        let exit = ServerExit::Died(nix::libc::SIGKILL);
        self.gone = true;
        if let Some(container) = self.env.container().cloned() {
            spawn_detached(move || drop(container.end()));
        }
        events.push(KeeperEvent::Exited { generation, exit });
        events.push(KeeperEvent::Gone { generation });
    }

    /// Whether some of its output was read but not yet written to the client.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Reaps the guard's process, which exits right after its final report.
    pub(super) fn reap_guard(mut self) {
        if !matches!(self.guard.try_wait(), Ok(Some(_))) {
            // Without a thread, a zombie stays until this process exits.
            drop(std::thread::Builder::new().spawn(move || drop(self.guard.wait())));
        }
    }
}
