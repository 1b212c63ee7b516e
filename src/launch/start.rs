//! Starts a server: from environment and command to a process with pipes.
//!
//! Invariants: the environment starts empty and gets what the policy inherits, what it sets and the
//! secrets; nothing is subtracted from ours. Only this module and `dirs` read our environment. The
//! server's parent is a guard (see `guard`), so its process tree ends even if mcpwrap is killed.

use std::ffi::{CString, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use nix::unistd::Pid;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::launch::container::Container;
use crate::launch::resolve::ServerEnv;
use crate::policy::inherit;
use crate::secret::ServerName;
use crate::sys::exec::ExecSpec;
use crate::sys::spawn::SpawnStep;
use crate::sys::{fds, ignore, spawn};

/// The guard answers within milliseconds, unless the machine is out of memory.
const START_LIMIT: Duration = Duration::from_secs(5);

/// A started server with our ends of its pipes.
#[derive(Debug)]
pub struct StartedServer {
    pub guard: Child,
    /// The socket to the guard: orders go out, reports come in.
    pub control: UnixStream,
    pub pid: i32,
    /// Whether it has a control group of its own.
    pub has_group: bool,
    pub stdin: File,
    pub stdout: File,
    pub stderr: File,
}

/// The variables of the client's environment that a server inherits.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the server's environment comes from"
)]
pub fn inherited(pass: &[String]) -> Vec<(OsString, OsString)> {
    inherit::inherited(std::env::vars_os(), pass)
}

/// A variable of the client's environment.
#[expect(clippy::disallowed_methods, reason = "the same environment as above")]
pub fn client_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What a guard shows in its command line, so that it is found when nothing else is left of a run.
#[derive(Clone, Debug)]
pub struct GuardLabel {
    pub server: ServerName,
    pub run: String,
    /// See `launch::mark::home`.
    pub home: String,
}

/// The command to start, and its working directory.
pub struct ExecCommand<'a> {
    pub label: &'a GuardLabel,
    /// argv, starting with the program's name.
    pub arguments: &'a [Zeroizing<Vec<u8>>],
    pub program: &'a Path,
    pub directory: &'a Path,
    /// Whether it starts inside the fence.
    pub fence: bool,
}

impl fmt::Debug for ExecCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecCommand")
            .field("label", self.label)
            .finish_non_exhaustive()
    }
}

/// A guard that waits for its order. Without one it is ended when this is dropped.
#[derive(Debug)]
pub struct WaitingGuard(Option<(Child, UnixStream)>);

impl WaitingGuard {
    /// Starts a guard, which takes longer than everything else in a launch.
    ///
    /// # Errors
    /// The kernel's.
    pub fn start(label: &GuardLabel) -> io::Result<Self> {
        let (ours, theirs) = spawn::socket_pair()?;
        let label = [label.server.as_str(), &label.run, &label.home];
        let guard = spawn::guard(theirs.into(), &label)?;
        Ok(Self(Some((guard, ours))))
    }

    /// Its process.
    pub fn pid(&self) -> Option<Pid> {
        let (guard, _) = self.0.as_ref()?;
        i32::try_from(guard.id()).ok().map(Pid::from_raw)
    }

    /// Itself, if it still waits.
    fn alive(mut self) -> Option<Self> {
        let (guard, _) = self.0.as_mut()?;
        let is_alive = matches!(guard.try_wait(), Ok(None));
        is_alive.then_some(self)
    }
}

impl Drop for WaitingGuard {
    fn drop(&mut self) {
        if let Some((mut guard, _)) = self.0.take() {
            // It has no server yet.
            ignore(guard.kill());
            ignore(guard.wait());
        }
    }
}

/// Lets a guard start the server. `guard` is one that waits already, if there is one; `channel` becomes
/// the descriptor [`spawn::CHANNEL`] of a bridge.
///
/// # Errors
/// `program-not-found`, `program-not-executable`, `launch-failed`.
pub fn launch(
    command: &ExecCommand<'_>,
    env: &ServerEnv,
    guard: Option<WaitingGuard>,
    channel: Option<OwnedFd>,
) -> Result<StartedServer> {
    let plan = plan(command, env)?;
    let pipes = || fds::pipe().map_err(|error| failed(command, "cannot create a pipe", &error));
    let (server_in, stdin) = pipes()?;
    let (stdout, server_out) = pipes()?;
    let (stderr, server_err) = pipes()?;
    fds::enlarge_pipe(stdout.as_fd());
    fds::enlarge_pipe(stdin.as_fd());
    let mut streams = vec![server_in, server_out, server_err];
    streams.extend(channel);
    let (guard, control) = order_guard(guard, (&plan, command.label), &streams, env)
        .map_err(|error| failed(command, "cannot start its guard process", &error))?;
    drop(streams);
    drop(plan);
    let (pid, has_group) = started(command, &control)?;
    Ok(StartedServer {
        guard,
        control,
        pid,
        has_group,
        stdin: stdin.into(),
        stdout: stdout.into(),
        stderr: stderr.into(),
    })
}

