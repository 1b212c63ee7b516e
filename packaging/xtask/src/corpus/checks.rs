//! How `mcpwrap check` classifies a server of the corpus, against the labels: its pin and its
//! transport. And the number of findings of each check.

use std::collections::BTreeMap;
use std::path::Path;

use mcpwrap::check::{self, CHECKS, ConfigFile, Ignores, Scene, mcp05, mcp09};
use serde_json::Value;

use super::{ratio, stands_at, text};

/// Least agreement, for both.
const MARK: f64 = 0.99;

#[derive(Default)]
struct Agreement {
    right: u32,
    all: u32,
}

impl Agreement {
    fn add(&mut self, got: &str, label: &Value, key: &str, show: bool) {
        self.all += 1;
        let expected = text(label, key);
        if got == expected {
            self.right += 1;
        } else if show {
            let (file, server) = (text(label, "file"), text(label, "server"));
            println!("{file}: {server}: {key} {got}, labelled {expected}");
        }
    }

    fn line(&self, name: &str) -> String {
        let share = ratio(self.right, self.all);
        format!(
            "{name:10} agreement {share:.3} ({} of {})",
            self.right, self.all
        )
    }
}

/// Compares, and prints.
pub fn agree(dir: &Path, labels: &[Value], show: bool) -> Result<(), String> {
    let mut files: BTreeMap<&str, ConfigFile> = BTreeMap::new();
    let (mut pins, mut ways) = (Agreement::default(), Agreement::default());
    for label in labels {
        let name = text(label, "file");
        if !files.contains_key(name) {
            let bytes = std::fs::read(dir.join("files").join(name)).map_err(|e| e.to_string())?;
            files.insert(name, ConfigFile::new(name.to_owned(), None, true, bytes));
        }
        let kind = text(label, "kind");
        if !matches!(kind, "stdio" | "remote") {
            continue;
        }
        let at = label["ptr"].as_array().cloned().unwrap_or_default();
        let server = files.get(name).and_then(|file| {
            let mut servers = file.servers.iter();
            servers.find(|server| {
                server.entry.name == text(label, "server") && stands_at(&server.entry, &at)
            })
        });
        let Some(server) = server else {
            println!("{name}: no entry `{}`", text(label, "server"));
            continue;
        };
        let pin = mcp09::pin(server).map_or("n/a", |pin| pin.label());
        pins.add(pin, label, "pin", show);
        ways.add(mcp05::way(server).label(), label, "transport", show);
    }
    println!("{}", pins.line("mcp09 pin"));
    println!("{}", ways.line("mcp05 way"));
    let scene = Scene {
        files: files.into_values().collect(),
        machine: None,
        today: jiff::Zoned::now().date(),
        answers: Vec::new(),
        copies: Vec::new(),
    };
    let report = check::run(&scene, &Ignores::default());
    for check in CHECKS {
        let found = report.findings.iter().filter(|one| one.check == check.id);
        println!("{}      {} findings", check.id, found.count());
    }
    let low = [&pins, &ways]
        .iter()
        .any(|one| ratio(one.right, one.all) < MARK);
    if low {
        return Err(format!(
            "the agreement of pins and transport must be at least {MARK}"
        ));
    }
    Ok(())
}
