//! Changes of the user's `config.toml`.
//!
//! Invariant: comments and settings that do not change stay as the user wrote them.

use toml_edit::{DocumentMut, Item, Table, TableLike};

use super::{Config, StoreDefinition, invalid};
use crate::dirs::Dirs;
use crate::error::{Code, Result};
use crate::files::Problem;
use crate::links;
use crate::secret::StoreName;

/// The settings of a store that stand first.
const FIRST: &[&str] = &["type", "program"];

impl Config {
    /// Writes `store` and `key_file` to `config.toml`, and leaves the rest unchanged.
    ///
    /// # Errors
    /// `config-invalid`, `file-unusable`.
    pub fn save(&self, dirs: &Dirs) -> Result<()> {
        edit(dirs, |document| {
            document.insert("store", toml_edit::value(self.store.id()));
            match &self.key_file {
                Some(key_file) => drop(document.insert("key_file", toml_edit::value(key_file))),
                None => drop(document.remove("key_file")),
            }
        })
    }

    /// Writes `[stores.NAME]` to `config.toml`, or removes it.
    ///
    /// # Errors
    /// `config-invalid`, `file-unusable`.
    pub fn save_store(
        dirs: &Dirs,
        name: &StoreName,
        definition: Option<&StoreDefinition>,
    ) -> Result<()> {
        edit(dirs, |document| match definition {
            Some(definition) => set_store(document, name, definition),
            None => remove_store(document, name),
        })
    }
}

impl StoreDefinition {
    /// The lines of `config.toml`, in the order in which they are written.
    pub fn text(&self, name: &StoreName) -> String {
        let mut document = DocumentMut::new();
        set_store(&mut document, name, self);
        document.to_string()
    }
}

fn set_store(document: &mut DocumentMut, name: &StoreName, definition: &StoreDefinition) {
    let stores = document.entry("stores").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let Some(stores) = stores.as_table_like_mut() else {
        return;
    };
    let store = stores
        .entry(name.as_str())
        .or_insert_with(|| Item::Table(Table::new()));
    let Some(store) = store.as_table_like_mut() else {
        return;
    };
    let new = toml::Table::from(definition.clone());
    let old: Vec<String> = store.iter().map(|(key, _)| key.to_owned()).collect();
    for key in old.iter().filter(|key| !new.contains_key(*key)) {
        store.remove(key);
    }
    let first = FIRST.iter().filter_map(|key| new.get_key_value(*key));
    let rest = new.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
    for (key, value) in first.chain(rest) {
        set(store, key, value);
    }
}

/// Sets one value. One that is the same keeps its form and its comment.
fn set(table: &mut dyn TableLike, key: &str, value: &toml::Value) {
    let mut new = edited(value);
    let Some(old) = table.get_mut(key) else {
        table.insert(key, Item::Value(new));
        return;
    };
    if read(old).as_ref() == Some(value) {
        return;
    }
    if let Some(old) = old.as_value() {
        *new.decor_mut() = old.decor().clone();
    }
    *old = Item::Value(new);
}

/// An item as the value that it means.
fn read(item: &Item) -> Option<toml::Value> {
    let value = item.clone().into_value().ok()?;
    let text = format!("value = {}", value.decorated("", ""));
    let mut table: toml::Table = toml::from_str(&text).ok()?;
    table.remove("value")
}

/// A value in the form of the editor, on one line.
fn edited(value: &toml::Value) -> toml_edit::Value {
    match value {
        toml::Value::Table(table) => {
            let pairs = table.iter().map(|(key, value)| (key, edited(value)));
            toml_edit::Value::InlineTable(pairs.collect())
        }
        toml::Value::Array(values) => toml_edit::Value::Array(values.iter().map(edited).collect()),
        toml::Value::Boolean(value) => (*value).into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::String(text) => text.into(),
        toml::Value::Datetime(time) => (*time).into(),
    }
}

fn remove_store(document: &mut DocumentMut, name: &StoreName) {
    let Some(stores) = document.get_mut("stores").and_then(Item::as_table_like_mut) else {
        return;
    };
    stores.remove(name.as_str());
    if stores.is_empty() {
        document.remove("stores");
    }
}

