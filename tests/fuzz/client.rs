//! Fuzzes the three editors: they do not panic on any bytes, and every change can be undone.
//!
//! The first byte selects the format, the rest is the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpwrap::testing::client::{
    Change, Document, FileFormat, NewWord, Splice, apply, entries, regions, splices,
};
use mcpwrap::testing::detect;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let format = match first % 3 {
        0 => FileFormat::Json,
        1 => FileFormat::Toml,
        _ => FileFormat::Yaml,
    };
    let Ok(document) = Document::read(format, rest.to_vec()) else { return };
    for entry in entries(&document) {
        detect::entry(&entry);
        let change = Change {
            program: "/opt/mcpwrap".to_owned(),
            head: vec!["run".to_owned(), "x".to_owned(), "--".to_owned()],
            words: vec![NewWord::Keep; entry.words.len()],
            drop_env: entry.env.first().map(|word| word.name.clone()).into_iter().collect(),
        };
        let Ok(changes) = splices(&document, &entry, &change) else { continue };
        let own = regions(&document, &entry.path);
        for splice in &changes {
            assert!(own.iter().any(|region| region.start <= splice.range.start && splice.range.end <= region.end + 2));
        }
        let Some(text) = apply(&document.text, &changes) else { continue };
        let Ok(new) = Document::read(format, text.into_bytes()) else { continue };
        let now = regions(&new, &entry.path);
        if now.len() == own.len() {
            let back: Vec<Splice> = now
                .into_iter()
                .zip(&own)
                .map(|(range, old)| Splice { range, text: document.at(old).to_owned() })
                .collect();
            assert!(apply(&new.text, &back).is_some());
        }
    }
});
