//! The changed lines of one file.
//!
//! Invariant: no secret is shown, neither one that is moved out nor one that stays near the change.
//! A very long line is shown only around its change.

use std::ops::Range;

use similar::{ChangeTag, TextDiff};

use crate::adopt::redact::{Cut, masked};
use crate::check;
use crate::cli::{Context, print};
use crate::client::document::Document;
use crate::client::entry::places;
use crate::client::tree::{PathStep, escaped};
use crate::detect;
use crate::error::printable;
use crate::scan::clients::ClientFile;

/// Unchanged lines around a change.
const CONTEXT: usize = 1;
/// Longer lines are shown in part (bytes).
const LINE_BYTES_MAX: usize = 1000;
/// The part of a long line shown around its change (bytes).
const AROUND_BYTES: usize = 100;
/// A shorter value occurs in other words by chance (bytes).
const VALUE_BYTES_MIN: usize = 4;

/// `changed` are the entries that the new text changes; their secrets are in `cuts`.
pub(super) fn show(
    out: &mut print::Lines,
    cx: &Context,
    file: &ClientFile,
    new: &str,
    cuts: &[Cut],
    changed: &[&[PathStep]],
) {
    let client = file
        .client
        .map_or_else(String::new, |client| format!(" ({})", client.name));
    out.line(&format!("{}{client}", cx.dirs.tilde(&file.path)));
    if let Ok(document) = &file.document {
        let staying = staying(document, &file.needs_full_scan, changed);
        for line in lines(&document.text, new, cuts, &staying) {
            out.line(&format!("  {line}"));
        }
    }
}

/// The lines, each with `-`, `+` or a space.
fn lines(old: &str, new: &str, cuts: &[Cut], staying: &[String]) -> Vec<String> {
    // A PEM key spans lines; other tokens are searched only in the lines that are shown.
    let tall = old.contains("-----BEGIN");
    let hidden = |text: &str| {
        let text = masked(text, cuts);
        match (staying, tall) {
            ([], false) => text,
            (_, false) => without(&text, staying, Vec::new()),
            (_, true) => without(&text, staying, tokens(&text)),
        }
    };
    let (old, new) = (hidden(old), hidden(new));
    let (old, new) = changed(&old, &new);
    let (old_change, new_change) = changed_bytes(old, new);
    let diff = TextDiff::from_lines(old, new);
    let mut lines = Vec::new();
    for change in diff
        .grouped_ops(CONTEXT)
        .iter()
        .flatten()
        .flat_map(|op| diff.iter_changes(op))
    {
        let (sign, text, within) = match change.tag() {
            ChangeTag::Delete => ('-', old, &old_change),
            ChangeTag::Insert => ('+', new, &new_change),
            ChangeTag::Equal => (' ', old, &old_change),
        };
        let number = change.old_index().filter(|_| sign != '+');
        let number = number.or(change.new_index()).unwrap_or_default();
        let start = || text.split_inclusive('\n').take(number).map(str::len).sum();
        let line = change.value().trim_end_matches(['\n', '\r']);
        let line = shortened(line, start, within).replace('\t', "  ");
        let line = without(&line, &[], tokens(&line));
        lines.push(format!("{sign} {}", printable(&line)));
    }
    lines
}

/// The secrets of the unchanged entries.
fn staying(document: &Document, closer: &[bool], changed: &[&[PathStep]]) -> Vec<String> {
    let mut values = Vec::new();
    let spots = places(document).into_iter().zip(closer);
    for (spot, _) in spots.filter(|(spot, closer)| **closer && !changed.contains(&&*spot.path)) {
        let entry = spot.read();
        for judged in detect::entry(&entry) {
            for part in judged.verdict.secrets() {
                let value = judged.word.text.get(part.range.clone()).unwrap_or_default();
                if value.len() >= VALUE_BYTES_MIN {
                    values.extend([value.to_owned(), escaped(value)]);
                }
            }
        }
    }
    values
}

/// Every token of a known format.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let known = detect::known_spans(text).into_iter();
    known.map(|(range, _)| range).collect()
}

