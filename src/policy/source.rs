//! Error excerpts of a policy file: `path:line:column`, the line, and a caret below it.
//!
//! Invariant: what could be a pasted secret is not repeated. Strings, bare values and comments are
//! shown as `…`, except references (`secret:NAME`) and words that resemble keywords of the format.

use std::ops::Range;

use crate::error::{Code, Error};
use crate::reference::Reference;
use crate::secret::ServerName;
use crate::suggest::nearest;

/// A policy file as text, for messages about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PolicySource<'a> {
    pub(super) server: &'a ServerName,
    /// The path as shown in messages.
    pub(super) shown: &'a str,
    pub(super) text: &'a str,
}

/// The keywords that a policy can have as values.
const WORDS: &[&str] = &[
    "overlap",
    "stop-first",
    "manual",
    "on-failure",
    "never",
    "error",
    "stub",
    "refuse",
    "allow",
    "stdout",
    "stderr",
    "mcp",
    "raw",
    "env",
    "file",
    "auto",
    "streamable-http",
    "sse",
    "authorization-code",
    "client-credentials",
    "omit",
    "require",
    "assume",
];

/// At most this many characters of a line are shown around the caret.
const SHOWN_CHARS_MAX: usize = 160;

impl PolicySource<'_> {
    /// An error at a position in the file.
    pub(super) fn fault(&self, what: &str, span: Range<usize>) -> Error {
        self.fault_in_file(what, &self.excerpt(span))
    }

    /// An error about the file as a whole.
    pub(super) fn fault_in_file(&self, what: &str, cause: &str) -> Error {
        let what = format!("{what} in the policy of server `{}`", self.server);
        Error::new(Code::PolicyInvalid, what).cause(cause)
    }

    /// The number of the line that an offset is in, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or(self.text);
        before.bytes().filter(|b| *b == b'\n').count() + 1
    }

    fn excerpt(&self, span: Range<usize>) -> String {
        let offset = span.start.min(self.text.len());
        let start = self
            .text
            .get(..offset)
            .and_then(|t| t.rfind('\n'))
            .map_or(0, |n| n + 1);
        let rest = self.text.get(start..).unwrap_or_default();
        let end = start + rest.find(['\n', '\r']).unwrap_or(rest.len());
        let column = self
            .text
            .get(start..offset)
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        let number = self.line(offset).to_string();
        let gap = " ".repeat(number.len());
        let (line, caret) = shown(self.text, start..end, &span);
        format!(
            "{}:{number}:{column}\n{number} | {line}\n{gap} | {caret}",
            self.shown
        )
    }
}

/// One line with possible secrets hidden, and the carets below the part in `span`.
fn shown(text: &str, line: Range<usize>, span: &Range<usize>) -> (String, String) {
    let hidden = hidden(text);
    let mut cells: Vec<(char, bool)> = Vec::new();
    let mut skip_to = line.start;
    for (n, c) in text.get(line.clone()).unwrap_or_default().char_indices() {
        let at = line.start + n;
        if at < skip_to {
            continue;
        }
        let range = hidden.iter().find(|range| range.contains(&at)).cloned();
        let here = range.clone().unwrap_or(at..at + c.len_utf8());
        let marked = here.start < span.end && span.start < here.end;
        cells.push((
            if range.is_some() {
                '…'
            } else if c == '\t' {
                ' '
            } else {
                c
            },
            marked,
        ));
        skip_to = here.end;
    }
    let first = cells
        .iter()
        .position(|(_, marked)| *marked)
        .unwrap_or(cells.len());
    let from = first.saturating_sub(SHOWN_CHARS_MAX / 2);
    let cells: Vec<_> = cells.into_iter().skip(from).take(SHOWN_CHARS_MAX).collect();
    let line: String = cells.iter().map(|(c, _)| *c).collect();
    let caret: String = cells
        .iter()
        .map(|(_, marked)| if *marked { '^' } else { ' ' })
        .collect();
    match caret.trim_end() {
        "" => (
            line.trim_end().to_owned(),
            format!("{}^", " ".repeat(first - from)),
        ),
        caret => (line.trim_end().to_owned(), caret.to_owned()),
    }
}

