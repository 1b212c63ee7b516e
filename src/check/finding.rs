//! A finding: what is wrong, where, why it matters, and the fix.
//!
//! Holds no secret: values are masked when a finding is made, and `what` consists of names. Its
//! fingerprint does not depend on the line, so that a code scanner can follow it through history.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::secret::{hex, tail};

/// How severe it is. The order is that of `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Where a finding is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The path as users write it: with `~`, or relative to the checked directory.
    pub file: String,
    /// From 1; 0 for a whole file, or a missing one.
    pub line: usize,
    /// Characters from 1; 0 as above.
    pub column: usize,
}

impl Location {
    /// A whole file, or a missing one.
    pub fn whole(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
        }
    }

    /// A line of a file.
    pub fn line(file: impl Into<String>, line: usize) -> Self {
        Self {
            file: file.into(),
            line,
            column: usize::from(line > 0),
        }
    }
}

/// What resolves a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// One command, as typed.
    Run(String),
    /// One act, where no command does it.
    Act(String),
}

impl Fix {
    /// What to do, in words or as a command.
    pub fn text(&self) -> &str {
        match self {
            Self::Run(text) | Self::Act(text) => text,
        }
    }

    /// The command, if it is one.
    pub fn command(&self) -> Option<&str> {
        match self {
            Self::Run(text) => Some(text),
            Self::Act(_) => None,
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the rule.
    pub check: &'static str,
    pub severity: Severity,
    pub location: Location,
    /// The entry or the policy.
    pub server: Option<String>,
    /// The value as it may be shown: at most its last four characters.
    pub value: Option<String>,
    /// What is wrong, in one line.
    pub what: String,
    /// Why it matters, in one sentence.
    pub why: &'static str,
    pub fix: Fix,
}

impl Finding {
    /// A finding at a location.
    pub fn new(
        (check, severity): (&'static str, Severity),
        location: Location,
        what: impl Into<String>,
        why: &'static str,
        fix: Fix,
    ) -> Self {
        Self {
            check,
            severity,
            location,
            server: None,
            value: None,
            what: what.into(),
            why,
            fix,
        }
    }

    /// Names the server.
    #[must_use]
    pub fn for_server(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// Shows the value, masked.
    #[must_use]
    pub fn with_value(mut self, secret: &str) -> Self {
        self.value = Some(masked(secret));
        self
    }

    /// Stays the same when the line moves. Does not depend on the value.
    pub fn fingerprint(&self) -> String {
        let server = self.server.as_deref().unwrap_or_default();
        let parts = [self.check, &self.location.file, server, &self.what];
        let digest = Sha256::digest(parts.join("\u{1f}").as_bytes());
        hex(digest.get(..16).unwrap_or_default())
    }
}

/// A secret, masked.
pub fn masked(secret: &str) -> String {
    tail(secret).map_or_else(|| "[secret]".to_owned(), |tail| format!("[secret …{tail}]"))
}

/// A path, quoted for a shell. A leading `~/` stays outside the quotes.
pub fn quoted(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("~/{}", word(rest)),
        None if path.starts_with('-') => word(&format!("./{path}")),
        None => word(path),
    }
}

/// A word, quoted for a shell.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=~".contains(c);
    if text.chars().all(plain) && !text.is_empty() && !text.starts_with('~') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_four_characters_of_a_long_value() {
        assert_eq!(masked("tok_0123456789abcdef"), "[secret …cdef]");
        assert_eq!(masked("short"), "[secret]");
        assert_eq!(masked("ééééééééééééééééé"), "[secret …éééé]");
    }

    #[test]
    fn paths_as_a_shell_takes_them() {
        for (path, expected) in [
            ("~/.cursor/mcp.json", "~/.cursor/mcp.json"),
            ("a b/c.json", "'a b/c.json'"),
            (
                "~/.config/Code - Insiders/x",
                "~/'.config/Code - Insiders/x'",
            ),
            ("it's", r"'it'\''s'"),
            ("-x.json", "./-x.json"),
            ("~x", "'~x'"),
            ("$(id).json", "'$(id).json'"),
        ] {
            assert_eq!(quoted(path), expected);
        }
    }

    #[test]
    fn a_fingerprint_stays_when_lines_move() {
        let at = |line| {
            let fix = Fix::Act("x".to_owned());
            Finding::new(
                ("plaintext-secret", Severity::Critical),
                Location::line("a", line),
                "w",
                "y",
                fix,
            )
        };
        assert_eq!(at(1).fingerprint(), at(9).fingerprint());
        assert_ne!(at(1).fingerprint(), at(1).for_server("s").fingerprint());
    }
}
