//! The story of a new user by each channel: `packaging/channels/CHANNEL.sh` installs the package, and goes from a
//! config with a token to a running adopted server and back, in an empty home.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Release, node, python, skipped};
use crate::dist::recipes;
use crate::shell::{Done, Outcome, cache, cargo, root as project, step, which, write};

pub fn archive(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    let name = recipes::archive(release.about, release.target);
    story(
        release,
        root,
        ("archive", "archive"),
        &[release.dist.join(name)],
        &[],
    )
}

pub fn deb(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if which("dpkg").is_none() {
        return Ok(skipped("no `dpkg`"));
    }
    let args = [release.file(".deb")?, root.join("root")];
    story(release, root, ("deb", "deb"), &args, &[])
}

pub fn rpm(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if which("rpm").is_none() {
        return Ok(skipped("no `rpm`"));
    }
    let args = [release.file(".rpm")?, root.join("root")];
    story(release, root, ("rpm", "rpm"), &args, &[])
}

pub fn pip(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if !python::has_pip() {
        return Ok(skipped("no `python3` with `pip`"));
    }
    story(
        release,
        root,
        ("pypi", "pypi-pip"),
        &[release.file(".whl")?],
        &[],
    )
}

pub fn uv(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    let uv = cache().join("pypi/uv/bin/uv");
    if !uv.is_file() {
        return Ok(skipped("no `uv` (`cargo xtask deps`)"));
    }
    let with = [("UV", uv.into_os_string())];
    let channel = ("pypi", "pypi-uv");
    story(release, root, channel, &[release.file(".whl")?], &with)
}

pub fn npm(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    if which("npm").is_none() {
        return Ok(skipped("no `npm`"));
    }
    let launcher = node::launcher(release, root)?;
    story(release, root, ("npm", "npm"), &[launcher], &[])
}

/// The crate as `cargo publish` would upload it. It is compiled without optimisations, beside the
/// builds of this project, and with the crates that are here.
pub fn from_crate(release: &Release<'_>, root: &Path) -> Done<Outcome> {
    let own = |name: &str, below: &str| {
        std::env::var_os(name).or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(Path::new(&home).join(below).into_os_string())
        })
    };
    let (Some(crates), Some(toolchains)) =
        (own("CARGO_HOME", ".cargo"), own("RUSTUP_HOME", ".rustup"))
    else {
        return Ok(skipped("no home of cargo"));
    };
    let target = project().join("target/channel");
    let package = "package --quiet --allow-dirty --no-verify --locked --offline --package mcpwrap";
    step(
        "cargo package",
        cargo(package).arg("--target-dir").arg(&target),
    )?;
    let name = format!("mcpwrap-{}", release.about.version);
    let mut tar = Command::new("tar");
    tar.arg("-xzf")
        .arg(target.join("package").join(format!("{name}.crate")));
    step("unpack", tar.arg("-C").arg(root))?;
    let with = [
        ("CARGO_HOME", crates),
        ("RUSTUP_HOME", toolchains),
        ("CARGO_TARGET_DIR", target.into_os_string()),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0".into()),
        ("CARGO_PROFILE_RELEASE_LTO", "off".into()),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16".into()),
    ];
    story(release, root, ("cargo", "cargo"), &[root.join(name)], &with)
}

/// Runs a script, and keeps what it shows in a file of that other name, in `channels/` beside the packages.
fn story(
    release: &Release<'_>,
    root: &Path,
    (script, record): (&str, &str),
    args: &[PathBuf],
    with: &[(&'static str, OsString)],
) -> Done<Outcome> {
    let home = python::home(root)?;
    let script = project()
        .join("packaging/channels")
        .join(format!("{script}.sh"));
    let mut shell = Command::new("/bin/sh");
    shell
        .arg(script)
        .args(args)
        .env_clear()
        .env("HOME", &home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(with.iter().map(|(name, value)| (*name, value)))
        .current_dir(&home)
        .stdin(Stdio::null());
    let done = shell.output().map_err(|error| error.to_string())?;
    let record = release.dist.join("channels").join(format!("{record}.txt"));
    write(&record, &done.stdout)?;
    if done.status.success() {
        return Ok(Outcome::Passed);
    }
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!(
        "{}\n{}{}",
        done.status,
        said(&done.stdout),
        said(&done.stderr)
    ))
}
