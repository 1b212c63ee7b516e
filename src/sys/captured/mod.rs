//! Runs a program whose output is a value: apart from the terminal and the session, with a deadline.
//!
//! Invariants: the program has the given environment and nothing else of this process: no descriptor, no
//! terminal, no signal state, no core file. Its exit counts, not the end of its output, which a process that it
//! left behind may hold. What is left of its process group is killed; after the deadline, everything below it.
//! What was read is wiped when dropped.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, waitid};
use zeroize::Zeroizing;

use super::tree::{self, Process};
use super::{fds, signal, spawn};

/// How much of stderr is kept at least, if there is more (bytes).
const STDERR_KEPT: usize = 32 << 10;
/// How much of a stream is read at once (bytes).
const PIECE: usize = 16 << 10;
/// How long the descendants of a program may take to end.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// How often a system is asked that does not tell the end of a process.
const ASK: Duration = Duration::from_millis(1);

/// What runs, and what it gets.
#[derive(Clone, Copy)]
pub struct CapturedCommand<'a> {
    /// An absolute path.
    pub program: &'a Path,
    pub arguments: &'a [OsString],
    pub environment: &'a [(&'a OsStr, &'a OsStr)],
    /// Its stdin, which ends after that.
    pub input: Option<&'a [u8]>,
    /// The longest stdout (bytes).
    pub stdout_max: usize,
    pub deadline: Instant,
}

impl std::fmt::Debug for CapturedCommand<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CapturedCommand")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapturedEnd {
    Exit(i32),
    Signal(i32),
    /// It was killed at the deadline.
    Late,
    /// It was killed, because its stdout was longer than allowed.
    TooLong,
}

