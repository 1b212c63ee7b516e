//! One server behind the session, from its launch to the end of its last process.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::diagnostics::{Diagnostics, StderrTail, relay_stderr};
use super::output::ServerOutput;
use super::pipeline::{Pipeline, Prepared, ServerExit};
use super::shared::{Shared, spawn_detached};
use super::state::{KeeperEvent, ShutdownStep};
use crate::launch::guard::{self, GuardMessage, REPORT_BYTES};
use crate::launch::resolve::Injected;
use crate::launch::start::StartedServer;
use crate::policy::Limits;
use crate::secret::Secret;

/// The pipe of a server that has just begun takes so much at once (bytes).
const AT_ONCE_BYTES_MAX: usize = 32 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Generation {
    pub number: u32,
    pub pid: i32,
    pub injected: Vec<Injected>,
    pub digest: String,
    /// What is masked because of it.
    pub values: Vec<(String, Secret)>,
    /// Files with a secret, removed when this is dropped.
    _env: crate::launch::resolve::ServerEnv,
    pub tail: Arc<StderrTail>,
    /// Its stdin, until it has to end.
    pub stdin: Option<Arc<File>>,
    /// Nothing of it is alive.
    pub gone: bool,
    /// Something of its stdout was read that the client has not got yet.
    busy: Arc<AtomicBool>,
    guard: Child,
    control: UnixStream,
    report: Vec<u8>,
}

impl Generation {
    /// Takes a launched server over and starts to relay its streams.
    pub(super) fn new(
        number: u32,
        server: StartedServer,
        prepared: Prepared,
        shared: &Arc<Shared>,
        pipeline: &Arc<dyn Pipeline>,
    ) -> io::Result<Self> {
        let tail = Arc::new(StderrTail::default());
        let limits: &Limits = &prepared.policy.limits;
        let output = ServerOutput::new(shared, number, limits, &tail, pipeline);
        let busy = output.busy();
        let diagnostics = Diagnostics::new(shared, limits, &tail);
        let StartedServer {
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
        Ok(Self {
            number,
            pid,
            injected: prepared.env.injected().to_vec(),
            digest: prepared.policy.digest,
            values: prepared.env.values().to_vec(),
            _env: prepared.env,
            tail,
            stdin: Some(Arc::new(stdin)),
            gone: false,
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

    /// Writes lines to the server. An error means that it is ending; its guard tells that. Many
    /// lines are written behind the caller's back, because a server that does not read stops who
    /// writes to it; returns `false` then, and tells when it is done.
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

    /// Makes it end. A step that cannot be sent is for a guard that is gone, and so is the server.
    pub(super) fn stop(&self, step: ShutdownStep) {
        match step {
            ShutdownStep::Signal(signal) => self.forward(signal),
            ShutdownStep::Kill => self.order(guard::KILL),
        }
    }

    /// Hands a signal on, without any intent to end.
    pub(super) fn forward(&self, signal: Signal) {
        self.order(u8::try_from(signal as i32).unwrap_or(guard::KILL));
    }

    fn order(&self, byte: u8) {
        drop((&self.control).write(&[byte]));
    }

    /// Reads what the guard says. Returns `false` when the guard is gone without a last word.
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

    /// The guard was killed: the server is killed by the kernel (Linux) or by us.
    pub(super) fn guard_died(&mut self, events: &mut Vec<KeeperEvent>) {
        let generation = self.number;
        let exit = ServerExit::Died(nix::libc::SIGKILL);
        self.gone = true;
        events.push(KeeperEvent::Exited { generation, exit });
        events.push(KeeperEvent::Gone { generation });
    }

    /// Whether something of its stdout was read that the client has not got yet.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Collects the guard's own process, which ends right after its last word.
    pub(super) fn reap_guard(mut self) {
        if !matches!(self.guard.try_wait(), Ok(Some(_))) {
            // Without a thread a zombie stays until we end.
            drop(std::thread::Builder::new().spawn(move || drop(self.guard.wait())));
        }
    }
}
