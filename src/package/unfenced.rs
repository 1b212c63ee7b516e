//! Programs that do not work inside the fence, because they need more rights than the user's or
//! the processes of others.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{local, parse};
use crate::sys::{ON_MACOS, files};

/// Programs that act on processes outside their own tree, and what they do.
const OTHERS: &[(&str, &[&str])] = &[
    (
        "attaches to other processes",
        &[
            "gdb",
            "gdbserver",
            "lldb",
            "lldb-dap",
            "lldb-mcp",
            "lldb-server",
            "rr",
            "strace",
            "ltrace",
            "perf",
            "bpftrace",
            "py-spy",
            "reptyr",
        ],
    ),
    (
        "signals other processes",
        &[
            "pm2",
            "supervisorctl",
            "monit",
            "forever",
            "htop",
            "kill",
            "pkill",
        ],
    ),
];

/// Why the program of a command needs `fence = false`, if it does.
pub fn reason(command: &[String]) -> Option<String> {
    if ON_MACOS {
        return None;
    }
    let launch = parse(command);
    let mut programs = vec![command.first()?];
    programs.extend(launch.words.first());
    programs.dedup();
    programs.into_iter().find_map(|word| of_program(word))
}

fn of_program(word: &str) -> Option<String> {
    let name = Path::new(word).file_name()?.to_str()?;
    let acts = OTHERS.iter().find(|(_, names)| names.contains(&name));
    if let Some((what, _)) = acts {
        return Some(format!("`{name}` {what}"));
    }
    // Rootless podman maps users with two setuid programs.
    if name == "podman" && !nix::unistd::geteuid().is_root() {
        return Some("`podman` without root needs setuid programs".to_owned());
    }
    let found = local::find(word)?;
    let real = fs::canonicalize(&found).unwrap_or_else(|_| found.clone());
    let is_snap = |path: &Path| path.starts_with("/snap") || path.ends_with("usr/bin/snap");
    if is_snap(&found) || is_snap(&real) {
        return Some(format!("`{name}` is a snap, which a setuid program starts"));
    }
    let mode = fs::metadata(&real).ok()?.permissions().mode();
    if mode & 0o4000 != 0 {
        return Some(format!("`{name}` is setuid"));
    }
    if mode & 0o2010 == 0o2010 {
        return Some(format!("`{name}` is setgid"));
    }
    files::has_capabilities(&real).then(|| format!("`{name}` has file capabilities"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Option<String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        reason(&words)
    }

    fn program(dir: &Path, name: &str, mode: u32) -> String {
        let path = dir.join(name);
        crate::files::replace(&path, b"#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    }

    #[test]
    fn programs_with_more_rights_are_found() {
        if ON_MACOS {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let plain = program(dir.path(), "plain", 0o755);
        let setuid = program(dir.path(), "lifted", 0o4755);
        assert_eq!(of(&[&plain]), None);
        assert_eq!(of(&[&setuid, "x"]).unwrap(), "`lifted` is setuid");
        let wrapped = ["env", "A=b", setuid.as_str()];
        assert_eq!(of(&wrapped).unwrap(), "`lifted` is setuid");
        assert_eq!(of(&["gdb"]).unwrap(), "`gdb` attaches to other processes");
        assert_eq!(of(&["/nowhere/at-all"]), None);
        assert_eq!(of(&[]), None);
    }
}
