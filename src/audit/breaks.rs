//! Changes of the log that were found, and what they are called.

use std::fmt;

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakKind {
    /// A record is not as it was written.
    Edited,
    /// Records between two others are gone.
    Removed,
    /// Records stand in another order than they were written in.
    Reordered,
    /// A record that was not written by mcpwrap, or a second copy of one.
    Added,
    /// Records at the end, or at the beginning, are gone.
    Truncated,
    /// Half a record.
    Torn,
    /// A segment that cannot be read.
    Unreadable,
}

impl BreakKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Removed => "removed",
            Self::Reordered => "reordered",
            Self::Added => "added",
            Self::Truncated => "truncated",
            Self::Torn => "torn",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for BreakKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One change that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    pub kind: BreakKind,
    /// The first and last number it is about.
    pub first: u64,
    pub last: u64,
    pub file: String,
    /// The line in that file, from 1.
    pub line: u64,
}

impl Break {
    /// One sentence for the user; `told` if a record of the log itself reports it.
    pub fn describe(&self, told: bool) -> String {
        let which = if self.first == self.last {
            format!("record {}", self.first)
        } else {
            format!("records {} to {}", self.first, self.last)
        };
        let place = match (self.file.as_str(), self.line) {
            ("", _) => String::new(),
            (file, 0) => format!(", {file}"),
            (file, line) => format!(", {file}:{line}"),
        };
        let known = if told {
            ", already reported in the log"
        } else {
            ""
        };
        format!("{}: {which}{place}{known}", self.kind)
    }
}
