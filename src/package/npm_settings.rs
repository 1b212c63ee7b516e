//! npm's own settings: those of the user, as one run of npm reports them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::client::Call;

/// The limit of a program that only reads files, on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);

/// The settings that decide where packages come from, and where npm keeps their archives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NpmSettings {
    pub(super) cache: PathBuf,
    pub(super) offline: bool,
    /// The main registry.
    main: String,
    /// `@scope` → its registry.
    scopes: BTreeMap<String, String>,
}

impl NpmSettings {
    /// Asks npm in a directory that has a `package.json`. `options` are those of every call there. `None` if
    /// npm does not tell.
    pub(super) fn read(dir: &Path, options: &[String]) -> Option<Self> {
        let call = Call::new("npm", dir).args(&["config", "list", "--json"]);
        let said = call.args(options).limit(LIMIT).output().ok()?;
        Self::parse(&serde_json::from_slice(&said).ok()?)
    }

    fn parse(all: &Value) -> Option<Self> {
        let text = |key: &str| all.get(key).and_then(Value::as_str);
        let plain = |url: &str| url.trim_end_matches('/').to_owned();
        let scope = |(key, value): (&String, &Value)| {
            let scope = key.strip_suffix(":registry")?;
            let is_scope = scope.starts_with('@');
            is_scope.then_some((scope.to_owned(), plain(value.as_str()?)))
        };
        Some(Self {
            cache: PathBuf::from(text("cache")?),
            offline: all.get("offline")?.as_bool()?,
            main: plain(text("registry")?),
            scopes: all.as_object()?.iter().filter_map(scope).collect(),
        })
    }

    /// Whether a scope has a registry that is not the main one.
    fn is_elsewhere(&self, scope: &str) -> bool {
        self.scopes.get(scope).is_some_and(|own| *own != self.main)
    }

    /// The scopes of these packages that have a registry of their own.
    pub(super) fn elsewhere<'a>(&self, names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let scopes = names.filter_map(scope);
        scopes.filter(|scope| self.is_elsewhere(scope)).collect()
    }
}

/// `@scope` of a package.
pub(super) fn scope(name: &str) -> Option<&str> {
    let (scope, _) = name.split_once('/')?;
    scope.starts_with('@').then_some(scope)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scope_may_have_a_registry_of_its_own() {
        let all = json!({
            "cache": "/home/u/.npm", "offline": false, "registry": "https://r.example/",
            "@own:registry": "https://own.example/", "@same:registry": "https://r.example",
            "proxy": null,
        });
        let settings = NpmSettings::parse(&all).unwrap();
        assert_eq!(settings.cache, Path::new("/home/u/.npm"));
        let names = ["plain", "@own/a", "@same/b", "@other/c"];
        let elsewhere = settings.elsewhere(names.into_iter());
        assert_eq!(elsewhere.into_iter().collect::<Vec<_>>(), ["@own"]);
        assert_eq!(NpmSettings::parse(&json!({ "cache": "/x" })), None);
    }
}
