//! The drill under faults: `mcpwrap revoke` runs as a program of its own while something is broken.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::{DrillClient, DrillHome, failed};
use crate::dirs::{self, Dirs};
use crate::error::Result;
use crate::files;
use crate::supervise::running::Seen;
use crate::sys::{spawn, user};

/// How long a process may take to disappear after `revoke` said that it is gone.
const GONE_LIMIT: Duration = Duration::from_millis(100);

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillFault {
    DiskFull,
    GrantsNotWritable,
    SocketGone,
    SupervisorStopped,
    GuardKilled,
}

impl DrillFault {
    pub const ALL: [Self; 5] = [
        Self::DiskFull,
        Self::GrantsNotWritable,
        Self::SocketGone,
        Self::SupervisorStopped,
        Self::GuardKilled,
    ];

    /// Its name for users.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiskFull => "disk full",
            Self::GrantsNotWritable => "grants not writable",
            Self::SocketGone => "socket gone",
            Self::SupervisorStopped => "supervisor stopped",
            Self::GuardKilled => "guard killed",
        }
    }
}

/// What the kill switch did under a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultOutcome {
    /// All processes exited and a new start was refused.
    Works,
    Fails,
    /// The fault cannot be made here.
    Skipped,
}

/// The result of one fault.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FaultResult {
    pub fault: DrillFault,
    pub result: FaultOutcome,
}

/// Breaks one thing, revokes the running server, and starts it again in vain.
pub(super) fn try_one(
    fault: DrillFault,
    home: &DrillHome,
    sandbox: &Dirs,
    mut session: DrillClient,
    seen: &Seen,
) -> Result<FaultResult> {
    let made = make(fault, sandbox, &session, seen);
    let code = revoke(home, fault == DrillFault::DiskFull);
    undo(fault, sandbox, &session);
    let gone = seen.is_gone(GONE_LIMIT);
    session.end();
    let refused = DrillClient::start(&home.path, &home.user)?.refused();
    let result = match (made, code? == Some(0) && gone && refused) {
        (false, _) => FaultOutcome::Skipped,
        (true, true) => FaultOutcome::Works,
        (true, false) => FaultOutcome::Fails,
    };
    Ok(FaultResult { fault, result })
}

/// Whether the fault could be made.
fn make(fault: DrillFault, sandbox: &Dirs, session: &DrillClient, seen: &Seen) -> bool {
    match fault {
        // A limit of the program that revokes: none of its writes to a file succeeds.
        DrillFault::DiskFull => true,
        DrillFault::GrantsNotWritable => user::id() != 0 && set_mode(&sandbox.grants(), 0o500),
        DrillFault::SocketGone => {
            let socket = seen.running.socket();
            socket.is_some_and(|socket| std::fs::remove_file(socket).is_ok())
        }
        DrillFault::SupervisorStopped => send(session.pid(), Signal::SIGSTOP),
        DrillFault::GuardKilled => {
            // A supervisor that runs would end the rest itself.
            let stopped = send(session.pid(), Signal::SIGSTOP);
            let guards = seen.guards();
            stopped
                && !guards.is_empty()
                && guards.into_iter().all(|pid| send(pid, Signal::SIGKILL))
        }
    }
}

fn undo(fault: DrillFault, sandbox: &Dirs, session: &DrillClient) {
    match fault {
        DrillFault::DiskFull | DrillFault::SocketGone => {}
        DrillFault::GrantsNotWritable => drop(set_mode(&sandbox.grants(), 0o700)),
        DrillFault::SupervisorStopped | DrillFault::GuardKilled => {
            send(session.pid(), Signal::SIGCONT);
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> bool {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).is_ok()
}

fn send(pid: i32, signal: Signal) -> bool {
    kill(Pid::from_raw(pid), signal).is_ok()
}

/// Runs `mcpwrap revoke drill`; returns its exit code.
fn revoke(home: &DrillHome, without_disk: bool) -> Result<Option<i32>> {
    let arguments = [OsStr::new("revoke"), OsStr::new("drill")];
    let environment = [
        (dirs::MCPWRAP_HOME, home.path.as_os_str()),
        ("HOME", home.user.as_os_str()),
    ];
    let start = if without_disk {
        spawn::own_without_disk
    } else {
        spawn::own
    };
    let cannot = |error: std::io::Error| failed("cannot revoke").cause(files::io_text(&error));
    let child = start(&arguments, &environment).map_err(cannot)?;
    Ok(child.wait_with_output().map_err(cannot)?.status.code())
}
