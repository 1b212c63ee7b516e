//! How often `parse` and `transport` agree with labels that people gave to real configs.
//!
//! The labelled configs are not part of the repository but lie beside the checkout. Without them
//! the test is skipped with a message, unless `MCPWRAP_TEST_REQUIRE` contains the word `corpus`.
#![expect(
    clippy::print_stderr,
    clippy::use_debug,
    reason = "a disagreement is loud"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mcpwrap::testing::client::{Document, PathStep};
use mcpwrap::testing::client::{ServerEntry, entries};
use mcpwrap::testing::package::{Transport, parse, transport};
use serde_json::Value;

use crate::harness::skip;

fn corpus() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("shared/corpus"))
        .find(|dir| dir.is_dir())
}

/// The entries of a file in any format; none of an invalid one.
fn read(path: &Path) -> Option<Vec<ServerEntry>> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let document = Document::read_any(&name, std::fs::read(path).ok()?).ok()?;
    Some(entries(&document))
}

/// Whether an entry is under the keys that a label names.
fn stands_at(entry: &ServerEntry, keys: &[Value]) -> bool {
    let own = entry.path.iter().filter_map(|step| match step {
        PathStep::Key(key) => Some(key.as_str()),
        PathStep::Index(_) => None,
    });
    let mut own: Vec<&str> = own.collect();
    if matches!(entry.path.last(), Some(PathStep::Key(_))) {
        own.pop();
    }
    let keys: Vec<_> = keys.iter().filter_map(Value::as_str).collect();
    own.join(".") == keys.join(".")
}

#[test]
fn agrees_with_the_labels_of_real_configs() {
    let Some(corpus) = corpus() else {
        return skip("corpus", "the labelled configs are not beside the checkout");
    };
    let (mut pins, mut ways) = ((0, 0), (0, 0));
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    let labels = std::fs::read_to_string(corpus.join("labels.jsonl")).unwrap();
    for label in labels
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
    {
        let text = |key: &str| label[key].as_str().unwrap_or_default();
        let (file, kind) = (text("file"), text("kind"));
        if label.get("parse").is_some() || !matches!(kind, "stdio" | "remote") {
            continue;
        }
        let read = read(&corpus.join("files").join(file));
        let read = read.unwrap_or_else(|| panic!("{file} is not read"));
        let keys = label["ptr"].as_array().cloned().unwrap_or_default();
        let entry = read
            .iter()
            .find(|entry| entry.name == text("server") && stands_at(entry, &keys))
            .unwrap_or_else(|| panic!("{file}: no entry `{}`", text("server")));
        let ending = file.rsplit('.').next().unwrap_or_default();
        *kinds.entry(ending.to_owned()).or_default() += 1;
        let (pin, way) = if kind == "stdio" {
            let words: Vec<_> = entry.words.iter().map(|word| word.text.clone()).collect();
            (parse(&words).pin.label(), Transport::Stdio)
        } else {
            let url = entry.url.as_ref().map_or("", |word| word.text.as_str());
            ("n/a", transport(url))
        };
        for (count, got, expected) in [
            (&mut pins, pin, text("pin")),
            (&mut ways, way.label(), text("transport")),
        ] {
            count.1 += 1;
            count.0 += usize::from(got == expected);
            if got != expected {
                eprintln!("{file} {}: {got}, labelled {expected}", text("server"));
            }
        }
    }
    eprintln!("pin {pins:?}, transport {ways:?}, entries by kind of file {kinds:?}");
    for (right, all) in [pins, ways] {
        assert!(all > 300 && right * 100 >= all * 99, "{right} of {all}");
    }
    assert!(
        kinds
            .keys()
            .any(|kind| kind.starts_with("ya") || kind == "yml"),
        "{kinds:?}"
    );
}
