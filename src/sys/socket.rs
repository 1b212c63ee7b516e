//! Sockets of the file system at paths of any length (the kernel takes 108 bytes, macOS 104, and a home
//! directory may be longer than that), and TCP connections whose peer may disappear.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Shorter paths are used as they are (bytes).
const PATH_BYTES_MAX: usize = 100;

/// Listens at a path, for this user only. The path is there only once a connection is accepted:
/// between `bind` and `listen` a socket looks like one that an exited process left, and other
/// commands remove those.
///
/// # Errors
/// Of the system; on macOS also for a path that is too long.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let new = path.with_extension("new");
    // Left by a killed process with the same name.
    super::ignore(std::fs::remove_file(&new));
    let listener = reachable(&new, |path| UnixListener::bind(path))?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&new, path)?;
    Ok(listener)
}

/// Connects to a path.
///
/// # Errors
/// As [`bind`].
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    reachable(path, |path| UnixStream::connect(path))
}

/// The process that listens at the other end of a connection.
pub fn listener(stream: &UnixStream) -> Option<i32> {
    use nix::sys::socket::getsockopt;
    #[cfg(target_os = "linux")]
    return getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials)
        .ok()
        .map(|peer| peer.pid());
    #[cfg(target_os = "macos")]
    return getsockopt(stream, nix::sys::socket::sockopt::LocalPeerPid).ok();
}

/// A long path is named through its open directory, which the kernel shows under a short name.
#[cfg(target_os = "linux")]
fn reachable<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    use std::os::fd::AsRawFd as _;

    use nix::fcntl::{OFlag, open};
    use nix::sys::stat::Mode;

    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return act(path);
    };
    if path.as_os_str().len() < PATH_BYTES_MAX {
        return act(path);
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = open(dir, flags, Mode::empty())?;
    let short = format!("/proc/self/fd/{}", dir.as_raw_fd());
    act(&Path::new(&short).join(name))
}

#[cfg(not(target_os = "linux"))]
fn reachable<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() < PATH_BYTES_MAX {
        return act(path);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the path of the socket is too long",
    ))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_long_path_is_reachable() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("d".repeat(200));
        std::fs::create_dir(&long).unwrap();
        let path = long.join("a.sock");
        let listener = bind(&path).unwrap();
        assert!(path.exists());
        let mut asked = connect(&path).unwrap();
        asked.write_all(b"x").unwrap();
        drop(asked);
        let mut text = String::new();
        listener
            .accept()
            .unwrap()
            .0
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "x");
    }

    /// Whoever looks while it begins finds no socket, or one that answers.
    #[test]
    fn a_path_that_is_there_is_listened_at() {
        let dir = tempfile::tempdir().unwrap();
        let end = dir.path().join("end.sock");
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| {
                let mut refused = 0;
                while !end.exists() {
                    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
                        let is_socket = entry.path().extension().is_some_and(|e| e == "sock");
                        let kind = connect(&entry.path()).map_err(|error| error.kind());
                        refused += usize::from(
                            is_socket && kind.err() == Some(io::ErrorKind::ConnectionRefused),
                        );
                    }
                }
                refused
            });
            let mut all = Vec::new();
            for n in 0..200 {
                all.push(bind(&dir.path().join(format!("{n}.sock"))).unwrap());
            }
            let _end = bind(&end).unwrap();
            assert_eq!(looks.join().unwrap(), 0);
        });
    }
}

/// How long the peer of a TCP connection has acknowledged nothing, while it owes an acknowledgement. `None` if
/// it owes none, and where the system does not say.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "getsockopt of a structure that no safe wrapper has"
)]
pub fn silence(socket: &impl std::os::fd::AsFd) -> Option<std::time::Duration> {
    use nix::libc;
    use std::os::fd::AsRawFd as _;

    // SAFETY: all its fields are numbers, for which zero is valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::tcp_info>();
    let mut length = libc::socklen_t::try_from(size).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which has that many, and the socket
    // is open during the call.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    let owes = done == 0 && info.tcpi_unacked > 0;
    owes.then(|| std::time::Duration::from_millis(info.tcpi_last_ack_recv.into()))
}

/// See the version for Linux.
#[cfg(not(target_os = "linux"))]
pub fn silence(_: &impl std::os::fd::AsFd) -> Option<std::time::Duration> {
    None
}

/// How long a TCP connection may stay silent before the peer is asked (seconds).
const PROBE_AFTER: u32 = 10;
/// The time between two such probes (seconds).
const PROBE_EVERY: u32 = 5;
/// How many unanswered probes end the connection.
const PROBES: u32 = 3;

/// Makes a TCP connection fail within 25 s after its peer can no longer be reached. Errors are ignored:
/// the connection works without it.
pub fn notice_dead_peer(socket: &impl std::os::fd::AsFd) {
    use nix::sys::socket::{setsockopt, sockopt};

    super::ignore(setsockopt(socket, sockopt::KeepAlive, &true));
    super::ignore(setsockopt(socket, sockopt::TcpKeepInterval, &PROBE_EVERY));
    super::ignore(setsockopt(socket, sockopt::TcpKeepCount, &PROBES));
    #[cfg(target_os = "linux")]
    {
        let limit = 1000 * (PROBE_AFTER + PROBES * PROBE_EVERY);
        super::ignore(setsockopt(socket, sockopt::TcpKeepIdle, &PROBE_AFTER));
        super::ignore(setsockopt(socket, sockopt::TcpUserTimeout, &limit));
    }
    #[cfg(target_os = "macos")]
    super::ignore(setsockopt(socket, sockopt::TcpKeepAlive, &PROBE_AFTER));
}
