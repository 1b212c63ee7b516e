//! What became of a pinned package since it was pinned: deprecated, withdrawn, removed, or with new
//! advisories.
//!
//! Invariants: nothing is installed and no pin is changed; what nobody answered stays unanswered. The
//! lock is the pinned one: its digest is that of the policy.

use sha2::{Digest as _, Sha256};

use super::advisory::{AdvisoryAnswer, LockedPackages, PublishedStatus};
use super::directory::{LOCK, LOCK_BYTES_MAX, directory};
use super::npm_facts::{AskedAhead, NpmRegistry};
use super::osv::AdvisoryFile;
use super::staging::Staging;
use super::uv_lock::{index, normal};
use super::{Registry, npm_project, parse, provenance, pypi_audit, uv_lock};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files;
use crate::parallel::both;
use crate::policy::package::PackageSource;
use crate::policy::{Package, Policy};
use crate::secret::hex;

/// What is known of a pinned package now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageNews {
    /// None: the registry was not asked, or does not tell.
    pub status: Option<PublishedStatus>,
    /// None: nobody was asked.
    pub advisories: Option<AdvisoryAnswer>,
}

/// The pinned lock of a package.
struct PinnedLock {
    text: String,
    packages: LockedPackages,
}

impl PinnedLock {
    fn read(dirs: &Dirs, policy: &Policy, package: &Package) -> Result<Self> {
        let failed = || {
            let what = format!("cannot ask about server `{}`", policy.server);
            let hint = format!("run `mcpwrap pin {}`", policy.server);
            Error::new(Code::PackageFailed, what).hint(hint)
        };
        let path = directory(&dirs.packages(), package).join(LOCK);
        let bytes = files::read_private_up_to(&path, LOCK_BYTES_MAX)
            .map_err(|problem| failed().cause(problem))?;
        if hex(&Sha256::digest(&bytes)) != package.lock {
            return Err(failed().cause("its lock file is not the pinned one"));
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let packages = match package.registry {
            PackageSource::Npm => npm_project::locked(&text),
            _ => uv_lock::locked(&text),
        };
        let packages = packages.map_err(|cause| failed().cause(cause))?;
        Ok(Self { text, packages })
    }
}

/// The advisories of a file for all packages of a pin.
///
/// # Errors
/// `package-failed`: its lock cannot be read.
pub fn advisories(
    dirs: &Dirs,
    policy: &Policy,
    package: &Package,
    file: &AdvisoryFile,
) -> Result<AdvisoryAnswer> {
    let lock = PinnedLock::read(dirs, policy, package)?;
    let registry = match package.registry {
        PackageSource::Npm => Registry::Npm,
        _ => Registry::Pypi,
    };
    Ok(file.advisories(registry, &lock.packages))
}

/// Asks the registry of a pinned package about its version, and about advisories if `with_advisories`.
///
/// # Errors
/// `package-failed`: no answer, or its lock cannot be read.
pub fn news(
    dirs: &Dirs,
    policy: &Policy,
    package: &Package,
    with_advisories: bool,
) -> Result<PackageNews> {
    let lock = PinnedLock::read(dirs, policy, package)?;
    let staging = Staging::new(&dirs.packages(), &policy.server)?;
    let launch = parse(&policy.command);
    if package.registry == PackageSource::Npm {
        let tree = serde_json::from_str(&lock.text).unwrap_or_default();
        let locked = (&tree, &lock.packages);
        let dir = staging.dir().join("asked");
        let registry = NpmRegistry::new(
            &dir,
            locked,
            AskedAhead::default(),
            (&launch, &policy.server),
        )?
        .without_cache();
        let (status, advisories) = both(
            || registry.status(&package.name, &package.version),
            || with_advisories.then(|| registry.advisories(None)),
        );
        return Ok(PackageNews {
            status: Some(status?),
            advisories,
        });
    }
    let python = match package.interpreter.as_str() {
        "" => "python3",
        path => path,
    };
    let (dir, key) = (staging.dir(), normal(&package.name));
    let (archive, advisories) = both(
        || {
            let index = index(&lock.text, &key);
            provenance::archive_facts(dir, python, &index, &key, &package.integrity)
        },
        || {
            let locked = (key.as_str(), &lock.packages);
            with_advisories
                .then(|| pypi_audit::advisories(dir, python, &lock.text, &launch, locked))
        },
    );
    Ok(PackageNews {
        status: archive.map(|archive| archive.status),
        advisories,
    })
}
