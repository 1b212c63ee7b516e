//! The guard: a process between the supervisor and the server that outlives neither.
//!
//! It is this program again (`mcpwrap __guard`) with one thread, the server's parent and the
//! subreaper of its process tree. Invariants: when the supervisor exits for any reason, the socket
//! closes and the guard kills the tree. It decides nothing else: it starts one server, forwards
//! signals and reports the exit. Its only input is the socket at descriptor 0.

use std::ffi::{CString, OsStr};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use crate::launch::container::Container;
use crate::launch::mark;
use crate::sys::cgroup::ServerGroup;
use crate::sys::exec::ExecSpec;
use crate::sys::{fds, harden, ignore, signal, spawn, tree};

/// Order to the guard: kill everything now. Smaller bytes are signal numbers to forward.
pub const KILL: u8 = 0xff;
/// How long the remaining processes of a server may run after it exited.
const REMAINING_GRACE: Duration = Duration::from_millis(100);
/// How long a kill may take; only processes in uninterruptible sleep need that long.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// The reports of the guard, six bytes each: tag, number, step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardMessage {
    Started {
        pid: i32,
        /// Whether the server has a control group of its own.
        has_group: bool,
    },
    Failed(spawn::SpawnError),
    /// The server exited with this code.
    Exited {
        code: i32,
    },
    /// The server was killed by this signal.
    Died {
        signal: i32,
    },
    /// No process of the server is alive.
    Gone,
}

/// The length of a report (bytes).
pub const REPORT_BYTES: usize = 6;

impl GuardMessage {
    fn encode(self) -> [u8; REPORT_BYTES] {
        let (tag, number, step) = match self {
            Self::Started { pid, has_group } => (1, pid, u8::from(has_group)),
            Self::Failed(failed) => (2, failed.errno, failed.step.to_byte()),
            Self::Exited { code } => (3, code, 0),
            Self::Died { signal } => (4, signal, 0),
            Self::Gone => (5, 0, 0),
        };
        let [a, b, c, d] = i32::to_le_bytes(number);
        [tag, a, b, c, d, step]
    }

    /// Decodes a report; `None` if invalid.
    pub fn decode(bytes: [u8; REPORT_BYTES]) -> Option<Self> {
        let [tag, a, b, c, d, step] = bytes;
        let number = i32::from_le_bytes([a, b, c, d]);
        Some(match tag {
            1 => Self::Started {
                pid: number,
                has_group: step != 0,
            },
            2 => Self::Failed(spawn::SpawnError {
                step: spawn::SpawnStep::from_byte(step),
                errno: number,
            }),
            3 => Self::Exited { code: number },
            4 => Self::Died { signal: number },
            5 => Self::Gone,
            _ => return None,
        })
    }
}

/// Runs a guard until the last process of its server has exited.
pub fn main() -> ExitCode {
    harden::harden();
    fds::close_inherited_on_exec();
    spawn::new_session();
    tree::become_subreaper();
    // A stopped guard could not see that the supervisor is gone.
    spawn::continue_after_parent();
    match guard() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn guard() -> io::Result<()> {
    // Ending signals are for the supervisor, which then orders the guard; `pkill mcpwrap` hits
    // both.
    let mut collected = vec![Signal::SIGCHLD];
    collected.extend_from_slice(signal::ENDING);
    let signals = signal::collect(&collected)?;
    let control = UnixStream::from(OwnedFd::from(fds::standard(fds::Standard::Input)?));
    let (bytes, streams) = fds::receive_with_fds(&control)?;
    // Not before: a guard that gets no order is killed, and would leave its group.
    let label = mark::group_of_guard(std::env::args());
    let mut group = label.and_then(|label| ServerGroup::create(&label));
    let streams = spawn::Streams::new(streams).ok_or(io::ErrorKind::InvalidData)?;
    let files = paths(&read_block(&control)?);
    let container = Container::decode(&read_block(&control)?);
    let plan = ExecSpec::decode(bytes).ok_or(io::ErrorKind::InvalidData)?;
    let started = spawn::server(&plan, streams, &mut group);
    drop(plan);
    let mut guard = Guard {
        control,
        server: None,
        ended_at: None,
        files,
        container,
        group,
    };
    match started {
        Ok(pid) => {
            guard.server = Some(pid);
            guard.report(GuardMessage::Started {
                pid: pid.as_raw(),
                has_group: guard.group.is_some(),
            });
            guard.watch(signals)
        }
        Err(failed) => {
            guard.container.iter().for_each(Container::forget);
            guard.report(GuardMessage::Failed(failed));
            Ok(())
        }
    }
}

/// A length in bytes, then as many bytes.
fn read_block(mut control: &UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0_u8; 4];
    control.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap_or(0)];
    control.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The secret files of the server, removed with it.
fn paths(bytes: &[u8]) -> Vec<CString> {
    bytes
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .filter_map(|path| CString::new(path).ok())
        .collect()
}

