//! The laws of adopting, on every file of the corpus, with the real binary in a temporary home.
//!
//! Outside of the changed entries no byte differs; undo restores every byte; nearly all labelled
//! secrets of stdio entries are gone from an adopted file; those of remote entries are gone or reported;
//! a broken file is refused and unchanged; adopting twice changes nothing the second time.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mcpwrap::testing::client::Document;
use mcpwrap::testing::client::regions;
use mcpwrap::testing::client::{ServerEntry, entries};
use serde_json::Value;

use super::{find_value, stands_at, text};

#[derive(Default)]
struct Count {
    files: u32,
    adopted: u32,
    entries: u32,
    all_entries: u32,
    secrets_gone: u32,
    /// Secrets of stdio entries that stay, and where.
    left: Vec<String>,
    remote_gone: u32,
    remote_reported: u32,
    broken_refused: u32,
}

/// Checks every file, and says what broke a law.
pub fn check(dir: &Path, labels: &[Value]) -> Result<(), String> {
    let program = std::env::current_exe()
        .map_err(|e| e.to_string())?
        .with_file_name("mcpwrap");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir.join("files"))
        .map_err(|e| e.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let mut count = Count::default();
    let mut broken = Vec::new();
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let own: Vec<&Value> = labels
            .iter()
            .filter(|label| text(label, "file") == name)
            .collect();
        let home = Home::new(&program, &path)?;
        if let Err(problem) = one(&home, &own, &mut count) {
            broken.push(format!("{name}: {problem}"));
        }
    }
    println!(
        "laws       with every entry that can be: {} entries adopted and restored",
        count.all_entries
    );
    println!(
        "laws       {} files, {} changed ({} entries); {} secrets of stdio entries gone, {} of remote entries gone and {} reported, {} broken files refused",
        count.files,
        count.adopted,
        count.entries,
        count.secrets_gone,
        count.remote_gone,
        count.remote_reported,
        count.broken_refused
    );
    for left in &count.left {
        println!("left       {left}");
    }
    let left = u32::try_from(count.left.len()).unwrap_or(u32::MAX);
    let recall = super::ratio(count.secrets_gone, count.secrets_gone + left);
    println!("laws       recall of stdio secrets {recall:.3}");
    if recall < super::MARK {
        broken.push(format!(
            "recall of stdio secrets must be at least {}",
            super::MARK
        ));
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(format!("laws broken:\n{}", broken.join("\n")))
    }
}

/// A home with one file of a client, and a store.
struct Home {
    dir: tempfile::TempDir,
    file: PathBuf,
    program: PathBuf,
}

