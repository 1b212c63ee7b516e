//! Runs a command that no process of the tests is an ancestor of, with the standard streams of this
//! one: mcpwrap looks at its ancestors, and the tests may be run by an agent.
//!
//! Three processes: the *front* stays a child of the test and ends like the command. It starts a
//! *middle*, which starts the *parent* of the command and exits, so that the system adopts the parent.
//! Front and parent are connected by a socket: the command is killed when the front is gone.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);

/// The front. `without`: variables that the parent has and the command does not. The remaining
/// arguments are the socket's path and the command.
pub(crate) fn front(without: &str) -> ! {
    let mut rest: Vec<OsString> = std::env::args_os().skip(2).collect();
    let path = rest.remove(0);
    let listener = UnixListener::bind(&path).unwrap();
    let mut middle = own(&format!("apart-middle={without}"));
    middle.arg(&path).args(rest);
    assert!(middle.status().unwrap().success());
    let (mut parent, _) = listener.accept().unwrap();
    let mut code = [0];
    // Without an answer the parent was killed.
    let ended = parent.read_exact(&mut code);
    std::process::exit(if ended.is_ok() { code[0].into() } else { 137 });
}

/// The middle, which only starts the parent.
pub(crate) fn middle(without: &str) -> ! {
    let rest = std::env::args_os().skip(2);
    let mut parent = own(&format!("apart-parent={without}:{}", std::process::id()));
    drop(parent.args(rest).spawn().unwrap());
    std::process::exit(0);
}

/// The parent of the command.
pub(crate) fn parent(value: &str) -> ! {
    let (without, middle) = value.rsplit_once(':').unwrap();
    let mut rest = std::env::args_os().skip(2);
    let path = rest.next().unwrap();
    let mut front = UnixStream::connect(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let deadline = Instant::now() + DEADLINE;
    while nix::unistd::getppid().as_raw().to_string() == middle {
        assert!(Instant::now() < deadline, "not adopted in time");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let mut command = Command::new(rest.next().unwrap());
    for name in without.split(',').filter(|name| !name.is_empty()) {
        command.env_remove(name);
    }
    let mut child = command.args(rest).spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    let mut watched = front.try_clone().unwrap();
    std::thread::spawn(move || {
        if watched.read(&mut [0]).is_ok_and(|count| count == 0) {
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).ok();
        }
    });
    let code = code(child.wait().unwrap());
    front.write_all(&[code]).ok();
    std::process::exit(0);
}

fn own(act: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(act);
    command
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| code.try_into().ok()).unwrap_or(255)
}
