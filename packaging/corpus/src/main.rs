//! How well secrets are recognised in real configurations, and whether adopting them is lossless.
//!
//! `DIR/labels.jsonl` says of each value what it is, `DIR/files/` holds the configurations. Detection
//! is measured value by value; labels marked ambiguous are left out. `laws` does the rest. A program of
//! its own, so that `cargo xtask` is there before the product is compiled.
//!
//! `cargo xtask corpus` starts it: `corpus [--misses] [DIR]`.

mod checks;
mod laws;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use mcpwrap::testing::client::Document;
use mcpwrap::testing::client::{Program, ServerEntry, entries};
use mcpwrap::testing::detect::{self, ValueSite, Verdict};
use serde_json::Value;

/// Least precision, and least recall.
const MARK: f64 = 0.97;

#[derive(Default)]
struct Score {
    hits: u32,
    misses: u32,
    false_alarms: u32,
}

impl Score {
    fn line(&self, slot: &str) -> String {
        format!(
            "{slot:10} precision {:.3} recall {:.3} (found {}, missed {}, false alarms {})",
            self.precision(),
            self.recall(),
            self.hits,
            self.misses,
            self.false_alarms
        )
    }

    fn precision(&self) -> f64 {
        ratio(self.hits, self.hits + self.false_alarms)
    }

    fn recall(&self) -> f64 {
        ratio(self.hits, self.hits + self.misses)
    }
}

fn ratio(part: u32, whole: u32) -> f64 {
    if whole == 0 {
        1.0
    } else {
        f64::from(part) / f64::from(whole)
    }
}

/// The sample in the repository.
const SAMPLE: &str = "tests/corpus";
/// More directories of the same form, as in `PATH`: real configurations that cannot be published.
const MORE: &str = "MCPWRAP_CORPORA";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (flags, dirs): (Vec<_>, Vec<_>) = words.iter().partition(|word| *word == "--misses");
    match run(dirs.first().map(|dir| dir.as_str()), !flags.is_empty()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("corpus: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the project.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Measures one directory, or the sample and those that a variable names.
fn run(dir: Option<&str>, show: bool) -> Result<(), String> {
    if let Some(dir) = dir {
        return measure(Path::new(dir), show);
    }
    measure(&root().join(SAMPLE), show)?;
    let Some(more) = std::env::var_os(MORE) else {
        println!("NOT RUN further corpora: {MORE} is not set");
        return Ok(());
    };
    std::env::split_paths(&more).try_for_each(|dir| measure(&dir, show))
}

fn measure(dir: &Path, show: bool) -> Result<(), String> {
    println!("── {}", dir.display());
    let labels = std::fs::read_to_string(dir.join("labels.jsonl"))
        .map_err(|error| format!("{}/labels.jsonl: {error}", dir.display()))?;
    let labels: Vec<Value> = labels
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|e| e.to_string()))
        .collect::<Result<_, _>>()?;
    let scores = detection(dir, &labels, show);
    let mut all = Score::default();
    for (slot, score) in &scores {
        println!("{}", score.line(slot));
        all.hits += score.hits;
        all.misses += score.misses;
        all.false_alarms += score.false_alarms;
    }
    println!("{}", all.line("all"));
    println!("{}", all.line("plaintext-secret"));
    let agreed = checks::agree(dir, &labels, show);
    laws::check(dir, &labels)?;
    agreed?;
    if all.precision() < MARK || all.recall() < MARK {
        return Err(format!("precision and recall must be at least {MARK}"));
    }
    Ok(())
}

