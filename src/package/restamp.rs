//! Takes a new list of file states for an installation whose file times changed but not its
//! contents, e.g. after a hard link or a restored backup.
//!
//! Without a new list it starts as before, but all contents are compared each time. The list is in
//! the policy and needs a grant. Files that became writable are made read-only. No registry is
//! asked.

use std::path::{Path, PathBuf};

use super::directory::{directory, lock, write_list};
use super::installed::{self, Depth, verify};
use super::local;
use super::request::failed;
use super::tree;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::files::io_text;
use crate::policy::package::PackageSource;
use crate::policy::{Package, Policy};
use crate::secret::ServerName;

/// The package of a policy with the current file states; none if they are unchanged.
///
/// # Errors
/// `package-changed`, `package-absent`; `package-failed`: the list cannot be written.
pub fn restamp(policy: &Policy, dirs: &Dirs) -> Result<Option<Package>> {
    let moved = |package: &&Package| {
        package.registry != PackageSource::Image
            && installed::moved(&directory(&dirs.packages(), package), package).is_some()
    };
    let Some(package) = policy.package.as_ref().filter(moved) else {
        return Ok(None);
    };
    let files = list(&policy.server, dirs, package)?;
    // After the list: a file written in between has a different state now.
    verify(policy, dirs, Depth::Full)?;
    Ok(Some(Package {
        files,
        ..package.clone()
    }))
}

/// The package of a policy with the interpreter that is there now; none if that did not change.
/// `locate` finds a program by its name, if the pinned one is gone.
///
/// # Errors
/// `package-changed` if something else changed too; `package-failed`: the list cannot be written.
pub fn with_new_interpreter(
    policy: &Policy,
    dirs: &Dirs,
    locate: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Option<Package>> {
    let with_interpreter = |package: &&Package| {
        package.registry != PackageSource::Image && !package.interpreter.is_empty()
    };
    let Some(package) = policy.package.as_ref().filter(with_interpreter) else {
        return Ok(None);
    };
    let pinned = PathBuf::from(&package.interpreter);
    let name = pinned.file_name().and_then(|name| name.to_str());
    // The environment of a Python package is tied to its interpreter.
    let moves = package.registry != PackageSource::Pypi;
    let found = Some(pinned.clone()).filter(|path| path.is_file());
    let found = found.or_else(|| locate(name.filter(|_| moves)?));
    let Some(found) = found else {
        return Ok(None);
    };
    let cannot = |error| failed(&policy.server).cause(io_text(&error));
    let digest = tree::file_digest(&found).map_err(cannot)?;
    if digest == package.program && found == pinned {
        return Ok(None);
    }
    let next = Package {
        interpreter: found.display().to_string(),
        program: digest,
        ..package.clone()
    };
    let files = list(&policy.server, dirs, &next)?;
    let next = Package { files, ..next };
    let place = directory(&dirs.packages(), &next);
    installed::contents(&policy.server, &next, &place)?;
    Ok(Some(next))
}

/// Writes the list of the states of all files of a package; returns its digest.
fn list(server: &ServerName, dirs: &Dirs, package: &Package) -> Result<String> {
    let _lock = lock(&dirs.packages(), server)?;
    let local = package.registry == PackageSource::Local;
    let script = Some(Path::new(&package.entry)).filter(|path| local && path.is_absolute());
    let absolute = match package.interpreter.as_str() {
        "" => Vec::new(),
        program => local::files(Path::new(program), script),
    };
    let absolute: Vec<_> = absolute.iter().map(PathBuf::as_path).collect();
    let place = directory(&dirs.packages(), package);
    let cannot = |error| failed(server).cause(io_text(&error));
    if !local {
        tree::freeze(&place.join("tree")).map_err(cannot)?;
    }
    write_list(&place, &absolute, !local).map_err(cannot)
}
