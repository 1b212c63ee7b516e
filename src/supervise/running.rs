//! The runs of this user: queried, ended through their supervisor, and without it if necessary.
//!
//! If a supervisor does not answer (stopped, hung, killed), the processes of its servers are killed
//! from here.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::control;
use super::request::ControlVerb;
use crate::secret::{SecretName, ServerName};
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

/// A run: a supervisor, or what is left of a run without one.
#[derive(Clone, Debug)]
pub struct Running {
    pub server: ServerName,
    supervisor: Option<Process>,
    socket: Option<PathBuf>,
    /// The processes of a run without a supervisor.
    orphans: BTreeSet<Process>,
}

/// How the servers of a run were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMethod {
    /// The supervisor ended them.
    Asked,
    /// The supervisor did not answer, or there is none; the processes were killed.
    Killed,
    /// A process is still alive.
    Survived,
}

/// What a supervisor is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End the server now, whatever the grant says.
    Revoke,
    /// Read the grant, and end the server if it may not run.
    Check,
}

/// The result of ending the servers of a run.
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

/// Kills the supervisor itself; its guards end what it started. Returns whether it is gone.
pub fn kill_supervisor(running: &Running) -> bool {
    let process = running.supervisor;
    process.is_none_or(|process| tree::kill_one(process, GONE_LIMIT))
}

impl Running {
    /// Whether the other one is the same run, looked at again.
    pub fn is_run(&self, other: &Self) -> bool {
        let is_same = self.supervisor.is_some() && self.supervisor == other.supervisor;
        is_same || (self.socket.is_some() && self.socket == other.socket)
    }

    pub(super) const fn supervised(
        server: ServerName,
        supervisor: Process,
        socket: Option<PathBuf>,
    ) -> Self {
        Self {
            server,
            supervisor: Some(supervisor),
            socket,
            orphans: BTreeSet::new(),
        }
    }

    pub(super) const fn orphaned(server: ServerName, orphans: BTreeSet<Process>) -> Self {
        Self {
            server,
            supervisor: None,
            socket: None,
            orphans,
        }
    }

    /// The pid of the supervisor, if there is one.
    pub fn pid(&self) -> Option<i32> {
        self.supervisor.map(|process| process.pid().as_raw())
    }

    /// Whether this is the same run.
    pub fn is(&self, other: &Self) -> bool {
        self.server == other.server
            && self.supervisor == other.supervisor
            && (self.supervisor.is_some() || !self.orphans.is_disjoint(&other.orphans))
    }

    pub(super) const fn supervisor(&self) -> Option<Process> {
        self.supervisor
    }

    /// The socket that it listens on, if it was found.
    pub fn socket(&self) -> Option<&std::path::Path> {
        self.socket.as_deref()
    }

    /// The pids of all its processes, except the supervisor and its guards.
    pub fn tree(&self) -> Vec<i32> {
        let mut all = self.orphans.clone();
        let roots = self.supervisor.iter().chain(&self.orphans).copied();
        all.extend(roots.flat_map(tree::seen_below));
        all.iter().map(|process| process.pid().as_raw()).collect()
    }

    fn ask(&self, verb: ControlVerb, limit: Duration) -> std::io::Result<Value> {
        let socket = self.socket.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        control::ask(socket, verb, limit)
    }

    fn status_and_listener(&self) -> Option<(Value, Option<i32>)> {
        let socket = self.socket.as_ref()?;
        control::ask_who(socket, ControlVerb::Status, STATUS_LIMIT).ok()
    }

    /// The supervisor's status; `None` if it does not answer.
    pub fn status(&self) -> Option<Value> {
        self.status_and_listener().map(|(status, _)| status)
    }

    /// The fingerprint of this secret in the running server, if it has it.
    pub fn fingerprint(&self, name: &SecretName) -> Option<String> {
        let status = self.status()?;
        let secrets = status.get("secrets")?.as_array()?;
        let has = |one: &&Value| one.get("name").and_then(Value::as_str) == Some(name.as_str());
        let found = secrets.iter().find(has)?;
        found.get("fingerprint")?.as_str().map(str::to_owned)
    }

