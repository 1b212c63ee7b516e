//! Process trees: finding, signalling and killing all descendants of a process.
//!
//! The caller is a subreaper (Linux), so a daemon that forked twice is still its descendant, and
//! the pid of a direct child is not reused before the caller reaps it. Invariant: signals go
//! through a pidfd after the parent was checked again, so a reused pid is not hit. macOS has no
//! subreaper: a daemon that left its parent and its session is not found.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Makes orphans below this process its children (Linux).
pub fn become_subreaper() {
    #[cfg(target_os = "linux")]
    super::ignore(nix::sys::prctl::set_child_subreaper(true));
}

/// All descendants of a process, parents before children.
pub fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = vec![root];
    let mut seen = BTreeSet::from([root]);
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        for child in children(pid) {
            if seen.insert(child) {
                found.push(child);
            }
        }
    }
    found.remove(0);
    found
}

#[cfg(target_os = "linux")]
fn children(pid: Pid) -> Vec<Pid> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = tasks
        .flatten()
        .map(|task| std::fs::read_to_string(task.path().join("children")));
    let mut all = Vec::new();
    for list in lists {
        match list {
            Ok(list) => {
                all.extend(
                    list.split_whitespace()
                        .filter_map(|pid| pid.parse().ok())
                        .map(Pid::from_raw),
                );
            }
            // A kernel without CONFIG_PROC_CHILDREN: read the parent of every process.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    && std::fs::metadata(format!("/proc/{pid}/stat")).is_ok() =>
            {
                return children_by_parent(pid);
            }
            Err(_) => {}
        }
    }
    all
}

#[cfg(target_os = "linux")]
fn children_by_parent(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

/// The current parent; `None` if the process is gone.
#[cfg(target_os = "linux")]
pub fn parent_of(pid: Pid) -> Option<Pid> {
    stat_field(pid, 1)?.parse().ok().map(Pid::from_raw)
}

/// A field of `/proc/PID/stat` after the program's name: 0 is the state, 1 the parent, 19 the
/// start.
#[cfg(target_os = "linux")]
pub(super) fn stat_field(pid: Pid, index: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(index).map(str::to_owned)
}

/// When the process started, in the kernel's unit; detects a reused pid.
#[cfg(target_os = "linux")]
fn start_time(pid: Pid) -> Option<u64> {
    stat_field(pid, 19)?.parse().ok()
}

#[cfg(target_os = "macos")]
fn children(pid: Pid) -> Vec<Pid> {
    let mut buffer = [0 as nix::libc::pid_t; 1024];
    let bytes = i32::try_from(size_of_val(&buffer)).unwrap_or(0);
    #[expect(unsafe_code, reason = "proc_listchildpids has no safe wrapper")]
    // SAFETY: the buffer has the length that is passed.
    let count =
        unsafe { nix::libc::proc_listchildpids(pid.as_raw(), buffer.as_mut_ptr().cast(), bytes) };
    buffer
        .iter()
        .take(usize::try_from(count).unwrap_or(0))
        .copied()
        .map(Pid::from_raw)
        .collect()
}

/// The current parent; `None` if the process is gone.
#[cfg(target_os = "macos")]
pub fn parent_of(pid: Pid) -> Option<Pid> {
    bsd_info(pid)
        .and_then(|info| i32::try_from(info.pbi_ppid).ok())
        .map(Pid::from_raw)
}

/// When the process started, in the kernel's unit; detects a reused pid.
#[cfg(target_os = "macos")]
fn start_time(pid: Pid) -> Option<u64> {
    bsd_info(pid).map(|info| info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec)
}

#[cfg(target_os = "macos")]
fn bsd_info(pid: Pid) -> Option<nix::libc::proc_bsdinfo> {
    let mut info = std::mem::MaybeUninit::<nix::libc::proc_bsdinfo>::zeroed();
    let size = i32::try_from(size_of::<nix::libc::proc_bsdinfo>()).ok()?;
    let flavor = nix::libc::PROC_PIDTBSDINFO;
    #[expect(unsafe_code, reason = "proc_pidinfo has no safe wrapper")]
    // SAFETY: the buffer has the length that is passed.
    let got =
        unsafe { nix::libc::proc_pidinfo(pid.as_raw(), flavor, 0, info.as_mut_ptr().cast(), size) };
    #[expect(
        unsafe_code,
        reason = "the buffer was zeroed, and the kernel filled all of it"
    )]
    // SAFETY: all bit patterns are valid for this plain struct.
    (got == size).then(|| unsafe { info.assume_init() })
}

