//! Finds the runs of this user: by control socket, by the launch records of the audit log, by the
//! process table, by the control group of a server, and by the mark in the environment.
//!
//! Each way finds what the others miss: sockets and records can be removed, and a supervisor can be
//! killed while processes of its server live on. Invariant: what is found by its mark alone belongs
//! to a run only if it is in the session or process group of the run's server; otherwise it is a
//! [`Stray`], which is named and not ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use nix::unistd::Pid;

use super::running::Running;
use crate::audit::runs::{self, LoggedRun};
use crate::dirs::Dirs;
use crate::launch::mark::{self, RunMark};
use crate::secret::ServerName;
use crate::sys::cgroup;
use crate::sys::socket::connect;
use crate::sys::spawn::GUARD;
use crate::sys::table::{self, TableEntry};
use crate::sys::tree::{self, Process};

/// A clock that was set back since boot must not hide a record.
const CLOCK_ERROR: SignedDuration = SignedDuration::from_hours(24);

/// A process with the mark of a run, outside of everything that the run is known to have started.
#[derive(Clone, Debug)]
pub struct Stray {
    pub server: ServerName,
    pub pid: i32,
    /// Its program, for messages.
    pub program: String,
}

impl Stray {
    fn new(server: ServerName, process: Process) -> Self {
        Self {
            server,
            pid: process.pid().as_raw(),
            program: table::program(process),
        }
    }
}

/// Everything that was found, sorted by server and pid.
#[derive(Debug, Default)]
pub struct Found {
    pub running: Vec<Running>,
    pub strays: Vec<Stray>,
}

/// The supervisors that have a socket. With `tidy`, stale sockets are removed.
pub fn by_socket(dirs: &Dirs, tidy: bool) -> Vec<Running> {
    let mut running: Vec<Running> = dirs
        .runtimes()
        .iter()
        .filter_map(|dir| std::fs::read_dir(dir).ok())
        .flat_map(Iterator::flatten)
        .filter_map(|entry| supervisor_of(entry.path(), tidy))
        .collect();
    sort(&mut running);
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
    Some(Running::supervised(server, process, Some(socket)))
}

fn sort(running: &mut [Running]) {
    running.sort_by(|a, b| (&a.server, a.pid()).cmp(&(&b.server, b.pid())));
}

/// Everything, by all ways. Slower than [`by_socket`]: reads the log and the process table.
pub fn find(dirs: &Dirs, tidy: bool) -> Found {
    let running = by_socket(dirs, tidy);
    let home = mark::home(dirs);
    let booted = table::booted().and_then(|at| Timestamp::try_from(at).ok());
    let since = booted.map(|at| at.saturating_sub(CLOCK_ERROR).unwrap_or(at));
    let mut search = Search {
        supervisors: BTreeMap::new(),
        orphans: BTreeMap::new(),
        runs: runs::since(&dirs.audit(), since),
        table: table::of_user(),
    };
    for one in &running {
        search.supervisors.extend(
            one.supervisor()
                .map(|process| (process, one.server.clone())),
        );
    }
    search.by_log();
    search.by_table(&home);
    let strays = search.by_mark(&home);
    let mut found = Found { running, strays };
    let has = |found: &Found, process| {
        found
            .running
            .iter()
            .any(|one| one.supervisor() == Some(process))
    };
    for (process, server) in search.supervisors {
        if !has(&found, process) {
            found
                .running
                .push(Running::supervised(server, process, None));
        }
    }
    for ((server, _), processes) in search.orphans {
        found.running.push(Running::orphaned(server, processes));
    }
    sort(&mut found.running);
    found
}

struct Search {
    supervisors: BTreeMap<Process, ServerName>,
    /// What is left of runs without a supervisor, by server and run.
    orphans: BTreeMap<(ServerName, String), BTreeSet<Process>>,
    runs: BTreeMap<String, LoggedRun>,
    table: Vec<TableEntry>,
}

impl Search {
    /// Supervisors and servers that the log names, if pid and start are still the same.
    fn by_log(&mut self) {
        let alive = |(pid, started)| Process::alive(pid, started);
        for (id, run) in &self.runs {
            if let Some(process) = run.supervisor.and_then(alive) {
                self.supervisors.insert(process, run.server.clone());
                continue;
            }
            for server in run.servers.iter().copied().filter_map(alive) {
                let of_server = |entry: &&TableEntry| {
                    entry.session == server.pid() || entry.group == server.pid()
                };
                let members = self.table.iter().filter(of_server);
                let orphans = self.orphans.entry((run.server.clone(), id.clone()));
                let orphans = orphans.or_default();
                orphans.insert(server);
                orphans.extend(members.map(|entry| entry.process));
            }
        }
    }

    /// Supervisors by command line and thread, guards by command line.
    fn by_table(&mut self, home: &str) {
        let thread = mark::thread_name(home);
        for entry in &self.table {
            if let Some(server) = server_argument(&entry.arguments)
                && table::has_thread(entry.process.pid(), &thread)
            {
                self.supervisors.insert(entry.process, server);
            }
        }
        for entry in &self.table {
            let Some([server, run, of]) = guard_arguments(entry) else {
                continue;
            };
            let parent = |process: &Process| process.pid() == entry.parent;
            if of != home || self.supervisors.keys().any(parent) {
                continue;
            }
            if let Ok(server) = ServerName::new(server) {
                let orphans = self.orphans.entry((server, run.to_owned()));
                orphans.or_default().insert(entry.process);
            }
        }
    }

