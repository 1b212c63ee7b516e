//! The project that npm installs: its `package.json` and its `package-lock.json`, and the options of
//! every call there.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::advisory::LockedPackages;
use super::cutoff::Cutoff;
use super::request::{PinRequest, failed, write};
use super::spec::spec;
use super::{ParsedCommand, Registry};
use crate::error::Result;
use crate::secret::ServerName;

/// What npx takes for a package without a version: the newest one whose `engines` fit this Node.js.
/// Source: npm-pick-manifest.
pub(super) const NEWEST: &str = "*";

/// Overrides for user settings that would change where or what npm installs.
const ALWAYS: &[&str] = &[
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--omit=dev",
    "--global=false",
    "--bin-links=true",
    "--package-lock=true",
    "--workspaces=false",
    "--install-links=false",
    "--install-strategy=hoisted",
    "--dry-run=false",
];

/// The options of every call, in a directory with a `package.json`. With `--prefix` npm would read the settings of the
/// machine (a registry, a CA) from there.
pub(super) fn options(launch: &ParsedCommand, before: Option<Cutoff>) -> Vec<String> {
    let registry = launch.option(&["--registry"]);
    let own = [
        registry.map(|url| format!("--registry={url}")),
        before.map(|cutoff| format!("--before={cutoff}")),
    ];
    let always = ALWAYS.iter().copied().map(str::to_owned);
    always.chain(own.into_iter().flatten()).collect()
}

/// An empty cache in a directory: npm takes an old answer from its cache if the registry gives none.
pub(super) fn empty_cache(dir: &Path) -> String {
    format!("--cache={}", dir.join("cache").display())
}

/// The project whose dependencies are the package and its additional packages.
pub(super) fn write_manifest(
    root: &Path,
    request: &PinRequest<'_>,
    name: &str,
    wanted: &str,
) -> Result<()> {
    let mut dependencies = Map::from_iter([(name.to_owned(), json!(wanted))]);
    for text in &request.launch.with {
        let other = spec(Registry::Npm, text);
        let Some(other_name) = other.package.filter(|_| other.obstacle.is_none()) else {
            return Err(failed(request.server).cause(format!("`{text}` is not from a registry")));
        };
        dependencies.insert(
            other_name,
            json!(other.version.unwrap_or_else(|| NEWEST.to_owned())),
        );
    }
    write_dependencies(root, &dependencies, request.server)
}

/// A project with these dependencies.
pub(super) fn write_dependencies(
    root: &Path,
    dependencies: &Map<String, Value>,
    server: &ServerName,
) -> Result<()> {
    let text = json!({ "private": true, "dependencies": dependencies }).to_string();
    write(&root.join("package.json"), text.as_bytes(), server)
}

/// Writes the versions that were chosen in place of those that were wanted, so that a version has
/// the same tree whichever words asked for it.
pub(super) fn exact(root: &Path, mut lock: Value, server: &ServerName) -> Result<(String, Value)> {
    let chosen = lock
        .pointer("/packages//dependencies")
        .and_then(Value::as_object);
    let names: Vec<_> = chosen.into_iter().flat_map(Map::keys).cloned().collect();
    let version = |name: String| {
        let version = main_package(&lock, &name).0;
        (name, json!(version))
    };
    let dependencies: Map<_, _> = names.into_iter().map(version).collect();
    write_dependencies(root, &dependencies, server)?;
    if let Some(own) = lock.pointer_mut("/packages//dependencies") {
        *own = json!(dependencies);
    }
    let text = lock.to_string();
    write(&root.join("package-lock.json"), text.as_bytes(), server)?;
    Ok((text, lock))
}

/// A project with this lock, and nothing installed.
pub(super) fn write_lock(root: &Path, lock: &Value, server: &ServerName) -> Result<()> {
    let dependencies = lock
        .pointer("/packages//dependencies")
        .and_then(Value::as_object);
    write_dependencies(root, &dependencies.cloned().unwrap_or_default(), server)?;
    let text = lock.to_string();
    write(&root.join("package-lock.json"), text.as_bytes(), server)
}

/// Version and archive of the requested package.
pub(super) fn main_package(lock: &Value, name: &str) -> (String, String) {
    let packages = lock.get("packages");
    let main = packages.and_then(|all| all.get(format!("node_modules/{name}")));
    let text = |key: &str| main.and_then(|main| main.get(key)).and_then(Value::as_str);
    let owned = |key: &str| text(key).unwrap_or_default().to_owned();
    (owned("version"), owned("integrity"))
}

/// The packages of a `package-lock.json`.
pub(super) fn locked(text: &str) -> std::result::Result<LockedPackages, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|_| "the lock file is not valid JSON".to_owned())?;
    let packages = value.get("packages").and_then(Value::as_object);
    let packages = packages.ok_or("the lock file has no `packages`")?;
    let mut locked = LockedPackages::new();
    for (path, entry) in packages.iter().filter(|(path, _)| !path.is_empty()) {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let flag = |key: &str| entry.get(key).and_then(Value::as_bool).unwrap_or_default();
        let place = path.rsplit("node_modules/").next().unwrap_or(path);
        // An alias is installed under a different name.
        let name = if text("name").is_empty() {
            place
        } else {
            text("name")
        };
        if flag("link") || (text("integrity").is_empty() && !flag("inBundle")) {
            return Err(format!(
                "`{name}` is not from a registry: no hash in the lock file"
            ));
        }
        let versions = locked.entry(name.to_owned()).or_default();
        versions.insert(text("version").to_owned(), text("integrity").to_owned());
    }
    Ok(locked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_without_hashes_is_refused() {
        let lock = |entry: &str| {
            locked(&format!(
                r#"{{"packages":{{"":{{}},"node_modules/a":{entry}}}}}"#
            ))
        };
        let fine = lock(r#"{"version":"1.0.0","integrity":"sha512-x"}"#).unwrap();
        assert_eq!(fine["a"]["1.0.0"], "sha512-x");
        assert!(lock(r#"{"version":"1.0.0"}"#).is_err());
        assert!(lock(r#"{"link":true,"integrity":"x"}"#).is_err());
        assert!(lock(r#"{"version":"1.0.0","inBundle":true}"#).is_ok());
        let alias = lock(r#"{"name":"b","version":"1.0.0","integrity":"x"}"#).unwrap();
        assert!(alias.contains_key("b"));
        assert!(locked("{}").is_err() && locked("x").is_err());
    }
}
