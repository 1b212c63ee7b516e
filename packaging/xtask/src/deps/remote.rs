//! What the tests of remote servers need: a server, a front end, a judge, and other bridges.

use super::{Found, debian, environment, project};
use crate::shell::cache;

/// The packages of npm and PyPI that have a lock file of their own.
pub fn install(found: &mut Found) {
    found.note("remote", project("remote"));
    let servers = || {
        environment("fastmcp", &cache().join("pypi/fastmcp"))?;
        environment("mcp-proxy", &cache().join("pypi/mcp-proxy"))
    };
    found.note("fastmcp", servers());
    let nginx = debian::unpacked("nginx", "usr/sbin/nginx", "-v");
    found.note("nginx", nginx.map(drop));
}
