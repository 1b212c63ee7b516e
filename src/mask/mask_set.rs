//! The text that replaces a secret.
//!
//! Invariants: a mask names its secret until a line has grown by `GROWTH_BYTES_MAX`; after that no
//! mask is longer than what it replaces, because some clients close the session at a line of 10
//! MiB. A mask does not overlap a form at either end or inside, so masked text contains no form and
//! masking it again changes nothing. A mask contains no character that JSON escapes.

use memchr::{memchr2, memmem};

use super::pattern::{Hit, Pattern};

/// How many bytes masking may add to one line of messages.
pub(super) const GROWTH_BYTES_MAX: usize = 4096;

const LABEL_CHARS_MAX: usize = 64;

/// Masks without a name, the usual one first. None is longer than the shortest form. The later ones
/// are for secrets that contain an earlier one, or begin or end like it.
const NAMELESS: &[&str] = &[
    "[secret]", "(secret)", "{secret}", "<secret>", "********", "########", "________", "~~~~~~~~",
    "========", "^^^^^^^^", "........", "····", "••", "██", "◆◆", "☒☒", "��",
];

/// The masks of one secret.
#[derive(Clone)]
pub(super) struct MaskSet {
    named: String,
    nameless: &'static str,
}

impl MaskSet {
    /// Builds the masks for each label and its last four characters, if those may be shown.
    pub(super) fn all(labels: &[(&str, Option<String>)], patterns: &[Pattern]) -> Vec<Self> {
        let nameless = NAMELESS
            .iter()
            .copied()
            .find(|mask| is_disjoint(mask, patterns));
        let nameless = nameless.unwrap_or("[secret]");
        let mask_set = |(label, tail): &(&str, Option<String>)| {
            let name = printable(label);
            let long = tail.iter().map(|tail| format!("[secret {name} …{tail}]"));
            let named = long
                .chain([format!("[secret {name}]")])
                .find(|mask| is_disjoint(mask, patterns));
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
        let growth = mask_set.named.len().saturating_sub(hit.end - hit.start);
        match self.growth_bytes_left.checked_sub(growth) {
            Some(left) => {
                self.growth_bytes_left = left;
                &mask_set.named
            }
            None => mask_set.nameless,
        }
    }
}

fn is_disjoint(mask: &str, patterns: &[Pattern]) -> bool {
    !patterns
        .iter()
        .any(|pattern| may_overlap(mask.as_bytes(), pattern))
}

/// Whether the mask and the form can share a byte in some text.
fn may_overlap(mask: &[u8], pattern: &Pattern) -> bool {
    let form = pattern.bytes.as_slice();
    let touch = |left: &[u8], right: &[u8]| {
        (1..=left.len().min(right.len())).any(|n| right.get(..n).is_some_and(|r| left.ends_with(r)))
    };
    // Fast path: usually the two do not even share these bytes.
    let (Some(first), Some(last)) = (mask.first(), mask.last()) else {
        return false;
    };
    if memchr2(*first, *last, form).is_none() {
        return memmem::find(mask, form).is_some();
    }
    touch(form, mask)
        || touch(mask, form)
        || memmem::find(form, mask).is_some()
        || memmem::find(mask, form).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::forms::FORM_BYTES_MIN;
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
