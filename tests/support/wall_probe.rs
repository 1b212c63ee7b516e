//! Confines itself like a bridge, then tries what a hostile bridge would try. Prints one line for each:
//! `NAME ok`, or `NAME` and the error.
//!
//! `wall-probe PORT FILE SOCKET OTHER` may connect to `PORT`; `FILE` is one to read, `SOCKET` a local
//! socket, `OTHER` another port.

/// Only Linux has the wall.
#[cfg(not(target_os = "linux"))]
const fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::use_debug,
    reason = "a program for tests, which may fail loudly"
)]
mod linux {
    use std::io;
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    pub(crate) fn main() {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let [port, file, socket, other] = words.as_slice() else {
            panic!("wall-probe PORT FILE SOCKET OTHER");
        };
        let port: u16 = port.parse().unwrap();
        let other: u16 = other.parse().unwrap();
        let open = std::fs::File::open("/dev/null").unwrap();
        mcpwrap::testing::sys::confine(&[port]).unwrap();
        let said = |name: &str, result: io::Result<()>| match result {
            Ok(()) => println!("{name} ok"),
            Err(error) => println!("{name} {:?}", error.kind()),
        };
        said("resolver", std::fs::read("/etc/hosts").map(drop));
        said("port", TcpStream::connect(("127.0.0.1", port)).map(drop));
        said("descriptor", open.metadata().map(drop));
        let thread = std::thread::Builder::new().spawn(|| {});
        said("thread", thread.map(|one| one.join().unwrap()));
        said("file", std::fs::read(file).map(drop));
        said("list", std::fs::read_dir("/").map(drop));
        said("write", std::fs::File::create("/etc/wall-probe").map(drop));
        said("socket", UnixStream::connect(socket).map(drop));
        said("abstract", local_pair());
        said("other", TcpStream::connect(("127.0.0.1", other)).map(drop));
        said(
            "listen",
            std::net::TcpListener::bind("127.0.0.1:0").map(drop),
        );
        said("program", Command::new("/bin/true").status().map(drop));
        said(
            "signal",
            call(|| nix::sys::signal::kill(nix::unistd::getppid(), None)),
        );
        said(
            "trace",
            call(|| nix::sys::ptrace::attach(nix::unistd::getppid())),
        );
        for (name, number, arguments) in [
            ("keyctl", nix::libc::SYS_keyctl, [0, -3, 0]),
            ("io_uring", nix::libc::SYS_io_uring_setup, [1, 0, 0]),
            ("memory", nix::libc::SYS_process_vm_readv, [1, 0, 0]),
        ] {
            said(name, raw(number, arguments));
        }
    }

    /// A local socket, without a name.
    fn local_pair() -> io::Result<()> {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
        call(|| {
            socket(
                AddressFamily::Unix,
                SockType::Stream,
                SockFlag::empty(),
                None,
            )
            .map(drop)
        })
    }

    fn call(act: impl FnOnce() -> nix::Result<()>) -> io::Result<()> {
        act().map_err(io::Error::from)
    }

    #[expect(unsafe_code, reason = "calls that have no wrapper")]
    fn raw(number: nix::libc::c_long, [a, b, c]: [nix::libc::c_long; 3]) -> io::Result<()> {
        // SAFETY: the calls are refused before they look at their arguments, or fail on a null pointer.
        let done = unsafe { nix::libc::syscall(number, a, b, c) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}
