//! The values of a client config with their spans, and why a file is refused.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

/// From so many members on they are found by their order. Files of thousands of servers exist, and each step of a
/// change looks them up again.
const SORTED_MIN: usize = 16;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// JSON, with comments and trailing commas.
    Json,
    Toml,
    Yaml,
    /// YAML at the start of a Markdown file, as agents are described.
    FrontMatter,
}

/// A value and its span.
#[derive(Clone, Debug)]
pub struct Node {
    pub span: Range<usize>,
    pub value: TreeValue,
}

#[derive(Clone, Debug)]
pub enum TreeValue {
    Text(String),
    /// A number, a boolean, null, a date.
    Other,
    List(Vec<Node>),
    Map(Members),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Member {
    pub key: String,
    /// The span of the key itself (in a dotted key, of the last name).
    pub key_span: Range<usize>,
    pub node: Node,
}

/// The members of a map, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Members {
    all: Vec<Member>,
    /// The positions in the order of the keys; empty if there are few.
    by_key: Vec<usize>,
}

/// One step from the root of a file to a value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum PathStep {
    Key(String),
    Index(usize),
}

/// Why a file is not read for its size.
pub const TOO_LARGE: &str = "larger than 16 MiB (`.claude.json`: 1 GiB)";

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Starts with the byte order mark of UTF-16, or has NUL bytes.
    Utf16,
    NotUtf8,
    TooLarge,
    /// Not valid. Lines count from 1. The parser's message is dropped, because it may repeat the
    /// text.
    Broken {
        format: FileFormat,
        line: usize,
    },
    /// Single quotes, keys without quotes and the like: only some clients read them.
    Json5 {
        line: usize,
    },
    /// An anchor, an alias or a second document: a change in one place would change others.
    Shared {
        line: usize,
    },
    /// A repeated key; programs differ in which one they use.
    Duplicate {
        line: usize,
    },
}

impl Refused {
    /// The line of the problem, from 1.
    pub const fn line(&self) -> Option<usize> {
        match self {
            Self::Utf16 | Self::NotUtf8 | Self::TooLarge => None,
            Self::Broken { line, .. }
            | Self::Json5 { line }
            | Self::Shared { line }
            | Self::Duplicate { line } => Some(*line),
        }
    }
}

impl Refused {
    /// The same, in a text that has more lines before it.
    #[must_use]
    pub fn below(mut self, lines: usize) -> Self {
        match &mut self {
            Self::Utf16 | Self::NotUtf8 | Self::TooLarge => {}
            Self::Broken { line, .. }
            | Self::Json5 { line }
            | Self::Shared { line }
            | Self::Duplicate { line } => *line += lines,
        }
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf16 => f.write_str("UTF-16, but clients read UTF-8"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::TooLarge => f.write_str(TOO_LARGE),
            Self::Broken { format, line } => write!(f, "not valid {format}: line {line}"),
            Self::Json5 { line } => {
                write!(
                    f,
                    "JSON5, which mcpwrap does not edit: line {line}; use JSON, which the client reads too"
                )
            }
            Self::Shared { line } => {
                write!(
                    f,
                    "line {line} has an anchor, alias or second document, which mcpwrap does not edit"
                )
            }
            Self::Duplicate { line } => {
                write!(
                    f,
                    "line {line} repeats a key, and programs differ in which one they use"
                )
            }
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Toml => "TOML",
            Self::Yaml | Self::FrontMatter => "YAML",
        })
    }
}

impl Node {
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            TreeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn list(&self) -> &[Self] {
        match &self.value {
            TreeValue::List(list) => list,
            _ => &[],
        }
    }

    pub fn map(&self) -> &[Member] {
        match &self.value {
            TreeValue::Map(map) => map.as_slice(),
            _ => &[],
        }
    }

    pub fn is_map(&self) -> bool {
        matches!(self.value, TreeValue::Map(_))
    }

    pub fn get(&self, key: &str) -> Option<&Self> {
        self.member(key).map(|member| &member.node)
    }

    /// The first member with this key.
    pub fn member(&self, key: &str) -> Option<&Member> {
        match &self.value {
            TreeValue::Map(map) => map.find(key),
            _ => None,
        }
    }

