//! An installation whose files' times moved and whose bytes did not: a hard link, a restored backup.
//!
//! It starts as before, but its bytes are compared each time. A new list of states ends that; it is in
//! the policy, so it is granted as everything there is. What was made writable is read-only again.
//! *Never* asks a registry.

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

/// The package of a policy with the states of today; none if they are those of the policy.
///
/// # Errors
/// `package-changed`, `package-absent`; `package-failed`: the list cannot be written.
pub fn seen_again(policy: &Policy, dirs: &Dirs) -> Result<Option<Package>> {
    let moved = |package: &&Package| {
        package.registry != PackageSource::Image
            && installed::moved(&directory(&dirs.packages(), package), package).is_some()
    };
    let Some(package) = policy.package.as_ref().filter(moved) else {
        return Ok(None);
    };
    let _turn = lock(&dirs.packages(), &policy.server)?;
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
    // After the list: what was written in between has another state by now.
    verify(policy, dirs, Depth::Full)?;
    Ok(Some(Package {
        files,
        ..package.clone()
    }))
}