impl Home {
    fn new(program: &Path, source: &Path) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let file = dir.path().join(source.file_name().unwrap_or_default());
        let bytes = std::fs::read(source).map_err(|e| e.to_string())?;
        std::fs::write(&file, bytes).map_err(|e| e.to_string())?;
        let home = Self {
            dir,
            file,
            program: program.to_path_buf(),
        };
        let key = home.dir.path().join("key");
        let key = key.to_string_lossy();
        let made = home.run(&["init", "--store", "file", "--key-file", &key])?;
        if made.status.success() {
            Ok(home)
        } else {
            Err(said(&made))
        }
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, String> {
        Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("MCPWRAP_HOME", self.dir.path().join("mcpwrap"))
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.dir.path())
            .output()
            .map_err(|error| error.to_string())
    }

    fn adopt(&self, more: &[&str]) -> Result<Output, String> {
        let file = self.file.to_string_lossy().into_owned();
        let mut arguments = vec!["adopt", "--yes", "--config", &file];
        arguments.extend(more);
        self.run(&arguments)
    }

    fn read(&self) -> Vec<u8> {
        std::fs::read(&self.file).unwrap_or_default()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn one(home: &Home, labels: &[&Value], count: &mut Count) -> Result<(), String> {
    count.files += 1;
    let original = home.read();
    let answer = home.adopt(&["--no-pin"])?;
    let report = said(&answer);
    let adopted = home.read();
    let name = home
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let Ok(old) = Document::read_any(&name, original.clone()) else {
        count.broken_refused += 1;
        let fine = adopted == original && answer.status.code() == Some(1);
        return if fine {
            Ok(())
        } else {
            Err("a broken file was not refused".to_owned())
        };
    };
    let new = Document::read_any(&name, adopted.clone())
        .map_err(|refused| format!("adopted: {refused}"))?;
    count.entries += outside(&old, &new)?;
    count.adopted += u32::from(adopted != original);
    for label in labels {
        secrets(&old, label, &adopted, &report, count)?;
    }
    home.adopt(&["--no-pin"])?;
    if home.read() != adopted {
        return Err("adopting twice is not adopting once".to_owned());
    }
    home.adopt(&["--undo"])?;
    if home.read() != original {
        return Err("undo does not restore the bytes".to_owned());
    }
    all(home, &old, &original, &name, count)
}

/// The same with every entry that can be adopted, whether it has a secret or not.
fn all(
    home: &Home,
    old: &Document,
    original: &[u8],
    name: &str,
    count: &mut Count,
) -> Result<(), String> {
    let names: Vec<String> = entries(old).into_iter().map(|entry| entry.name).collect();
    let mut selectors: Vec<&str> = names
        .iter()
        .flat_map(|name| ["--server", name.as_str()])
        .collect();
    if names.is_empty() || names.iter().any(|name| name.starts_with('-')) {
        return Ok(());
    }
    selectors.push("--no-pin");
    home.adopt(&selectors)?;
    let new = Document::read_any(name, home.read())
        .map_err(|refused| format!("all adopted: {refused}"))?;
    count.all_entries += outside(old, &new).map_err(|problem| format!("all adopted: {problem}"))?;
    home.adopt(&["--undo"])?;
    if home.read() == original {
        Ok(())
    } else {
        Err("undo of all entries does not restore the bytes".to_owned())
    }
}

/// Outside of the entries that changed, both texts are the same bytes. How many changed.
fn outside(old: &Document, new: &Document) -> Result<u32, String> {
    let now = entries(new);
    let changed: Vec<ServerEntry> = entries(old)
        .into_iter()
        .filter(|entry| entry.wrapped.is_none())
        .filter(|entry| {
            now.iter()
                .any(|new| new.path == entry.path && new.wrapped.is_some())
        })
        .collect();
    let rest = |document: &Document| {
        let mut spans: Vec<_> = changed
            .iter()
            .flat_map(|entry| regions(document, &entry.path))
            .collect();
        spans.sort_by_key(|span| std::cmp::Reverse(span.start));
        let mut text = document.text.clone();
        for span in spans {
            text.replace_range(span, "\u{0}");
        }
        text
    };
    if rest(old) == rest(new) {
        Ok(u32::try_from(changed.len()).unwrap_or(u32::MAX))
    } else {
        Err("bytes outside of the changed entries differ".to_owned())
    }
}

/// No labelled secret of a stdio entry is left, and each of a remote one is gone or reported.
fn secrets(
    old: &Document,
    label: &Value,
    adopted: &[u8],
    report: &str,
    count: &mut Count,
) -> Result<(), String> {
    let at = label["ptr"].as_array().cloned().unwrap_or_default();
    let server = text(label, "server");
    let all = entries(old);
    let Some(entry) = all
        .iter()
        .find(|entry| entry.name == server && stands_at(entry, &at))
    else {
        return Ok(());
    };
    for value in label["values"].as_array().into_iter().flatten() {
        if text(value, "label") != "secret" || value["ambiguous"].as_bool() == Some(true) {
            continue;
        }
        let word = find_value(entry, text(value, "slot"), text(value, "key"));
        let whole = word.ok_or_else(|| format!("`{server}`: a labelled value is not found"))?;
        let edge = |n: usize| {
            value["span"][n]
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
        };
        let span = edge(0).unwrap_or(0)..edge(1).unwrap_or(whole.len());
        let secret = whole.get(span).unwrap_or(whole).trim_matches('"');
        let is_left = String::from_utf8_lossy(adopted).contains(secret);
        if text(label, "kind") == "stdio" {
            if is_left {
                let key = text(value, "key");
                count
                    .left
                    .push(format!("{}: `{server}` {key}", text(label, "file")));
            } else {
                count.secrets_gone += 1;
            }
        } else if !is_left {
            count.remote_gone += 1;
        } else if report.contains(&format!("`{server}` in ")) {
            count.remote_reported += 1;
        } else {
            return Err(format!(
                "`{server}`: a secret of a remote entry is not reported"
            ));
        }
    }
    Ok(())
}