    /// Whether the supervisor or a guard of a run is alive.
    fn is_supervised(&self, run: &str) -> bool {
        let logged = self.runs.get(run).and_then(|run| run.supervisor);
        let is_guard =
            |entry: &TableEntry| guard_arguments(entry).is_some_and(|[_, of, _]| of == run);
        logged.is_some_and(|(pid, started)| Process::alive(pid, started).is_some())
            || self.table.iter().any(is_guard)
    }

    /// Whether a process was started before the first server of a run.
    fn is_older(&self, run: &str, pid: Pid) -> bool {
        let servers = self.runs.get(run).map(|run| run.servers.iter());
        let first = servers.and_then(|servers| servers.map(|(_, started)| *started).min());
        let started = tree::started(pid.as_raw());
        started
            .zip(first)
            .is_some_and(|(started, first)| started < first)
    }

    /// Processes in the control group of a server, or with a mark, that are below no supervisor and no
    /// known orphan.
    fn by_mark(&mut self, home: &str) -> Vec<Stray> {
        let mut strays = Vec::new();
        let roots: BTreeSet<Pid> = self
            .supervisors
            .keys()
            .chain(self.orphans.values().flatten())
            .map(|process| process.pid())
            .collect();
        let parents: BTreeMap<Pid, Pid> = self
            .table
            .iter()
            .map(|entry| (entry.process.pid(), entry.parent))
            .collect();
        for entry in &self.table {
            let pid = entry.process.pid();
            if is_below(pid, &roots, &parents) {
                continue;
            }
            let label = cgroup::label_of(pid);
            if let Some((server, run)) = label.and_then(|label| mark::of_group(&label, home)) {
                if self.is_supervised(&run) || self.is_older(&run, pid) {
                    // All that a server starts is below its supervisor, and younger: this was moved there.
                    strays.push(Stray::new(server, entry.process));
                } else {
                    let orphans = self.orphans.entry((server, run));
                    orphans.or_default().insert(entry.process);
                }
                continue;
            }
            let Some(mark) = table::variable(pid, mark::VARIABLE)
                .and_then(|text| RunMark::parse(&text))
                .filter(|mark| mark.home == home)
            else {
                continue;
            };
            let run = self.runs.get(&mark.run);
            let of_server = |(server, _): &(i32, u64)| {
                let server = Pid::from_raw(*server);
                entry.session == server || entry.group == server
            };
            match run {
                // A mark that the run does not have says nothing.
                Some(run) if run.mark.as_ref().is_some_and(|known| *known != mark.mac) => {}
                Some(run) if run.servers.iter().any(of_server) => {
                    let orphans = self.orphans.entry((run.server.clone(), mark.run));
                    orphans.or_default().insert(entry.process);
                }
                _ => strays.push(Stray::new(mark.server, entry.process)),
            }
        }
        strays
    }
}

/// Whether a process is one of the roots or has one of them above it.
fn is_below(pid: Pid, roots: &BTreeSet<Pid>, parents: &BTreeMap<Pid, Pid>) -> bool {
    let above = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
    // Longer than any chain; parents that were read at different moments may form a circle.
    above
        .take(parents.len() + 1)
        .any(|pid| roots.contains(&pid))
}

/// The server, the run and the home in the command line of a guard.
fn guard_arguments(entry: &TableEntry) -> Option<[&str; 3]> {
    let [_, word, server, run, home] = entry.arguments.as_slice() else {
        return None;
    };
    (word == GUARD).then_some([server, run, home])
}

/// The server of a command line `mcpwrap run SERVER`.
fn server_argument(arguments: &[String]) -> Option<ServerName> {
    let mut words = arguments.iter().skip(1).take_while(|word| *word != "--");
    words.next().filter(|word| *word == "run")?;
    while let Some(word) = words.next() {
        if word == "--profile" {
            words.next();
        } else if !word.starts_with('-') {
            return ServerName::new(word).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_found_in_a_command_line() {
        let of = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            server_argument(&words).map(|server| server.to_string())
        };
        assert_eq!(of("/usr/bin/mcpwrap run github").as_deref(), Some("github"));
        assert_eq!(
            of("mcpwrap run --profile prod github -- npx x").as_deref(),
            Some("github")
        );
        assert_eq!(of("x run --profile=prod github").as_deref(), Some("github"));
        for other in [
            "mcpwrap revoke github",
            "mcpwrap run -- x",
            "mcpwrap run",
            "mcpwrap",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let pid = Pid::from_raw;
        let parents = BTreeMap::from([(pid(2), pid(3)), (pid(3), pid(2)), (pid(4), pid(9))]);
        assert!(!is_below(pid(2), &BTreeSet::from([pid(9)]), &parents));
        assert!(is_below(pid(4), &BTreeSet::from([pid(9)]), &parents));
    }
}
