//! One variable of the environment.

use std::ffi::OsString;

/// Options of the C library's resolver (resolv.conf(5)).
pub const RESOLVER_OPTIONS: &str = "RES_OPTIONS";

/// Whether the user set them.
pub fn has_resolver_options() -> bool {
    variable(RESOLVER_OPTIONS).is_some()
}

#[expect(
    clippy::disallowed_methods,
    reason = "only this module reads the variables of mcpwrap"
)]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
