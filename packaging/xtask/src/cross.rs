//! Builds and checks for other targets: zig compiles and links the C parts.
//!
//! The standard library comes from `rustup target add`, if that was done, or else is built from the
//! sources in Debian's package `rust-src` of the same version as rustc. Everything is kept in
//! `.cache/cross`; nothing else on the machine changes.

mod sources;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::deps;
use crate::shell::{Done, cache, cargo, output, problem, root, which};

/// The name of the lock file and of the Python environment with zig and cargo-zigbuild.
const TOOLS: &str = "cross";

/// A toolchain for one target.
pub struct Cross {
    rust: Rust,
    target: &'static str,
}

impl Cross {
    /// Downloads what is missing. An error says why this machine cannot.
    pub fn prepare(target: &'static str) -> Done<Self> {
        let cross = Self::prepare_library(target)?;
        deps::environment(TOOLS, &tools())
            .map_err(|reason| format!("zig and cargo-zigbuild: {reason}"))?;
        Ok(cross)
    }

    /// Like `prepare`, for a check of types alone, which needs nothing that is compiled from C.
    pub fn prepare_library(target: &'static str) -> Done<Self> {
        let rust = Rust::find()?;
        if !rust.has(target) && !rust.sources().is_dir() {
            sources::download(&rust).map_err(|reason| {
                format!("{reason}; `rustup target add {target}` is another way")
            })?;
        }
        Ok(Self { rust, target })
    }

    /// Whether `prepare_library` has nothing left to download.
    pub fn has_library(target: &str) -> bool {
        Rust::find().is_ok_and(|rust| rust.has(target) || rust.sources().is_dir())
    }

    /// `cargo build --target …`, in the top of the project.
    pub fn build(&self) -> Done<Command> {
        let bin = tools().join("bin");
        let mut path = OsString::from(&bin);
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        let caches = dir().join("cache");
        let mut command = Command::new(bin.join("cargo-zigbuild"));
        command
            .args(["build", "--quiet", "--locked", "--target", self.target])
            .env("PATH", path)
            .env("XDG_CACHE_HOME", &caches)
            .env("CARGO_ZIGBUILD_CACHE_DIR", caches.join("cargo-zigbuild"))
            .env("ZIG_GLOBAL_CACHE_DIR", caches.join("zig"))
            .env("ZIG_LOCAL_CACHE_DIR", caches.join("zig"))
            .current_dir(root());
        self.with_library(&mut command)?;
        Ok(command)
    }

    /// `cargo check --target …`, in the top of the project. Build scripts find a C compiler and an archiver
    /// that do nothing: nothing is linked.
    pub fn check(&self) -> Done<Command> {
        let nothing = which("true").ok_or("no `true`")?;
        let mut command = cargo("check --quiet --locked --target");
        command.arg(self.target);
        let suffix = self.target.replace('-', "_");
        for variable in ["CC", "CXX", "AR", "RANLIB"] {
            command.env(format!("{variable}_{suffix}"), &nothing);
        }
        // Or a build script asks Apple's tools.
        command.env("SDKROOT", "/");
        self.with_library(&mut command)?;
        Ok(command)
    }

    fn with_library(&self, command: &mut Command) -> Done {
        if self.builds_library() {
            command
                .arg("-Zbuild-std")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTC", compiler(&self.rust)?);
        }
        Ok(())
    }

    /// Whether the standard library is built, too.
    pub fn builds_library(&self) -> bool {
        !self.rust.has(self.target)
    }
}

fn dir() -> PathBuf {
    cache().join("cross")
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

    /// Whether the standard library for this target is installed.
    fn has(&self, target: &str) -> bool {
        self.sysroot.join("lib/rustlib").join(target).is_dir()
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
    // Not written again: cargo would build everything anew for a changed compiler.
    if fs::read_to_string(&script).is_ok_and(|found| found == text) {
        return Ok(script);
    }
    fs::write(&script, text).map_err(|error| problem(&script, &error))?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&script, mode).map_err(|error| problem(&script, &error))?;
    Ok(script)
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
