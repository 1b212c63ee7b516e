//! A parsed client config.
//!
//! Invariants: the text is kept as read, and an edit is a list of splices into it, so bytes outside
//! the splices cannot change. A file that is invalid, repeats a key or is not UTF-8 is refused with
//! the line, and not treated as empty.

use std::ops::Range;

use super::tree::{FileFormat, Members, Node, PathStep, Refused, TreeValue, line_of};
use super::{json, skim, toml, yaml};

/// A file that was read and parsed.
#[derive(Debug)]
pub struct Document {
    pub format: FileFormat,
    pub text: String,
    pub root: Node,
}

/// The largest client config that is read (bytes).
const BYTES_MAX: u64 = 16 << 20;
/// The same for the file in which Claude Code keeps histories, which `skim` reads past.
const HISTORY_BYTES_MAX: u64 = 1 << 30;

/// The largest file with this name that is read (bytes).
pub fn bytes_max(name: &str) -> u64 {
    if name == ".claude.json" {
        HISTORY_BYTES_MAX
    } else {
        BYTES_MAX
    }
}

fn is_json(lower: &str) -> bool {
    let ends = [".json", ".jsonc", ".json5", ".code-workspace"];
    ends.iter().any(|end| lower.ends_with(end))
}

impl Document {
    /// Reads a file of a known format.
    pub fn read(format: FileFormat, bytes: Vec<u8>) -> Result<Self, Refused> {
        if bytes.starts_with(&[0xff, 0xfe])
            || bytes.starts_with(&[0xfe, 0xff])
            || memchr::memchr(0, &bytes).is_some()
        {
            return Err(Refused::Utf16);
        }
        let text = String::from_utf8(bytes).map_err(|_| Refused::NotUtf8)?;
        let skip = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let body = text.get(skip..).unwrap_or_default();
        let mut root = match format {
            FileFormat::Json if skim::is_large(body) => skim::parse(body)?,
            FileFormat::Json => json::parse(body)?,
            FileFormat::Toml => toml::parse(body)?,
            FileFormat::Yaml => yaml::parse(body)?,
            FileFormat::FrontMatter => front_matter(body)?,
        };
        if skip > 0 {
            root.shift(skip);
        }
        Ok(Self { format, text, root })
    }

    /// Reads a file whose format follows from its name, or else from its content.
    pub fn read_any(name: &str, bytes: Vec<u8>) -> Result<Self, Refused> {
        if bytes.len() as u64 > bytes_max(name) {
            return Err(Refused::TooLarge);
        }
        let lower = name.to_ascii_lowercase();
        let ends = |ends: &[&str]| ends.iter().any(|end| lower.ends_with(end));
        if ends(&[".toml"]) {
            return Self::read(FileFormat::Toml, bytes);
        }
        if ends(&[".yaml", ".yml"]) {
            return Self::read(FileFormat::Yaml, bytes);
        }
        if ends(&[".md", ".mdc", ".markdown"]) {
            return Self::read(FileFormat::FrontMatter, bytes);
        }
        if is_json(&lower) {
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

/// The YAML between the first line `---` and the next one. A file without it has no values.
fn front_matter(text: &str) -> Result<Node, Refused> {
    let empty = || Node {
        span: 0..0,
        value: TreeValue::Map(Members::default()),
    };
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.trim_end() != "---" {
        return Ok(empty());
    }
    let rest = text.get(first.len()..).unwrap_or_default();
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            let inner = rest.get(..end).unwrap_or_default();
            // Clients read descriptions that are no YAML; only servers matter here.
            if !inner.to_ascii_lowercase().contains("mcp") {
                return Ok(empty());
            }
            let mut root = yaml::parse(inner).map_err(|refused| refused.below(1))?;
            root.shift(first.len());
            return Ok(root);
        }
        end += line.len();
    }
    Ok(empty())
}