/// A process, distinguished from a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pid: Pid,
    started: u64,
}

impl Process {
    /// `None` if no process has this pid.
    pub fn of(pid: Pid) -> Option<Self> {
        let started = start_time(pid)?;
        Some(Self { pid, started })
    }

    pub const fn pid(self) -> Pid {
        self.pid
    }

    /// The living process with this pid and start.
    pub fn alive(pid: i32, started: u64) -> Option<Self> {
        let pid = Pid::from_raw(pid);
        Some(Self { pid, started }).filter(|process| process.is_alive())
    }

    fn is(self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Whether it has not exited (a zombie has).
    pub fn is_alive(self) -> bool {
        self.is() && !is_zombie(self.pid)
    }
}

/// When a living process started, in the kernel's unit since boot.
pub fn started(pid: i32) -> Option<u64> {
    let process = Process::of(Pid::from_raw(pid))?;
    process.is_alive().then_some(process.started)
}

/// [`descendants`] as processes that can be recognised later.
pub fn seen_below(root: Process) -> BTreeSet<Process> {
    let below = if root.is() {
        descendants(root.pid)
    } else {
        Vec::new()
    };
    below.into_iter().filter_map(Process::of).collect()
}

/// [`seen_below`], without these processes and what is below them.
pub fn seen_beside(root: Process, spared: &BTreeSet<Process>) -> BTreeSet<Process> {
    let mut below = seen_below(root);
    for process in spared {
        below.remove(process);
        for child in seen_below(*process) {
            below.remove(&child);
        }
    }
    below
}

/// Sends a signal to a process if it still has this parent.
fn signal_child(pid: Pid, parent: Option<Pid>, signal: Signal) {
    signal_if(pid, || parent.is_none() || parent_of(pid) == parent, signal);
}

/// Sends a signal to a process if this condition holds after its pid was fixed by a pidfd.
fn signal_if(pid: Pid, holds: impl Fn() -> bool, signal: Signal) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
        let Some(raw) = rustix::process::Pid::from_raw(pid.as_raw()) else {
            return;
        };
        if let Ok(fd) = pidfd_open(raw, PidfdFlags::empty()) {
            if holds() {
                let signal = rustix::process::Signal::from_named_raw(signal as i32);
                if let Some(signal) = signal {
                    super::ignore(pidfd_send_signal(fd, signal));
                }
            }
            return;
        }
    }
    // Kernels before 5.3, and macOS.
    if holds() {
        super::ignore(nix::sys::signal::kill(pid, signal));
    }
}

/// Sends a signal to every descendant of a process.
pub fn signal_descendants(root: Pid, signal: Signal) {
    for pid in descendants(root) {
        signal_child(pid, parent_of(pid), signal);
    }
}

