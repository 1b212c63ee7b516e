//! Refuses packages outside a server's tree that Node.js would load into it.
//!
//! Node.js looks for a package in `node_modules` of all directories above the file, and, if it is not
//! started with a flag against that, in two old locations in the home directory. A tree has all required packages, but optional ones may be
//! missing and could be loaded from there. A `node_modules` without such a package is accepted.

use std::path::Path;

use serde_json::Value;

use super::request::read;
use crate::error::{Code, Error, Result};
use crate::secret::ServerName;

/// Refuses if an optional package that is missing in the tree exists in a directory where Node.js
/// would find it. `home` is the home directory, if Node.js looks there.
///
/// # Errors
/// `package-changed`.
pub(super) fn refuse_above(dir: &Path, home: Option<&Path>, server: &ServerName) -> Result<()> {
    let above = dir.ancestors().map(|dir| dir.join("node_modules"));
    let legacy = [".node_modules", ".node_libraries"];
    let legacy = legacy.iter().filter_map(|name| Some(home?.join(name)));
    let present: Vec<_> = above.chain(legacy).filter(|path| path.is_dir()).collect();
    if present.is_empty() {
        return Ok(());
    }
    let root = dir.join("tree");
    let text = read(&root.join("package-lock.json"), server)?;
    let lock: Value = serde_json::from_str(&text).unwrap_or_default();
    let packages = lock
        .get("packages")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    for (_, entry) in packages {
        for key in [
            "peerDependencies",
            "peerDependenciesMeta",
            "optionalDependencies",
        ] {
            for name in entry
                .get(key)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(k, _)| k)
            {
                let stray = present
                    .iter()
                    .map(|dir| dir.join(name))
                    .find(|path| path.exists());
                if let Some(stray) =
                    stray.filter(|_| !root.join("node_modules").join(name).exists())
                {
                    return Err(Error::new(
                        Code::PackageChanged,
                        "it would load a package from outside its installation",
                    )
                    .not_started(server)
                    .cause(format!(
                        "`{name}` is not installed with it, and Node.js would load `{}`",
                        stray.display()
                    ))
                    .hint(format!("move `{}` elsewhere", stray.display())));
                }
            }
        }
    }
    Ok(())
}
