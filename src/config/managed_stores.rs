//! The stores of the administrator: one file each, in `/etc/mcpwrap/stores`.
//!
//! Invariant: they win over the user's, also when they are damaged, so that no other store is asked in their place.

use std::path::Path;

use super::{Config, StoreDefinition, parse_text};
use crate::error::{Code, Result};
use crate::files;
use crate::secret::StoreName;

impl Config {
    /// Adds the stores of the administrator, and takes those of the user with their names away.
    pub(super) fn add_managed_stores(&mut self, directory: &Path) {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|ending| ending != "toml") {
                continue;
            }
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let Ok(name) = StoreName::new(&name) else {
                // No reference can lead to it.
                tracing::warn!("`{}` is not named like a store", path.display());
                continue;
            };
            self.managed_stores.insert(name.clone());
            match managed_store(&path) {
                Ok(definition) => {
                    self.stores.insert(name, definition);
                }
                Err(error) => {
                    self.stores.remove(&name);
                    self.broken_stores
                        .insert(name.clone(), error.of_store(name));
                }
            }
        }
    }
}

/// One file of the administrator.
fn managed_store(path: &Path) -> Result<StoreDefinition> {
    let shown = path.display().to_string();
    let bytes = files::read_managed(path).map_err(|problem| {
        let what = format!("cannot use `{shown}`");
        problem.explain(Code::ConfigInvalid, what, &shown)
    })?;
    let read: Result<StoreDefinition> = parse_text(&shown, bytes);
    let mut definition =
        read.map_err(|error| error.hint("ask your administrator to correct this file"))?;
    definition.is_managed = true;
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_store_of_the_administrator_stops_only_itself() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        // Only root may be able to write to its path, which temporary directories do not allow.
        let home = tempfile::tempdir_in("/root").unwrap();
        let text = "[stores.bad]\ntype = \"op\"\n[stores.own]\ntype = \"op\"";
        let mut config: Config = toml::from_str(text).unwrap();
        for (file, text) in [
            ("bad.toml", "type = "),
            ("good.toml", "type = \"pass\""),
            ("Odd.toml", ""),
        ] {
            files::replace(&home.path().join(file), text.as_bytes()).unwrap();
        }
        config.add_managed_stores(home.path());
        let names: Vec<_> = config.stores.keys().map(StoreName::as_str).collect();
        assert_eq!(names, ["good", "own"]);
        let (name, error) = config.broken_stores.first_key_value().unwrap();
        assert_eq!((name.as_str(), error.code), ("bad", Code::ConfigInvalid));
        let text = error.to_string();
        assert!(
            text.contains("bad.toml:1:8") && text.contains("administrator"),
            "{text}"
        );
        let place = config.stores.values().next().unwrap().place(name);
        assert_eq!(place, "`/etc/mcpwrap/stores/bad.toml`");
    }
}
