//! The licences of the crates in the program: those of most ask to be shipped with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::targets::{NAME, Target};
use crate::shell::{Done, cargo, names, output, read};

const BEGINNINGS: &[&str] = &["LICEN", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
/// Libraries in C have theirs below the crate.
const DEPTH: usize = 3;

/// All texts, each once, below the crates that have it.
pub fn text(target: &Target) -> Done<String> {
    let mut command = cargo("metadata --locked --format-version 1 --filter-platform");
    let all = output(command.arg(target.triple)).ok_or("`cargo metadata` failed")?;
    let all: Value = serde_json::from_str(&all).map_err(|error| error.to_string())?;
    let built = built(&all);
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut list = String::new();
    for package in all["packages"].as_array().into_iter().flatten() {
        let word = |name: &str| package[name].as_str().unwrap_or_default();
        if !built.contains(word("id")) || word("name") == NAME {
            continue;
        }
        let name = format!("{} {}", word("name"), word("version"));
        _ = writeln!(list, "{name}: {} {}", word("license"), word("repository"));
        let dir = Path::new(word("manifest_path")).parent();
        let mut found = Vec::new();
        files(dir.unwrap_or(Path::new("")), DEPTH, &mut found);
        for file in found {
            let text = String::from_utf8_lossy(&read(&file)?).trim().to_owned();
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    let mut whole = format!("The program {NAME} has code of these crates:\n\n{list}");
    for (text, names) in texts {
        let names: Vec<_> = names.into_iter().collect();
        _ = write!(
            whole,
            "\n{}\n{}\n\n{text}\n",
            "-".repeat(80),
            names.join(", ")
        );
    }
    Ok(whole)
}

/// The packages that the program is linked from: not those of its tests or build scripts.
fn built(all: &Value) -> BTreeSet<&str> {
    let nodes = all["resolve"]["nodes"].as_array().into_iter().flatten();
    let nodes: BTreeMap<&str, &Value> = nodes
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let packages = all["packages"].as_array().into_iter().flatten();
    let own = packages.filter(|package| package["name"] == NAME);
    let mut open: Vec<&str> = own.filter_map(|package| package["id"].as_str()).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let used = nodes.get(id).map(|node| &node["deps"]);
        for used in used.and_then(Value::as_array).into_iter().flatten() {
            let kinds = used["dep_kinds"].as_array();
            let is_linked = kinds
                .into_iter()
                .flatten()
                .any(|kind| kind["kind"].is_null());
            open.extend(used["pkg"].as_str().filter(|_| is_linked));
        }
    }
    seen
}

fn files(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for name in names(dir) {
        let path = dir.join(&name);
        if path.is_dir() && depth > 0 {
            files(&path, depth - 1, found);
        } else if path.is_file() && BEGINNINGS.iter().any(|start| name.starts_with(start)) {
            found.push(path);
        }
    }
}
