//! The wall: what a process that talks to the network gives up before it does, without privileges.
//!
//! Afterwards it can read `/etc` and where the resolver keeps its files, write nothing, connect to the
//! given TCP ports and to name servers, and start, trace or signal no process. It cannot reach the
//! session bus, a container engine or another supervisor: there are no local sockets. Descriptors that
//! are open already stay usable. Sources: landlock(7), seccomp(2).
//!
//! Invariant: what the kernel has is used or the process does not go on. What it lacks is in [`parts`].

use serde::Serialize;

/// The parts of the wall that this kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WallParts {
    /// Files are out of reach.
    pub files: bool,
    /// TCP is limited to some ports (Linux 6.7).
    pub ports: bool,
    /// Programs, tracing, keys and local sockets are out of reach.
    pub calls: bool,
}

impl WallParts {
    /// What this kernel lacks, in words.
    pub fn missing(self) -> Vec<&'static str> {
        [
            (self.files, "files"),
            (self.ports, "TCP ports"),
            (self.calls, "system calls"),
        ]
        .into_iter()
        .filter_map(|(has, name)| (!has).then_some(name))
        .collect()
    }
}

#[cfg(target_os = "linux")]
pub use self::linux::{confine, parts};

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::io;

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, NetPort, PathBeneath,
        PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, Scope,
    };
    use nix::libc;
    use seccompiler::{
        SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    use super::WallParts;

    /// What a resolver reads: hosts, `resolv.conf` and where its links lead.
    const READ: &[&str] = &[
        "/etc",
        "/run/systemd/resolve",
        "/run/resolvconf",
        "/run/NetworkManager",
        "/run/connman",
        "/mnt/wsl",
    ];
    /// Name servers over TCP.
    const DNS: u16 = 53;

    /// System calls that this process does without.
    const REFUSED: &[libc::c_long] = &[
        // Other programs.
        libc::SYS_execve,
        libc::SYS_execveat,
        // Other processes.
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_perf_event_open,
        // Keys of the kernel.
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        // A second way to everything above.
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_open_by_handle_at,
        libc::SYS_bpf,
        libc::SYS_userfaultfd,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
    ];
    /// The calls above and `socket` that have numbers of their own in the x32 ABI, which a filter for
    /// x86-64 sees as other calls. Source: `arch/x86/entry/syscalls/syscall_64.tbl`.
    #[cfg(target_arch = "x86_64")]
    const X32: &[libc::c_long] = &[520, 521, 539, 540, 545];
    #[cfg(target_arch = "x86_64")]
    const X32_BIT: libc::c_long = 0x4000_0000;

    /// The parts that this kernel has.
    pub fn parts() -> WallParts {
        let strict = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        WallParts {
            files: strict()
                .handle_access(AccessFs::from_all(ABI::V1))
                .and_then(Ruleset::create)
                .is_ok(),
            ports: strict()
                .handle_access(AccessNet::from_all(ABI::V4))
                .and_then(Ruleset::create)
                .is_ok(),
            calls: has_filters(),
        }
    }

    /// Confines this process for good. It must have one thread.
    ///
    /// # Errors
    /// The kernel has a part of the wall and refused it.
    pub fn confine(ports: &[u16]) -> io::Result<()> {
        files_and_ports(ports).map_err(io::Error::other)?;
        if has_filters() {
            refuse_calls().map_err(io::Error::other)?;
        }
        Ok(())
    }

    #[expect(unsafe_code, reason = "prctl has no safe wrapper for this option")]
    fn has_filters() -> bool {
        // SAFETY: without a filter, the kernel only tells whether it could read one: EFAULT, or EINVAL
        // if it has no filters at all.
        unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                std::ptr::null::<libc::c_void>(),
            )
        };
        nix::errno::Errno::last() == nix::errno::Errno::EFAULT
    }

    fn files_and_ports(ports: &[u16]) -> Result<(), landlock::RulesetError> {
        let handled = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V6))?
            .handle_access(AccessNet::from_all(ABI::V6))?
            .scope(Scope::from_all(ABI::V6))?;
        let mut created: RulesetCreated = handled.create()?;
        for path in READ {
            if let Ok(folder) = PathFd::new(path) {
                created = created.add_rule(PathBeneath::new(
                    folder,
                    AccessFs::from_read(ABI::V1) & !AccessFs::Execute,
                ))?;
            }
        }
        for port in ports.iter().copied().chain([DNS]) {
            created = created.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
        created.restrict_self().map(drop)
    }

    fn refuse_calls() -> Result<(), seccompiler::Error> {
        let local = SeccompCondition::new(
            0,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Eq,
            libc::AF_UNIX as u64,
        )?;
        let local = vec![SeccompRule::new(vec![local])?];
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            REFUSED.iter().map(|call| (*call, Vec::new())).collect();
        rules.insert(libc::SYS_socket, local.clone());
        #[cfg(target_arch = "x86_64")]
        {
            let others: Vec<_> = rules.keys().copied().collect();
            let x32 = others.into_iter().chain(X32.iter().copied());
            for call in x32.collect::<Vec<_>>() {
                rules.entry(call | X32_BIT).or_default();
            }
        }
        let arch = std::env::consts::ARCH.try_into()?;
        let errno = SeccompAction::Errno(libc::EPERM as u32);
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno, arch)?;
        let program: seccompiler::BpfProgram = filter.try_into()?;
        seccompiler::apply_filter(&program)
    }
}

/// macOS has no such wall.
#[cfg(not(target_os = "linux"))]
pub const fn parts() -> WallParts {
    WallParts {
        files: false,
        ports: false,
        calls: false,
    }
}

/// See the version for Linux.
#[cfg(not(target_os = "linux"))]
pub const fn confine(_: &[u16]) -> std::io::Result<()> {
    Ok(())
}
