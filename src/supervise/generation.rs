//! One server behind the session, from its launch to the end of its last process.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::diagnostics::{Diagnostics, StderrTail, relay_stderr};
use super::output::ServerOutput;
use super::pipeline::{Pipeline, Prepared, ServerExit};
use super::shared::{Event, Shared, spawn_detached};
use super::shutdown::{self, Reason, ShutdownStep};
use crate::guard::{self, REPORT_BYTES, Report};
use crate::launch::Server;
use crate::policy::{Limits, SessionRules};
use crate::resolve::Injected;
use crate::secret::Secret;

/// The pipe of a server that has just begun takes so much at once (bytes).
const AT_ONCE_BYTES_MAX: usize = 32 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Generation {
    pub number: u32,
    pub pid: i32,
    pub started: Instant,
    pub injected: Vec<Injected>,
    pub digest: String,
    pub rules: SessionRules,
    /// What is masked because of it.
    pub values: Vec<(String, Secret)>,
    /// Files with a secret, removed when this is dropped.
    _env: crate::resolve::ServerEnv,
    pub tail: Arc<StderrTail>,
    /// Its stdin, until it has to end.
    pub stdin: Option<Arc<File>>,
    /// How it ended, once it has.
    pub status: Option<ServerExit>,
    pub ended_at: Option<Instant>,
    /// Nothing of it is alive.
    pub gone: bool,
    /// Of its two streams, how many are still relayed.
    pub streams: u8,
    /// Something of its stdout was read that the client has not got yet.
    busy: Arc<AtomicBool>,
    pub reason: Option<Reason>,
    guard: Child,
    control: UnixStream,
    ladder: VecDeque<(Instant, ShutdownStep)>,
    report: Vec<u8>,
}

impl Generation {
    /// Takes a launched server over and starts to relay its streams.
    pub(super) fn new(
        number: u32,
        server: Server,
        prepared: Prepared,
        shared: &Arc<Shared>,
        pipeline: &Arc<dyn Pipeline>,
    ) -> io::Result<Self> {
        let tail = Arc::new(StderrTail::default());
        let limits: &Limits = &prepared.policy.limits;
        let output = ServerOutput::new(shared, number, limits, &tail, pipeline);
        let busy = output.busy();
        let diagnostics = Diagnostics::new(shared, limits, &tail);
        let Server {
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
            started: Instant::now(),
            injected: prepared.env.injected().to_vec(),
            digest: prepared.policy.digest,
            rules: prepared.policy.session,
            values: prepared.env.values().to_vec(),
            _env: prepared.env,
            tail,
            stdin: Some(Arc::new(stdin)),
            status: None,
            ended_at: None,
            gone: false,
            streams: 2,
            busy,
            reason: None,
            guard,
            control,
            ladder: VecDeque::new(),
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
            shared.post_event(Event::Resent { generation });
        });
        false
    }

    /// Begins to end it. A more urgent reason replaces a milder one.
    pub(super) fn end(&mut self, reason: Reason, now: Instant) {
        self.stdin = None;
        let steps = shutdown::ladder(reason)
            .into_iter()
            .map(|(after, step)| (now + after, step));
        if let Some((last, _)) = self.ladder.back() {
            let sooner = shutdown::ladder(reason)
                .last()
                .map(|(after, _)| now + *after);
            if self.reason.is_some() && sooner >= Some(*last) {
                return;
            }
        }
        self.ladder = steps.collect();
        self.reason = Some(reason);
        self.advance(now);
    }

    /// Does the steps that are due; returns when the next one is.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Instant> {
        while let Some((at, step)) = self.ladder.front().copied() {
            if self.gone {
                return None;
            }
            if at > now {
                return Some(at);
            }
            self.ladder.pop_front();
            self.order(match step {
                ShutdownStep::Signal(signal) => u8::try_from(signal as i32).unwrap_or(guard::KILL),
                ShutdownStep::Kill => guard::KILL,
            });
        }
        None
    }

    /// Hands a signal on, without any intent to end.
    pub(super) fn forward(&self, signal: u8) {
        self.order(signal);
    }

    fn order(&self, byte: u8) {
        drop((&self.control).write(&[byte]));
    }

    /// Reads what the guard says. Returns `false` when the guard is gone without a last word.
    pub(super) fn listen(&mut self) -> bool {
        let mut bytes = [0; 64];
        loop {
            match self.control.read(&mut bytes) {
                Ok(0) => return self.gone,
                Ok(count) => {
                    self.report.extend(bytes.iter().take(count));
                    self.decode_report();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return self.gone,
            }
        }
    }

    fn decode_report(&mut self) {
        while let Some((&report, rest)) = self.report.split_first_chunk::<REPORT_BYTES>() {
            self.report = rest.to_vec();
            match Report::decode(report) {
                Some(Report::Exited { code }) => self.note_end(ServerExit::Exited(code)),
                Some(Report::Died { signal }) => self.note_end(ServerExit::Died(signal)),
                Some(Report::Gone) => self.gone = true,
                _ => {}
            }
        }
    }

    fn note_end(&mut self, status: ServerExit) {
        self.status.get_or_insert(status);
        self.ended_at.get_or_insert_with(Instant::now);
    }

    /// The guard was killed: the server is killed by the kernel (Linux) or by us.
    pub(super) fn guard_died(&mut self) {
        self.note_end(ServerExit::Died(nix::libc::SIGKILL));
        self.gone = true;
    }

    /// Collects the guard's own process, which ends right after its last word.
    pub(super) fn reap_guard(mut self) {
        if !matches!(self.guard.try_wait(), Ok(Some(_))) {
            // Without a thread a zombie stays until we end.
            drop(std::thread::Builder::new().spawn(move || drop(self.guard.wait())));
        }
    }

    /// Whether it ended and all it said was passed on. After `patience` what it may still say is not
    /// waited for any more: a process outside its tree may hold the pipe. What was read is waited
    /// for as long as the client takes, unless we are in a hurry ourselves.
    pub(super) fn is_over(&self, now: Instant, patience: Duration, hurry: bool) -> bool {
        let Some(ended_at) = self.ended_at.filter(|_| self.gone) else {
            return false;
        };
        let late = now.saturating_duration_since(ended_at) > patience;
        self.streams == 0 || late && (hurry || !self.busy.load(Ordering::Relaxed))
    }
}