/// What a program wrote, and how it ended.
pub struct Captured {
    pub end: CapturedEnd,
    pub stdout: Zeroizing<Vec<u8>>,
    /// The last 32 to 64 KiB.
    pub stderr: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Captured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captured")
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Runs a program to its end.
///
/// # Errors
/// The program cannot be started, or the system cannot be asked about it.
pub fn capture(command: &CapturedCommand<'_>) -> io::Result<Captured> {
    let mut running = CapturedRun::start(command)?;
    let end = running.watch(command);
    if let Ok(CapturedEnd::Exit(_) | CapturedEnd::Signal(_)) = end {
        // Not reaped yet, so the number of its group is still its own.
        super::ignore(killpg(running.pid(), Signal::SIGKILL));
        running.child.wait()?;
    } else {
        running.kill()?;
    }
    Ok(Captured {
        end: end?,
        stdout: running.stdout,
        stderr: running.stderr,
    })
}

struct CapturedRun<'a> {
    child: Child,
    input: Option<(File, &'a [u8])>,
    out: Option<File>,
    err: Option<File>,
    stdout: Zeroizing<Vec<u8>>,
    stderr: Zeroizing<Vec<u8>>,
}

impl<'a> CapturedRun<'a> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where programs are started"
    )]
    fn start(command: &CapturedCommand<'a>) -> io::Result<Self> {
        let mut started = Command::new(command.program);
        started
            .args(command.arguments)
            .env_clear()
            .envs(command.environment.iter().copied())
            .current_dir("/")
            .stdin(command.input.map_or_else(Stdio::null, |_| Stdio::piped()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = apart(spawn::bound_to_parent(&mut started)).spawn()?;
        let stdin = child.stdin.take().map(OwnedFd::from);
        let out = child.stdout.take().map(OwnedFd::from);
        let err = child.stderr.take().map(OwnedFd::from);
        let mut running = Self {
            child,
            input: None,
            out: None,
            err: None,
            stdout: Zeroizing::default(),
            stderr: Zeroizing::default(),
        };
        let open = |fd: Option<OwnedFd>| -> io::Result<Option<File>> {
            fd.map(|fd| signal::nonblocking(&fd).map(|()| File::from(fd)))
                .transpose()
        };
        let opened = (|| {
            running.input = open(stdin)?.zip(command.input);
            running.out = open(out)?;
            running.err = open(err)?;
            Ok(())
        })();
        match opened {
            Ok(()) => Ok(running),
            Err(error) => running.kill().and(Err(error)),
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Serves the streams until the program has exited, which leaves it unreaped.
    fn watch(&mut self, command: &CapturedCommand<'_>) -> io::Result<CapturedEnd> {
        let exit = exit_descriptor(self.pid());
        loop {
            if let Some(end) = self.ended()? {
                // What it wrote is in the pipes; what others still write does not matter.
                self.read(command.stdout_max, true);
                let is_short = self.stdout.len() <= command.stdout_max;
                return Ok(if is_short { end } else { CapturedEnd::TooLong });
            }
            self.write();
            self.read(command.stdout_max, false);
            if self.stdout.len() > command.stdout_max {
                return Ok(CapturedEnd::TooLong);
            }
            let left = command.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(CapturedEnd::Late);
            }
            self.wait(exit.as_ref(), left);
        }
    }

    fn wait(&self, exit: Option<&OwnedFd>, left: Duration) {
        let mut polled = Vec::with_capacity(4);
        for stream in [&self.out, &self.err].into_iter().flatten() {
            polled.push(PollFd::new(stream.as_fd(), PollFlags::POLLIN));
        }
        if let Some((stream, _)) = &self.input {
            polled.push(PollFd::new(stream.as_fd(), PollFlags::POLLOUT));
        }
        polled.extend(exit.map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        let left = if exit.is_some() { left } else { left.min(ASK) };
        // Rounded up, so that it does not spin in the last millisecond.
        let left = PollTimeout::try_from(left + ASK).unwrap_or(PollTimeout::MAX);
        super::ignore(poll(&mut polled, left));
    }

    fn ended(&self) -> io::Result<Option<CapturedEnd>> {
        let pid = rustix::process::Pid::from_child(&self.child);
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = match waitid(WaitId::Pid(pid), how) {
            Err(rustix::io::Errno::INTR) => return Ok(None),
            status => status?,
        };
        Ok(status.map(|status| end_of(&status)))
    }

    /// Writes what the program takes now.
    fn write(&mut self) {
        while let Some((stream, rest)) = &mut self.input {
            match stream.write(rest) {
                Ok(count) if count < rest.len() => *rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // All is written, or the program does not read it.
                _ => self.input = None,
            }
        }
    }

    /// Reads what is there now; one piece of each stream, or all of it, up to the limits.
    fn read(&mut self, stdout_max: usize, all: bool) {
        let mut piece = Zeroizing::new([0; PIECE]);
        while let Some(bytes) = read_piece(&mut self.out, &mut piece) {
            self.stdout.extend_from_slice(bytes);
            if !all || self.stdout.len() > stdout_max {
                break;
            }
        }
        for _ in 0..8 {
            let Some(bytes) = read_piece(&mut self.err, &mut piece) else {
                break;
            };
            self.stderr.extend_from_slice(bytes);
            if self.stderr.len() > 2 * STDERR_KEPT {
                let old = self.stderr.len() - STDERR_KEPT;
                self.stderr.drain(..old);
            }
        }
    }

    /// Ends the program with all that is below it.
    fn kill(&mut self) -> io::Result<()> {
        let pid = self.pid();
        // Stopped first, so that it does not start more meanwhile.
        super::ignore(killpg(pid, Signal::SIGSTOP));
        if let Some(process) = Process::of(pid) {
            tree::kill_below(process, KILL_LIMIT);
        }
        super::ignore(killpg(pid, Signal::SIGKILL));
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

/// A new session without a terminal, and nothing of this process.
#[expect(unsafe_code, reason = "it is done between fork and exec")]
fn apart(command: &mut Command) -> &mut Command {
    let prepare = || {
        nix::unistd::setsid()?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        signal::reset();
        fds::close_inherited_on_exec();
        Ok(())
    };
    // SAFETY: system calls and nothing else: no allocation, no lock.
    unsafe { command.pre_exec(prepare) }
}

fn end_of(status: &WaitIdStatus) -> CapturedEnd {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => CapturedEnd::Exit(code),
        (None, signal) => CapturedEnd::Signal(signal.unwrap_or_default()),
    }
}

/// A piece of a stream, if there is one now. A stream that has ended is closed.
fn read_piece<'a>(stream: &mut Option<File>, piece: &'a mut [u8; PIECE]) -> Option<&'a [u8]> {
    loop {
        match stream.as_mut()?.read(piece.as_mut_slice()) {
            Ok(count @ 1..) => return piece.get(..count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => *stream = None,
        }
    }
}

/// A descriptor that is readable when the process has exited; `None` if it has to be asked.
#[cfg(target_os = "linux")]
fn exit_descriptor(pid: Pid) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    let pid = rustix::process::Pid::from_raw(pid.as_raw())?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// See the version for Linux.
#[cfg(not(target_os = "linux"))]
const fn exit_descriptor(_: Pid) -> Option<OwnedFd> {
    None
}

#[cfg(test)]
mod tests;
