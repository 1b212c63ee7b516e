//! Installs what a policy's command starts: resolve, lock, download, freeze, move into place.
//!
//! One directory per installation, named after the digest of its tree: `tree/`, `lock`, and lists
//! of file states.
//!
//! Invariants: an installation is built under another name and renamed, under a lock, when it is
//! complete and synced, so that a crash leaves all of it or nothing. No lock is held while a
//! registry is asked. Install scripts run only if requested. A known version is accepted only with
//! its known archive.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::advisory::LockedPackages;
use super::cutoff::Cutoff;
use super::directory::{LOCK, LOCK_BYTES_MAX, directory, lock, write, write_list};
use super::progress::InstallPhase;
use super::request::{Built, PackageChanges, PinReport, PinRequest, failed};
use super::staging::Staging;
use super::{
    ParsedCommand, Registry, differences, image, local, npm, npm_project, parse, pypi, sharing,
    tree, uv_lock, uv_versions,
};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, io_text};
use crate::policy::package::PackageSource;
use crate::policy::{Package, Policy};
use crate::secret::hex;

/// Installs the package that a command starts, and pins it.
///
/// # Errors
/// `package-failed`: it cannot be installed, or a client failed; `package-changed`: the registry
/// serves a different archive for a pinned version.
pub fn install(dirs: &Dirs, request: &PinRequest<'_>) -> Result<(Package, PinReport)> {
    if let Some(obstacle) = request.launch.obstacle {
        let edit = format!("`mcpwrap policy edit {}`", request.server);
        return Err(failed(request.server)
            .cause(format!("its command cannot be pinned: {obstacle}"))
            .hint(format!("run {edit} to write {}", request.launch.instead())));
    }
    let root = dirs.packages();
    let unusable = |problem: files::Problem| failed(request.server).cause(problem);
    files::ensure_dir(&root).map_err(unusable)?;
    enough_space(&root, request)?;
    let staging = Staging::new(&root, request.server)?;
    if let Some(progress) = request.progress {
        progress.builds_in(staging.dir());
    }
    let built = match request.launch.registry {
        Registry::Npm => npm::build(staging.dir(), request)?,
        Registry::Pypi => pypi::build(staging.dir(), request)?,
        Registry::Image => return image::pin(staging.dir(), request),
        Registry::Local if is_folder(request.launch) => return Err(folder(request)),
        // Its list of files is removed with the directory.
        Registry::Local if request.dry_run => return local::pin(staging.dir(), request),
        Registry::Local => {
            let _lock = lock(&root, request.server)?;
            return local::pin(&root, request);
        }
        Registry::Go | Registry::Nuget | Registry::Jsr | Registry::Nix | Registry::Url => {
            return Err(failed(request.server)
                .cause("only npm, PyPI, container images and local programs can be pinned"));
        }
    };
    let known = request
        .known
        .and_then(|known| KnownLock::read(&root, known));
    let before = known.as_ref().and_then(KnownLock::packages);
    same_archives(request, &built, before.as_ref())?;
    let mut report = built.report;
    report.dated = request.before.is_some();
    report.changes = changes(before.as_ref(), &built.locked);
    report.new_scripts = new_scripts(known.as_ref(), &report.scripts);
    if let Some(known) = request.known.filter(|_| request.diff) {
        let (old, new) = (directory(&root, known), staging.dir());
        let found = differences::between(&old.join("tree"), &new.join("tree"));
        report.differences = Some(found.map_err(|error| {
            failed(request.server)
                .cause(format!("cannot compare the files: {}", io_text(&error)))
                .hint(format!(
                    "run `mcpwrap pin {} --repair` if the installation is incomplete",
                    request.server
                ))
        })?);
    }
    if request.dry_run {
        return Ok((built.package, report));
    }
    request.phase(InstallPhase::Storing);
    report.shared = sharing::share(&root, &staging.dir().join("tree"));
    let package = move_into_place(&root, &staging, built.package, &built.lock)
        .map_err(|error| failed(request.server).cause(io_text(&error)))?;
    Ok((package, report))
}

/// Whether a package launcher installs a directory of this machine.
fn is_folder(launch: &ParsedCommand) -> bool {
    launch.spec.is_some()
}

