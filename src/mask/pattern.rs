//! Search patterns, where each applies, and the matches.

use zeroize::Zeroizing;

/// The length of the shortest form.
pub(super) const FORM_BYTES_MIN: usize = 8;

/// One form of a secret, with the index of that secret.
pub(super) struct Pattern {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// How many of its bytes in a row count as a match: all of them, or fewer if pieces do.
    pub(super) least: usize,
    pub(super) secret: usize,
    pub(super) scope: PatternScope,
}

impl Pattern {
    /// The first boundary between characters at or after this offset.
    pub(super) fn boundary_after(&self, at: usize) -> usize {
        let inside = |at: &usize| self.bytes.get(*at).is_some_and(|b| b & 0xC0 == 0x80);
        if self.least == self.bytes.len() {
            return at;
        }
        (at..=self.bytes.len()).find(|at| !inside(at)).unwrap_or(at)
    }

    /// The last boundary between characters at or before this offset.
    pub(super) fn boundary_before(&self, at: usize) -> usize {
        let inside = |at: &usize| self.bytes.get(*at).is_some_and(|b| b & 0xC0 == 0x80);
        if self.least == self.bytes.len() {
            return at;
        }
        (0..=at).rev().find(|at| !inside(at)).unwrap_or(at)
    }
}

/// Where a pattern is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PatternScope {
    /// In text and in the decoded string literals of messages.
    Everywhere,
    /// Only in text, because it begins or ends inside a character.
    Text,
    /// Only to select the lines of messages to examine: the escaped spelling of another pattern.
    Gate,
}

/// What is being searched, which decides the patterns that apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchMode {
    Text,
    Literal,
    Gate,
}

impl SearchMode {
    pub(super) fn has(self, scope: PatternScope) -> bool {
        match self {
            Self::Text => scope <= PatternScope::Text,
            Self::Literal => scope == PatternScope::Everywhere,
            Self::Gate => true,
        }
    }
}

/// A match of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// The first byte that had to match. It may lie inside a character before `start`.
    pub(super) run_start: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) secret: usize,
    /// How many bytes of the pattern had to match; the same however the text is split.
    pub(super) least: usize,
}

/// The last position up to this one that is inside or at the end of no match's first character, so
/// that each match is found whole on one side of it.
pub(super) fn undivided(hits: &[Hit], at: usize) -> usize {
    let divided = |hit: &&Hit| hit.run_start < at && at <= hit.start;
    match hits.iter().filter(divided).map(|hit| hit.run_start).min() {
        Some(earlier) => undivided(hits, earlier),
        None => at,
    }
}
