//! Protects this process against inspection.
//!
//! Not a boundary: root, and a debugger attached before, still see everything.

use nix::sys::resource::{Resource, setrlimit};

/// Makes this process not dumpable (so other processes of this user cannot use `/proc/PID/environ`,
/// `mem` or ptrace) and disables core files. Errors are ignored.
///
/// The core limit is 1 and not 0, because 0 still lets a *piped* `core_pattern` (systemd-coredump,
/// apport) run, and 1 does not (`fs/coredump.c`). The server inherits the limit: its core file
/// would hold its secrets, and coredump collectors store its environment.
pub fn harden() {
    let hard = u64::from(cfg!(target_os = "linux"));
    super::ignore(setrlimit(Resource::RLIMIT_CORE, hard, hard));
    #[cfg(target_os = "linux")]
    super::ignore(nix::sys::prctl::set_dumpable(false));
    #[cfg(target_os = "macos")]
    deny_attach();
}

#[cfg(target_os = "macos")]
#[expect(unsafe_code, reason = "ptrace has no safe wrapper for PT_DENY_ATTACH")]
fn deny_attach() {
    // SAFETY: PT_DENY_ATTACH ignores the address and data arguments.
    unsafe { nix::libc::ptrace(nix::libc::PT_DENY_ATTACH, 0, std::ptr::null_mut(), 0) };
}