fn folder(request: &PinRequest<'_>) -> Error {
    let launcher = &request.launch.launcher;
    let path = request.launch.spec.as_deref().unwrap_or_default();
    failed(request.server)
        .cause(format!(
            "`{launcher}` installs the directory `{path}` again at each start"
        ))
        .hint(format!(
            "run `mcpwrap policy edit {}` to start its program, e.g. `node /absolute/path/index.js`",
            request.server
        ))
}

/// The free space that an installation needs at least (bytes): half of the servers in use take more
/// than 100 MiB.
const FREE_BYTES_MIN: u64 = 256 << 20;

/// Refuses to begin on a full disk. Images and local programs need no space here.
fn enough_space(root: &Path, request: &PinRequest<'_>) -> Result<()> {
    let installs = matches!(request.launch.registry, Registry::Npm | Registry::Pypi);
    let free = rustix::fs::statvfs(root).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    match free {
        Ok(free) if installs && free < FREE_BYTES_MIN => Err(failed(request.server)
            .cause(format!(
                "{} MiB free in `{}`; an installation needs {} MiB",
                free >> 20,
                root.display(),
                FREE_BYTES_MIN >> 20
            ))
            .hint("free some space, e.g. with `mcpwrap pin --prune`")),
        // Where the free space is unknown, a full disk is noticed later.
        _ => Ok(()),
    }
}

/// Freezes, digests, syncs and renames; returns the package with its digests.
fn move_into_place(
    root: &Path,
    staging: &Staging,
    package: Package,
    lock: &[u8],
) -> std::io::Result<Package> {
    let built = staging.dir().join("tree");
    tree::freeze(&built)?;
    let digest = tree::digest(&built)?;
    let place = root.join(&digest);
    let program = match package.interpreter.as_str() {
        "" => tree::file_digest(&built.join(&package.entry))?,
        path => tree::file_digest(Path::new(path))?,
    };
    // From here on: nothing that waits for a network, so nothing is held up for long.
    let _lock = files::lock(&root.join(".lock"))
        .map_err(|problem| std::io::Error::other(problem.to_string()))?;
    let intact = || tree::digest(&place.join("tree")).is_ok_and(|there| there == digest);
    if !place.exists() || !intact() {
        let target = staging.dir().join("done");
        files::ensure_dir(&target).map_err(|problem| std::io::Error::other(problem.to_string()))?;
        // Renaming a directory needs write permission on it, since its `..` changes.
        writable(&built, true)?;
        fs::rename(&built, target.join("tree"))?;
        writable(&target.join("tree"), false)?;
        tree::sync(&target)?;
        if place.exists() {
            fs::rename(&place, staging.dir().join("broken"))?;
        }
        fs::rename(&target, &place)?;
        files::sync_dir(root)?;
    }
    if fs::read(place.join(LOCK)).ok().as_deref() != Some(lock) {
        write(&place.join(LOCK), lock)?;
    }
    let interpreter = Path::new(&package.interpreter);
    let absolute = if package.interpreter.is_empty() {
        &[][..]
    } else {
        &[interpreter][..]
    };
    let files = write_list(&place, absolute, true)?;
    let lock = hex(&Sha256::digest(lock));
    Ok(Package {
        lock,
        tree: digest,
        program,
        files,
        ..package
    })
}

fn writable(dir: &Path, yes: bool) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(
        dir,
        fs::Permissions::from_mode(if yes { 0o755 } else { 0o555 }),
    )
}

/// The lock file of the known installation.
struct KnownLock {
    source: PackageSource,
    text: String,
}

impl KnownLock {
    fn read(root: &Path, known: &Package) -> Option<Self> {
        let path = directory(root, known).join(LOCK);
        let bytes = files::read_private_up_to(&path, LOCK_BYTES_MAX).ok()?;
        Some(Self {
            source: known.registry,
            text: String::from_utf8(bytes).ok()?,
        })
    }

    fn packages(&self) -> Option<LockedPackages> {
        match self.source {
            PackageSource::Npm => npm_project::locked(&self.text).ok(),
            PackageSource::Pypi => uv_lock::locked(&self.text).ok(),
            PackageSource::Image | PackageSource::Local => None,
        }
    }
}

