//! The other ends of stdin and stdout: who holds them, and whether they are still held.
//!
//! Invariant: a process counts as the client only if it was seen with the other end of one of our
//! streams. A parent alone proves nothing: clients start programs through shells, and daemons leave
//! their parents. What cannot be seen (another user's process, a socket without credentials, macOS)
//! counts as unknown, and then only the kernel's report that nobody reads is left.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::tree::Process;

/// What [`FarEnds::wait`] noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Nobody has the other end of stdout open for reading.
    Reader,
    /// The client's process has exited.
    Process,
}

/// Who may still be at the other ends after the client's process has exited.
#[cfg_attr(
    target_os = "macos",
    expect(dead_code, reason = "macOS cannot see them")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heirs {
    /// No process has both.
    None,
    /// At least one process has both; if it is exactly one, this one.
    Some(Option<Process>),
    /// The other ends of sockets cannot be seen.
    Unknown,
}

/// Our two streams, as their other ends are found.
#[derive(Debug)]
pub struct FarEnds {
    stdin: File,
    stdout: File,
    /// The process at the other end, if it was found.
    client: Option<Process>,
}

impl FarEnds {
    /// Looks for the client of these streams.
    pub fn find(stdin: File, stdout: File) -> Self {
        let client = os::client(stdin.as_fd(), stdout.as_fd());
        Self {
            stdin,
            stdout,
            client,
        }
    }

    /// Waits until nobody reads stdout, or the client's process has exited.
    pub fn wait(&self) -> Departure {
        let process = self.client.and_then(os::open);
        if self.client.is_some_and(|client| !client.is_alive()) {
            return Departure::Process;
        }
        let mut reads = true;
        loop {
            let mut polled: Vec<PollFd<'_>> = Vec::new();
            if reads {
                // Errors and hang-ups are always reported.
                polled.push(PollFd::new(self.stdout.as_fd(), PollFlags::empty()));
            }
            polled.extend(
                process
                    .as_ref()
                    .map(|process| PollFd::new(process.as_fd(), PollFlags::POLLIN)),
            );
            let done = poll(&mut polled, PollTimeout::NONE);
            let found = |polled: Option<&PollFd<'_>>| {
                polled
                    .and_then(PollFd::revents)
                    .unwrap_or(PollFlags::empty())
            };
            if done.is_err() {
                continue;
            }
            if reads {
                let found = found(polled.first());
                if found.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
                    return Departure::Reader;
                }
                // A stream that cannot be polled.
                reads = !found.contains(PollFlags::POLLNVAL);
            }
            if process.is_some() && !found(polled.last()).is_empty() {
                return Departure::Process;
            }
        }
    }

    /// Who has both other ends, now that the client's process has exited.
    pub fn heirs(&self) -> Heirs {
        os::heirs(self.stdin.as_fd(), self.stdout.as_fd())
    }

    /// From now on this process is the client, if it is known.
    pub fn set_client(&mut self, client: Option<Process>) {
        self.client = client;
    }

    /// How much of stdin was not read yet (bytes).
    pub fn unread(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.stdin).unwrap_or(0)
    }

    /// Whether somebody reads stdout; waits up to this long for the contrary.
    pub fn is_read_for(&self, limit: Duration) -> bool {
        let mut polled = [PollFd::new(self.stdout.as_fd(), PollFlags::empty())];
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        let found = poll(&mut polled, limit).is_ok_and(|count| count > 0);
        !found
    }
}

#[cfg(target_os = "linux")]
mod os {
    use std::fs;
    use std::path::PathBuf;

    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    use nix::unistd::{Pid, getpid, getppid};
    use rustix::process::{PidfdFlags, pidfd_open};

    use super::{BorrowedFd, Heirs, OwnedFd, Process};
    use crate::sys::tree;

    /// Longer chains are not followed.
    const DEPTH_MAX: usize = 128;

    /// A stream of ours: the name that the kernel gives a pipe, or a socket.
    enum StreamEnd {
        Pipe(PathBuf),
        Socket(Option<Process>),
        Other,
    }

