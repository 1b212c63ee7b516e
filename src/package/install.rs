//! Installs what a policy's command starts: resolve, lock, download, freeze, move into place.
//!
//! One directory per installation, named after the digest of its tree: `tree/`, `lock`, and lists
//! of file states.
//!
//! Invariants: an installation is built under another name, under a lock, and renamed when it is
//! complete and synced, so that a crash leaves all of it or nothing. Install scripts run only if
//! requested. A known version is accepted only with its known archive.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::directory::{LOCK, LOCK_BYTES_MAX, directory, lock, write, write_list};
use super::request::{Built, LockedPackages, PackageChanges, PinReport, PinRequest, failed};
use super::{Registry, image, local, npm, pypi, tree, uv_lock};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, io_text};
use crate::policy::Package;
use crate::policy::package::PackageSource;
use crate::secret::{ServerName, hex};

/// Installs the package that a command starts, and pins it.
///
/// # Errors
/// `package-failed`: it cannot be installed, or a client failed; `package-changed`: the registry
/// serves a different archive for a pinned version.
pub fn install(dirs: &Dirs, request: &PinRequest<'_>) -> Result<(Package, PinReport)> {
    if let Some(obstacle) = request.launch.obstacle {
        let edit = format!("`mcpwrap policy edit {}`", request.server);
        return Err(failed(request.server).cause(obstacle).hint(format!(
            "run {edit} to write a command with a package and its version"
        )));
    }
    let root = dirs.packages();
    let unusable = |problem: files::Problem| failed(request.server).cause(problem);
    files::ensure_dir(&root).map_err(unusable)?;
    let _lock = lock(&root, request.server)?;
    remove_interrupted(&root);
    let staging = Staging::new(&root, request.server)?;
    let built = match request.launch.registry {
        Registry::Npm => npm::build(&staging.0, request)?,
        Registry::Pypi => pypi::build(&staging.0, request)?,
        Registry::Image => return image::pin(&staging.0, request),
        Registry::Local => return local::pin(&root, request),
        Registry::Go | Registry::Nuget | Registry::Jsr | Registry::Nix | Registry::Url => {
            return Err(failed(request.server)
                .cause("only npm, PyPI, container images and local programs can be pinned"));
        }
    };
    let before = request
        .known
        .and_then(|known| locked(&directory(&root, known), known.registry));
    same_archives(request, &built, before.as_ref())?;
    let mut report = built.report;
    report.dated = request.before.is_some();
    report.changes = changes(before.as_ref(), &built.locked);
    let package = move_into_place(&root, &staging, built.package, &built.lock)
        .map_err(|error| failed(request.server).cause(io_text(&error)))?;
    Ok((package, report))
}

/// Removes the remains of interrupted installations.
fn remove_interrupted(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(STAGING) {
            // What cannot be removed now is tried again next time.
            drop(tree::remove(&entry.path()));
        }
    }
}

const STAGING: &str = ".new-";

/// A directory that is removed when dropped, unless it was renamed.
struct Staging(PathBuf);

impl Staging {
    fn new(root: &Path, server: &ServerName) -> Result<Self> {
        let name = files::random_hex().map_err(|error| failed(server).cause(io_text(&error)))?;
        let dir = root.join(format!("{STAGING}{name}"));
        files::ensure_dir(&dir.join("tree")).map_err(|problem| failed(server).cause(problem))?;
        // Clients report real paths, which are compared with this one.
        Ok(Self(fs::canonicalize(&dir).unwrap_or(dir)))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After the rename there is nothing to remove. On failure `remove_interrupted` tries again.
        drop(tree::remove(&self.0));
    }
}

/// Freezes, digests, syncs and renames; returns the package with its digests.
fn move_into_place(
    root: &Path,
    staging: &Staging,
    package: Package,
    lock: &[u8],
) -> std::io::Result<Package> {
    let built = staging.0.join("tree");
    tree::freeze(&built)?;
    let digest = tree::digest(&built)?;
    let place = root.join(&digest);
    let program = match package.interpreter.as_str() {
        "" => tree::file_digest(&built.join(&package.entry))?,
        path => tree::file_digest(Path::new(path))?,
    };
    let intact = || tree::digest(&place.join("tree")).is_ok_and(|there| there == digest);
    if !place.exists() || !intact() {
        let target = staging.0.join("done");
        files::ensure_dir(&target).map_err(|problem| std::io::Error::other(problem.to_string()))?;
        // Renaming a directory needs write permission on it, since its `..` changes.
        writable(&built, true)?;
        fs::rename(&built, target.join("tree"))?;
        writable(&target.join("tree"), false)?;
        tree::sync(&target)?;
        if place.exists() {
            fs::rename(&place, staging.0.join("broken"))?;
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

/// The packages of an installation's lock file.
fn locked(dir: &Path, source: PackageSource) -> Option<LockedPackages> {
    let text =
        String::from_utf8(files::read_private_up_to(&dir.join(LOCK), LOCK_BYTES_MAX).ok()?).ok()?;
    match source {
        PackageSource::Npm => npm::locked(&text).ok(),
        PackageSource::Pypi => uv_lock::locked(&text).ok(),
        PackageSource::Image | PackageSource::Local => None,
    }
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

/// The latest version of a pinned package in its registry; none for images and local programs.
///
/// # Errors
/// `package-failed`.
pub fn latest(dirs: &Dirs, server: &ServerName, package: &Package) -> Result<Option<String>> {
    let root = dirs.packages();
    files::ensure_dir(&root).map_err(|problem| failed(server).cause(problem))?;
    let staging = Staging::new(&root, server)?;
    match package.registry {
        PackageSource::Npm => npm::latest(&staging.0, &package.name).map(Some),
        PackageSource::Pypi => {
            let python = &package.interpreter;
            pypi::latest(&staging.0, &package.name, python, server).map(Some)
        }
        PackageSource::Image | PackageSource::Local => Ok(None),
    }
}

/// How many packages are installed.
pub fn installed_count(dirs: &Dirs) -> usize {
    let all = fs::read_dir(dirs.packages())
        .into_iter()
        .flatten()
        .flatten();
    all.filter(is_installation).count()
}

fn is_installation(entry: &fs::DirEntry) -> bool {
    entry.file_name().len() == 64 && entry.path().is_dir()
}

/// Removes all installations except those of these packages.
///
/// # Errors
/// `package-failed`.
pub fn prune(dirs: &Dirs, used: &[Package]) -> Result<Vec<String>> {
    let root = dirs.packages();
    let failed = |cause: String| {
        Error::new(Code::PackageFailed, "cannot remove all unused packages").cause(cause)
    };
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let _lock = files::lock(&root.join(".lock")).map_err(|problem| failed(problem.to_string()))?;
    remove_interrupted(&root);
    let mut removed = Vec::new();
    for entry in fs::read_dir(&root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_installation(&entry) && !used.iter().any(|package| package.tree == name) {
            tree::remove(&entry.path()).map_err(|error| failed(io_text(&error)))?;
            removed.push(name);
        }
    }
    Ok(removed)
}
