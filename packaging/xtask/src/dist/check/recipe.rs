//! The formula, the `PKGBUILD` and the flake: what reads them here finds no error.

use std::path::Path;
use std::process::Command;

use super::{Release, skipped};
use crate::dist::recipes;
use crate::shell::{Done, Outcome, read, root, step, which, write};

/// A template, filled in with made-up checksums: here is one archive only.
fn filled(release: &Release<'_>, template: &str, file: &Path) -> Done {
    let text = read(&root().join(template))?;
    let digest = |_: &crate::dist::targets::Target| Ok("0".repeat(64));
    let filled = recipes::fill(release.about, &String::from_utf8_lossy(&text), &digest)?;
    write(file, filled.as_bytes())
}

pub fn formula(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    let file = root.join("mcpwrap.rb");
    filled(release, "packaging/homebrew/mcpwrap.rb", &file)?;
    if which("ruby").is_none() {
        return Ok(skipped("no `ruby`"));
    }
    let mut ruby = Command::new("ruby");
    step("ruby -c", ruby.args(["-w", "-c"]).arg(&file)).map(|()| Outcome::Passed)
}

/// Also its function: into a directory, as makepkg calls it.
pub fn pkgbuild(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    let file = root.join("PKGBUILD");
    filled(release, "packaging/aur/PKGBUILD", &file)?;
    if !release.target.is_linux() || which("bash").is_none() {
        return Ok(skipped("not Linux, or no `bash`"));
    }
    let archive = recipes::archive(release.about, release.target);
    let script = "set -eu; tar -xzf \"$1\"; . ./PKGBUILD; pkgdir=$PWD/package; CARCH=$2; package";
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "bash"])
        .arg(release.dist.join(archive))
        .arg(release.target.arch.unwrap_or_default());
    step("package()", bash.current_dir(root))?;
    super::probe::installed(&root.join("package/usr/bin/mcpwrap"), root, release)?;
    Ok(Outcome::Passed)
}

pub fn flake(_: &Release<'_>, _: &Path) -> Done<Outcome> {
    if which("nix-instantiate").is_none() {
        return Ok(skipped("no `nix-instantiate`"));
    }
    let mut parse = Command::new("nix-instantiate");
    parse
        .arg("--parse")
        .arg(root().join("packaging/nix/flake.nix"))
        .stdout(std::process::Stdio::null());
    step("nix-instantiate --parse", &mut parse).map(|()| Outcome::Passed)
}
