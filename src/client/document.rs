//! A parsed client config.
//!
//! Invariants: the text is kept as read, and an edit is a list of splices into it, so bytes outside
//! the splices cannot change. A file that is invalid, repeats a key or is not UTF-8 is refused with
//! the line, and not treated as empty.

use std::ops::Range;

use super::tree::{FileFormat, Node, PathStep, Refused, line_of};
use super::{json, toml, yaml};

/// A file that was read and parsed.
#[derive(Debug)]
pub struct Document {
    pub format: FileFormat,
    pub text: String,
    pub root: Node,
}

/// The largest client config that is read (bytes).
const BYTES_MAX: usize = 16 << 20;

impl Document {
    /// Reads a file of a known format.
    pub fn read(format: FileFormat, bytes: Vec<u8>) -> Result<Self, Refused> {
        if bytes.starts_with(&[0xff, 0xfe])
            || bytes.starts_with(&[0xfe, 0xff])
            || bytes.contains(&0)
        {
            return Err(Refused::Utf16);
        }
        if bytes.len() > BYTES_MAX {
            return Err(Refused::TooLarge);
        }
        let text = String::from_utf8(bytes).map_err(|_| Refused::NotUtf8)?;
        let skip = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let body = text.get(skip..).unwrap_or_default();
        let mut root = match format {
            FileFormat::Json => json::parse(body)?,
            FileFormat::Toml => toml::parse(body)?,
            FileFormat::Yaml => yaml::parse(body)?,
        };
        if skip > 0 {
            root.shift(skip);
        }
        Ok(Self { format, text, root })
    }

    /// Reads a file whose format follows from its name, or else from its content.
    pub fn read_any(name: &str, bytes: Vec<u8>) -> Result<Self, Refused> {
        let lower = name.to_ascii_lowercase();
        let ends = |ends: &[&str]| ends.iter().any(|end| lower.ends_with(end));
        if ends(&[".toml"]) {
            return Self::read(FileFormat::Toml, bytes);
        }
        if ends(&[".yaml", ".yml"]) {
            return Self::read(FileFormat::Yaml, bytes);
        }
        if ends(&[".json", ".jsonc", ".json5", ".code-workspace"]) {
            return Self::read(FileFormat::Json, bytes);
        }
        let first = bytes
            .iter()
            .find(|b| !b.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(b));
        if matches!(first, Some(b'{' | b'/')) {
            return Self::read(FileFormat::Json, bytes);
        }
        Self::read(FileFormat::Toml, bytes.clone()).or_else(|_| Self::read(FileFormat::Yaml, bytes))
    }

    /// The text of a span.
    pub fn at(&self, span: &Range<usize>) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The value at the end of a path.
    pub fn find(&self, path: &[PathStep]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, step| match step {
            PathStep::Key(key) => node.get(key),
            PathStep::Index(index) => node.list().get(*index),
        })
    }

    /// The line number of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        line_of(&self.text, at)
    }
}
