//! One variable of the environment.

use std::ffi::OsString;

#[expect(
    clippy::disallowed_methods,
    reason = "only this module reads the variables of mcpwrap"
)]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
