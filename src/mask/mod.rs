//! Removes secrets from the server's output.
//!
//! Invariants: bytes that belong to no secret pass unchanged and in order; a complete line is not
//! held back; valid JSON stays valid. This module knows no pipes, processes or time.
//!
//! Masking prevents accidents: a server that hides a secret on purpose (splits or encrypts it) is
//! not caught.

mod form_list;
mod forms;
mod line;
mod literal;
mod mask_set;
mod matcher;
mod message;
mod pairs;
mod parts;
mod pattern;
mod quote;
mod samples;
mod spell;
mod suspect;
mod text;
mod units;

#[cfg(test)]
mod large_tests;
#[cfg(test)]
mod matcher_tests;
#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

pub use message::MessageMask;
pub use text::TextMask;

use crate::secret::Secret;
use forms::{forms, last_four};
use mask_set::MaskSet;
use matcher::Matcher;
use pattern::{Pattern, PatternScope};

/// The patterns to search for and their replacements. Immutable, so streams can share it.
pub struct Masker {
    /// `None` if there is no secret.
    matcher: Option<Matcher>,
    /// Indexed by secret.
    mask_sets: Vec<MaskSet>,
}

impl Masker {
    /// Builds a masker for these secrets, each with the label that its mask shows. Secrets shorter
    /// than eight bytes are not masked. If two have the same value, the label of the first is used.
    pub fn new(secrets: &[(String, &Secret)]) -> Self {
        let mut patterns: Vec<Pattern> = Vec::new();
        for (index, (_, secret)) in secrets.iter().enumerate() {
            patterns.extend(forms(secret).into_iter().map(|form| Pattern {
                bytes: form.bytes,
                least: form.least,
                secret: index,
                scope: form.scope,
            }));
        }
        let labels: Vec<_> = secrets
            .iter()
            .map(|(label, secret)| (label.as_str(), last_four(secret)))
            .collect();
        let matcher = Matcher::new(patterns);
        let mask_sets = MaskSet::all(&labels, matcher.as_ref());
        Self { matcher, mask_sets }
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.matcher.is_none()
    }

    /// The maximum number of bytes that a `TextMask` holds back. A `MessageMask` holds back at most
    /// the same number of characters, however they are escaped, and a token of 67 bytes.
    pub fn hold_bytes_max(&self) -> usize {
        self.matcher.as_ref().map_or(0, Matcher::hold_max)
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masker(…)")
    }
}

/// An encoding of a value.
#[expect(missing_debug_implementations, reason = "it would show the value")]
pub struct Spelling {
    pub bytes: Zeroizing<Vec<u8>>,
    /// How many of its bytes in a row are masked.
    pub least: usize,
}

/// Every encoding of a value that a `TextMask` finds, for leak searches elsewhere.
pub fn spellings(secret: &Secret) -> Vec<Spelling> {
    let forms = forms(secret)
        .into_iter()
        .filter(|form| form.scope != PatternScope::Gate);
    forms
        .map(|form| Spelling {
            bytes: form.bytes,
            least: form.least,
        })
        .collect()
}
