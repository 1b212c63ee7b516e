//! Stops a supervisor and its child processes at the steps of a launch, like a debugger.

use std::time::{Duration, Instant};

use nix::sys::ptrace::{self, Event, Options};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::{DEADLINE, process};

/// The steps of a launch, in order. At each, the next one has not happened yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    GuardForked,
    GuardExecuted,
    ServerForked,
    ServerExecuted,
}

pub(crate) const STEPS: &[Step] = &[
    Step::GuardForked,
    Step::GuardExecuted,
    Step::ServerForked,
    Step::ServerExecuted,
];

/// A supervisor whose next launch is traced. Only usable by the thread that created it.
pub(crate) struct Tracer {
    supervisor: Pid,
    /// The guard and the server, if started.
    started: Vec<Pid>,
    /// The stopped ones of them and of the supervisor.
    stopped: Vec<Pid>,
}

impl Tracer {
    /// `None` without the permission to trace.
    pub(crate) fn new(supervisor: Pid) -> Option<Self> {
        let options = Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC;
        ptrace::seize(supervisor, options).ok()?;
        let (started, stopped) = (Vec::new(), Vec::new());
        Some(Self {
            supervisor,
            started,
            stopped,
        })
    }

    /// Continues the launch up to this step.
    pub(crate) fn run_to(&mut self, wanted: Step) {
        let deadline = Instant::now() + DEADLINE;
        let mut reached = None;
        while reached != Some(wanted) {
            assert!(Instant::now() < deadline, "not at {wanted:?}: {reached:?}");
            self.release(&self.stopped.clone(), true);
            for pid in [&[self.supervisor], self.started.as_slice()].concat() {
                if let Some(step) = self.look(pid) {
                    reached = Some(step);
                }
            }
        }
    }

    /// Processes a stop of a process; returns the step that it means.
    fn look(&mut self, pid: Pid) -> Option<Step> {
        let mut flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
        if pid != self.supervisor {
            // Its parent can reap it only after we did. The supervisor's parent is this program.
            flags |= WaitPidFlag::WEXITED;
        }
        let event = match waitid(Id::Pid(pid), flags) {
            Ok(WaitStatus::PtraceEvent(_, signal, 0)) => {
                ptrace::cont(pid, signal).ok();
                return None;
            }
            Ok(WaitStatus::PtraceEvent(_, _, event)) => event,
            _ => {
                std::thread::park_timeout(Duration::from_micros(100));
                return None;
            }
        };
        self.stopped.push(pid);
        let is_guard = self.started.first() == Some(&pid);
        if event == Event::PTRACE_EVENT_FORK as i32 || event == Event::PTRACE_EVENT_VFORK as i32 {
            let child = ptrace::getevent(pid).unwrap();
            self.started
                .push(Pid::from_raw(i32::try_from(child).unwrap()));
            return Some(if pid == self.supervisor {
                Step::GuardForked
            } else {
                Step::ServerForked
            });
        }
        (event == Event::PTRACE_EVENT_EXEC as i32).then_some(if is_guard {
            Step::GuardExecuted
        } else {
            Step::ServerExecuted
        })
    }

    fn release(&mut self, pids: &[Pid], traced: bool) {
        self.stopped.retain(|pid| !pids.contains(pid));
        for pid in pids {
            let done = if traced {
                ptrace::cont(*pid, None)
            } else {
                ptrace::detach(*pid, None)
            };
            // A killed process need not be detached.
            done.ok();
        }
    }

    /// Detaches from all processes and waits until none of the launch is alive.
    pub(crate) fn until_all_started_is_dead(mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        // A running process must stop before it can be detached.
        while !self.stopped.contains(&self.supervisor) && process::alive(self.supervisor) {
            ptrace::interrupt(self.supervisor).ok();
            self.look(self.supervisor);
        }
        self.release(&self.stopped.clone(), false);
        while self.started.iter().any(|pid| process::alive(*pid)) {
            assert!(
                Instant::now() < deadline,
                "alive: {:?}, of which stopped: {:?}",
                self.started,
                self.stopped
            );
            self.release(&self.stopped.clone(), false);
            for pid in self.started.clone() {
                self.look(pid);
            }
        }
        for pid in self.started.clone() {
            self.look(pid);
        }
    }
}
