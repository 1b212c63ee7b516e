//! The fence: a Landlock domain around a server, without privileges.
//!
//! A process in a domain cannot trace a process outside, nor read its memory or environment; since
//! ABI 6 (Linux 6.12) it cannot signal one either. Nothing else is refused: files, sockets and the
//! network are as without a fence. Sources: landlock(7), `security/landlock/task.c`.

use std::fmt;

use serde::Serialize;

/// What the fence of this kernel prevents.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "only Linux has a fence")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fence {
    /// Signals and tracing.
    Full,
    /// Tracing only: memory, environment, debugging.
    Partial,
    /// Nothing: the kernel has no Landlock, or it is turned off.
    None,
}

impl Fence {
    /// The word in `status --json` and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(target_os = "linux")]
pub use self::linux::{enter, kind};

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::io;

    use landlock::{
        AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
        RulesetCreatedAttr as _, Scope,
    };

    use super::Fence;

    /// The fence that this kernel has.
    pub fn kind() -> Fence {
        domain().map_or(Fence::None, |(fence, _)| fence)
    }

    /// Restricts this process for good, and all that it starts; sets `no_new_privs`. Only for the
    /// child that becomes a server: it allocates.
    ///
    /// # Errors
    /// The kernel has a fence and refused it.
    pub fn enter() -> io::Result<()> {
        let Some((fence, domain)) = domain() else {
            return Ok(());
        };
        let mut domain = domain.create().map_err(refused)?;
        if fence == Fence::Partial {
            let root = PathFd::new("/").map_err(refused)?;
            domain = domain
                .add_rule(PathBeneath::new(root, AccessFs::Refer))
                .map_err(refused)?;
        }
        domain.restrict_self().map_err(refused)?;
        Ok(())
    }

    /// The kernel's error behind one of the crate.
    fn refused(error: impl Error + 'static) -> io::Error {
        let mut source: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = source {
            let errno = error.downcast_ref::<io::Error>();
            if let Some(errno) = errno.and_then(io::Error::raw_os_error) {
                return io::Error::from_raw_os_error(errno);
            }
            source = error.source();
        }
        io::Error::from_raw_os_error(nix::libc::EPERM)
    }

    /// The strongest domain of this kernel that does not restrict files.
    ///
    /// A domain needs something to restrict. Before ABI 6, this is the move of files between
    /// directories, which a rule then allows everywhere. ABI 1 forbids that move in every domain, so
    /// it is not used. A domain that handles files also forbids `mount`, which a server could only do
    /// in a user namespace of its own.
    fn domain() -> Option<(Fence, Ruleset)> {
        let strict = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let full = strict().scope(Scope::Signal);
        if let Ok(domain) = full {
            return Some((Fence::Full, domain));
        }
        let partial = strict().handle_access(AccessFs::Refer);
        Some((Fence::Partial, partial.ok()?))
    }
}

/// macOS has no Landlock.
#[cfg(not(target_os = "linux"))]
pub fn kind() -> Fence {
    Fence::None
}

/// See the version for Linux.
#[cfg(not(target_os = "linux"))]
pub fn enter() -> std::io::Result<()> {
    Ok(())
}
