//! `mcpwrap pin --list` and `--prune`: what is installed, and what nobody uses.

use std::time::SystemTime;

use serde_json::json;

use crate::cli::print_unused::{self, size};
use crate::cli::{Context, print};
use crate::error::Result;
use crate::ops::pin::{self, Installed};
use crate::package;

/// Digits of a tree's digest that are shown.
const DIGITS: usize = 12;

pub(super) fn list(json: bool, cx: &Context) -> Result<u8> {
    let all = pin::installed(&cx.dirs)?;
    if json {
        let entry = |one: &Installed| {
            json!({
                "tree": one.tree.name, "files": one.tree.files, "bytes": one.tree.bytes,
                "age_days": days(one.tree.made), "servers": one.used_by,
            })
        };
        print::json(&json!({ "installed": all.iter().map(entry).collect::<Vec<_>>() }));
        return Ok(0);
    }
    if !all.is_empty() {
        print::table(
            &["TREE", "FILES", "SIZE", "AGE", "SERVERS"],
            all.iter().map(cells),
        );
    }
    let bytes = all.iter().map(|one| one.tree.bytes).sum();
    let unused = all.iter().filter(|one| one.used_by.is_empty()).count();
    print::note(&format!(
        "{}, {}, {unused} unused",
        print::count(all.len(), "installation"),
        size(bytes),
    ));
    print_unused::freed(&all);
    Ok(0)
}

fn cells(one: &Installed) -> Vec<String> {
    let users: Vec<_> = one.used_by.iter().map(ToString::to_string).collect();
    vec![
        one.tree.name.chars().take(DIGITS).collect(),
        one.tree.files.to_string(),
        size(one.tree.bytes),
        print::count(days(one.tree.made), "day"),
        if users.is_empty() {
            "none".to_owned()
        } else {
            users.join(", ")
        },
    ]
}

pub(super) fn prune(dry_run: bool, cx: &Context) -> Result<u8> {
    let all = pin::installed(&cx.dirs)?;
    let (unused, used): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.used_by.is_empty());
    let names: Vec<_> = unused.iter().map(|one| one.tree.name.clone()).collect();
    if !dry_run {
        package::remove(&cx.dirs, &names)?;
    }
    let verb = if dry_run { "would remove" } else { "removed" };
    for one in &unused {
        let place = cx.dirs.packages().join(&one.tree.name);
        print::line(&format!(
            "{verb}: {}, {}",
            cx.dirs.tilde(&place),
            size(one.tree.bytes)
        ));
    }
    let bytes = unused.iter().map(|one| one.tree.bytes).sum();
    print::note(&format!(
        "{verb} {} ({}), {} in use",
        print::count(unused.len(), "installation"),
        size(bytes),
        used.len()
    ));
    Ok(0)
}

fn days(made: Option<SystemTime>) -> u64 {
    let age = made.and_then(|made| made.elapsed().ok());
    age.map_or(0, |age| age.as_secs() / 86_400)
}