    fn end_of(fd: BorrowedFd<'_>) -> StreamEnd {
        use std::os::fd::AsRawFd as _;
        let name = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default();
        match rustix::fs::fstat(fd).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode)) {
            Ok(rustix::fs::FileType::Fifo) => StreamEnd::Pipe(name),
            Ok(rustix::fs::FileType::Socket) => {
                // Of a pair of sockets: the process that made it, which is the client.
                let peer = getsockopt(&fd, PeerCredentials).ok();
                let pid = peer.map(|peer| Pid::from_raw(peer.pid()));
                let other = pid.filter(|pid| pid.as_raw() > 0 && *pid != getpid());
                StreamEnd::Socket(other.and_then(Process::of))
            }
            _ => StreamEnd::Other,
        }
    }

    /// Which of these pipes a process has open for writing, and which for reading.
    fn ends(pid: Pid, written: Option<&PathBuf>, read: Option<&PathBuf>) -> (bool, bool) {
        let mut found = (false, false);
        let Ok(list) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return found;
        };
        for entry in list.flatten() {
            let Ok(name) = fs::read_link(entry.path()) else {
                continue;
            };
            let (writes, reads) = (Some(&name) == written, Some(&name) == read);
            if !writes && !reads {
                continue;
            }
            let number = entry.file_name();
            let info = format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy());
            let mode = access(&fs::read_to_string(info).unwrap_or_default());
            found.0 |= writes && matches!(mode, Some(1 | 2));
            found.1 |= reads && matches!(mode, Some(0 | 2));
        }
        found
    }

    /// The access mode in a `fdinfo` file: 0 reads, 1 writes, 2 does both.
    pub(super) fn access(info: &str) -> Option<u32> {
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        Some(u32::from_str_radix(flags.trim(), 8).ok()? & 3)
    }

    /// The process that made our streams: of the processes above that have an end, the farthest, because
    /// the shells between may have inherited theirs.
    pub(super) fn client(stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> Option<Process> {
        let (stdin, stdout) = (end_of(stdin), end_of(stdout));
        let of_socket = |stream: &StreamEnd| match stream {
            StreamEnd::Socket(peer) => *peer,
            _ => None,
        };
        let of_pipe = |stream: &StreamEnd| match stream {
            StreamEnd::Pipe(name) => Some(name.clone()),
            _ => None,
        };
        if let Some(peer) = of_socket(&stdin).or_else(|| of_socket(&stdout)) {
            return Some(peer);
        }
        let (written, read) = (of_pipe(&stdin), of_pipe(&stdout));
        if written.is_none() && read.is_none() {
            return None;
        }
        std::iter::successors(Some(getppid()), |pid| tree::parent_of(*pid))
            .take_while(|pid| pid.as_raw() > 0)
            .take(DEPTH_MAX)
            .filter(|pid| ends(*pid, written.as_ref(), read.as_ref()) != (false, false))
            .last()
            .and_then(Process::of)
    }

    pub(super) fn heirs(stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> Heirs {
        let (StreamEnd::Pipe(written), StreamEnd::Pipe(read)) = (end_of(stdin), end_of(stdout))
        else {
            return Heirs::Unknown;
        };
        let Ok(list) = fs::read_dir("/proc") else {
            return Heirs::Unknown;
        };
        let me = getpid();
        let all: Vec<Pid> = list
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .map(Pid::from_raw)
            .filter(|pid| *pid != me && ends(*pid, Some(&written), Some(&read)) == (true, true))
            .collect();
        match all.as_slice() {
            [] => Heirs::None,
            [one] => Heirs::Some(Process::of(*one)),
            _ => Heirs::Some(None),
        }
    }

    /// A descriptor that becomes readable when the process exits. Kernels before 5.3 have none.
    pub(super) fn open(process: Process) -> Option<OwnedFd> {
        let pid = rustix::process::Pid::from_raw(process.pid().as_raw())?;
        pidfd_open(pid, PidfdFlags::empty()).ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::{BorrowedFd, Heirs, OwnedFd, Process};

    /// macOS tells the other end of a pipe to nobody else.
    pub(super) const fn client(_: BorrowedFd<'_>, _: BorrowedFd<'_>) -> Option<Process> {
        None
    }

    pub(super) const fn heirs(_: BorrowedFd<'_>, _: BorrowedFd<'_>) -> Heirs {
        Heirs::Unknown
    }

    pub(super) const fn open(_: Process) -> Option<OwnedFd> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_access_mode_is_in_the_last_digit_of_the_flags() {
        for (info, mode) in [
            ("pos:\t0\nflags:\t0100000\nmnt_id:\t15\n", Some(0)),
            ("pos:\t0\nflags:\t02000001\n", Some(1)),
            ("flags:\t0100002\n", Some(2)),
            ("pos:\t0\n", None),
            ("", None),
        ] {
            assert_eq!(os::access(info), mode, "{info:?}");
        }
    }

    #[test]
    fn a_reader_that_is_gone_is_noticed() {
        let (reader, writer) = std::io::pipe().unwrap();
        let (stdin, _stdin) = std::io::pipe().unwrap();
        let file = |fd: OwnedFd| File::from(fd);
        let ends = FarEnds::find(file(stdin.into()), file(writer.into()));
        assert!(ends.is_read_for(Duration::ZERO));
        drop(reader);
        assert_eq!(ends.wait(), Departure::Reader);
        assert!(!ends.is_read_for(Duration::ZERO));
    }
}
