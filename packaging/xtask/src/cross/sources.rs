//! The sources of the standard library, from Debian.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Rust, dir, make_dir};
use crate::deps::debian;
use crate::shell::{Done, output, problem, step, which};

/// The suite of Debian that has the newest stable Rust.
const SUITE: &str = "trixie-backports";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Downloads Debian's `rust-src` of the same version as rustc. An error says why this machine
/// cannot.
pub(super) fn download(rust: &Rust) -> Done {
    for program in ["apt-get", "apt-cache", "dpkg"] {
        which(program).ok_or_else(|| format!("not Debian (no `{program}`)"))?;
    }
    if !Path::new(KEYRING).is_file() {
        return Err(format!("not Debian (no `{KEYRING}`)"));
    }
    let apt = Apt::new()?;
    step(
        "apt-get update, in .cache only",
        apt.command("apt-get").args(["-qq", "update"]),
    )
    .map_err(|_| format!("no package list of Debian's {SUITE} (no network?)"))?;
    let offered = output(apt.command("apt-cache").args(["madison", "rust-src"]));
    let version = offered
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(|version| version.trim().to_owned())
        .find(|version| version.starts_with(&format!("{}+", rust.version)))
        .ok_or_else(|| {
            format!(
                "Debian's {SUITE} has no rust-src of version {}",
                rust.version
            )
        })?;
    let downloads = dir().join("download");
    drop(fs::remove_dir_all(&downloads));
    make_dir(&downloads)?;
    let mut download = apt.command("apt-get");
    download
        .args(["-q", "download"])
        .arg(format!("rust-src={version}"));
    let partial = downloads.join("unpacked");
    debian::unpack(
        "rust-src",
        download.current_dir(&downloads),
        &downloads,
        &partial,
    )?;
    drop(fs::remove_dir_all(rust.unpacked()));
    fs::rename(&partial, rust.unpacked()).map_err(|error| problem(&partial, &error))?;
    drop(fs::remove_dir_all(&downloads));
    if rust.sources().is_dir() {
        Ok(())
    } else {
        Err(format!(
            "rust-src {version} has no `{}`",
            rust.sources().display()
        ))
    }
}

/// apt with lists, cache and sources of its own.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new() -> Done<Self> {
        let base = dir().join("apt");
        for name in ["lists/partial", "cache/archives/partial"] {
            make_dir(&base.join(name))?;
        }
        let mirror = mirror().ok_or("apt's configuration names no mirror of Debian")?;
        let (sources, status) = (base.join("sources.list"), base.join("status"));
        let line = format!("deb [signed-by={KEYRING}] {mirror} {SUITE} main\n");
        for (path, text) in [(&sources, line.as_str()), (&status, "")] {
            fs::write(path, text).map_err(|error| problem(path, &error))?;
        }
        let base = base.display();
        let options = vec![
            format!("Dir::Etc::sourcelist={}", sources.display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={base}/lists"),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::Cache={base}/cache"),
            "APT::Sandbox::User=root".to_owned(),
        ];
        Ok(Self { options })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(
            self.options
                .iter()
                .flat_map(|option| ["-o", option.as_str()]),
        );
        command
    }
}

/// The mirror that this machine takes its packages from.
fn mirror() -> Option<String> {
    let format = [
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ];
    let found = output(Command::new("apt-get").args(format))?;
    let mirror = found.lines().find(|address| !address.contains("security"));
    mirror.map(str::to_owned)
}
