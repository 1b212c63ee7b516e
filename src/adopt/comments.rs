//! Secrets in the comments of an entry: people comment out old keys and copy new ones.
//!
//! Comments outside the changed entry stay unchanged.

use std::ops::Range;

use super::redact::Cut;
use crate::client::document::Document;
use crate::client::edit::Splice;
use crate::client::entry::ServerEntry;
use crate::client::regions::regions;
use crate::client::tree::Node;

/// Replaces the values in comments of an entry by their names, since nothing reads them there.
pub(super) fn named(
    document: &Document,
    entry: &ServerEntry,
    splices: &[Splice],
    cuts: &[Cut],
) -> Vec<Splice> {
    let mut taken: Vec<Range<usize>> = splices.iter().map(|splice| splice.range.clone()).collect();
    if let Some(node) = document.find(&entry.path) {
        literals(node, &mut taken);
    }
    let mut found: Vec<Splice> = Vec::new();
    for region in regions(document, &entry.path) {
        for cut in cuts {
            for (at, _) in document.at(&region).match_indices(cut.text.as_str()) {
                let range = region.start + at..region.start + at + cut.text.len();
                if !taken
                    .iter()
                    .any(|other| other.start < range.end && range.start < other.end)
                {
                    taken.push(range.clone());
                    found.push(Splice {
                        range,
                        text: format!("secret:{}", cut.name),
                    });
                }
            }
        }
    }
    found
}

/// The spans of the keys and values of a node.
fn literals(node: &Node, spans: &mut Vec<Range<usize>>) {
    for member in node.map() {
        spans.push(member.key_span.clone());
        literals(&member.node, spans);
    }
    node.list().iter().for_each(|item| literals(item, spans));
    if node.map().is_empty() && node.list().is_empty() {
        spans.push(node.span.clone());
    }
}
