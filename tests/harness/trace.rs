//! Stops a supervisor and what it starts at the steps of a launch, as a debugger does.

use std::time::{Duration, Instant};

use nix::sys::ptrace::{self, Event, Options};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::{DEADLINE, process};

/// The steps of a launch, in their order. At each, what comes next has not happened.
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

/// A supervisor whose next launch is followed. The thread that made it must use it.
pub(crate) struct Tracer {
    supervisor: Pid,
    /// Guard and server, as far as they have begun.
    started: Vec<Pid>,
    /// Those of them, and the supervisor, that stand still.
    stopped: Vec<Pid>,
}

impl Tracer {
    /// `None` if this user may not trace.
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

    /// Lets the launch go on up to this step.
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

    /// What a process does now: takes note of a stop, returns the step that it means.
    fn look(&mut self, pid: Pid) -> Option<Step> {
        let mut flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
        if pid != self.supervisor {
            // Its parent can collect it only when we have. The supervisor's parent is this program.
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
            // One that was killed meanwhile needs no leave.
            done.ok();
        }
    }

    /// Lets everything go, and waits until nothing of the launch is alive.
    pub(crate) fn until_all_started_is_dead(mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        // A running process has to stop before it can be left alone.
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