fn failed(command: &ExecCommand<'_>, what: &str, error: &io::Error) -> Error {
    Error::new(Code::LaunchFailed, what)
        .not_started(&command.label.server)
        .cause(crate::files::io_text(error))
        .hint_if(crate::files::io_hint(error))
}

fn order_guard(
    guard: Option<WaitingGuard>,
    (plan, label): (&ExecSpec, &GuardLabel),
    streams: &[OwnedFd],
    env: &ServerEnv,
) -> io::Result<(Child, UnixStream)> {
    // One that was killed while it waited is replaced.
    let guard = guard.and_then(WaitingGuard::alive);
    let mut waiting = guard.map_or_else(|| WaitingGuard::start(label), Ok)?;
    let (_, ours) = waiting.0.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let bytes = Zeroizing::new(plan.encode());
    let streams: Vec<_> = streams.iter().map(OwnedFd::as_fd).collect();
    fds::send_with_fds(ours, &bytes, &streams)?;
    let mut files = Vec::new();
    for file in env.files() {
        files.extend(file.as_os_str().as_bytes());
        files.push(0);
    }
    let container = env.container();
    container.map_or(Ok(()), Container::write_note)?;
    for bytes in [files, container.map(Container::encode).unwrap_or_default()] {
        (&mut &*ours).write_all(&u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes())?;
        (&mut &*ours).write_all(&bytes)?;
    }
    waiting
        .0
        .take()
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn plan(command: &ExecCommand<'_>, env: &ServerEnv) -> Result<ExecSpec> {
    let unusable = |error: io::Error| failed(command, "its command contains a NUL byte", &error);
    let mut environment = Vec::with_capacity(env.variables().len());
    for (name, value) in env.variables() {
        let mut text = Vec::with_capacity(name.len() + 1 + value.len());
        text.extend(name.as_bytes());
        text.push(b'=');
        text.extend(value.iter());
        environment
            .push(CString::new(text).map_err(|_| unusable(io::ErrorKind::InvalidInput.into()))?);
    }
    let arguments: io::Result<Vec<_>> = command
        .arguments
        .iter()
        .map(|argument| spawn::c_string(argument))
        .collect();
    Ok(ExecSpec {
        program: spawn::c_path(command.program).map_err(unusable)?,
        directory: spawn::c_path(command.directory).map_err(unusable)?,
        arguments: arguments.map_err(unusable)?,
        environment,
        fence: command.fence,
    })
}

fn not_executable(command: &ExecCommand<'_>, program: &Path, why: &str) -> Error {
    let shown = program.display();
    Error::new(
        Code::ProgramNotExecutable,
        format!("cannot execute `{shown}`"),
    )
    .not_started(&command.label.server)
    .cause(why)
    .hint(format!(
        "run `ls -l {shown}` to see its mode, `chmod +x` to make it executable"
    ))
}

/// Waits for the guard to report that the server runs, or why not.
fn started(command: &ExecCommand<'_>, mut control: &UnixStream) -> Result<(i32, bool)> {
    use crate::launch::guard::{GuardMessage, REPORT_BYTES};
    let no_guard = |error: io::Error| failed(command, "its guard process exited", &error);
    control
        .set_read_timeout(Some(START_LIMIT))
        .map_err(no_guard)?;
    let mut bytes = [0; REPORT_BYTES];
    control.read_exact(&mut bytes).map_err(no_guard)?;
    control.set_read_timeout(None).map_err(no_guard)?;
    let failed_start = match GuardMessage::decode(bytes) {
        Some(GuardMessage::Started { pid, has_group }) => return Ok((pid, has_group)),
        Some(GuardMessage::Failed(failed_start)) => failed_start,
        _ => return Err(no_guard(io::ErrorKind::InvalidData.into())),
    };
    let error = io::Error::from_raw_os_error(failed_start.errno);
    let program = command.program;
    Err(match (failed_start.step, failed_start.errno) {
        (SpawnStep::Directory, _) => {
            let shown = command.directory.display();
            let what = format!("cannot change to working directory `{shown}`");
            failed(command, &what, &error).hint("fix `cwd` in the policy, then grant it again")
        }
        (SpawnStep::Fence, _) => failed(command, "the kernel refused its fence", &error).hint(
            "set `fence = false` in the policy and grant it again, or find what forbids Landlock",
        ),
        (SpawnStep::Execute, nix::libc::ENOENT) => Error::new(
            Code::ProgramNotFound,
            format!("the interpreter of `{}` does not exist", program.display()),
        )
        .not_started(&command.label.server)
        .cause("its first line names a missing program")
        .hint(format!("run `head -1 {}` to see it", program.display())),
        (
            SpawnStep::Execute,
            nix::libc::EACCES | nix::libc::ENOEXEC | nix::libc::ETXTBSY | nix::libc::EPERM,
        ) => not_executable(command, program, &crate::files::io_text(&error)),
        (SpawnStep::Execute, nix::libc::E2BIG) => failed(
            command,
            "its arguments and environment exceed the kernel's limit",
            &error,
        ),
        _ => failed(command, "the kernel refused to start it", &error),
    })
}