/// The packages that have install scripts now and had none in the known installation.
fn new_scripts(known: Option<&KnownLock>, scripts: &[String]) -> Vec<String> {
    let known = known.filter(|known| known.source == PackageSource::Npm);
    let lock = known.and_then(|known| serde_json::from_str(&known.text).ok());
    let Some(before) = lock.map(|lock| npm::with_scripts(&lock)) else {
        return Vec::new();
    };
    let new = scripts.iter().filter(|name| !before.contains(name));
    new.cloned().collect()
}

/// Refuses a different archive for a known version: registries promise not to replace one, so it
/// comes from an attacker or a broken mirror.
fn same_archives(
    request: &PinRequest<'_>,
    built: &Built,
    before: Option<&LockedPackages>,
) -> Result<()> {
    let mut pairs = Vec::new();
    if let Some(known) = request
        .known
        .filter(|known| known.registry == built.package.registry)
    {
        let same = known.name == built.package.name && known.version == built.package.version;
        if same && known.integrity != built.package.integrity {
            pairs.push((
                known.name.as_str(),
                known.version.as_str(),
                &known.integrity,
                &built.package.integrity,
            ));
        }
    }
    for (name, versions) in before.into_iter().flatten() {
        for (version, archive) in versions {
            let now = built
                .locked
                .get(name)
                .and_then(|versions| versions.get(version));
            if let Some(now) =
                now.filter(|now| *now != archive && uv_lock::comparable(archive, now))
            {
                pairs.push((name, version, archive, now));
            }
        }
    }
    let Some((name, version, then, now)) = pairs.first() else {
        return Ok(());
    };
    Err(Error::new(
        Code::PackageChanged,
        format!("cannot pin server `{}`", request.server),
    )
    .cause(format!(
        "the registry serves a different archive for {name} {version}\nbefore {then}\nnow    {now}"
    ))
    .hint("ask the package's authors why; registries promise not to replace a version")
    .hint(format!(
        "if the reason is good, run `mcpwrap policy edit {}` to remove `[package]`",
        request.server
    )))
}

fn changes(before: Option<&LockedPackages>, now: &LockedPackages) -> PackageChanges {
    let Some(before) = before else {
        return PackageChanges::default();
    };
    let versions = |locked: &LockedPackages, name: &str| {
        locked
            .get(name)
            .map(|v| v.keys().cloned().collect::<Vec<_>>().join(", "))
            .unwrap_or_default()
    };
    let mut changes = PackageChanges::default();
    for name in before.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (versions(before, name), versions(now, name));
        match (old.is_empty(), new.is_empty()) {
            (true, false) => changes.added.push(format!("{name} {new}")),
            (false, true) => changes.removed.push(format!("{name} {old}")),
            _ if old != new => changes.changed.push((name.clone(), old, new)),
            _ => {}
        }
    }
    changes
}

/// Whether a registry knows versions of this package that can be newer.
pub fn has_versions(package: &Package) -> bool {
    matches!(package.registry, PackageSource::Npm | PackageSource::Pypi)
}

/// The version of a policy's package that would be installed now, if it is not too young.
///
/// # Errors
/// `package-failed`.
pub fn latest(
    dirs: &Dirs,
    policy: &Policy,
    package: &Package,
    before: Option<Cutoff>,
) -> Result<String> {
    let (root, server) = (dirs.packages(), &policy.server);
    files::ensure_dir(&root).map_err(|problem| failed(server).cause(problem))?;
    let staging = Staging::new(&root, server)?;
    let launch = &parse(&policy.command);
    match package.registry {
        PackageSource::Npm => npm::latest(staging.dir(), &package.name, launch, server, before),
        PackageSource::Pypi => uv_versions::latest(staging.dir(), package, launch, server, before),
        PackageSource::Image | PackageSource::Local => Ok(package.version.clone()),
    }
}

/// Whether another version is newer than a pinned one, by its registry's order. Versions that
/// cannot be compared are newer if they differ.
pub fn is_newer(package: &Package, other: &str) -> bool {
    let pinned = package.version.as_str();
    let newer = if package.registry == PackageSource::Npm {
        let version = |text: &str| semver::Version::parse(text).ok();
        version(other)
            .zip(version(pinned))
            .map(|(new, old)| new > old)
    } else {
        let version = |text: &str| text.parse::<pep440_rs::Version>().ok();
        version(other)
            .zip(version(pinned))
            .map(|(new, old)| new > old)
    };
    newer.unwrap_or(!other.is_empty() && other != package.version)
}
