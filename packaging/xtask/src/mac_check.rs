//! Type-checks the macOS code on Linux, without an Apple SDK and without linking.
//!
//! The standard library for macOS comes from `rustup target add`, if that was done, or else is
//! built from the sources in Debian's package `rust-src` of the same version as rustc. zig compiles
//! the C parts. Everything is kept in `.cache/mac-check`; nothing else on the machine changes.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::deps;
use crate::shell::{Done, Outcome, cache, output, root, step, which};

const TARGET: &str = "aarch64-apple-darwin";
/// The suite of Debian that has the newest stable Rust.
const SUITE: &str = "trixie-backports";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The name of the lock file and of the Python environment with zig and cargo-zigbuild.
const TOOLS: &str = "mac-check";

pub fn run() -> Done<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(not_run(
            "this is not Linux; `cargo check` does the same here",
        ));
    }
    let rust = Rust::find()?;
    if !rust.has_target()
        && !rust.sources().is_dir()
        && let Err(reason) = download_sources(&rust)
    {
        return Ok(Outcome::NotRun(reason));
    }
    if let Err(reason) = deps::environment(TOOLS, &tools()) {
        return Ok(not_run(&format!("zig and cargo-zigbuild: {reason}")));
    }
    step("macOS type check", &mut check(&rust)?).map(|()| Outcome::Passed)
}

/// Whether `run` has nothing left to download.
pub fn is_prepared() -> bool {
    Rust::find().is_ok_and(|rust| rust.has_target() || rust.sources().is_dir())
        && deps::has_environment(TOOLS, &tools())
}

fn not_run(reason: &str) -> Outcome {
    Outcome::NotRun(reason.to_owned())
}

fn dir() -> PathBuf {
    cache().join("mac-check")
}

fn tools() -> PathBuf {
    dir().join("tools")
}

/// The compiler in use.
struct Rust {
    version: String,
    host: String,
    sysroot: PathBuf,
}

impl Rust {
    fn find() -> Done<Self> {
        let about = output(Command::new("rustc").arg("-vV")).ok_or("no `rustc`")?;
        let field = |name: &str| {
            let value = about.lines().find_map(|line| line.strip_prefix(name));
            value
                .map(str::to_owned)
                .ok_or(format!("`rustc -vV` has no `{name}`"))
        };
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]));
        Ok(Self {
            version: field("release: ")?,
            host: field("host: ")?,
            sysroot: sysroot.ok_or("`rustc --print sysroot` failed")?.into(),
        })
    }

    /// Whether the standard library for macOS is installed.
    fn has_target(&self) -> bool {
        self.sysroot.join("lib/rustlib").join(TARGET).is_dir()
    }

    fn unpacked(&self) -> PathBuf {
        dir().join(format!("rust-src-{}", self.version))
    }

    /// The sources of the standard library, once they are downloaded.
    fn sources(&self) -> PathBuf {
        let package = format!("usr/src/rustc-{}/library", self.version);
        self.unpacked().join(package)
    }
}

/// The type check of the program, its tests and benchmarks, and this tool.
fn check(rust: &Rust) -> Done<Command> {
    let bin = tools().join("bin");
    let mut path = OsString::from(&bin);
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    let mut command = Command::new(bin.join("cargo-zigbuild"));
    command
        .args([
            "check",
            "--quiet",
            "--locked",
            "--workspace",
            "--all-targets",
            "--target",
            TARGET,
        ])
        .env("PATH", path)
        .env("XDG_CACHE_HOME", dir().join("cache"))
        .env(
            "CARGO_ZIGBUILD_CACHE_DIR",
            dir().join("cache/cargo-zigbuild"),
        )
        .env("ZIG_GLOBAL_CACHE_DIR", dir().join("cache/zig"))
        .env("ZIG_LOCAL_CACHE_DIR", dir().join("cache/zig"))
        .env("CARGO_TARGET_DIR", dir().join("target"))
        .env("RUSTFLAGS", "-D warnings")
        .current_dir(root());
    if !rust.has_target() {
        command
            .arg("-Zbuild-std")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", compiler(rust)?);
    }
    Ok(command)
}

/// A script that runs rustc with a sysroot of our own: the installed libraries of the host, plus
/// the sources of the standard library, where cargo looks for them.
fn compiler(rust: &Rust) -> Done<PathBuf> {
    let sysroot = dir().join(format!("sysroot-{}", rust.version));
    let libraries = sysroot.join("lib/rustlib");
    make_dir(&libraries.join("src/rust"))?;
    let installed = rust.sysroot.join("lib/rustlib").join(&rust.host);
    link(&installed, &libraries.join(&rust.host))?;
    link(&rust.sources(), &libraries.join("src/rust/library"))?;
    let script = dir().join("rustc");
    let text = format!(
        "#!/bin/sh\nexec '{}' --sysroot '{}' \"$@\"\n",
        rust.sysroot.join("bin/rustc").display(),
        sysroot.display()
    );
    fs::write(&script, text).map_err(|error| problem(&script, &error))?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&script, mode).map_err(|error| problem(&script, &error))?;
    Ok(script)
}

/// Downloads Debian's `rust-src` of the same version as rustc. An error says why this machine
/// cannot.
fn download_sources(rust: &Rust) -> Done {
    let remedy = format!("`rustup target add {TARGET}` is another way");
    let fail = |reason: String| format!("{reason}; {remedy}");
    for program in ["apt-get", "apt-cache", "dpkg"] {
        which(program).ok_or_else(|| fail(format!("not Debian (no `{program}`)")))?;
    }
    if !Path::new(KEYRING).is_file() {
        return Err(fail(format!("not Debian (no `{KEYRING}`)")));
    }
    let apt = Apt::new()?;
    step(
        "apt-get update, in .cache only",
        apt.command("apt-get").args(["-qq", "update"]),
    )
    .map_err(|_| fail(format!("no package list of Debian's {SUITE} (no network?)")))?;
    let offered = output(apt.command("apt-cache").args(["madison", "rust-src"]));
    let version = offered
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(|version| version.trim().to_owned())
        .find(|version| version.starts_with(&format!("{}+", rust.version)))
        .ok_or_else(|| {
            fail(format!(
                "Debian's {SUITE} has no rust-src of version {}",
                rust.version
            ))
        })?;
    let downloads = dir().join("download");
    drop(fs::remove_dir_all(&downloads));
    make_dir(&downloads)?;
    let mut download = apt.command("apt-get");
    download
        .args(["-q", "download"])
        .arg(format!("rust-src={version}"));
    step("download rust-src", download.current_dir(&downloads))
        .map_err(|_| fail("cannot download rust-src".to_owned()))?;
    let packages = fs::read_dir(&downloads).map_err(|error| problem(&downloads, &error))?;
    let package = packages
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .ok_or("the download has no package")?;
    let partial = downloads.join("unpacked");
    step(
        "unpack rust-src",
        Command::new("dpkg").arg("-x").arg(package).arg(&partial),
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

fn make_dir(path: &Path) -> Done {
    fs::create_dir_all(path).map_err(|error| problem(path, &error))
}

fn link(target: &Path, path: &Path) -> Done {
    if fs::read_link(path).is_ok_and(|found| found == target) {
        return Ok(());
    }
    drop(fs::remove_file(path));
    symlink(target, path).map_err(|error| problem(path, &error))
}

fn problem(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
