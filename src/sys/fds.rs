//! Pipes, sockets and descriptors that no child inherits by accident.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::cmsg_space;
#[cfg(target_os = "linux")]
use nix::fcntl::FcntlArg;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The size of the descriptor table that a server starts with.
#[cfg(target_os = "linux")]
const DESCRIPTORS: RawFd = 256;

/// Marks every descriptor above stderr as close-on-exec, so that descriptors left open by the
/// client do not reach the server.
pub fn close_inherited_on_exec() {
    #[cfg(target_os = "linux")]
    #[expect(
        unsafe_code,
        reason = "close_range has no safe wrapper with CLOSE_RANGE_CLOEXEC"
    )]
    {
        let flags = nix::libc::CLOSE_RANGE_CLOEXEC;
        // SAFETY: close_range with this flag changes descriptor flags only; it closes nothing.
        let done =
            unsafe { nix::libc::syscall(nix::libc::SYS_close_range, 3_u32, u32::MAX, flags) };
        if done == 0 {
            return;
        }
    }
    // Kernels before 5.11, seccomp filters, and macOS: one by one.
    let max = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .map_or(1024, |(soft, _)| soft.min(65_536));
    for fd in 3..RawFd::try_from(max).unwrap_or(1024) {
        set_cloexec(fd);
    }
}

#[expect(
    unsafe_code,
    reason = "the descriptor is a number here, and may not be open"
)]
fn set_cloexec(fd: RawFd) {
    // SAFETY: F_SETFD on a number that is not open fails with EBADF and does nothing.
    unsafe { nix::libc::fcntl(fd, nix::libc::F_SETFD, nix::libc::FD_CLOEXEC) };
}

/// Enlarges the descriptor table of this process for the server. Linux keeps its size through
/// `execve`, and growing it stops a process with threads for 10 ms: node opens its 64th file during
/// its start. Errors are ignored.
pub fn grow_descriptor_table() {
    #[cfg(target_os = "linux")]
    if let Ok(last) = nix::fcntl::fcntl(io::stdin(), FcntlArg::F_DUPFD_CLOEXEC(DESCRIPTORS - 1)) {
        super::ignore(nix::unistd::close(last));
    }
}

/// A pipe: (read end, write end), both close-on-exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), writer.into()))
}

/// The most descriptors that one message carries.
const SENT_MAX: usize = 4;

/// Sends a length and the bytes; the descriptors, at most four, go with the first byte.
pub fn send_with_fds(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let length = u32::try_from(bytes.len())
        .map_err(io::Error::other)?
        .to_le_bytes();
    let raw: Vec<RawFd> = fds.iter().map(BorrowedFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let sent = sendmsg::<()>(
        socket.as_raw_fd(),
        &[io::IoSlice::new(&length)],
        &rights,
        MsgFlags::empty(),
        None,
    )?;
    if sent != length.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    io::Write::write_all(&mut &*socket, bytes)
}

/// Receives what [`send_with_fds`] sent.
pub fn receive_with_fds(mut socket: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut length = [0_u8; 4];
    let mut space = cmsg_space!([RawFd; SENT_MAX]);
    let mut slices = [io::IoSliceMut::new(&mut length)];
    let flags = if cfg!(target_os = "linux") {
        cmsg_cloexec()
    } else {
        MsgFlags::empty()
    };
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            fds.extend(raw.into_iter().map(owned));
        }
    }
    if message.bytes != 4 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap_or(0)];
    socket.read_exact(&mut bytes)?;
    Ok((bytes, fds))
}

#[cfg(target_os = "linux")]
const fn cmsg_cloexec() -> MsgFlags {
    MsgFlags::MSG_CMSG_CLOEXEC
}

#[cfg(not(target_os = "linux"))]
const fn cmsg_cloexec() -> MsgFlags {
    MsgFlags::empty()
}

/// Takes a descriptor that this process was started with.
///
/// # Errors
/// There is none of that number.
#[expect(
    unsafe_code,
    reason = "an inherited descriptor is a number without an owner"
)]
pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the number is only used to duplicate it, which fails if it is not open.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    fd.try_clone_to_owned()
}

#[expect(
    unsafe_code,
    reason = "a received descriptor is a number without an owner"
)]
pub(super) fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just created this descriptor for us, and nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    set_cloexec(fd.as_raw_fd());
    fd
}

/// Puts a descriptor at this number, where `execve` keeps it. Errors are ignored: the program then finds
/// nothing there.
#[expect(unsafe_code, reason = "the target is a number, not an open descriptor")]
pub(super) fn keep_at(fd: BorrowedFd<'_>, number: RawFd) {
    let raw = fd.as_raw_fd();
    if raw == number {
        // SAFETY: F_SETFD changes a flag of an open descriptor.
        unsafe { nix::libc::fcntl(raw, nix::libc::F_SETFD, 0) };
    } else {
        // SAFETY: the caller is a child about to execute; nothing in it owns the target.
        unsafe { nix::libc::dup2(raw, number) };
    }
}

/// Duplicates one of our standard streams, for unbuffered reading or writing.
pub fn standard(stream: Standard) -> io::Result<File> {
    let fd = match stream {
        Standard::Input => io::stdin().as_fd().try_clone_to_owned()?,
        Standard::Output => own_output()?,
    };
    Ok(File::from(fd))
}

#[expect(
    clippy::disallowed_methods,
    reason = "only the descriptor is taken; the relay owns it"
)]
fn own_output() -> io::Result<OwnedFd> {
    io::stdout().as_fd().try_clone_to_owned()
}

/// One of the standard streams that a session relays.
#[derive(Clone, Copy, Debug)]
pub enum Standard {
    Input,
    Output,
}

/// Enlarges a pipe to the kernel's limit for ordinary users (1 MiB), for fewer wake-ups on large
/// messages. Errors are ignored.
pub fn enlarge_pipe(fd: BorrowedFd<'_>) {
    #[cfg(target_os = "linux")]
    super::ignore(rustix::pipe::fcntl_setpipe_size(fd, 1 << 20));
    #[cfg(not(target_os = "linux"))]
    let _ = fd;
}
