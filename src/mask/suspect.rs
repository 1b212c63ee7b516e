//! Finds the lines of messages that may contain a secret; the others are not even lexed.
//!
//! Invariant: a line in which a literal spells a form is never reported as clean.

use memchr::{memchr, memmem, memrchr};

use super::Masker;
use super::matcher::Matcher;
use super::pattern::SearchMode;

/// The longest incomplete escape (bytes).
const ESCAPE_BYTES_CUT: usize = 5;

/// The positions in one input that need examination.
pub(super) struct Suspect {
    /// The end of the last complete line.
    lines_end: usize,
    hit: Option<usize>,
    escape: Option<usize>,
}

impl Suspect {
    pub(super) fn new(input: &[u8]) -> Self {
        let lines_end = memrchr(b'\n', input).map_or(0, |end| end + 1);
        Self {
            lines_end,
            hit: None,
            escape: None,
        }
    }

    /// The end of the clean complete lines that start at `from`. Each byte of the input is searched
    /// once, however often this is called with a growing `from`.
    pub(super) fn clean_lines(&mut self, masker: &Masker, input: &[u8], from: usize) -> usize {
        let Some(matcher) = &masker.matcher else {
            return self.lines_end.max(from);
        };
        let lines = input.get(from..self.lines_end).unwrap_or_default();
        if self.hit.is_none_or(|hit| hit < from) {
            self.hit = Some(from + matcher.clean(lines, SearchMode::Gate));
        }
        if self.escape.is_none_or(|escape| escape < from) {
            self.escape = Some(from + unusual_escape(matcher, lines).unwrap_or(lines.len()));
        }
        let suspect = self.hit.min(self.escape).unwrap_or(from);
        let clean = lines.get(..suspect - from).unwrap_or_default();
        from + memrchr(b'\n', clean).map_or(0, |end| end + 1)
    }
}

/// Finds an escape that spells a form in a way the patterns do not cover: `\/` or `\uXXXX`. The
/// other escapes have one spelling each. If all forms are ASCII, only `\u0000` to `\u007f` count.
pub(super) fn unusual_escape(matcher: &Matcher, text: &[u8]) -> Option<usize> {
    let first = memchr(b'\\', text)?;
    let rest = text.get(first..)?;
    let slash = memmem::find(rest, b"\\/");
    let rest = rest.get(..slash.unwrap_or(rest.len()))?;
    let unicode = if matcher.is_ascii() {
        let plain = |at: &usize| matches!(rest.get(at + 4), None | Some(b'0'..=b'7'));
        memmem::find_iter(rest, b"\\u00").find(plain)
    } else {
        memmem::find(rest, b"\\u")
    };
    unicode.or(slash).map(|at| first + at)
}

/// Whether there is one that [`unusual_escape`] finds.
pub(super) fn has_unusual_escape(masker: &Masker, text: &[u8]) -> bool {
    let matcher = masker.matcher.as_ref();
    matcher.is_some_and(|matcher| unusual_escape(matcher, text).is_some())
}

/// The last position up to this one that is not inside an escape.
pub(super) fn before_escape(body: &[u8], at: usize) -> usize {
    let from = at.saturating_sub(ESCAPE_BYTES_CUT);
    let near = body.get(from..at).unwrap_or_default();
    let Some(escape) = memchr(b'\\', near) else {
        return at;
    };
    let before = body.get(..from + escape).unwrap_or_default();
    before.len() - before.iter().rev().take_while(|b| **b == b'\\').count()
}
