//! Sockets of the file system at paths of any length. The kernel takes 108 bytes (macOS: 104), and
//! a home directory may be longer than that.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// Shorter paths are used as they are (bytes).
const PATH_BYTES_MAX: usize = 100;

/// Listens at a path.
///
/// # Errors
/// Of the system; on macOS also for a path that is too long.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    reachable(path, |path| UnixListener::bind(path))
}

/// Connects to a path.
///
/// # Errors
/// As [`bind`].
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    reachable(path, |path| UnixStream::connect(path))
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
}
