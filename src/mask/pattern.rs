//! Search patterns, where each applies, and the matches.

use zeroize::Zeroizing;

/// One form of a secret, with the index of that secret.
pub(super) struct Pattern {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) secret: usize,
    pub(super) scope: PatternScope,
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
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) secret: usize,
}
