//! Finds the living processes of a test by its directory in their command line or environment.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Waits until no process of the test is alive; kills and returns those that remain.
pub(crate) fn wait_for_none(dir: &Path, grace: Duration) -> Vec<String> {
    let deadline = Instant::now() + grace;
    loop {
        let left = of_test(dir);
        if left.is_empty() {
            return Vec::new();
        }
        if Instant::now() > deadline {
            for (pid, _) in &left {
                kill(*pid, Signal::SIGKILL).ok();
            }
            return left
                .into_iter()
                .map(|(pid, line)| format!("{pid}: {line}"))
                .collect();
        }
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The living processes of the test, with their command lines.
#[cfg(target_os = "linux")]
pub(crate) fn of_test(dir: &Path) -> Vec<(Pid, String)> {
    let mark = dir.as_os_str().as_encoded_bytes();
    let has = |path: String| {
        std::fs::read(path).is_ok_and(|bytes| memchr::memmem::find(&bytes, mark).is_some())
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let is_ours = pid.unsigned_abs() == std::process::id();
        let marked = has(format!("/proc/{pid}/cmdline")) || has(format!("/proc/{pid}/environ"));
        if !is_ours && marked && alive(Pid::from_raw(pid)) {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            found.push((Pid::from_raw(pid), line));
        }
    }
    found
}

/// The living processes of the test, with their command lines.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of_test(dir: &Path) -> Vec<(Pid, String)> {
    let output = std::process::Command::new("/bin/ps")
        .args(["-axEwwo", "pid=,command="])
        .output();
    let text = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
    let mark = dir.display().to_string();
    let ours = text
        .lines()
        .filter(|line| line.contains(&mark) && !line.contains("/bin/ps"));
    let parse = |line: &str| {
        let (pid, line) = line.trim().split_once(' ').unwrap();
        (Pid::from_raw(pid.parse().unwrap()), line.to_owned())
    };
    ours.map(parse)
        .filter(|(pid, _)| pid.as_raw().unsigned_abs() != std::process::id())
        .collect()
}

/// Whether a process exists and is not a zombie.
pub(crate) fn alive(pid: Pid) -> bool {
    if cfg!(target_os = "linux") {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        return state.is_some_and(|state| !"ZX".contains(state));
    }
    kill(pid, None).is_ok()
}

/// The process above another one, from `/proc`.
pub(crate) fn parent(of: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{of}/stat")).ok()?;
    let rest = stat.rsplit_once(") ")?.1;
    rest.split(' ').nth(1)?.parse().ok().map(Pid::from_raw)
}

/// The guard above a process.
pub(crate) fn guard(of: Pid) -> Pid {
    let is_guard = |pid: &Pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        String::from_utf8_lossy(&line).contains("__guard")
    };
    let mut above = std::iter::successors(Some(of), |pid| parent(*pid));
    above.find(is_guard).unwrap()
}

/// Waits until a process has exited; panics after the limit.
pub(crate) fn wait_for_end(pid: Pid, limit: Duration) {
    let deadline = Instant::now() + limit;
    while alive(pid) {
        assert!(
            Instant::now() < deadline,
            "process {pid} is alive after {limit:?}"
        );
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Kills the guard and the supervisor of a session so that neither sees the end of the other.
pub(crate) fn kill_both(guard: Pid, supervisor: Pid) {
    for pid in [guard, supervisor] {
        stop(pid);
    }
    // The guard first: the end of the supervisor continues it, and it would end its server.
    for pid in [guard, supervisor] {
        kill(pid, Signal::SIGKILL).unwrap();
    }
}

/// Stops a process and waits until each of its threads has stopped, which the signal alone does not.
pub(crate) fn stop(pid: Pid) {
    kill(pid, Signal::SIGSTOP).unwrap();
    let deadline = Instant::now() + super::DEADLINE;
    while !is_stopped(pid) {
        assert!(Instant::now() < deadline, "process {pid} does not stop");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[cfg(target_os = "linux")]
fn is_stopped(pid: Pid) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.filter_map(Result::ok).all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    })
}

#[cfg(not(target_os = "linux"))]
fn is_stopped(pid: Pid) -> bool {
    let output = std::process::Command::new("/bin/ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output();
    output.unwrap().stdout.starts_with(b"T")
}
