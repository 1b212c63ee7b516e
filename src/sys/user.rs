//! The user of this process: uid and name.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;

use nix::unistd::geteuid;

/// The effective uid.
pub fn id() -> u32 {
    geteuid().as_raw()
}

/// The user of the process at the other end of a socket.
#[cfg(target_os = "linux")]
pub fn peer(stream: &UnixStream) -> Option<u32> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    let peer = getsockopt(&stream.as_fd(), PeerCredentials).ok()?;
    Some(peer.uid())
}

/// The user of the process at the other end of a socket.
#[cfg(target_os = "macos")]
pub fn peer(stream: &UnixStream) -> Option<u32> {
    let (uid, _) = nix::unistd::getpeereid(stream.as_fd()).ok()?;
    Some(uid.as_raw())
}

/// Whether uid 0 is the root of this machine. In a user namespace of an unprivileged user it is not: that
/// user is its root, and can put any file anywhere. Unknown counts as no.
#[cfg(target_os = "linux")]
pub fn is_root_real() -> bool {
    // Another file system at /proc, which such a root can mount, says nothing.
    let map = std::fs::File::open("/proc/self/uid_map")
        .ok()
        .filter(|map| {
            rustix::fs::fstatfs(map).is_ok_and(|found| found.f_type == rustix::fs::PROC_SUPER_MAGIC)
        });
    let text = map.and_then(|map| std::io::read_to_string(map).ok());
    text.is_some_and(|text| is_whole(&text))
}

/// See the version for Linux. macOS has no user namespaces.
#[cfg(not(target_os = "linux"))]
pub const fn is_root_real() -> bool {
    true
}

/// Whether a `uid_map` maps every user to itself, as only the initial namespace and one that root made
/// do.
#[cfg(target_os = "linux")]
fn is_whole(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The entry of this user in the list of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub home: PathBuf,
    pub shell: String,
}

/// The user's account; `None` if `/etc/passwd` does not have it. A static program cannot use the
/// directory services behind `getpwuid`.
#[cfg(target_os = "linux")]
pub fn account() -> Option<Account> {
    account_in(&std::fs::read_to_string("/etc/passwd").ok()?, id())
}

/// The user's account.
#[cfg(target_os = "macos")]
pub fn account() -> Option<Account> {
    let user = nix::unistd::User::from_uid(geteuid()).ok()??;
    Some(Account {
        name: user.name,
        home: user.dir,
        shell: user.shell.display().to_string(),
    })
}

/// The user's name; `None` if it is not known. Read once.
pub fn name() -> Option<String> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let read = || account().map(|account| account.name);
    NAME.get_or_init(read).clone()
}

#[cfg(target_os = "linux")]
fn account_in(list: &str, id: u32) -> Option<Account> {
    let named = |line: &str| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, number, _, _, home, shell] = fields.as_slice() else {
            return None;
        };
        (number.parse() == Ok(id) && !name.is_empty()).then(|| Account {
            name: (*name).to_owned(),
            home: PathBuf::from(home),
            shell: (*shell).to_owned(),
        })
    };
    list.lines().find_map(named)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_a_map_of_all_users_is_whole() {
        assert!(is_whole("         0          0 4294967295\n"));
        for map in [
            "",
            "0 1000 1\n",
            "0 0 1\n",
            "0 100000 65536\n",
            "0 0 4294967295\n1 1 1\n",
        ] {
            assert!(!is_whole(map), "{map}");
        }
    }

    #[test]
    fn a_name_is_found_by_its_number() {
        let list = "root:x:0:0:root:/root:/bin/sh\n+@netgroup\nbroken\n\
                    ana:x:1000:100::/home/ana:/bin/zsh\n";
        let name = |id| account_in(list, id).map(|account| account.name);
        assert_eq!(name(0).as_deref(), Some("root"));
        assert_eq!(name(100), None);
        let ana = account_in(list, 1000).unwrap();
        assert_eq!(
            (ana.home.to_str(), &*ana.shell),
            (Some("/home/ana"), "/bin/zsh")
        );
    }
}
