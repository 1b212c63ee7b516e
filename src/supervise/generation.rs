//! One server behind the session, from its launch to the end of its last process.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::output::{Diagnostics, ServerOutput, Tail, relay_stderr};
use super::shared::Shared;
use super::shutdown::{self, Reason, Step};
use super::{Pipeline, Status};
use crate::guard::{self, REPORT_BYTES, Report};
use crate::launch::Server;
use crate::policy::{Limits, SessionRules};
use crate::resolve::Injected;
use crate::secret::Secret;

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
    pub tail: Arc<Tail>,
    /// Its stdin, until it has to end.
    pub stdin: Option<Arc<File>>,
    /// How it ended, once it has.
    pub status: Option<Status>,
    pub ended_at: Option<Instant>,
    /// Nothing of it is alive.
    pub gone: bool,
    /// Of its two streams, how many are still relayed.
    pub streams: u8,
    pub reason: Option<Reason>,
    guard: Child,
    control: UnixStream,
    ladder: VecDeque<(Instant, Step)>,
    report: Vec<u8>,
}

impl Generation {
    /// Takes a launched server over and starts to relay its streams.
    pub(super) fn new(
        number: u32,
        server: Server,
        prepared: super::Prepared,
        shared: &Arc<Shared>,
        pipeline: &Arc<dyn Pipeline>,
    ) -> io::Result<Self> {
        let tail = Arc::new(Tail::default());
        let limits: &Limits = &prepared.policy.limits;
        let output = ServerOutput::new(shared, number, limits, &tail, pipeline);
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

    /// Writes a line to the server. An error means that it is ending; its guard tells that.
    pub(super) fn write(&self, bytes: &[u8]) {
        if let Some(stdin) = &self.stdin {
            drop((&**stdin).write_all(bytes));
        }
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
        self.climb(now);
    }

    /// Does the steps that are due; returns when the next one is.
    pub(super) fn climb(&mut self, now: Instant) -> Option<Instant> {
        while let Some((at, step)) = self.ladder.front().copied() {
            if self.gone {
                return None;
            }
            if at > now {
                return Some(at);
            }
            self.ladder.pop_front();
            self.order(match step {
                Step::Signal(signal) => u8::try_from(signal as i32).unwrap_or(guard::KILL),
                Step::Kill => guard::KILL,
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
                    self.understand();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return self.gone,
            }
        }
    }

    fn understand(&mut self) {
        while let Some((&report, rest)) = self.report.split_first_chunk::<REPORT_BYTES>() {
            self.report = rest.to_vec();
            match Report::decode(report) {
                Some(Report::Exited { code }) => self.note_end(Status::Exited(code)),
                Some(Report::Died { signal }) => self.note_end(Status::Died(signal)),
                Some(Report::Gone) => self.gone = true,
                _ => {}
            }
        }
    }

    fn note_end(&mut self, status: Status) {
        self.status.get_or_insert(status);
        self.ended_at.get_or_insert_with(Instant::now);
    }

    /// The guard was killed: the server is killed by the kernel (Linux) or by us.
    pub(super) fn guard_died(&mut self) {
        self.note_end(Status::Died(nix::libc::SIGKILL));
        self.gone = true;
    }

    /// Collects the guard's own process.
    pub(super) fn reap_guard(&mut self) {
        drop(self.guard.try_wait());
    }

    /// Whether it ended and all it said was passed on. After `patience` what it said is not waited
    /// for any more: a process outside its tree may hold the pipe.
    pub(super) fn is_over(&self, now: Instant, patience: Duration) -> bool {
        let Some(ended_at) = self.ended_at else {
            return false;
        };
        self.gone && (self.streams == 0 || now.saturating_duration_since(ended_at) > patience)
    }
}