/// Kills and reaps all descendants of this process, except `spared` and their descendants; calls
/// `reaped` with the status of each child. Returns whether none is left. A process that forks
/// faster than it is found is stopped first.
pub fn kill_own_descendants(
    spared: &[Pid],
    limit: Duration,
    reaped: &mut dyn FnMut(Pid, WaitStatus),
) -> bool {
    let me = nix::unistd::getpid();
    let deadline = Instant::now() + limit;
    let mut round = 0;
    loop {
        let protected: BTreeSet<Pid> = spared
            .iter()
            .flat_map(|pid| descendants(*pid).into_iter().chain([*pid]))
            .collect();
        let rest: Vec<Pid> = descendants(me)
            .into_iter()
            .filter(|pid| !protected.contains(pid))
            .collect();
        if rest.is_empty() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        if round > 2 {
            for pid in &rest {
                signal_child(*pid, parent_of(*pid), Signal::SIGSTOP);
            }
        }
        for pid in rest {
            signal_child(pid, parent_of(pid), Signal::SIGKILL);
        }
        reap(spared, reaped);
        round += 1;
        if round > 1 {
            // A killed process needs a moment to become a zombie that can be reaped.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Growing pauses, so that 200 waiting processes do not slow down the ones that have to exit.
struct Pause(Duration);

impl Pause {
    const fn new() -> Self {
        Self(Duration::from_millis(1))
    }

    fn wait(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(Duration::from_millis(20));
    }
}

/// Kills everything below another supervisor, if there is one, which may be stopped or hung. `known`
/// are processes seen before; they are killed even if their parent has changed, with everything
/// below them; `spared` and what is below these are not. Returns whether all are gone.
pub fn kill_foreign(
    supervisor: Option<Process>,
    known: &mut BTreeSet<Process>,
    spared: &BTreeSet<Process>,
    limit: Duration,
) -> bool {
    let deadline = Instant::now() + limit;
    // A list read while processes exit can miss a living one, so one pass is not enough.
    let mut clean = 0;
    let mut pause = Pause::new();
    while clean < 2 {
        let roots = supervisor.iter().chain(&*known).copied();
        let below: Vec<_> = roots.flat_map(|root| seen_beside(root, spared)).collect();
        known.extend(below);
        let alive: Vec<_> = known
            .iter()
            .filter(|process| process.is_alive())
            .copied()
            .collect();
        clean = if alive.is_empty() { clean + 1 } else { 0 };
        for process in alive {
            signal_if(process.pid, || process.is(), Signal::SIGKILL);
        }
        if Instant::now() > deadline {
            return false;
        }
        pause.wait();
    }
    true
}

/// Kills everything below a process.
pub fn kill_below(process: Process, limit: Duration) {
    kill_foreign(Some(process), &mut BTreeSet::new(), &BTreeSet::new(), limit);
}

/// Kills one process and waits for its end. Returns whether it is gone.
pub fn kill_one(process: Process, limit: Duration) -> bool {
    signal_if(process.pid, || process.is(), Signal::SIGKILL);
    all_gone(&BTreeSet::from([process]), limit)
}

/// Waits up to the limit until all of these have exited (or are zombies). Returns whether they
/// have.
pub fn all_gone(seen: &BTreeSet<Process>, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut pause = Pause::new();
    while seen.iter().any(|process| process.is_alive()) {
        if Instant::now() > deadline {
            return false;
        }
        pause.wait();
    }
    true
}

/// Whether a process is a zombie.
pub fn is_zombie(pid: Pid) -> bool {
    #[cfg(target_os = "linux")]
    return stat_field(pid, 0).is_some_and(|state| state == "Z" || state == "X");
    #[cfg(target_os = "macos")]
    return bsd_info(pid).is_some_and(|info| info.pbi_status == 5);
}

/// Whether a process is stopped by a signal.
pub fn is_stopped(pid: Pid) -> bool {
    #[cfg(target_os = "linux")]
    return stat_field(pid, 0).is_some_and(|state| state == "T" || state == "t");
    #[cfg(target_os = "macos")]
    return bsd_info(pid).is_some_and(|info| info.pbi_status == 4);
}

/// Reaps exited children, except those named, which their owners wait for.
fn reap(spared: &[Pid], reaped: &mut dyn FnMut(Pid, WaitStatus)) {
    for pid in children(nix::unistd::getpid()) {
        if spared.contains(&pid) {
            continue;
        }
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(_) => {}
            Ok(status) => reaped(pid, status),
        }
    }
}

/// Reaps one exited child, if there is one.
pub fn reap_any() -> Option<(Pid, WaitStatus)> {
    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) | Err(_) => None,
        Ok(status) => status.pid().map(|pid| (pid, status)),
    }
}
