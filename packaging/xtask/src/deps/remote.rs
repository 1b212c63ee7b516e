//! What the tests of remote servers need: a server, a front end, a judge, and other bridges.

use std::fs;
use std::process::Command;

use super::{Found, environment, once_for, project};
use crate::shell::{Done, cache, output, step, which};

/// The packages of npm and PyPI that have a lock file of their own.
pub fn install(found: &mut Found) {
    found.note("remote", project("remote"));
    let servers = || {
        environment("fastmcp", &cache().join("pypi/fastmcp"))?;
        environment("mcp-proxy", &cache().join("pypi/mcp-proxy"))
    };
    found.note("fastmcp", servers());
    found.note("nginx", nginx());
}

/// Debian's nginx, unpacked into `.cache/nginx`: an installed one would start a service.
fn nginx() -> Done {
    for program in ["apt-get", "dpkg"] {
        which(program).ok_or_else(|| format!("no `{program}`"))?;
    }
    let query = ["show", "--no-all-versions", "nginx"];
    let about = output(Command::new("apt-cache").args(query)).ok_or("no package `nginx`")?;
    let version = about
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))
        .ok_or("the package `nginx` has no version")?;
    let target = cache().join("nginx");
    once_for(&target, version.as_bytes(), || {
        drop(fs::remove_dir_all(&target));
        fs::create_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
        let mut download = Command::new("apt-get");
        download
            .args(["-q", "download"])
            .arg(format!("nginx={version}"));
        step("download nginx", download.current_dir(&target))?;
        let files = fs::read_dir(&target).map_err(|error| error.to_string())?;
        let package = files
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
            .ok_or("the download has no package")?;
        step(
            "unpack nginx",
            Command::new("dpkg").arg("-x").arg(&package).arg(&target),
        )?;
        let program = target.join("usr/sbin/nginx");
        output(Command::new(&program).arg("-v"))
            .map(drop)
            .ok_or_else(|| format!("`{}` does not run", program.display()))
    })
}
