//! How `mcpwrap check` classifies a server of the corpus, against the labels: its pin and its
//! transport. And the number of findings of each check.

use std::collections::BTreeMap;
use std::path::Path;

use mcpwrap::testing::check::{
    self, ConfigFile, Facts, Ignores, RULES, insecure_transport, unpinned_server,
};
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
        let pin = unpinned_server::pin(server).map_or("n/a", |pin| pin.label());
        pins.add(pin, label, "pin", show);
        ways.add(
            insecure_transport::transport_of(server).label(),
            label,
            "transport",
            show,
        );
    }
    println!("{}", pins.line("pin"));
    println!("{}", ways.line("transport"));
    let mut facts = Facts::new(jiff::ZonedDateTime::now().date());
    facts.files = files.into_values().collect();
    let report = check::run(&facts, &Ignores::default());
    for check in RULES {
        let found = report.findings.iter().filter(|one| one.check == check.name);
        println!("{:18} {} findings", check.name, found.count());
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