struct Guard {
    control: UnixStream,
    server: Option<Pid>,
    /// When the server itself exited; its remaining processes then have [`REMAINING_GRACE`].
    ended_at: Option<Instant>,
    files: Vec<CString>,
    container: Option<Container>,
    group: Option<ServerGroup>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        for file in &self.files {
            ignore(nix::unistd::unlink(file.as_c_str()));
            let dir = Path::new(OsStr::from_bytes(file.as_bytes())).parent();
            // Fails while the directory has files of other servers of this session.
            drop(dir.map(std::fs::remove_dir));
        }
    }
}

impl Guard {
    fn watch(&mut self, mut signals: std::fs::File) -> io::Result<()> {
        loop {
            if self.reap_and_check_end() {
                self.end_container();
                self.report(GuardMessage::Gone);
                return Ok(());
            }
            let timeout = match self.ended_at {
                Some(_) => PollTimeout::from(10_u8),
                None => PollTimeout::NONE,
            };
            let mut polled = [
                PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut polled, timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let [control, _] = polled;
            if control.any().unwrap_or(false) && !self.handle_orders() {
                self.kill_all();
                self.end_container();
                return Ok(());
            }
            let mut bytes = [0; 64];
            // Nothing to read if only the socket is ready; waitpid tells what happened.
            drop(signals.read(&mut bytes));
        }
    }

    /// Carries out the supervisor's orders; `false` once the supervisor is gone.
    fn handle_orders(&mut self) -> bool {
        let mut orders = [0; 64];
        let count = match self.control.read(&mut orders) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        };
        for order in orders.iter().take(count).copied() {
            if order == KILL {
                self.kill_all();
            } else if let Ok(signal) = Signal::try_from(i32::from(order)) {
                self.forward(signal);
            }
        }
        true
    }

    /// Ending signals go to the server's process group, as from a terminal.
    fn forward(&self, signal: Signal) {
        let Some(server) = self.server.filter(|_| self.ended_at.is_none()) else {
            return;
        };
        if signal::ENDING.contains(&signal) {
            ignore(killpg(server, signal));
        } else {
            ignore(nix::sys::signal::kill(server, signal));
        }
    }

    /// Reaps exited processes; `true` when none is left.
    fn reap_and_check_end(&mut self) -> bool {
        while let Some((pid, status)) = tree::reap_any() {
            if self.report_exit(pid, status) {
                tree::signal_descendants(nix::unistd::getpid(), Signal::SIGTERM);
            }
        }
        let Some(ended_at) = self.ended_at else {
            return false;
        };
        if tree::descendants(nix::unistd::getpid()).is_empty() {
            return true;
        }
        if ended_at.elapsed() > REMAINING_GRACE {
            return self.kill_all();
        }
        false
    }

    /// Kills and reaps all descendants; `true` when none is left.
    fn kill_all(&mut self) -> bool {
        self.kill_group();
        let mut ended = Vec::new();
        let gone = tree::kill_own_descendants(&[], KILL_LIMIT, &mut |pid, status| {
            ended.push((pid, status));
        });
        for (pid, status) in ended {
            self.report_exit(pid, status);
        }
        gone
    }

    /// Kills the server's group at once, if only its processes are there: it may move a process of the user
    /// into its group to have it killed.
    fn kill_group(&self) {
        let Some(group) = &self.group else { return };
        // In this order, so that a process that starts in between is not taken for a stranger.
        let members = group.members();
        let own = tree::descendants(nix::unistd::getpid());
        let is_stranger = |pid: &Pid| !own.contains(pid) && tree::started(pid.as_raw()).is_some();
        if !members.iter().any(is_stranger) {
            group.kill();
        }
    }

    /// Ends the server's container, whose client is gone. If the engine does not answer, the note stays,
    /// and `revoke` and `ps` find it.
    fn end_container(&self) {
        drop(self.container.as_ref().map(Container::end));
    }

    /// Reports the exit of the server itself; `false` for any other process.
    fn report_exit(&mut self, pid: Pid, status: WaitStatus) -> bool {
        if Some(pid) != self.server || self.ended_at.is_some() {
            return false;
        }
        match status {
            WaitStatus::Exited(_, code) => self.report(GuardMessage::Exited { code }),
            WaitStatus::Signaled(_, signal, _) => {
                self.report(GuardMessage::Died {
                    signal: signal as i32,
                });
            }
            _ => return false,
        }
        self.ended_at = Some(Instant::now());
        true
    }

    /// Sends a report. If the supervisor is gone, the next poll shows it.
    fn report(&self, report: GuardMessage) {
        drop((&self.control).write_all(&report.encode()));
        debug_assert!(self.control.as_raw_fd() > 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_decoded_as_encoded() {
        let failed = spawn::SpawnError {
            step: spawn::SpawnStep::Execute,
            errno: 13,
        };
        for report in [
            GuardMessage::Started {
                pid: 123_456,
                has_group: true,
            },
            GuardMessage::Failed(failed),
            GuardMessage::Exited { code: 255 },
            GuardMessage::Died { signal: 9 },
            GuardMessage::Gone,
        ] {
            assert_eq!(GuardMessage::decode(report.encode()), Some(report));
        }
        assert_eq!(GuardMessage::decode([0; REPORT_BYTES]), None);
    }
}
