//! Detected modifications of the log, and their names.

use std::fmt;

/// The kind of a modification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakKind {
    /// The content of a record was changed.
    Edited,
    /// Records between two others are missing.
    Removed,
    /// Records are not in the order in which they were written.
    Reordered,
    /// A record that was not written by mcpwrap, or a second copy of one.
    Added,
    /// Records at the end or at the beginning are missing.
    Truncated,
    /// More records without a seal in a row than mcpwrap writes.
    Unsealed,
    /// An incomplete record.
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
            Self::Unsealed => "unsealed",
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

/// One detected modification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    pub kind: BreakKind,
    /// The first and last affected record number.
    pub first: u64,
    pub last: u64,
    pub file: String,
    /// The line in the file, from 1; 0 if unknown.
    pub line: u64,
}

impl Break {
    /// A line for the user. `told`: whether a record of the log already reports it.
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
