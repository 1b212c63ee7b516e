//! What is searched for, where, and what was found.

use zeroize::Zeroizing;

/// A form, and whose it is.
pub(super) struct Pattern {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) secret: usize,
    pub(super) scope: PatternScope,
}

/// Where a form is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PatternScope {
    /// In text and in the decoded string literals of messages.
    Everywhere,
    /// Not in literals, because it begins or ends inside a character.
    Text,
    /// Only to tell which lines of messages to look at: it is how a literal spells another form.
    Gate,
}

/// What is being searched, and so which forms count.
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

/// An occurrence of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) secret: usize,
}
