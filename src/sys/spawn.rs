//! Starting processes: the guard (this program again) and the server (anything).
//!
//! Invariants: a server starts in its own session, with a clean signal state, no descriptors except its three
//! streams, and a parent-death signal where the kernel has one.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::unistd::{ForkResult, Pid};

use super::cgroup::ServerGroup;
use super::exec::ExecSpec;

/// The hidden first argument that makes this program a guard.
pub const GUARD: &str = "__guard";

/// Starts this program as a guard that listens on `control`, with an empty environment. The label
/// is only shown, in its command line.
pub fn guard(control: OwnedFd, label: &[&str]) -> io::Result<Child> {
    let arguments: Vec<&str> = [GUARD].into_iter().chain(label.iter().copied()).collect();
    start_self(&arguments, Stdio::from(control))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
fn start_self(arguments: &[&str], input: Stdio) -> io::Result<Child> {
    Command::new(own_program()?)
        .arg0("mcpwrap")
        .args(arguments)
        .env_clear()
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Starts this program with these arguments and only this environment; stdin and stdout are pipes.
pub fn own(
    arguments: &[&std::ffi::OsStr],
    environment: &[(&str, &std::ffi::OsStr)],
) -> io::Result<Child> {
    own_command(arguments, environment)?.spawn()
}

/// Starts this program with these arguments, and with the environment of this process, as a client does.
/// All three streams are pipes.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
pub fn own_as_client(arguments: &[&std::ffi::OsStr]) -> io::Result<Child> {
    Command::new(own_program()?)
        .arg0("mcpwrap")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// [`own`], where no write to a file succeeds, as with a full disk.
#[expect(unsafe_code, reason = "the limit is set between fork and exec")]
pub fn own_without_disk(
    arguments: &[&std::ffi::OsStr],
    environment: &[(&str, &std::ffi::OsStr)],
) -> io::Result<Child> {
    use nix::sys::resource::{Resource, setrlimit};
    let mut command = own_command(arguments, environment)?;
    let limit = || setrlimit(Resource::RLIMIT_FSIZE, 0, 0).map_err(io::Error::from);
    // SAFETY: one system call and nothing else: no allocation, no lock.
    unsafe { command.pre_exec(limit) }.spawn()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
fn own_command(
    arguments: &[&std::ffi::OsStr],
    environment: &[(&str, &std::ffi::OsStr)],
) -> io::Result<Command> {
    let mut command = Command::new(own_program()?);
    command
        .arg0("mcpwrap")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    Ok(command)
}

/// This program's file. On Linux the running one, even if an upgrade replaced the path; for a child of
/// a guard, that of the guard.
pub fn own_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") && Path::new("/proc/self/exe").exists() {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe()
}

/// Starts a program that uses the terminal (an editor) and waits for it.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
pub fn interactive(program: &std::ffi::OsStr, arguments: &[&std::ffi::OsStr]) -> io::Result<bool> {
    Ok(Command::new(program).args(arguments).status()?.success())
}

/// Starts a pager, which shows its stdin on the terminal.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
pub fn pager(words: &[String], environment: &[(&str, &str)]) -> io::Result<Child> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::NotFound)?;
    Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .spawn()
}

/// The step of a start that failed, with the kernel's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpawnError {
    pub step: SpawnStep,
    pub errno: i32,
}

/// The steps of a start that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnStep {
    Fork,
    Directory,
    Fence,
    Execute,
}

impl SpawnStep {
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Fork => 0,
            Self::Directory => 1,
            Self::Execute => 2,
            Self::Fence => 3,
        }
    }

    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Directory,
            2 => Self::Execute,
            3 => Self::Fence,
            _ => Self::Fork,
        }
    }
}

/// The descriptors that a server starts with.
#[derive(Debug)]
pub struct Streams {
    /// stdin, stdout, stderr.
    pub standard: [OwnedFd; 3],
    /// Its descriptor [`CHANNEL`]. Only this program, started again, gets one.
    pub channel: Option<OwnedFd>,
}

impl Streams {
    /// From received descriptors: the three streams, then the channel, if there is one.
    pub fn new(mut received: Vec<OwnedFd>) -> Option<Self> {
        let channel = if received.len() > 3 {
            received.pop()
        } else {
            None
        };
        let standard = received.try_into().ok()?;
        Some(Self { standard, channel })
    }
}

/// The descriptor of the channel between supervisor and bridge.
pub const CHANNEL: std::os::fd::RawFd = 3;

/// Starts the server, in this control group if the kernel lets it; otherwise the group is dropped. Only a
/// process with a single thread may call this: the guard.
pub fn server(
    plan: &ExecSpec,
    streams: Streams,
    group: &mut Option<ServerGroup>,
) -> Result<Pid, SpawnError> {
    let fork_failed = |errno: Errno| SpawnError {
        step: SpawnStep::Fork,
        errno: errno as i32,
    };
    let (reader, writer) = report_pipe().map_err(|error| SpawnError {
        step: SpawnStep::Fork,
        errno: error.raw_os_error().unwrap_or(0),
    })?;
    let in_group = group.as_ref().and_then(|group| group.fork().ok());
    let forked = if let Some(forked) = in_group {
        forked
    } else {
        *group = None;
        fork().map_err(fork_failed)?
    };
    match forked {
        ForkResult::Child => {
            let failed = become_server(plan, &streams);
            let [a, b, c, d] = failed.errno.to_le_bytes();
            drop(File::from(writer).write_all(&[failed.step.to_byte(), a, b, c, d]));
            exit_now();
        }
        ForkResult::Parent { child } => {
            drop((writer, streams));
            let mut report = [0_u8; 5];
            // The pipe closes without a byte when `execve` succeeds.
            if File::from(reader).read_exact(&mut report).is_err() {
                return Ok(child);
            }
            let [step, errno @ ..] = report;
            super::ignore(nix::sys::wait::waitpid(child, None));
            Err(SpawnError {
                step: SpawnStep::from_byte(step),
                errno: i32::from_le_bytes(errno),
            })
        }
    }
}

