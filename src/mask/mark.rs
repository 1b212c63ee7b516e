//! The text that stands in a secret's place.
//!
//! *Always* names the secret while the line may still grow by `GROWTH_BYTES_MAX`, and is never
//! longer than what it replaces after that: some clients close the session at a line of 10 MiB, and
//! masking must not be what pushes a line over it. *Never* overlaps with a form, at either end or
//! inside, so masked text holds no form and masking it again changes nothing. *Never* holds a
//! character that JSON escapes.

use memchr::memmem;

use super::needle::{Hit, Needle};

/// By how much masking may lengthen one line of messages.
pub(super) const GROWTH_BYTES_MAX: usize = 4096;

const LABEL_CHARS_MAX: usize = 64;

/// Masks that name nothing, the usual one first. None is longer than the shortest form. The others
/// serve secrets that hold, or begin or end like, the ones before.
const NAMELESS: &[&str] = &[
    "[secret]",
    "(secret)",
    "{secret}",
    "<secret>",
    "********",
    "########",
    "________",
    "~~~~~~~~",
    "========",
    "^^^^^^^^",
    "........",
    "········",
    "••••",
    "██",
    "◆◆",
    "☒☒",
    "��",
];

/// The masks of one secret.
#[derive(Clone)]
pub(super) struct Mark {
    named: String,
    nameless: &'static str,
}

impl Mark {
    pub(super) fn new(label: &str, last_four: Option<&str>, needles: &[Needle]) -> Self {
        let fits = |mask: &&str| {
            needles
                .iter()
                .all(|needle| !may_overlap(mask.as_bytes(), needle))
        };
        let name: String = label
            .chars()
            .map(|c| {
                if c.is_ascii_graphic() && !"\"\\[]<>&'".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .take(LABEL_CHARS_MAX)
            .collect();
        let nameless = NAMELESS.iter().copied().find(fits).unwrap_or("[secret]");
        let named = last_four
            .map(|tail| format!("[secret {name} …{tail}]"))
            .into_iter()
            .chain([format!("[secret {name}]")])
            .find(|mask| fits(&mask.as_str()))
            .unwrap_or_else(|| nameless.to_owned());
        Self { named, nameless }
    }
}

/// Chooses the mask for each place, and counts.
#[derive(Clone, Debug)]
pub(super) struct Ink {
    growth_bytes_left: usize,
    pub(super) masked: u64,
}

impl Ink {
    pub(super) const fn new(growth_bytes_left: usize) -> Self {
        Self {
            growth_bytes_left,
            masked: 0,
        }
    }

    pub(super) fn new_line(&mut self) {
        self.growth_bytes_left = GROWTH_BYTES_MAX;
    }

    /// The mask for an occurrence. Its length depends on the line up to here only, so that cutting
    /// the stream elsewhere changes nothing.
    pub(super) fn mask<'a>(&mut self, marks: &'a [Mark], hit: &Hit) -> &'a str {
        self.masked += 1;
        let Some(mark) = marks.get(hit.secret) else {
            return "[secret]";
        };
        let growth = mark.named.len().saturating_sub(hit.end - hit.start);
        match self.growth_bytes_left.checked_sub(growth) {
            Some(left) => {
                self.growth_bytes_left = left;
                &mark.named
            }
            None => mark.nameless,
        }
    }
}

/// Whether some text could hold the mask and the form so that they share a byte.
fn may_overlap(mask: &[u8], needle: &Needle) -> bool {
    let form = needle.bytes.as_slice();
    let touch = |left: &[u8], right: &[u8]| {
        (1..=left.len().min(right.len())).any(|n| right.get(..n).is_some_and(|r| left.ends_with(r)))
    };
    touch(form, mask)
        || touch(mask, form)
        || memmem::find(form, mask).is_some()
        || memmem::find(mask, form).is_some()
}
