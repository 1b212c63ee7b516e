//! The archive, and the packages of distributions.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Release, probe, skipped};
use crate::dist::recipes::{self, SUMS};
use crate::shell::{Done, Outcome, output, problem, step, which, write};

pub fn archive(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if which("sha256sum").is_some() {
        let mut sums = Command::new("sha256sum");
        sums.args(["--check", "--quiet", "--strict", SUMS]);
        step("checksums", sums.current_dir(release.dist))?;
    }
    let file = release
        .dist
        .join(recipes::archive(release.about, release.target));
    unpack(&file, root)?;
    let top = root.join(release.about.archive(release.target));
    for part in [
        "man/mcpwrap-run.1",
        "completions/mcpwrap",
        "completions/_mcpwrap",
        "completions/mcpwrap.fish",
        "LICENSE-MIT",
    ] {
        exists(&top.join(part))?;
    }
    for (shell, name) in [
        ("bash", "mcpwrap"),
        ("zsh", "_mcpwrap"),
        ("fish", "mcpwrap.fish"),
    ] {
        if which(shell).is_some() {
            let script = top.join("completions").join(name);
            let mut check = Command::new(shell);
            step(
                &format!("{shell} reads its completions"),
                check.arg("-n").arg(script),
            )?;
        }
    }
    probe::installed(&top.join("mcpwrap"), root, release)?;
    Ok(Outcome::Passed)
}

fn unpack(file: &Path, root: &Path) -> Done {
    let mut tar = Command::new("tar");
    step("unpack", tar.arg("-xzf").arg(file).arg("-C").arg(root))
}

fn exists(path: &Path) -> Done {
    if path.exists() {
        Ok(())
    } else {
        Err(format!("no `{}`", path.display()))
    }
}

/// What each of these packages has.
fn system(release: &Release<'_>, root: &Path, zsh: &str) -> Done<Outcome> {
    for part in [
        "man/man1/mcpwrap-run.1.gz",
        "bash-completion/completions/mcpwrap",
        "fish/vendor_completions.d/mcpwrap.fish",
        zsh,
        "doc/mcpwrap/LICENSE-MIT",
    ] {
        exists(&root.join("usr/share").join(part))?;
    }
    for part in ["usr/lib/systemd", "lib/systemd", "etc/systemd"] {
        if root.join(part).exists() {
            return Err(format!("a package has `{part}`"));
        }
    }
    probe::installed(&root.join("usr/bin/mcpwrap"), root, release)?;
    Ok(Outcome::Passed)
}

pub fn deb(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if which("dpkg").is_none() {
        return Ok(skipped("no `dpkg`"));
    }
    for name in ["info", "updates", "triggers"] {
        let dir = root.join("var/lib/dpkg").join(name);
        fs::create_dir_all(&dir).map_err(|error| problem(&dir, &error))?;
    }
    for name in ["status", "available"] {
        write(&root.join("var/lib/dpkg").join(name), b"")?;
    }
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", root.display()))
        .args(["--force-not-root", "--force-script-chrootless", "-i"])
        .arg(release.file(".deb")?);
    step("dpkg -i", &mut dpkg)?;
    system(release, root, "zsh/vendor-completions/_mcpwrap")
}

pub fn rpm(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if which("rpm").is_none() {
        return Ok(skipped("no `rpm`"));
    }
    let rpm = || {
        let mut rpm = Command::new("rpm");
        rpm.arg("--root")
            .arg(root)
            .args(["--dbpath", "/var/lib/rpm"]);
        rpm
    };
    let file = release.file(".rpm")?;
    step("rpm -i", rpm().args(["-i", "--nosignature"]).arg(&file))?;
    step("rpm -V", rpm().args(["-V", "--nosignature", "mcpwrap"]))?;
    let host = output(
        Command::new("rpm")
            .args(["-qp", "--qf", "%{BUILDHOST}"])
            .arg(&file),
    );
    match host.as_deref() {
        Some("localhost") => system(release, root, "zsh/site-functions/_mcpwrap"),
        other => Err(format!("it names the host that it was built on: {other:?}")),
    }
}

/// Without Alpine's tool: an apk is an archive.
pub fn apk(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if !release.target.is_linux() {
        return Ok(skipped("nothing for this system"));
    }
    // Its checksums are of a kind that other programs do not know.
    let mut tar = Command::new("tar");
    tar.args(["--warning=no-unknown-keyword", "-xzf"])
        .arg(release.file(".apk")?);
    step("unpack", tar.arg("-C").arg(root))?;
    system(release, root, "zsh/site-functions/_mcpwrap")
}

pub fn archlinux(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if !release.target.is_linux() {
        return Ok(skipped("nothing for this system"));
    }
    let file = release.file(".pkg.tar.zst")?;
    if which("zstd").is_none() {
        return Ok(skipped("no `zstd`"));
    }
    let mut tar = Command::new("tar");
    tar.args(["--use-compress-program=zstd", "-xf"]).arg(file);
    step("unpack", tar.arg("-C").arg(root))?;
    system(release, root, "zsh/site-functions/_mcpwrap")
}
