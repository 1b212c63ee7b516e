//! Code that node would load into an installed server from outside of its tree.
//!
//! Node looks for a package in `node_modules` of all directories above the file, and in two old
//! places of the home directory. A tree has all packages it must have, but not those it only takes
//! if they are there. *Never* complains of a `node_modules` that offers nothing of that kind.

use std::path::Path;

use serde_json::Value;

use super::request::read;
use crate::error::{Code, Error, Result};
use crate::secret::ServerName;

/// A package that some package of the tree would take if it were there, and that now could come from
/// outside: node looks for `node_modules` in all directories above the tree, and in two of the home.
///
/// # Errors
/// `package-changed`.
pub(super) fn none_above(dir: &Path, home: &Path, server: &ServerName) -> Result<()> {
    let above = dir.ancestors().map(|dir| dir.join("node_modules"));
    let legacy = [home.join(".node_modules"), home.join(".node_libraries")];
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
        for key in ["peerDependencies", "optionalDependencies"] {
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
                        "it would load a package from outside",
                    )
                    .not_started(server)
                    .cause(format!(
                        "`{name}` is not installed with it, and node would find `{}`",
                        stray.display()
                    ))
                    .hint(format!("move `{}` away", stray.display())));
                }
            }
        }
    }
    Ok(())
}
