//! How many of the spellings in `spellings.tsv` are masked.

use std::fmt::Write as _;
use std::sync::Arc;

use mcpwrap::testing::mask::{Masker, MessageMask, TextMask};
use mcpwrap::testing::secret::Secret;
use serde_json::{Value, json};

use super::programs::spell;

const TOKEN: &str = "ghp_mX7_qL2vT9bR4wZk8NcY3sJ6hPd1FgAu5eQo";
const PASSWORD: &str = "kV7\"q'9$Lm<w&2_b\\Q;8%z^R";
/// Other values of the same kind: what a spelling of them has too is not secret.
const OTHER_TOKEN: &str = "ghp_3hW8jD5nKx0Us_yB1tGfM7aVp9CzE2rLiO6S";
const OTHER_PASSWORD: &str = "Ub3\"Y'6$xC<H&5_g\\n;1%T^j";

/// The share of rows that must be masked.
const PERCENT_MIN: usize = 95;
/// A shorter piece may be left.
const PIECE_BYTES: usize = 12;

struct Row {
    family: String,
    name: String,
    values: String,
    stored: String,
    steps: String,
}

fn rows() -> Vec<Row> {
    let text = include_str!("spellings.tsv");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &str| {
        let [family, name, values, stored, steps] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        Row {
            family: family.to_owned(),
            name: name.to_owned(),
            values: values.to_owned(),
            stored: stored.to_owned(),
            steps: steps.to_owned(),
        }
    };
    lines.map(row).collect()
}

fn masker(row: &Row, value: &str) -> Arc<Masker> {
    let steps = if row.stored == "-" {
        "raw"
    } else {
        &row.stored
    };
    let stored = Secret::new(spell(value.as_bytes(), steps).remove(0));
    Arc::new(Masker::new(&[("api".to_owned(), &stored)]))
}

/// The places of a message where a server writes a text.
fn places(texts: &[String]) -> Vec<Value> {
    let result = |result: Value| json!({"jsonrpc": "2.0", "id": 7, "result": result});
    let block = |text: String| json!({"type": "text", "text": text});
    if texts.len() > 1 {
        let blocks: Vec<_> = texts.iter().cloned().map(block).collect();
        return vec![result(json!({"content": blocks}))];
    }
    let text = &texts[0];
    vec![
        result(json!({"content": [block(format!("The answer is: {text}, see above.\n"))]})),
        result(json!({"content": [block(text.clone())]})),
        result(json!({"content": [], "structuredContent": {"debug": {"value": text}}})),
        result(json!({"content": [], "structuredContent": {text: true}})),
        json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -1, "message": format!("failed: {text}")}}),
        json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -1, "message": "x", "data": [{"cause": text}]}}),
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": text}}),
        result(json!({"contents": [{"uri": "file:///log", "text": format!("a\n{text}\nb")}]})),
    ]
}

/// All strings of a message, as the client sees them.
fn strings(value: &Value, all: &mut Vec<u8>) {
    match value {
        Value::String(text) => all.extend([text.as_bytes(), b"\0\0"].concat()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, all)),
        Value::Object(fields) => {
            for (key, field) in fields {
                all.extend([key.as_bytes(), b"\0\0"].concat());
                strings(field, all);
            }
        }
        _ => {}
    }
}

/// The length of the longest piece of a spelling that is in the output, without the part at its
/// front that spellings of another value have too.
fn longest_left(output: &[u8], spelled: &[Vec<u8>], other: &[Vec<u8>]) -> usize {
    let is_in = |text: &[u8], piece: &[u8]| memchr::memmem::find(text, piece).is_some();
    let same = |piece: &[u8]| {
        let lengths = 1..=piece.len();
        lengths
            .take_while(|n| other.iter().any(|text| is_in(text, &piece[..*n])))
            .count()
    };
    let mut longest = 0;
    for text in spelled {
        for start in 0..text.len() {
            let lengths = 1..=text.len() - start;
            let length = lengths
                .take_while(|n| is_in(output, &text[start..start + n]))
                .count();
            if length > longest {
                longest = longest.max(length - same(&text[start..start + length]));
            }
        }
    }
    longest
}

/// Whether a row is masked at all places of messages, and in text.
fn masked(row: &Row, value: &str, other: &str) -> (bool, bool) {
    let masker = masker(row, value);
    let (spelled, other) = (
        spell(value.as_bytes(), &row.steps),
        spell(other.as_bytes(), &row.steps),
    );
    let length: usize = spelled.iter().map(Vec::len).sum();
    let most = PIECE_BYTES.max(PIECE_BYTES * length / value.len());
    let texts: Vec<String> = spelled
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    let in_messages = places(&texts).into_iter().all(|message| {
        let mut mask = MessageMask::new(Arc::clone(&masker));
        let mut out = Vec::new();
        mask.write(format!("{message}\n").as_bytes(), &mut out);
        let mut seen = Vec::new();
        strings(&serde_json::from_slice(&out).unwrap(), &mut seen);
        mask.masked() > 0 && longest_left(&seen, &spelled, &other) < most
    });
    let mut mask = TextMask::new(masker);
    let mut out = Vec::new();
    for text in &spelled {
        mask.write(
            &[b"DEBUG value=", text.as_slice(), b" done\n"].concat(),
            &mut out,
        );
    }
    (
        in_messages,
        mask.masked() > 0 && longest_left(&out, &spelled, &other) < most,
    )
}

#[track_caller]
fn rate(kind: &str, value: &str, other: &str) {
    let rows: Vec<Row> = rows()
        .into_iter()
        .filter(|row| row.values == "both" || row.values == kind)
        .collect();
    assert!(rows.len() >= 100);
    let mut missed = [String::new(), String::new()];
    let mut counts = [0, 0];
    for row in &rows {
        let (message, text) = masked(row, value, other);
        for (n, hit) in [message, text].into_iter().enumerate() {
            if hit {
                counts[n] += 1;
            } else {
                writeln!(missed[n], "  {}: {}", row.family, row.name).unwrap();
            }
        }
    }
    for (stream, (count, missed)) in ["stdout", "stderr"].iter().zip(counts.iter().zip(&missed)) {
        let all = rows.len();
        let enough = count * 100 >= all * PERCENT_MIN;
        assert!(
            enough,
            "{kind}, {stream}: {count} of {all} are masked, not:\n{missed}"
        );
    }
}

#[test]
fn most_spellings_of_a_token_are_masked() {
    rate("token", TOKEN, OTHER_TOKEN);
}

#[test]
fn most_spellings_of_a_password_are_masked() {
    rate("password", PASSWORD, OTHER_PASSWORD);
}

/// Without a secret in it, a spelling is not masked: it would be text of somebody else.
#[test]
fn spellings_of_another_value_are_not_masked() {
    for row in rows() {
        for (value, other) in [(TOKEN, OTHER_TOKEN), (PASSWORD, OTHER_PASSWORD)] {
            let mut mask = TextMask::new(masker(&row, value));
            let mut out = Vec::new();
            for text in spell(other.as_bytes(), &row.steps) {
                mask.write(&text, &mut out);
            }
            mask.flush(&mut out);
            assert_eq!(mask.masked(), 0, "{}: {}", row.family, row.name);
        }
    }
}
