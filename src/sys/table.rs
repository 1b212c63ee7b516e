//! The process table: this user's processes as they show themselves to everybody.
//!
//! Invariant: arguments, variables and thread names are claims of the process, except where its own
//! memory is protected. macOS: empty; what is asked here is not found there.

use std::path::PathBuf;

use nix::unistd::Pid;

use super::tree::Process;

/// One living process.
#[derive(Clone, Debug)]
pub struct TableEntry {
    pub process: Process,
    pub parent: Pid,
    pub group: Pid,
    pub session: Pid,
    pub arguments: Vec<String>,
}

/// All living processes of this user, but not this one.
#[cfg(target_os = "linux")]
pub fn of_user() -> Vec<TableEntry> {
    use std::os::unix::fs::MetadataExt as _;
    let user = super::user::id();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pid = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // A process that hides its memory belongs to root in `/proc`; its tasks have its own uid.
        let own = entry.metadata().ok()?.uid() == user || effective_user(pid) == Some(user);
        own.then(|| Pid::from_raw(pid))
    };
    let own = nix::unistd::getpid();
    let pids = entries.flatten().filter_map(pid).filter(|pid| *pid != own);
    pids.filter_map(entry).collect()
}

#[cfg(target_os = "linux")]
fn effective_user(pid: i32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(target_os = "linux")]
fn entry(pid: Pid) -> Option<TableEntry> {
    let process = Process::of(pid).filter(|process| process.is_alive())?;
    let field = |index| super::tree::stat_field(pid, index)?.parse().ok();
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    let words = words.split(|byte| *byte == 0);
    Some(TableEntry {
        process,
        parent: Pid::from_raw(field(1)?),
        group: Pid::from_raw(field(2)?),
        session: Pid::from_raw(field(3)?),
        arguments: words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect(),
    })
}

/// A variable in the environment that a process was started with, if it may be read.
#[cfg(target_os = "linux")]
pub fn variable(pid: Pid, name: &str) -> Option<String> {
    let bytes = zeroize::Zeroizing::new(std::fs::read(format!("/proc/{pid}/environ")).ok()?);
    let mut variables = bytes.split(|byte| *byte == 0);
    let value = variables.find_map(|one| one.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(value).ok().map(str::to_owned)
}

/// Whether a process has a thread of this name, which only the process itself can set.
#[cfg(target_os = "linux")]
pub fn has_thread(pid: Pid, name: &str) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    tasks.into_iter().flatten().flatten().any(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    })
}

/// When the machine was started.
#[cfg(target_os = "linux")]
pub fn booted() -> Option<std::time::SystemTime> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let since = std::time::Duration::from_secs(seconds.trim().parse().ok()?);
    Some(std::time::SystemTime::UNIX_EPOCH + since)
}

/// See the version for Linux.
#[cfg(not(target_os = "linux"))]
pub fn of_user() -> Vec<TableEntry> {
    Vec::new()
}

/// See the version for Linux.
#[cfg(not(target_os = "linux"))]
pub fn variable(_: Pid, _: &str) -> Option<String> {
    None
}

/// See the version for Linux.
#[cfg(not(target_os = "linux"))]
pub fn has_thread(_: Pid, _: &str) -> bool {
    false
}

/// See the version for Linux.
#[cfg(not(target_os = "linux"))]
pub fn booted() -> Option<std::time::SystemTime> {
    None
}

/// The program of a process for messages: its file, or else the first word of its command line.
pub fn program(process: Process) -> String {
    let path: Option<PathBuf> = executable(process.pid());
    path.map(|path| path.display().to_string())
        .or_else(|| entry_arguments(process.pid())?.into_iter().next())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(target_os = "linux")]
fn entry_arguments(pid: Pid) -> Option<Vec<String>> {
    Some(entry(pid)?.arguments)
}

#[cfg(not(target_os = "linux"))]
fn entry_arguments(_: Pid) -> Option<Vec<String>> {
    None
}

/// The executable of a process, if the kernel tells it.
pub fn executable(pid: Pid) -> Option<PathBuf> {
    #[cfg(target_os = "linux")]
    return std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    #[cfg(target_os = "macos")]
    {
        use std::os::unix::ffi::OsStringExt as _;
        let mut buffer = vec![0_u8; usize::try_from(nix::libc::PROC_PIDPATHINFO_MAXSIZE).ok()?];
        let size = u32::try_from(buffer.len()).ok()?;
        #[expect(unsafe_code, reason = "proc_pidpath has no safe wrapper")]
        // SAFETY: the buffer has the length that is passed.
        let length =
            unsafe { nix::libc::proc_pidpath(pid.as_raw(), buffer.as_mut_ptr().cast(), size) };
        buffer.truncate(usize::try_from(length).ok().filter(|length| *length > 0)?);
        Some(std::ffi::OsString::from_vec(buffer).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_left_out_and_its_child_is_found() {
        if super::super::ON_MACOS {
            return;
        }
        let mut child =
            crate::sys::spawn::pager(&["/bin/sleep".to_owned(), "60".to_owned()], &[]).unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let all = of_user();
        let me = nix::unistd::getpid();
        let found = all
            .iter()
            .find(|entry| entry.process.pid() == pid && !entry.arguments.is_empty());
        let found = found.map(|entry| (entry.parent, entry.group));
        let none = all.iter().all(|entry| entry.process.pid() != me);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(none);
        assert_eq!(found, Some((me, nix::unistd::getpgrp())));
        assert!(booted().unwrap() < std::time::SystemTime::now());
    }
}