/// A pipe whose write end is not where the child puts the channel.
fn report_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = super::fds::pipe()?;
    let above = nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(CHANNEL + 1);
    let writer = super::fds::owned(nix::fcntl::fcntl(&writer, above)?);
    Ok((reader, writer))
}

#[expect(unsafe_code, reason = "fork has no safe wrapper")]
fn fork() -> nix::Result<ForkResult> {
    // SAFETY: the guard has one thread, so the child may call any function before it executes.
    unsafe { nix::unistd::fork() }
}

fn exit_now() -> ! {
    // No destructors run: they belong to the parent.
    #[expect(unsafe_code, reason = "_exit has no safe wrapper")]
    // SAFETY: _exit takes any status and does not return.
    unsafe {
        nix::libc::_exit(127)
    }
}

/// In the child: all steps up to `execve`, which returns only on failure.
fn become_server(plan: &ExecSpec, streams: &Streams) -> SpawnError {
    super::signal::reset();
    // Its own session: no controlling terminal, and a group that the guard can signal.
    super::ignore(nix::unistd::setsid());
    die_with_parent();
    // The streams are above 2 and close-on-exec; their copies at 0 to 2 are not.
    let [input, output, error] = &streams.standard;
    super::ignore(nix::unistd::dup2_stdin(input.as_fd()));
    super::ignore(nix::unistd::dup2_stdout(output.as_fd()));
    super::ignore(nix::unistd::dup2_stderr(error.as_fd()));
    if let Some(channel) = &streams.channel {
        // What was at this number is one of the copied streams, or closes at `execve` anyway.
        super::fds::keep_at(channel.as_fd(), CHANNEL);
    }
    super::fds::grow_descriptor_table();
    if let Err(errno) = nix::unistd::chdir(plan.directory.as_c_str()) {
        return SpawnError {
            step: SpawnStep::Directory,
            errno: errno as i32,
        };
    }
    if plan.fence
        && let Err(error) = super::fence::enter()
    {
        return SpawnError {
            step: SpawnStep::Fence,
            errno: error.raw_os_error().unwrap_or(0),
        };
    }
    let mut errno = execute(&plan.program, &plan.arguments, &plan.environment);
    if errno == Errno::ENOEXEC {
        // A script without `#!` is run by the shell, as `execvp` does for every other launcher.
        let shell = c"/bin/sh".to_owned();
        let mut arguments = vec![c"sh".to_owned(), plan.program.clone()];
        arguments.extend(plan.arguments.iter().skip(1).cloned());
        errno = execute(&shell, &arguments, &plan.environment);
    }
    SpawnError {
        step: SpawnStep::Execute,
        errno: errno as i32,
    }
}

/// The kernel kills this process when the thread that started it ends. Not available on macOS.
fn die_with_parent() {
    #[cfg(target_os = "linux")]
    super::ignore(nix::sys::prctl::set_pdeathsig(
        nix::sys::signal::Signal::SIGKILL,
    ));
}

/// Makes a program end with the thread that started it. Not available on macOS.
#[expect(
    unsafe_code,
    reason = "what runs between fork and exec must not allocate"
)]
pub fn bound_to_parent(command: &mut Command) -> &mut Command {
    let parent = nix::unistd::getpid();
    let bind = move || {
        die_with_parent();
        // The parent may have ended just before; then the kernel sends no signal.
        if nix::unistd::getppid() == parent {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    // SAFETY: two system calls and nothing else: no allocation, no lock.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, bind) }
}

fn execute(program: &CStr, arguments: &[CString], environment: &[CString]) -> Errno {
    match nix::unistd::execve(program, arguments, environment) {
        Err(errno) => errno,
    }
}

/// The kernel continues this process, if it is stopped, when the thread that started it ends. Not
/// available on macOS.
pub fn continue_after_parent() {
    #[cfg(target_os = "linux")]
    super::ignore(nix::sys::prctl::set_pdeathsig(
        nix::sys::signal::Signal::SIGCONT,
    ));
}

/// Moves this process to its own session, out of reach of signals to the client's group.
pub fn new_session() {
    super::ignore(nix::unistd::setsid());
}

/// A path as a C string. Existing paths contain no NUL.
pub fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// See [`c_string`].
pub fn c_path(path: &Path) -> io::Result<CString> {
    c_string(path.as_os_str().as_bytes())
}

/// A pair of connected sockets, both close-on-exec.
pub fn socket_pair() -> io::Result<(UnixStream, UnixStream)> {
    UnixStream::pair()
}