fn edit(dirs: &Dirs, change: impl FnOnce(&mut DocumentMut)) -> Result<()> {
    let path = dirs.config_file();
    let shown = dirs.tilde(&path);
    let what = || format!("cannot write `{shown}`");
    let old = match links::read_private(&path) {
        Ok(bytes) => bytes,
        Err(Problem::Missing) => Vec::new(),
        Err(problem) => return Err(problem.explain(Code::FileUnusable, what(), &shown)),
    };
    let text = String::from_utf8_lossy(&old);
    let mut document = text
        .parse::<DocumentMut>()
        .map_err(|error| invalid(&shown, &text, error.message(), error.span()))?;
    change(&mut document);
    links::replace(&path, document.to_string().as_bytes())
        .map_err(|problem| problem.explain(Code::FileUnusable, what(), &shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    fn definition(text: &str) -> StoreDefinition {
        toml::from_str(text).unwrap()
    }

    fn after(before: &str, change: Option<&str>) -> String {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::under(home.path());
        files::replace(&dirs.config_file(), before.as_bytes()).unwrap();
        let change = change.map(definition);
        let name = StoreName::new("op").unwrap();
        Config::save_store(&dirs, &name, change.as_ref()).unwrap();
        let after = std::fs::read_to_string(dirs.config_file()).unwrap();
        let config: Config = toml::from_str(&after).unwrap();
        assert_eq!(config.stores.get(&name), change.as_ref(), "{after}");
        after
    }

    #[test]
    fn a_store_is_added_and_the_rest_stays() {
        let text = "type = \"op\"\naccount = \"a\"\nprogram = \"/usr/bin/op\"\n\
                    env = { T = \"secret:op/token\" }\ndeadline = \"3s\"";
        let added = "[stores.op]\ntype = \"op\"\nprogram = \"/usr/bin/op\"\naccount = \"a\"\n\
                     deadline = \"3s\"\nenv = { T = \"secret:op/token\" }\n";
        assert_eq!(after("", Some(text)), added);
        let name = StoreName::new("op").unwrap();
        assert_eq!(definition(text).text(&name), added);
        let before = "# mine\nstore = \"file\" # here\n\n[stores.x] # other\ntype = \"y\"\n";
        assert_eq!(after(before, Some(text)), format!("{before}\n{added}"));
    }

    #[test]
    fn a_replaced_store_keeps_the_comments_of_what_stays() {
        let before = "[stores.op] # work\n# the old one\naccount = 'a' # ours\ntype = \"op\"\n\
                      vault = \"v\"\n\n[stores.op.env]\nT = \"secret:x\" # token\n\n[audit]\n";
        let text = "type = \"op\"\naccount = \"a\"\nenv = { T = \"secret:x\" }";
        let expected = "[stores.op] # work\n# the old one\naccount = 'a' # ours\ntype = \"op\"\n\n\
                        [stores.op.env]\nT = \"secret:x\" # token\n\n[audit]\n";
        assert_eq!(after(before, Some(text)), expected);
        let text = "type = \"op\"\naccount = \"b\"\ninteractive = true";
        let expected = "[stores.op] # work\n# the old one\naccount = \"b\" # ours\ntype = \"op\"\n\
                        interactive = true\n\n[audit]\n";
        assert_eq!(after(before, Some(text)), expected);
        let inline = "stores = { op = { type = \"bw\" } }\n";
        after(inline, Some(text));
    }

    #[test]
    fn a_removed_store_leaves_the_others() {
        let rest = "# mine\n[stores.x]\ntype = \"y\"\n";
        let before = format!("{rest}\n[stores.op]\ntype = \"op\"\nenv = {{ A = \"b\" }}\n");
        assert_eq!(after(&before, None), rest);
        assert_eq!(
            after("store = \"file\"\n[stores.op]\ntype = \"op\"\n", None),
            "store = \"file\"\n"
        );
        assert_eq!(after("store = \"file\"\n", None), "store = \"file\"\n");
    }
}