    /// Whether a server runs in its session now.
    pub fn has_server(&self) -> bool {
        self.status()
            .is_some_and(|status| status.get("pid").is_some_and(Value::is_number))
    }

    /// A page of the tools of its server, and the revision of its session: docs/control.md.
    ///
    /// # Errors
    /// Of the socket: no listener, or no answer in time.
    pub fn tools(&self, cursor: Option<&str>, limit: Duration) -> std::io::Result<Value> {
        let socket = self.socket.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        control::ask_tools(socket, cursor, limit)
    }

    /// Restarts the server behind the session.
    ///
    /// # Errors
    /// The supervisor's error text, or that it does not answer.
    pub fn renew(&self) -> Result<(), String> {
        self.ask_for_renewal(ControlVerb::Renew)
    }

    /// Restarts the server behind the session if it has outdated values.
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub fn update(&self) -> Result<(), String> {
        self.ask_for_renewal(ControlVerb::Update)
    }

    fn ask_for_renewal(&self, verb: ControlVerb) -> Result<(), String> {
        let answer = self
            .ask(verb, RENEW_LIMIT)
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
        let (status, listener) = self.status_and_listener().unzip();
        // Only the supervisor itself can say so, and not who took its socket. Without an answer everything
        // below it is ended.
        let is_own = listener
            .flatten()
            .is_some_and(|pid| self.pid() == Some(pid));
        let told = status.as_ref().filter(|_| is_own);
        let lasting = told.and_then(|status| status.get("lasting"));
        let lasting = lasting.and_then(Value::as_array).into_iter().flatten();
        let spared: BTreeSet<Process> = lasting
            .filter_map(number)
            .map(nix::unistd::Pid::from_raw)
            .filter_map(Process::of)
            .collect();
        let mut below = self.orphans.clone();
        let roots = self.supervisor.iter().chain(&self.orphans).copied();
        below.extend(roots.flat_map(|root| tree::seen_beside(root, &spared)));
        Seen {
            spared,
            pid: status
                .as_ref()
                .and_then(|status| number(status.get("pid")?)),
            answers: status.is_some(),
            below,
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
    /// Processes of the supervisor that finish their work: a refresh of a token.
    spared: BTreeSet<Process>,
}

impl Seen {
    /// Whether all its processes have exited, or do so within the limit.
    pub fn is_gone(&self, limit: Duration) -> bool {
        tree::all_gone(&self.below, limit)
    }

    /// The pids of the guards: the children of the supervisor.
    pub fn guards(&self) -> Vec<i32> {
        let supervisor = self.running.supervisor.map(Process::pid);
        let pids = self.below.iter().map(|process| process.pid());
        let guards = pids.filter(|pid| tree::parent_of(*pid) == supervisor);
        guards.map(nix::unistd::Pid::as_raw).collect()
    }

    /// Ends its servers, and confirms that they are dead.
    pub fn end(mut self, order: Order) -> Ended {
        let began = Instant::now();
        let supervisor = self.running.supervisor;
        let below = supervisor.map(|process| tree::seen_beside(process, &self.spared));
        self.below.extend(below.into_iter().flatten());
        let verb = match order {
            Order::Revoke => ControlVerb::Revoke,
            Order::Check => ControlVerb::Check,
        };
        let answered = self.answers
            && self
                .running
                .ask(verb, CHECK_LIMIT)
                .is_ok_and(|answer| answer.get("running") == Some(&Value::Bool(false)));
        let method = if answered && tree::all_gone(&self.below, GONE_LIMIT) {
            StopMethod::Asked
        } else if tree::kill_foreign(supervisor, &mut self.below, &self.spared, KILL_LIMIT) {
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

/// Ends the servers of several runs in parallel.
pub fn end_all(seen: Vec<Seen>, order: Order) -> Vec<Ended> {
    std::thread::scope(|scope| {
        let ends: Vec<_> = seen
            .into_iter()
            .map(|one| scope.spawn(move || one.end(order)))
            .collect();
        ends.into_iter().filter_map(|end| end.join().ok()).collect()
    })
}