fn detection(dir: &Path, labels: &[Value], show: bool) -> BTreeMap<String, Score> {
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut files: BTreeMap<String, Option<(Document, Vec<ServerEntry>)>> = BTreeMap::new();
    for label in labels {
        let file = text(label, "file");
        if !files.contains_key(file) {
            files.insert(file.to_owned(), read(&dir.join("files").join(file)));
        }
        let read = files.get(file).and_then(Option::as_ref);
        if label.get("parse").is_some() {
            if read.is_some() {
                println!("{file}: labelled as broken, but it was read");
            }
            continue;
        }
        let Some((_, entries)) = read else {
            println!("{file}: not read");
            for value in label["values"].as_array().into_iter().flatten() {
                let score = scores.entry(text(value, "slot").to_owned()).or_default();
                score.misses += u32::from(text(value, "label") == "secret");
            }
            continue;
        };
        let server = text(label, "server");
        let at = label["ptr"].as_array().cloned().unwrap_or_default();
        let Some(entry) = entries
            .iter()
            .find(|entry| entry.name == server && stands_at(entry, &at))
        else {
            // Built-in extensions of a client have no program and no values: no entries of ours.
            for value in label["values"].as_array().into_iter().flatten() {
                if text(value, "label") == "secret" {
                    println!("{file}: no entry `{server}`");
                    scores
                        .entry(text(value, "slot").to_owned())
                        .or_default()
                        .misses += 1;
                }
            }
            continue;
        };
        let judged = detect::entry(entry);
        for value in label["values"].as_array().into_iter().flatten() {
            if value["ambiguous"].as_bool() == Some(true) {
                continue;
            }
            let (slot, key) = (text(value, "slot"), text(value, "key"));
            let found = judged.iter().find(|judged| is_at(judged, entry, slot, key));
            let secret = found.is_some_and(|judged| matches!(judged.verdict, Verdict::Secret(_)));
            let expected = text(value, "label") == "secret";
            let score = scores.entry(slot.to_owned()).or_default();
            match (expected, secret) {
                (true, true) => score.hits += 1,
                (true, false) => score.misses += 1,
                (false, true) => score.false_alarms += 1,
                (false, false) => {}
            }
            let span = found
                .map(|judged| judged.verdict.secrets().to_vec())
                .unwrap_or_default();
            if expected && secret && !covers(&span, value) {
                println!("{file}: {server} {slot} {key}: another span than the label's");
            }
            if expected != secret && show {
                println!(
                    "{file}: {server} {slot} {key}: labelled {}",
                    text(value, "label")
                );
            }
        }
    }
    scores
}

fn covers(parts: &[detect::SecretPart], value: &Value) -> bool {
    let edge = |n: usize| {
        value["span"][n]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
    };
    let (Some(start), Some(end)) = (edge(0), edge(1)) else {
        return true;
    };
    parts
        .iter()
        .any(|part| part.range.start <= start + 1 && part.range.end + 1 >= end)
}

fn read(path: &Path) -> Option<(Document, Vec<ServerEntry>)> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let document = Document::read_any(&name, std::fs::read(path).ok()?).ok()?;
    let entries = entries(&document);
    Some((document, entries))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn stands_at(entry: &ServerEntry, at: &[Value]) -> bool {
    use mcpwrap::testing::client::PathStep;
    let mut keys: Vec<&str> = entry
        .path
        .iter()
        .filter_map(|step| match step {
            PathStep::Key(key) => Some(key.as_str()),
            PathStep::Index(_) => None,
        })
        .collect();
    if matches!(entry.path.last(), Some(PathStep::Key(_))) {
        keys.pop();
    }
    at.iter().filter_map(Value::as_str).eq(keys.iter().copied())
        || at
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(".")
            == keys.join(".")
}

/// The text of a labelled value.
fn find_value<'a>(entry: &'a ServerEntry, slot: &str, key: &str) -> Option<&'a str> {
    let judged = detect::entry(entry);
    judged
        .iter()
        .find(|judged| is_at(judged, entry, slot, key))
        .map(|judged| judged.word.text.as_str())
}

fn is_at(judged: &detect::Judged<'_>, entry: &ServerEntry, slot: &str, key: &str) -> bool {
    let array = matches!(entry.program, Program::Array(_));
    match judged.slot {
        ValueSite::Command | ValueSite::Argument if slot == "command" => {
            let index = key.parse().unwrap_or(0);
            judged.index == index
        }
        ValueSite::Argument if slot == "args" => key
            .parse::<usize>()
            .is_ok_and(|index| judged.index == index + usize::from(!array)),
        ValueSite::Env(name) => slot == "env" && name == key,
        ValueSite::Header(name) => slot == "headers" && name == key,
        ValueSite::Url => slot == "url",
        ValueSite::Setting(name) => {
            slot == "settings" && key.rsplit(['.', '/']).next() == Some(name)
        }
        _ => false,
    }
}
