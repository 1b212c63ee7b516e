//! The text that replaces a secret.
//!
//! Invariants: a mask names its secret until a line has grown by `GROWTH_BYTES_MAX`; after that no
//! mask is longer than what it replaces, because some clients close the session at a line of 10
//! MiB. A mask does not overlap a form at either end or inside, so masked text contains no form and
//! masking it again changes nothing. A mask contains no character that JSON escapes.

use memchr::{memchr_iter, memmem};

use super::matcher::Matcher;
use super::pattern::{Hit, Pattern, SearchMode};

/// How many bytes masking may add to one line of messages.
pub(super) const GROWTH_BYTES_MAX: usize = 4096;

const LABEL_CHARS_MAX: usize = 64;

/// Masks without a name, the usual one first. None is longer than the shortest form. The later ones
/// are for secrets that contain an earlier one, or begin or end like it.
const NAMELESS: &[&str] = &[
    "[secret]", "(secret)", "{secret}", "<secret>", "********", "########", "________", "~~~~~~~~",
    "========", "^^^^^^^^", "........", "····", "••", "██", "◆◆", "☒☒", "��",
];

/// What stands around a name, the usual brackets first.
const BRACKETS: &[[&str; 2]] = &[["[", "]"], ["(", ")"], ["{", "}"], ["⟦", "⟧"]];

/// The masks of one secret.
#[derive(Clone)]
pub(super) struct MaskSet {
    named: String,
    nameless: &'static str,
}

impl MaskSet {
    /// Builds the masks for each label and its last four characters, if those may be shown.
    pub(super) fn all(labels: &[(&str, Option<String>)], matcher: Option<&Matcher>) -> Vec<Self> {
        let fits = |mask: &str| matcher.is_none_or(|matcher| is_disjoint(mask, matcher));
        let nameless = NAMELESS.iter().copied().find(|mask| fits(mask));
        let nameless = nameless.unwrap_or("[secret]");
        let mask_set = |(label, tail): &(&str, Option<String>)| {
            let name = printable(label);
            let named = BRACKETS.iter().flat_map(|[open, close]| {
                let long = tail
                    .iter()
                    .map(|tail| format!("{open}secret {name} …{tail}{close}"));
                long.chain([format!("{open}secret {name}{close}")])
                    .collect::<Vec<_>>()
            });
            let named = named.into_iter().find(|mask| fits(mask));
            Self {
                named: named.unwrap_or_else(|| nameless.to_owned()),
                nameless,
            }
        };
        labels.iter().map(mask_set).collect()
    }
}

/// The label without characters that JSON or HTML escapes.
fn printable(label: &str) -> String {
    label
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() && !"\"\\[]<>&'".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(LABEL_CHARS_MAX)
        .collect()
}

/// Chooses the mask for each match and counts them.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    growth_bytes_left: usize,
    pub(super) masked: u64,
}

impl Replacement {
    pub(super) const fn new(growth_bytes_left: usize) -> Self {
        Self {
            growth_bytes_left,
            masked: 0,
        }
    }

    pub(super) fn new_line(&mut self) {
        self.growth_bytes_left = GROWTH_BYTES_MAX;
    }

    /// The mask for a match. It depends only on the line so far, so the output does not depend on
    /// how the stream is split.
    pub(super) fn mask<'a>(&mut self, mask_sets: &'a [MaskSet], hit: &Hit) -> &'a str {
        self.masked += 1;
        let Some(mask_set) = mask_sets.get(hit.secret) else {
            return "[secret]";
        };
        let growth = mask_set.named.len().saturating_sub(hit.least);
        match self.growth_bytes_left.checked_sub(growth) {
            Some(left) => {
                self.growth_bytes_left = left;
                &mask_set.named
            }
            None => mask_set.nameless,
        }
    }
}

fn is_disjoint(mask: &str, matcher: &Matcher) -> bool {
    let mut hits = Vec::new();
    matcher.find(mask.as_bytes(), SearchMode::Gate, &mut hits);
    hits.is_empty()
        && !matcher
            .patterns()
            .iter()
            .any(|pattern| may_overlap(mask.as_bytes(), pattern))
}

/// Whether the mask and a match of the pattern can share a byte in some text, without the match
/// being part of the mask.
fn may_overlap(mask: &[u8], pattern: &Pattern) -> bool {
    let form = pattern.bytes.as_slice();
    let (Some(first), Some(last)) = (mask.first(), mask.last()) else {
        return false;
    };
    // A match ends with the beginning of the mask.
    let mut ends = memchr_iter(*first, form).filter_map(|at| {
        let end = form.get(at..)?;
        let same = end.iter().zip(mask).take_while(|(a, b)| a == b).count();
        Some(at + same)
    });
    // A match begins with the end of the mask.
    let mut starts = memchr_iter(*last, form).filter_map(|at| {
        let start = form.get(..=at)?;
        let same = start.iter().rev().zip(mask.iter().rev());
        Some(at + 1 - same.take_while(|(a, b)| a == b).count())
    });
    ends.any(|end| end >= pattern.least)
        || starts.any(|start| start + pattern.least <= form.len())
        || form.contains(first) && memmem::find(form, mask).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::pattern::FORM_BYTES_MIN;
    use super::*;

    #[test]
    fn a_mask_without_a_name_is_no_longer_than_any_form() {
        assert!(NAMELESS.iter().all(|mask| mask.len() <= FORM_BYTES_MIN));
    }

    #[test]
    fn a_label_cannot_break_out() {
        assert_eq!(printable("a\"b\\c]\n\u{1b}é d"), "a_b_c_____d");
        assert_eq!(printable(&"x".repeat(100)).len(), LABEL_CHARS_MAX);
    }
}
