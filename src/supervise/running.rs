//! The running supervisors of this user: found by their sockets, queried, and bypassed if
//! necessary.
//!
//! If a supervisor does not answer (stopped, hung), its servers' processes are killed from here. A
//! socket without a listener is stale and is removed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde_json::Value;

use super::control;
use super::request::ControlVerb;
use crate::dirs::Dirs;
use crate::secret::ServerName;
use crate::sys::socket::connect;
use crate::sys::tree::{self, Process};

/// How long a supervisor may take to report what it runs.
const STATUS_LIMIT: Duration = Duration::from_millis(300);
/// How long a supervisor may take to end its servers before they are killed from outside.
const CHECK_LIMIT: Duration = Duration::from_millis(700);
/// How long the last process may take to disappear after its supervisor said so.
const GONE_LIMIT: Duration = Duration::from_millis(500);
/// How long processes killed from outside may take to disappear. Much longer than needed, so that a
/// busy machine does not report survivors.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How long a renewal may take: the handshake and the drain have limits of their own.
const RENEW_LIMIT: Duration = Duration::from_mins(1);

/// A running supervisor.
#[derive(Clone, Debug)]
pub struct Running {
    pub server: ServerName,
    pub pid: i32,
    process: Process,
    socket: PathBuf,
}

/// How the servers of a supervisor were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMethod {
    /// The supervisor ended them.
    Asked,
    /// The supervisor did not answer; its processes were killed.
    Killed,
    /// A process is still alive.
    Survived,
}

/// The result of ending the servers of a supervisor.
#[derive(Clone, Debug)]
pub struct Ended {
    pub running: Running,
    /// The server's own process, if there was one.
    pub pid: Option<i32>,
    /// The number of processes in its tree.
    pub processes: usize,
    pub method: StopMethod,
    pub took: Duration,
}

/// Every supervisor of this user, sorted by server and pid.
pub fn all(dirs: &Dirs) -> Vec<Running> {
    find(dirs, true)
}

/// Like [`all`], but leaves stale sockets in place.
pub fn look(dirs: &Dirs) -> Vec<Running> {
    find(dirs, false)
}

fn find(dirs: &Dirs, tidy: bool) -> Vec<Running> {
    let mut running: Vec<Running> = dirs
        .runtimes()
        .iter()
        .filter_map(|dir| std::fs::read_dir(dir).ok())
        .flat_map(Iterator::flatten)
        .filter_map(|entry| supervisor_of(entry.path(), tidy))
        .collect();
    running.sort_by(|a, b| (&a.server, a.pid).cmp(&(&b.server, b.pid)));
    running
}

/// A socket's supervisor, if it is alive; with `tidy`, a stale socket is removed.
fn supervisor_of(socket: PathBuf, tidy: bool) -> Option<Running> {
    let name = socket.file_name()?.to_str()?;
    let (server, pid) = name.strip_suffix(".sock")?.rsplit_once('.')?;
    let server = ServerName::new(server).ok()?;
    let pid: i32 = pid.parse().ok()?;
    let refused =
        connect(&socket).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    if refused {
        if tidy {
            drop(std::fs::remove_file(&socket));
        }
        return None;
    }
    let process = Process::of(Pid::from_raw(pid))?;
    Some(Running {
        server,
        pid,
        process,
        socket,
    })
}

impl Running {
    /// The socket that it listens on.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// The supervisor's status; `None` if it does not answer.
    pub fn status(&self) -> Option<Value> {
        control::ask(&self.socket, ControlVerb::Status, STATUS_LIMIT).ok()
    }

    /// Restarts the server behind the session.
    ///
    /// # Errors
    /// The supervisor's error text, or that it does not answer.
    pub fn renew(&self) -> Result<(), String> {
        let answer = control::ask(&self.socket, ControlVerb::Renew, RENEW_LIMIT)
            .map_err(|error| format!("no answer: {}", crate::files::io_text(&error)))?;
        if answer.get("ok") == Some(&Value::Bool(true)) {
            return Ok(());
        }
        let text = answer
            .get("error")
            .and_then(Value::as_str)
            .unwrap_or("no reason given");
        Err(text.to_owned())
    }

    /// Notes its current processes, to confirm their end later.
    pub fn look(self) -> Seen {
        let number = |value: &Value| value.as_i64().and_then(|pid| i32::try_from(pid).ok());
        let status = self.status();
        Seen {
            pid: status
                .as_ref()
                .and_then(|status| number(status.get("pid")?)),
            answers: status.is_some(),
            below: tree::seen_below(self.process),
            running: self,
        }
    }
}

/// A supervisor and its processes before the revocation.
#[derive(Debug)]
pub struct Seen {
    pub running: Running,
    pid: Option<i32>,
    answers: bool,
    below: BTreeSet<Process>,
}

impl Seen {
    /// Ends its servers, whose grant is already gone, and confirms that they are dead.
    pub fn end(mut self) -> Ended {
        let began = Instant::now();
        let supervisor = self.running.process;
        self.below.extend(tree::seen_below(supervisor));
        let answered = self.answers
            && control::ask(&self.running.socket, ControlVerb::Check, CHECK_LIMIT)
                .is_ok_and(|answer| answer.get("running") == Some(&Value::Bool(false)));
        let method = if answered && tree::all_gone(&self.below, GONE_LIMIT) {
            StopMethod::Asked
        } else if tree::kill_foreign(supervisor, &mut self.below, KILL_LIMIT) {
            StopMethod::Killed
        } else {
            StopMethod::Survived
        };
        Ended {
            running: self.running,
            pid: self.pid,
            processes: self.below.len(),
            method,
            took: began.elapsed(),
        }
    }
}

/// Queries several supervisors in parallel.
pub fn look_all(running: Vec<Running>) -> Vec<Seen> {
    std::thread::scope(|scope| {
        let looks: Vec<_> = running
            .into_iter()
            .map(|one| scope.spawn(move || one.look()))
            .collect();
        looks
            .into_iter()
            .filter_map(|look| look.join().ok())
            .collect()
    })
}

/// Ends the servers of several supervisors in parallel.
pub fn end_all(seen: Vec<Seen>) -> Vec<Ended> {
    std::thread::scope(|scope| {
        let ends: Vec<_> = seen
            .into_iter()
            .map(|one| scope.spawn(move || one.end()))
            .collect();
        ends.into_iter().filter_map(|end| end.join().ok()).collect()
    })
}
