//! npm packages, for npx, bunx, pnpm dlx and yarn dlx.
//!
//! npm resolves with the user's registry settings and writes `package-lock.json`; `npm ci` installs
//! what the lock says and checks each archive against it.
//!
//! Invariants: `--ignore-scripts` unless the user allowed scripts; no settings of a project are
//! read, since the directory is mcpwrap's.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Registry;
use super::client::Call;
use super::node::{interpreter, program};
use super::request::{
    Built, LockedPackages, PackageChanges, PinReport, PinRequest, failed, measure, read, write,
};
use super::spec::spec;
use crate::error::Result;
use crate::policy::Package;
use crate::policy::package::PackageSource;

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

pub(super) fn build(staging: &Path, request: &PinRequest<'_>) -> Result<Built> {
    let (launch, server) = (request.launch, request.server);
    let root = staging.join("tree");
    let name = launch
        .package
        .clone()
        .ok_or_else(|| failed(server).cause("no package named"))?;
    let wanted = request.to.or(launch.version.as_deref()).unwrap_or("latest");
    write_manifest(&root, request, &name, wanted)?;

    let registry = launch
        .option(&["--registry"])
        .map(|url| format!("--registry={url}"));
    let before = request.before.map(|day| format!("--before={day}"));
    let prefix = format!("--prefix={}", root.display());
    let common: Vec<&str> = ALWAYS
        .iter()
        .copied()
        .chain([prefix.as_str()])
        .chain(registry.as_deref())
        .chain(before.as_deref())
        .collect();
    let npm = |args: &'static [&'static str]| Call::new("npm", &root).args(args).args(&common);
    let resolve = npm(&["install", "--package-lock-only", "--ignore-scripts"]);
    resolve.quick(request.quick).output()?;
    let lock = read(&root.join("package-lock.json"), server)?;
    let locked = locked(&lock).map_err(|cause| failed(server).cause(cause))?;
    let entries: Value = serde_json::from_str(&lock).unwrap_or_default();
    let (version, integrity) = main_package(&entries, &name);
    if version.is_empty() {
        return Err(failed(server).cause(format!("the lock file has no `{name}`")));
    }
    // The same call, with the scripts that the user allowed.
    npm(if request.scripts {
        &["ci"]
    } else {
        &["ci", "--ignore-scripts"]
    })
    .output()?;

    let (files, bytes) = measure(&root);
    let report = PinReport {
        scripts: with_scripts(&entries),
        packages: locked.values().map(BTreeMap::len).sum(),
        files,
        bytes,
        ..registry_facts(&root, &format!("{name}@{version}"), &common)
    };
    let entry = program(&root, &name, launch.entry.as_deref(), server)?;
    let (interpreter, flags) = interpreter(&root, &entry, request)?;
    let package = Package {
        name,
        version,
        integrity,
        interpreter,
        flags,
        entry: entry.to_string_lossy().into_owned(),
        scripts: request.scripts,
        ..Package::bare(PackageSource::Npm)
    };
    Ok(Built {
        package,
        report,
        lock: lock.into_bytes(),
        locked,
    })
}

/// Version and archive of the requested package.
fn main_package(lock: &Value, name: &str) -> (String, String) {
    let packages = lock.get("packages");
    let main = packages.and_then(|all| all.get(format!("node_modules/{name}")));
    let text = |key: &str| main.and_then(|main| main.get(key)).and_then(Value::as_str);
    let owned = |key: &str| text(key).unwrap_or_default().to_owned();
    (owned("version"), owned("integrity"))
}

/// The project whose dependencies are the package and its additional packages.
fn write_manifest(root: &Path, request: &PinRequest<'_>, name: &str, wanted: &str) -> Result<()> {
    let mut dependencies = Map::from_iter([(name.to_owned(), json!(wanted))]);
    for text in &request.launch.with {
        let other = spec(Registry::Npm, text);
        let Some(other_name) = other.package.filter(|_| other.obstacle.is_none()) else {
            return Err(failed(request.server).cause(format!("`{text}` is not from a registry")));
        };
        dependencies.insert(
            other_name,
            json!(other.version.unwrap_or_else(|| "latest".to_owned())),
        );
    }
    let text = json!({ "private": true, "dependencies": dependencies }).to_string();
    write(&root.join("package.json"), text.as_bytes(), request.server)
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

fn with_scripts(lock: &Value) -> Vec<String> {
    let packages = lock.get("packages").and_then(Value::as_object);
    let scripted = packages.into_iter().flatten().filter(|(_, entry)| {
        entry
            .get("hasInstallScript")
            .and_then(Value::as_bool)
            .unwrap_or_default()
    });
    let name = |path: &str| {
        path.rsplit("node_modules/")
            .next()
            .unwrap_or(path)
            .to_owned()
    };
    scripted.map(|(path, _)| name(path)).collect()
}

/// What the registry reports about one version. No answer is not an error.
fn registry_facts(root: &Path, what: &str, common: &[&str]) -> PinReport {
    let args: Vec<_> = ["view", what, "--json"]
        .iter()
        .chain(common)
        .copied()
        .collect();
    let answer = Call::new("npm", root)
        .args(&args)
        .output()
        .unwrap_or_default();
    let facts: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let version = what.rsplit_once('@').map_or("", |(_, version)| version);
    let at = |keys: &[&str]| keys.iter().try_fold(&facts, |value, key| value.get(key));
    let text = |keys: &[&str]| at(keys).and_then(Value::as_str).map(str::to_owned);
    let people = at(&["maintainers"])
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let person = |one: &Value| {
        one.as_str()
            .or(one.get("name").and_then(Value::as_str))
            .map(str::to_owned)
    };
    PinReport {
        published: text(&["time", version]).map(|time| time.chars().take(10).collect()),
        maintainers: people.iter().filter_map(person).collect(),
        attested: at(&["dist"]).map(|dist| dist.get("attestations").is_some()),
        latest: text(&["dist-tags", "latest"]),
        changes: PackageChanges::default(),
        ..PinReport::default()
    }
}

/// The latest version of a package in its registry.
pub(super) fn latest(dir: &Path, name: &str) -> Result<String> {
    let answer = Call::new("npm", dir)
        .args(&["view", name, "version"])
        .output()?;
    Ok(String::from_utf8_lossy(&answer).trim().to_owned())
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