/// The ranges of a TOML text that could be secrets. Accepts any text.
fn hidden(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    let mut line_start = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        at = match c {
            '\n' => {
                line_start = at + 1;
                at + 1
            }
            '#' => hide(&mut ranges, at + 1, at + end_of_line(rest)),
            '"' | '\'' => {
                let (open, close, end) = string(rest, c);
                let inner = text.get(at + open..at + close).unwrap_or_default();
                if !is_harmless(inner) {
                    hide(&mut ranges, at + open, at + close);
                }
                at + end
            }
            c if is_bare(c) => {
                let end = at + rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
                let word = text.get(at..end).unwrap_or_default();
                let line = text.get(line_start..at).unwrap_or_default();
                let after = text
                    .get(end..)
                    .unwrap_or_default()
                    .trim_start_matches([' ', '\t']);
                let in_header = line.trim_start().starts_with('[') && !line.contains('=');
                let starts = line.trim_end();
                let is_key =
                    (starts.is_empty() || starts.ends_with(['{', ','])) && after.starts_with('=');
                if !in_header && !is_key && !is_plain_value(word) {
                    hide(&mut ranges, at, end);
                }
                end
            }
            c => at + c.len_utf8(),
        };
    }
    ranges
}

fn hide(ranges: &mut Vec<Range<usize>>, start: usize, end: usize) -> usize {
    if start < end {
        ranges.push(start..end);
    }
    end
}

/// The start and end of a string's content, and the end of the string. An unclosed string ends with
/// its line, or with the file if it is a multi-line string.
fn string(text: &str, quote: char) -> (usize, usize, usize) {
    let triple: String = [quote; 3].iter().collect();
    if let Some(inner) = text.strip_prefix(triple.as_str()) {
        return match inner.find(triple.as_str()) {
            Some(n) => (3, 3 + n, 6 + n),
            None => (3, text.len(), text.len()),
        };
    }
    let line = text.get(..end_of_line(text)).unwrap_or(text);
    let mut escaped = false;
    for (n, c) in line.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return (1, n, n + 1),
            _ => {}
        }
    }
    (1, line.len(), line.len())
}

fn end_of_line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !"=[]{},#\"'".contains(c)
}

fn is_plain_value(word: &str) -> bool {
    matches!(word, "true" | "false") || (word.len() < 5 && word.bytes().all(|b| b.is_ascii_digit()))
}

fn is_harmless(inner: &str) -> bool {
    inner.is_empty()
        || Reference::new(inner).is_ok()
        || nearest(inner, WORDS.iter().copied()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn line(text: &str, marked: &str, expected: (&str, &str)) {
        let start = text.find(marked).unwrap();
        let from = text[..start].rfind('\n').map_or(0, |n| n + 1);
        let to = from + text[from..].find('\n').unwrap_or(text.len() - from);
        let (line, caret) = shown(text, from..to, &(start..start + marked.len()));
        assert_eq!((line.as_str(), caret.as_str()), expected);
    }

    #[test]
    fn possible_secrets_are_hidden() {
        line("a = \"ghp_x\" # ghp_y", "a", ("a = \"…\" #…", "^"));
        line("a = ghp_x", "ghp_x", ("a = …", "    ^"));
        line("ghp_x", "ghp_x", ("…", "^"));
        line("a = \"ghp_x\nb = 1", "a", ("a = \"…", "^"));
        line("a = 'it''s'", "a", ("a = '…''…'", "^"));
        line("a = \"\"\"one\ntwo\"\"\"", "two", ("…\"\"\"", "^"));
        line(
            "a = { b = \"x\\\"y\" }",
            "b",
            ("a = { b = \"…\" }", "      ^"),
        );
        line(
            "a = [\"--key\", \"ghp_x\"]",
            "\"ghp_x\"",
            ("a = [\"…\", \"…\"]", "          ^^^"),
        );
    }

    #[test]
    fn other_words_are_shown() {
        line(
            "secert = \"secret:github/token\"",
            "secert",
            ("secert = \"secret:github/token\"", "^^^^^^"),
        );
        line(
            "[secrets.A_TOKEN]",
            "A_TOKEN",
            ("[secrets.A_TOKEN]", "         ^^^^^^^"),
        );
        line(
            "renew = \"overlapp\"",
            "\"overlapp\"",
            ("renew = \"overlapp\"", "        ^^^^^^^^^^"),
        );
        line("version = 2", "2", ("version = 2", "          ^"));
        line("\tx = true", "x", (" x = true", " ^"));
    }

    #[test]
    fn any_text_is_accepted() {
        for text in [
            "",
            "\"",
            "'''",
            "é = \"é",
            "a = '\u{1f600}",
            "[[[[",
            "\r\n\r\n",
            "#",
            "\"\\",
        ] {
            let server = ServerName::new("x").unwrap();
            let source = PolicySource {
                server: &server,
                shown: "x.toml",
                text,
            };
            for at in 0..=text.len() + 1 {
                assert!(
                    source.fault("x", at..at + 1).causes[0]
                        .fact
                        .starts_with("x.toml:")
                );
            }
        }
    }
}