    /// Whether two values mean the same, in any spelling.
    pub fn same(&self, text: &str, other: &Self, other_text: &str) -> bool {
        match (&self.value, &other.value) {
            (TreeValue::Text(a), TreeValue::Text(b)) => a == b,
            (TreeValue::List(a), TreeValue::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(text, b, other_text))
            }
            (TreeValue::Map(members), TreeValue::Map(others)) => {
                members.as_slice().len() == others.as_slice().len()
                    && members.as_slice().iter().all(|member| {
                        let twin = others.find(&member.key);
                        twin.is_some_and(|twin| member.node.same(text, &twin.node, other_text))
                    })
            }
            (TreeValue::Other, TreeValue::Other) => {
                text.get(self.span.clone()) == other_text.get(other.span.clone())
            }
            _ => false,
        }
    }

    /// Moves all spans by a number of bytes, for a text after a byte order mark.
    pub fn shift(&mut self, by: usize) {
        self.span = self.span.start + by..self.span.end + by;
        match &mut self.value {
            TreeValue::List(list) => list.iter_mut().for_each(|node| node.shift(by)),
            TreeValue::Map(map) => map.for_each_mut(|key, node| {
                *key = key.start + by..key.end + by;
                node.shift(by);
            }),
            TreeValue::Text(_) | TreeValue::Other => {}
        }
    }
}

impl Members {
    pub fn as_slice(&self) -> &[Member] {
        &self.all
    }

    /// The first member with this key.
    pub fn find(&self, key: &str) -> Option<&Member> {
        if self.by_key.is_empty() {
            return self.all.iter().find(|member| member.key == key);
        }
        let before = |at: &usize| self.compare(*at, key) == Ordering::Less;
        let at = self.by_key.get(self.by_key.partition_point(before))?;
        self.all.get(*at).filter(|member| member.key == key)
    }

    fn compare(&self, at: usize, key: &str) -> Ordering {
        let member = self.all.get(at);
        member.map_or(Ordering::Greater, |member| member.key.as_str().cmp(key))
    }

    /// Changes the values. Keys stay.
    pub fn for_each_mut(&mut self, mut change: impl FnMut(&mut Range<usize>, &mut Node)) {
        for member in &mut self.all {
            change(&mut member.key_span, &mut member.node);
        }
    }
}

impl From<Vec<Member>> for Members {
    fn from(all: Vec<Member>) -> Self {
        let mut by_key = Vec::new();
        if all.len() >= SORTED_MIN {
            by_key.extend(0..all.len());
            // Stable: of two members with one key the first one is found.
            by_key.sort_by(|a, b| all.get(*a).map(key).cmp(&all.get(*b).map(key)));
        }
        Self { all, by_key }
    }
}

fn key(member: &Member) -> &str {
    &member.key
}

/// The line number of a byte, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    let before = text
        .as_bytes()
        .get(..at.min(text.len()))
        .unwrap_or_default();
    1 + memchr::memchr_iter(b'\n', before).count()
}

/// A text as a string literal, which is the same in all three formats.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text as written between the quotes of a string literal.
pub fn escaped(text: &str) -> String {
    let literal = quoted(text);
    literal
        .get(1..literal.len() - 1)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_members_are_found_like_few() {
        for count in [0, 3, SORTED_MIN, 500] {
            let member = |n: usize| Member {
                // Not in order, and each key twice.
                key: format!("k{}", (n * 7) % (count / 2).max(1)),
                key_span: n..n,
                node: Node {
                    span: n..n,
                    value: TreeValue::Other,
                },
            };
            let members = Members::from((0..count).map(member).collect::<Vec<_>>());
            assert_eq!(members.by_key.is_empty(), count < SORTED_MIN);
            for one in members.as_slice() {
                let first = members.as_slice().iter().find(|other| other.key == one.key);
                let found = members.find(&one.key).map(|found| &found.key_span);
                assert_eq!(found, first.map(|first| &first.key_span));
            }
            assert!(members.find("").is_none() && members.find("z").is_none());
        }
    }
}
