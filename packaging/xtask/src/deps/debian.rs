//! Packages of Debian, unpacked into `.cache`: an installed one would change the machine, and may start a service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::once_for;
use crate::shell::{Done, cache, output, problem, step, which};

/// Downloads and unpacks a package in the version that apt would install, and returns its directory.
/// `program` is a file of the package that answers to `version`, which shows that it runs here.
pub fn unpacked(package: &str, program: &str, version: &str) -> Done<PathBuf> {
    for needed in ["apt-get", "apt-cache", "dpkg"] {
        which(needed).ok_or_else(|| format!("no `{needed}`"))?;
    }
    let query = ["show", "--no-all-versions", package];
    let about = output(Command::new("apt-cache").args(query))
        .ok_or_else(|| format!("no package `{package}`"))?;
    let offered = about
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))
        .ok_or_else(|| format!("the package `{package}` has no version"))?;
    let target = cache().join(package);
    once_for(&target, offered.as_bytes(), || {
        drop(fs::remove_dir_all(&target));
        fs::create_dir_all(&target).map_err(|error| problem(&target, &error))?;
        let mut download = Command::new("apt-get");
        download
            .args(["-q", "download"])
            .arg(format!("{package}={offered}"))
            .current_dir(&target);
        unpack(package, &mut download, &target, &target)?;
        let program = target.join(program);
        output(Command::new(&program).arg(version))
            .map(drop)
            .ok_or_else(|| format!("`{}` does not run", program.display()))
    })?;
    Ok(target)
}

/// Runs a download into a directory, and unpacks the one package that it brings.
pub fn unpack(name: &str, download: &mut Command, from: &Path, into: &Path) -> Done {
    step(&format!("download {name}"), download)?;
    let files = fs::read_dir(from).map_err(|error| problem(from, &error))?;
    let package = files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .ok_or_else(|| format!("the download of {name} has no package"))?;
    let mut dpkg = Command::new("dpkg");
    step(
        &format!("unpack {name}"),
        dpkg.arg("-x").arg(&package).arg(into),
    )?;
    fs::remove_file(&package).map_err(|error| problem(&package, &error))
}
