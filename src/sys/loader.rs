//! Keeps variables that make the C library load code, or ask others for names, out of this program.
//!
//! A static program loads no library at its start. But glibc looks up names with modules (NSS) that
//! it loads then, and searches them where `LD_LIBRARY_PATH` said at the start. So the program starts
//! again without these variables, before it does anything. No server inherits them anyway.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use nix::unistd::execve;

use super::spawn::c_string;

/// Besides `LD_*` and `DYLD_*`: modules for character sets and locales, and how hosts are looked up.
/// Source: glibc `unsecvars.h`.
const STEERING: &[&str] = &[
    "GCONV_PATH",
    "LOCPATH",
    "NLSPATH",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "NIS_PATH",
    "RES_OPTIONS",
    "RESOLV_HOST_CONF",
];

/// Whether the system loads no library into this program. macOS has no such programs.
pub const IS_STATIC: bool = super::ON_MACOS || cfg!(target_feature = "crt-static");

/// Replaces this process by the same program without these variables, if one is set. Returns if none
/// is, or if that fails: then [`is_clean`] says so, and the kill switch still works.
pub fn start_clean() {
    if is_clean() {
        return;
    }
    // The path first, so that the process keeps its name. It may have been replaced by an upgrade.
    for program in [std::env::current_exe().ok(), Some("/proc/self/exe".into())] {
        super::ignore(program.and_then(|program| exec(program.as_os_str())));
    }
}

/// Whether no such variable is set.
pub fn is_clean() -> bool {
    variables().all(|(name, _)| !steers(&name))
}

fn steers(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    bytes.starts_with(b"LD_")
        || bytes.starts_with(b"DYLD_")
        || STEERING.iter().any(|known| name == *known)
}

/// Returns only if it fails.
fn exec(program: &OsStr) -> Option<std::convert::Infallible> {
    let text = |bytes: &OsStr| c_string(bytes.as_bytes()).ok();
    let arguments: Vec<CString> = std::env::args_os().filter_map(|one| text(&one)).collect();
    let environment: Vec<CString> = variables()
        .filter(|(name, _)| !steers(name))
        .filter_map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            text(&name)
        })
        .collect();
    execve(&text(program)?, &arguments, &environment).ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "all variables are passed on, and none is used"
)]
fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_load_code_or_move_names() {
        for name in ["LD_LIBRARY_PATH", "LD_AUDIT", "GCONV_PATH", "HOSTALIASES"] {
            assert!(steers(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "OLD_PATH", "LDFLAGS", "HTTPS_PROXY"] {
            assert!(!steers(OsStr::new(name)), "{name}");
        }
    }
}
