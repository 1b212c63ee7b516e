//! Takes a new list of file states for an installation whose file times changed but not its
//! contents, e.g. after a hard link or a restored backup.
//!
//! Without a new list it starts as before, but all contents are compared each time. The list is in
//! the policy and needs a grant. Files that became writable are made read-only. No registry is
//! asked.

use std::path::Path;

use super::directory::{directory, lock, write_list};
use super::installed::{self, Depth, verify};
use super::request::failed;
use super::tree;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::files::io_text;
use crate::policy::package::PackageSource;
use crate::policy::{Package, Policy};

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
    let _lock = lock(&dirs.packages(), &policy.server)?;
    let local = package.registry == PackageSource::Local;
    let script = if local { package.entry.as_str() } else { "" };
    let absolute: Vec<_> = [package.interpreter.as_str(), script]
        .into_iter()
        .filter(|path| !path.is_empty())
        .map(Path::new)
        .collect();
    let place = directory(&dirs.packages(), package);
    let cannot = |error| failed(&policy.server).cause(io_text(&error));
    if !local {
        tree::freeze(&place.join("tree")).map_err(cannot)?;
    }
    let files = write_list(&place, &absolute, !local).map_err(cannot)?;
    // After the list: a file written in between has a different state now.
    verify(policy, dirs, Depth::Full)?;
    Ok(Some(Package {
        files,
        ..package.clone()
    }))
}
