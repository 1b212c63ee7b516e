//! Control groups (cgroup v2, Linux): a list that the kernel keeps of all processes of a server, whatever
//! their parent, session and environment are.
//!
//! A server gets one only below a group that belongs to this user, as those of a desktop session do.
//! Sources: cgroups(7), clone3 in clone(2), systemd's `CGROUP_DELEGATION.md`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, ForkResult, Pid, access};

/// How the name of a group begins; the pid of its creator and its label follow.
const PREFIX: &str = "mcpwrap-";
/// Where version 2 is mounted: alone, or beside version 1.
const MOUNTS: &[&str] = &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// The attributes with which systemd marks a group as delegated.
const MARKS: &[&str] = &["user.delegate", "trusted.delegate"];

/// A group for one server; removed when this is dropped.
#[derive(Debug)]
pub struct ServerGroup {
    path: PathBuf,
    dir: File,
}

impl ServerGroup {
    /// A new group below that of this process. `None` if that does not belong to this user, or the
    /// kernel has no such groups. Removes those that killed processes left.
    pub fn create(label: &str) -> Option<Self> {
        let own = own()?;
        sweep(&own);
        let path = own.join(format!("{PREFIX}{}-{label}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let dir = File::open(&path);
        let group = dir.map(|dir| Self {
            path: path.clone(),
            dir,
        });
        // One that cannot be opened would stay.
        group.inspect_err(|_| remove(&path)).ok()
    }

    /// Like `fork`, with the child in this group from its first moment. Only a process with a single
    /// thread may call this.
    ///
    /// # Errors
    /// The kernel's: older than 5.7, or a filter forbids the call.
    pub(super) fn fork(&self) -> io::Result<ForkResult> {
        match i32::try_from(clone_into(self.dir.as_raw_fd())) {
            Ok(0) => Ok(ForkResult::Child),
            Ok(pid) if pid > 0 => Ok(ForkResult::Parent {
                child: Pid::from_raw(pid),
            }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The processes in the group.
    pub fn members(&self) -> Vec<Pid> {
        let text = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        let pids = text.lines().filter_map(|line| line.parse().ok());
        pids.map(Pid::from_raw).collect()
    }

    /// Kills all processes of the group at once, also those that are starting others (Linux 5.14).
    pub fn kill(&self) {
        let order = File::options()
            .write(true)
            .open(self.path.join("cgroup.kill"));
        super::ignore(order.and_then(|mut file| file.write_all(b"1")));
    }
}

impl Drop for ServerGroup {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// The result of `clone3` with the child in a control group: as of `fork`.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "clone3 has no safe wrapper")]
fn clone_into(group: RawFd) -> nix::libc::c_long {
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    // The fields of the kernel's structure that are not 0.
    const FLAGS: usize = 0;
    const EXIT_SIGNAL: usize = 4;
    const CGROUP: usize = 10;
    let mut fields = [0_u64; 11];
    fields[FLAGS] = INTO_CGROUP;
    fields[EXIT_SIGNAL] = nix::libc::SIGCHLD.unsigned_abs().into();
    fields[CGROUP] = group.unsigned_abs().into();
    // SAFETY: the kernel reads as many bytes as are passed, and without CLONE_VM the child has a memory
    // of its own, as after `fork`.
    unsafe { nix::libc::syscall(nix::libc::SYS_clone3, fields.as_ptr(), size_of_val(&fields)) }
}

/// macOS has no control groups.
#[cfg(not(target_os = "linux"))]
fn clone_into(_: RawFd) -> i64 {
    -1
}

/// Whether a server that this process starts gets a group. Makes one, and removes it: a group may allow
/// none below it.
pub fn is_usable() -> bool {
    ServerGroup::create("status").is_some()
}

/// The label of the group that a process is in, if it is one for a server. The innermost one counts.
pub fn label_of(pid: Pid) -> Option<String> {
    let path = path_of(&pid.to_string())?;
    let mut names = path.rsplit('/').filter_map(parse);
    names.next().map(|(_, label)| label.to_owned())
}

/// The group of this process, if it belongs to this user.
fn own() -> Option<PathBuf> {
    let mount = MOUNTS.iter().copied().find(|path| is_cgroup(path))?;
    let path = Path::new(mount).join(path_of("self")?.trim_start_matches('/'));
    let user = super::user::id();
    // All groups belong to root, and systemd wants its own left alone.
    let owns = user != 0 && path.metadata().ok()?.uid() == user;
    // A group that it may not enter, or a kernel that cannot end one, is of no use.
    let writable = |name: &str| access(&path.join(name), AccessFlags::W_OK).is_ok();
    let works = writable("cgroup.procs") && writable("cgroup.kill");
    (works && (owns || is_marked(&path))).then_some(path)
}

#[cfg(target_os = "linux")]
fn is_cgroup(path: &str) -> bool {
    let kind = nix::sys::statfs::statfs(path).map(|found| found.filesystem_type());
    kind == Ok(nix::sys::statfs::CGROUP2_SUPER_MAGIC)
}

/// macOS has no control groups.
#[cfg(not(target_os = "linux"))]
fn is_cgroup(_: &str) -> bool {
    false
}

fn is_marked(path: &Path) -> bool {
    MARKS.iter().any(|name| {
        let mut value = [0_u8; 1];
        rustix::fs::getxattr(path, *name, &mut value).is_ok() && value == *b"1"
    })
}

/// The path of a process's group, from the root of its namespace.
fn path_of(pid: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(path.to_owned())
}

/// The creator and the label in the name of a group.
fn parse(name: &str) -> Option<(i32, &str)> {
    let (pid, label) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Some((pid.parse().ok()?, label))
}

/// Removes the groups whose creator is gone. The kernel keeps those that have processes.
fn sweep(own: &Path) {
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let creator = name.to_str().and_then(parse).map(|(pid, _)| pid);
        if creator.is_some_and(|pid| super::tree::started(pid).is_none()) {
            remove(&entry.path());
        }
    }
}

/// Removes a group and those that its processes made below it, as far as they are empty.
fn remove(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    super::ignore(fs::remove_dir(path));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_group_has_its_creator_and_its_label() {
        assert_eq!(
            parse("mcpwrap-12-ab-cd-my-server"),
            Some((12, "ab-cd-my-server"))
        );
        for other in ["mcpwrap-12", "mcpwrap--x", "app-12-x", "mcpwrap-x-y"] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(label_of(nix::unistd::getpid()), None);
    }
}
