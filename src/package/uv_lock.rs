//! Reads a `uv.lock`: the packages, their versions, and the hashes of their archives.

use std::collections::BTreeMap;

use super::advisory::LockedPackages;
use super::pip_lock;

/// The packages of a `uv.lock`, each with the wheel for all platforms, or else the source archive.
pub(super) fn locked(text: &str) -> Result<LockedPackages, String> {
    if let Some(locked) = pip_lock::locked(text) {
        return Ok(locked);
    }
    let value: toml::Table = text
        .parse()
        .map_err(|_| "the lock file is not valid TOML".to_owned())?;
    let mut locked = LockedPackages::new();
    for package in value
        .get("package")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = |key: &str| {
            package
                .get(key)
                .and_then(toml::Value::as_str)
                .unwrap_or_default()
        };
        let source = package.get("source");
        if source.is_some_and(|source| source.get("virtual").is_some()) {
            continue;
        }
        // Nothing of it fits this machine, and only a system that this is not needs it.
        let has_archives = ["wheels", "sdist"]
            .iter()
            .any(|key| package.get(key).is_some());
        let is_of_registry = source.is_some_and(|source| source.get("registry").is_some());
        if is_of_registry && !has_archives {
            continue;
        }
        let archive = archives(package).into_iter().next();
        let archive = archive.ok_or_else(|| {
            format!(
                "`{}` is not from a registry: no hash in the lock file",
                text("name")
            )
        })?;
        locked
            .entry(text("name").to_owned())
            .or_default()
            .insert(text("version").to_owned(), archive);
    }
    Ok(locked)
}

/// `FILE HASH` of all archives of a package, the most general first.
fn archives(package: &toml::Value) -> Vec<String> {
    let wheels = package.get("wheels").and_then(toml::Value::as_array);
    let all = wheels.into_iter().flatten().chain(package.get("sdist"));
    let named = all.filter_map(|archive| {
        let text = |key: &str| archive.get(key).and_then(toml::Value::as_str);
        let address = text("url")
            .or_else(|| text("path"))
            .or_else(|| text("filename"))?;
        let file = address.split(['?', '#']).next()?.rsplit('/').next()?;
        Some(format!("{file} {}", text("hash")?))
    });
    let mut named: Vec<_> = named.collect();
    named.sort_by_key(|name| {
        (
            !name.contains("-none-any.whl"),
            !name.contains(".tar.gz"),
            name.clone(),
        )
    });
    named
}

/// Whether two archives can be compared: a wheel for another platform may be published later.
pub(super) fn comparable(one: &str, other: &str) -> bool {
    match (one.split_once(' '), other.split_once(' ')) {
        (Some((one, _)), Some((other, _))) => one == other,
        _ => true,
    }
}

pub(super) fn published(lock: &str, name: &str) -> Option<String> {
    let value: toml::Table = lock.parse().ok()?;
    let all = value.get("package")?.as_array()?;
    let package = all
        .iter()
        .find(|p| p.get("name").and_then(toml::Value::as_str) == Some(name))?;
    let archives = package.get("wheels").and_then(toml::Value::as_array)?;
    let time = archives.first()?.get("upload-time")?;
    Some(
        time.as_str()
            .map_or_else(|| time.to_string(), str::to_owned)
            .chars()
            .take(10)
            .collect(),
    )
}

/// The registry of a package. pip does not record it and uses PyPI by default.
pub(super) fn index(lock: &str, name: &str) -> String {
    const USUAL: &str = "https://pypi.org/simple";
    let Ok(value) = lock.parse::<toml::Table>() else {
        return USUAL.to_owned();
    };
    let all = value.get("package").and_then(toml::Value::as_array);
    let package = all
        .into_iter()
        .flatten()
        .find(|p| p.get("name").and_then(toml::Value::as_str) == Some(name));
    let registry = package.and_then(|p| p.get("source")?.get("registry")?.as_str());
    registry.unwrap_or(USUAL).to_owned()
}

/// The registries of all packages of a `uv.lock`; none for pip's.
pub(super) fn indexes(lock: &str) -> Option<BTreeMap<String, String>> {
    if pip_lock::locked(lock).is_some() {
        return None;
    }
    let value = lock.parse::<toml::Table>().ok()?;
    let all = value.get("package")?.as_array()?;
    let one = |package: &toml::Value| {
        let registry = package.get("source")?.get("registry")?.as_str()?;
        Some((
            package.get("name")?.as_str()?.to_owned(),
            registry.to_owned(),
        ))
    };
    Some(all.iter().filter_map(one).collect())
}

/// A normalized name, as registries compare it.
pub(super) fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 1
[[package]]
name = "mcpwrap-pin"
version = "0"
source = { virtual = "." }
[[package]]
name = "server"
version = "1.2"
source = { registry = "https://r/simple" }
sdist = { url = "https://r/server-1.2.tar.gz", hash = "sha256:aa" }
wheels = [
  { url = "https://r/server-1.2-cp311-linux.whl", hash = "sha256:bb" },
  { url = "https://r/server-1.2-py3-none-any.whl#x", hash = "sha256:cc", upload-time = "2026-01-02T03:04:05Z" },
]
"#;

    #[test]
    fn the_archives_of_a_lock() {
        let all = locked(LOCK).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(
            all["server"]["1.2"],
            "server-1.2-py3-none-any.whl sha256:cc"
        );
        assert!(locked(&LOCK.replace("hash", "hush")).is_err());
        let other = "[[package]]\nname = \"other\"\nversion = \"1\"\nsource = { registry = \"https://r\" }\n";
        assert_eq!(locked(&format!("{LOCK}{other}")).unwrap().len(), 1);
        let of_git = other.replace("registry", "git");
        assert!(locked(&format!("{LOCK}{of_git}")).is_err());
        assert!(comparable("a.whl x", "a.whl y") && !comparable("a.whl x", "b.whl y"));
        assert!(comparable("sha512-x", "sha512-y"));
        assert_eq!(
            normal("Awslabs.Core_mcp--Server"),
            "awslabs-core-mcp-server"
        );
    }
}
