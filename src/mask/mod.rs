//! Removes secrets from the server's output.
//!
//! *Always* lets bytes that are no part of a secret through unchanged and in order. *Never* holds
//! back a complete line. *Never* turns valid JSON into invalid JSON. Knows nothing of pipes,
//! processes or time. It is a seat belt: a server that hides a secret on purpose (splits it,
//! encrypts it) is not caught.

mod forms;
mod line;
mod literal;
mod mask_set;
mod matcher;
mod message;
mod pattern;
mod spell;
mod suspect;
mod text;

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

/// What to look for, and what to put in its place. Immutable: share it between streams.
pub struct Masker {
    /// `None` if there is no secret.
    matcher: Option<Matcher>,
    /// By the index of the secret.
    mask_sets: Vec<MaskSet>,
}

impl Masker {
    /// A masker for these secrets, each with the label that its mask shows. A secret shorter than
    /// eight bytes is not masked. Of two with the same value the first gives the label.
    pub fn new(secrets: &[(String, &Secret)]) -> Self {
        let mut patterns: Vec<Pattern> = Vec::new();
        for (index, (_, secret)) in secrets.iter().enumerate() {
            patterns.extend(forms(secret).into_iter().map(|form| Pattern {
                bytes: form.bytes,
                secret: index,
                scope: form.scope,
            }));
        }
        let labels: Vec<_> = secrets
            .iter()
            .map(|(label, secret)| (label.as_str(), last_four(secret)))
            .collect();
        let mask_sets = MaskSet::all(&labels, &patterns);
        Self {
            matcher: Matcher::new(patterns),
            mask_sets,
        }
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.matcher.is_none()
    }

    /// How many bytes a `TextMask` may hold back, at most. A `MessageMask` may hold back as many
    /// characters, however they are escaped, and a token of 67 bytes.
    pub fn hold_bytes_max(&self) -> usize {
        self.matcher
            .as_ref()
            .map_or(0, |matcher| matcher.longest() - 1)
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masker(…)")
    }
}

/// Every spelling of a value that a `TextMask` finds, to look for leaks in other places.
pub fn spellings(secret: &Secret) -> Vec<Zeroizing<Vec<u8>>> {
    let forms = forms(secret)
        .into_iter()
        .filter(|form| form.scope != PatternScope::Gate);
    forms.map(|form| form.bytes).collect()
}
