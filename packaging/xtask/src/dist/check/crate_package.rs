//! What `cargo publish` would upload: the sources, and nothing but them.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::Release;
use crate::shell::{Done, Outcome, cargo, names, output, read, root};

/// Where the files of the crate are.
const FOLDERS: &[&str] = &["src/", "policies/"];
/// Others, of which cargo makes some.
const FILES: &[&str] = &[
    ".cargo_vcs_info.json",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
];

pub fn check(_: &Release<'_>, _: &Path) -> Done<Outcome> {
    let list = output(&mut cargo(
        "package --list --allow-dirty --locked --package mcpwrap",
    ));
    let list = list.ok_or("`cargo package --list` failed")?;
    let list: BTreeSet<&str> = list.lines().collect();
    let mut others = list
        .iter()
        .filter(|path| !FILES.contains(path) && !FOLDERS.iter().any(|dir| path.starts_with(dir)));
    if let Some(path) = others.next() {
        return Err(format!("it would have `{path}`"));
    }
    let mut sources = Vec::new();
    rust_files(Path::new("src"), &mut sources);
    for file in &sources {
        let name = file.display().to_string();
        if !list.contains(name.as_str()) {
            return Err(format!("it would not have `{name}`"));
        }
        let text = read(&root().join(file))?;
        for included in included(file, &String::from_utf8_lossy(&text)) {
            if !list.contains(included.as_str()) {
                return Err(format!(
                    "`{name}` includes `{included}`, which it would not have"
                ));
            }
        }
    }
    println!("── the crate has {} files", list.len());
    Ok(Outcome::Passed)
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for name in names(&root().join(dir)) {
        let path = dir.join(name);
        if root().join(&path).is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The files that a source file includes, with literal names, outside of its tests.
fn included(file: &Path, text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for start in ["include_str!(\"", "include_bytes!(\""] {
        for rest in code.split(start).skip(1) {
            let name = rest.split('"').next().unwrap_or_default();
            let mut path = PathBuf::new();
            let whole = file.parent().unwrap_or(Path::new("")).join(name);
            for part in whole.components() {
                match part {
                    Component::ParentDir => drop(path.pop()),
                    part => path.push(part),
                }
            }
            found.push(path.display().to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_file() {
        let text = "include_str!(\"../../policies/x.toml\"); include_bytes!(\"y.bin\");\n\
                    #[cfg(test)]\nmod tests { include_str!(\"z\") }";
        let found = included(Path::new("src/a/mod.rs"), text);
        assert_eq!(found, ["policies/x.toml", "src/a/y.bin"]);
    }
}
