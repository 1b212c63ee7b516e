//! The bytes that belong to one entry, which undo restores.
//!
//! In JSON and YAML an entry is one piece of the file. In TOML it may be several tables with others
//! between them; each piece then starts with a line of the entry and ends with its last value and the comment
//! behind that.

use std::ops::Range;

use super::document::Document;
use super::tree::{FileFormat, Node, PathStep};

/// The pieces of the file that hold an entry, in order.
pub fn regions(document: &Document, path: &[PathStep]) -> Vec<Range<usize>> {
    let Some(node) = document.find(path) else {
        return Vec::new();
    };
    let inline = document.at(&node.span).starts_with('{');
    if document.format == FileFormat::Yaml {
        let mut region = node.span.clone();
        region.end = with_comment(&document.text, region.end);
        return vec![region];
    }
    if document.format != FileFormat::Toml || inline {
        return vec![node.span.clone()];
    }
    let mut lines = Vec::new();
    collect(document, &document.root, &mut Vec::new(), path, &mut lines);
    lines.sort_by_key(|(range, _)| range.start);
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut before = false;
    for (range, own) in lines {
        match found.last_mut() {
            Some(last) if own && before => last.end = last.end.max(range.end),
            _ if own => found.push(range),
            _ => {}
        }
        before = own;
    }
    found
}

/// Every header and every line with a value, and whether it belongs to the entry.
fn collect(
    document: &Document,
    node: &Node,
    at: &mut Vec<PathStep>,
    entry: &[PathStep],
    lines: &mut Vec<(Range<usize>, bool)>,
) {
    let own = at.starts_with(entry);
    for member in node.map() {
        at.push(PathStep::Key(member.key.clone()));
        visit(
            document,
            &member.node,
            member.key_span.start,
            at,
            entry,
            lines,
        );
        at.pop();
    }
    if node.map().is_empty()
        && own
        && !node.span.is_empty()
        && document.at(&node.span).starts_with('[')
    {
        lines.push((node.span.clone(), own));
    }
}

fn visit(
    document: &Document,
    node: &Node,
    key: usize,
    at: &mut Vec<PathStep>,
    entry: &[PathStep],
    lines: &mut Vec<(Range<usize>, bool)>,
) {
    let own = at.starts_with(entry);
    let text = document.at(&node.span);
    if node.is_map() && !text.starts_with('{') {
        if text.starts_with('[') {
            lines.push((node.span.clone(), own));
        }
        collect(document, node, at, entry, lines);
    } else if text.starts_with("[[") && node.list().iter().all(Node::is_map) {
        for (index, item) in node.list().iter().enumerate() {
            at.push(PathStep::Index(index));
            lines.push((item.span.clone(), at.starts_with(entry)));
            collect(document, item, at, entry, lines);
            at.pop();
        }
    } else {
        let start = document
            .text
            .get(..key)
            .and_then(|before| before.rfind('\n'))
            .map_or(0, |n| n + 1);
        let end = with_comment(&document.text, node.span.end);
        lines.push((start..end, own));
    }
}

/// The end of a value, or of the comment behind it: an edit that takes the line away takes both.
fn with_comment(text: &str, end: usize) -> usize {
    let rest = text.get(end..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    if line.trim_start().starts_with('#') {
        end + line.len()
    } else {
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, path: &[&str]) -> Vec<String> {
        let document = Document::read(FileFormat::Toml, text.as_bytes().to_vec()).unwrap();
        let path: Vec<_> = path
            .iter()
            .map(|key| PathStep::Key((*key).to_owned()))
            .collect();
        regions(&document, &path)
            .into_iter()
            .map(|range| text[range].to_owned())
            .collect()
    }

    #[test]
    fn an_entry_in_several_tables() {
        let text = "[s.a]\nc = 1\n\n[s.a.env]\nK = 2 # x\n[s.b]\nc = 3\n[s.a.more]\nz = 4\n";
        assert_eq!(
            pieces(text, &["s", "a"]),
            ["[s.a]\nc = 1\n\n[s.a.env]\nK = 2 # x", "[s.a.more]\nz = 4"]
        );
        assert_eq!(pieces(text, &["s", "b"]), ["[s.b]\nc = 3"]);
    }

    #[test]
    fn an_entry_in_one_line_or_in_dotted_keys() {
        let text = "[s]\na = { c = 1 }\nb.c = 2\nb.env.K = 3\nd.c = 4\n";
        assert_eq!(pieces(text, &["s", "a"]), ["{ c = 1 }"]);
        assert_eq!(pieces(text, &["s", "b"]), ["b.c = 2\nb.env.K = 3"]);
    }
}