/// The text with these values and ranges masked.
fn without(text: &str, values: &[String], mut found: Vec<Range<usize>>) -> String {
    for value in values {
        let places = text.match_indices(value.as_str());
        found.extend(places.map(|(at, value)| at..at + value.len()));
    }
    found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for range in found {
        if range.start >= done {
            shown.push_str(text.get(done..range.start).unwrap_or_default());
            shown.push_str(&check::masked(text.get(range.clone()).unwrap_or_default()));
        }
        done = done.max(range.end);
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    shown
}

/// Where two texts differ, in each of them.
fn changed_bytes(old: &str, new: &str) -> (Range<usize>, Range<usize>) {
    let same = |(a, b): &(u8, u8)| a == b;
    let front = old.bytes().zip(new.bytes()).take_while(same).count();
    let rest = old.len().min(new.len()) - front;
    let back = old.bytes().rev().zip(new.bytes().rev());
    let back = back.take(rest).take_while(same).count();
    (front..old.len() - back, front..new.len() - back)
}

/// A line; of a long line, which begins at `start`, the part around the change.
fn shortened(line: &str, start: impl FnOnce() -> usize, change: &Range<usize>) -> String {
    if line.len() <= LINE_BYTES_MAX {
        return line.to_owned();
    }
    let start = start();
    let from = change.start.saturating_sub(start + AROUND_BYTES);
    let to = (change.end + AROUND_BYTES).saturating_sub(start);
    let from = line.floor_char_boundary(from.min(line.len()));
    let to = line.ceil_char_boundary(to.clamp(from, line.len()));
    let dots = |cut| if cut { "…" } else { "" };
    format!(
        "{}{}{}",
        dots(from > 0),
        line.get(from..to).unwrap_or_default(),
        dots(to < line.len())
    )
}

/// Two texts without their common first and last lines, except `CONTEXT` around the change.
fn changed<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let alike = |(a, b): &(&str, &str)| a == b;
    let lines = |text: &'a str| text.split_inclusive('\n');
    let first = lines(old).zip(lines(new)).take_while(alike).map(|(a, _)| a);
    let first: Vec<&str> = first.collect();
    let kept = first.len().saturating_sub(CONTEXT);
    let start = first.iter().take(kept).map(|line| line.len()).sum();
    let (old, new) = (
        old.get(start..).unwrap_or_default(),
        new.get(start..).unwrap_or_default(),
    );
    // The context before the common end stays.
    let most = [old, new].map(|text| lines(text).count().saturating_sub(CONTEXT));
    let most = most.into_iter().min().unwrap_or_default();
    let last = old
        .split_inclusive('\n')
        .rev()
        .zip(new.split_inclusive('\n').rev());
    let last: Vec<&str> = last.take_while(alike).take(most).map(|(a, _)| a).collect();
    let dropped = last.len().saturating_sub(CONTEXT);
    let end: usize = last.iter().take(dropped).map(|line| line.len()).sum();
    (
        old.get(..old.len() - end).unwrap_or_default(),
        new.get(..new.len() - end).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = "Bearer q7Rt2LmX9vKp4WzN8sDf6HjB3cYg";

    fn document(text: &str) -> Document {
        Document::read(crate::client::tree::FileFormat::Json, text.into()).unwrap()
    }

    fn shown(separator: &str) -> String {
        let kept = format!(
            r#""r": {{"url": "https://x.example", "headers": {{"Authorization": "{KEPT}"}}}}"#
        );
        let entry = |env: &str| format!(r#""a": {{"command": "npx", "env": {{{env}}}}}"#);
        let file = |env: &str| {
            let list = [
                kept.clone(),
                entry(env),
                format!(r#""z": "{}""#, "y".repeat(2000)),
            ];
            format!("{{\"mcpServers\": {{{}}}}}", list.join(separator))
        };
        let cuts = [Cut {
            name: crate::secret::SecretName::new("a/key").unwrap(),
            text: "tok_Zx81QwPl03NbVc77".to_owned(),
        }];
        let old = document(&file(r#""KEY": "tok_Zx81QwPl03NbVc77""#));
        let staying = staying(&old, &[true, true, false], &[]);
        lines(&old.text, &file(""), &cuts, &staying).join("\n")
    }

    #[test]
    fn a_secret_that_stays_beside_a_change_is_not_shown() {
        for separator in [",\n", ","] {
            let shown = shown(separator);
            assert!(shown.contains("[secret a/key …Vc77]"), "{shown}");
            assert!(!shown.contains("q7Rt2LmX9vKp4WzN8sDf6HjB"), "{shown}");
            assert!(!shown.contains("Zx81QwPl03Nb"), "{shown}");
        }
    }

    #[test]
    fn a_long_line_is_shown_around_its_change() {
        let shown = shown(",");
        assert!(shown.len() < 1500, "{shown}");
        assert!(shown.contains("…"), "{shown}");
    }

    #[test]
    fn tokens_are_masked_by_their_format() {
        let text = "// was ghp_x7Kq2mV9pL4nR8sT1wZ5yB3cD6fG0hJ2kM4N before";
        let shown = without(text, &[], tokens(text));
        assert!(!shown.contains("x7Kq2mV9"), "{shown}");
        assert!(shown.starts_with("// was [secret"), "{shown}");
    }
}
