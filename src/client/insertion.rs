//! An entry that was inserted into a config, and how it is taken out again.
//!
//! Invariants: what was inserted is taken out byte for byte, although the file changed around it. An
//! entry that means something else now stays. The result is parsed again, and all others mean the same.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::document::Document;
use super::edit::{Splice, apply};
use super::entry::entries;
use super::regions::regions;
use super::tree::{FileFormat, Node, PathStep};

/// What was inserted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insertion {
    /// The path of the entry.
    pub path: Vec<PathStep>,
    /// How many of the steps lead to the outermost thing that was inserted: the entry, or a table
    /// around it.
    pub outer: usize,
    /// What was inserted before that, and after it.
    pub lead: String,
    pub tail: String,
    /// That, as it was written.
    pub body: String,
    /// Whether a comma was inserted after the member before it.
    pub comma: bool,
}

/// Why an entry is not taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StayReason {
    Gone,
    /// It means something else than what was written.
    Edited,
    Layout,
}

impl StayReason {
    /// The reason, for the user.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Gone => "not found in this file: already removed, or moved to another file",
            Self::Edited => "changed since it was added; remove it by hand",
            Self::Layout => "cannot edit the layout of this file safely; remove it by hand",
        }
    }
}

/// The bytes of a member with its key, of an item, or of a TOML table.
pub(super) fn span_of(document: &Document, path: &[PathStep]) -> Option<Range<usize>> {
    let (last, head) = path.split_last()?;
    let parent = document.find(head)?;
    let node = document.find(path)?;
    let is_block = document.format == FileFormat::Toml
        && !document.at(&parent.span).starts_with('{')
        && !document.at(&node.span).starts_with('{');
    if is_block {
        let pieces = regions(document, path);
        return match pieces.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        };
    }
    match last {
        PathStep::Key(key) => {
            let member = parent.member(key)?;
            Some(member.key_span.start..member.node.span.end)
        }
        PathStep::Index(_) => Some(node.span.clone()),
    }
}

/// The members or items of a node, as bytes.
pub(super) fn children(node: &Node) -> Vec<Range<usize>> {
    let members = node.map().iter();
    let members = members.map(|member| member.key_span.start..member.node.span.end);
    members
        .chain(node.list().iter().map(|item| item.span.clone()))
        .collect()
}

/// The first comma of a text that is in no comment.
pub(super) fn comma(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b',', _) => return Some(at),
            (b'/', Some(b'/')) | (b'#', _) => at += text.get(at..)?.find('\n')?,
            (b'/', Some(b'*')) => at += text.get(at..)?.find("*/")? + 2,
            _ => at += 1,
        }
    }
    None
}

impl Insertion {
    /// The text without the entry.
    ///
    /// # Errors
    /// Why it stays.
    pub fn undone(&self, document: &Document) -> Result<String, StayReason> {
        let path = self.found(document)?;
        if !self.is_as_written(document, &path) {
            return Err(StayReason::Edited);
        }
        let whole = path.get(..self.outer).unwrap_or_default();
        // A table around it that was inserted too goes with it, if nothing else is in it.
        let outermost = span_of(document, whole).filter(|_| holds_only(document, whole, &path));
        let (span, at) = if let Some(span) = outermost {
            (span, whole)
        } else {
            let span = span_of(document, &path).ok_or(StayReason::Layout)?;
            (span, path.as_slice())
        };
        let splices = self
            .splices(document, at, &span)
            .ok_or(StayReason::Layout)?;
        let text = apply(&document.text, &splices).ok_or(StayReason::Layout)?;
        let new = Document::read(document.format, text.into_bytes());
        let new = new.map_err(|_| StayReason::Layout)?;
        let all = |document: &Document| {
            let others = entries(document).into_iter();
            let others = others.map(|one| {
                let words: Vec<_> = one.words.into_iter().map(|word| word.text).collect();
                (one.name, words, one.url.map(|url| url.text))
            });
            others.collect::<Vec<_>>()
        };
        let mut expected = all(document);
        let own = entries(document).iter().position(|one| one.path == path);
        expected.remove(own.ok_or(StayReason::Gone)?);
        if all(&new) == expected {
            Ok(new.text)
        } else {
            Err(StayReason::Layout)
        }
    }

    /// The path of the entry now: of a list, the item with its name.
    fn found(&self, document: &Document) -> Result<Vec<PathStep>, StayReason> {
        let Some((PathStep::Index(_), head)) = self.path.split_last() else {
            let found = document.find(&self.path).map(|_| self.path.clone());
            return found.ok_or(StayReason::Gone);
        };
        let (written, at) = self.written(document.format).ok_or(StayReason::Layout)?;
        let name = |node: &Node| node.get("name").and_then(Node::text).map(str::to_owned);
        let own = written.find(&at).and_then(name);
        let items = document.find(head).map_or(&[][..], Node::list);
        let at = items.iter().position(|item| name(item) == own);
        let at = at.ok_or(StayReason::Gone)?;
        Ok(head.iter().cloned().chain([PathStep::Index(at)]).collect())
    }

    /// What was written, as a file of its own, and where the entry is in it.
    fn written(&self, format: FileFormat) -> Option<(Document, Vec<PathStep>)> {
        let is_yaml = matches!(format, FileFormat::Yaml | FileFormat::FrontMatter);
        let is_flow = format == FileFormat::Json
            || self.body.starts_with(['{', '"']) && !self.body.contains('\n');
        let is_item = matches!(self.path.get(self.outer - 1), Some(PathStep::Index(_)));
        let first = |step: &PathStep| match step {
            PathStep::Key(key) => PathStep::Key(key.clone()),
            PathStep::Index(_) => PathStep::Index(0),
        };
        let mut at: Vec<PathStep> = self.path.iter().skip(self.outer - 1).map(first).collect();
        let text = match (format, is_item) {
            (FileFormat::Toml, true) if is_flow => {
                at.insert(0, PathStep::Key("x".to_owned()));
                format!("x = [{}]", self.body)
            }
            (FileFormat::Toml, _) if self.body.starts_with('[') => {
                at = self.path.iter().map(first).collect();
                self.body.clone()
            }
            (FileFormat::Toml, _) => self.body.clone(),
            (_, true) if is_flow => format!("[{}]", self.body),
            (_, false) if is_flow => format!("{{{}}}", self.body),
            _ => {
                let line = self.lead.rsplit('\n').next().unwrap_or_default();
                format!("{line}{}", self.body)
            }
        };
        let format = if is_yaml { FileFormat::Yaml } else { format };
        let document = Document::read(format, text.into_bytes()).ok()?;
        Some((document, at))
    }

    /// Whether the entry means what was written.
    fn is_as_written(&self, document: &Document, path: &[PathStep]) -> bool {
        let Some((written, at)) = self.written(document.format) else {
            return false;
        };
        let pair = document.find(path).zip(written.find(&at));
        pair.is_some_and(|(now, then)| now.same(&document.text, then, &written.text))
    }

    fn splices(
        &self,
        document: &Document,
        path: &[PathStep],
        span: &Range<usize>,
    ) -> Option<Vec<Splice>> {
        let cut = |range: Range<usize>| Splice {
            range,
            text: String::new(),
        };
        let text = &document.text;
        let (before, after) = (text.get(..span.start)?, text.get(span.end..)?);
        let (_, head) = path.split_last()?;
        let parent = document.find(head)?;
        let is_flow = document.format == FileFormat::Json
            || document.at(&parent.span).starts_with(['{', '['])
                && !document.at(&parent.span).starts_with("[[")
                && !document.at(span).starts_with('[');
        if !is_flow {
            return Some(vec![cut(self.lines(before, after, span))]);
        }
        let all = children(parent);
        let own = all.iter().position(|child| child.start == span.start)?;
        let start = span.start - self.blank(before);
        let close = all
            .get(own + 1)
            .map_or(parent.span.end - 1, |next| next.start);
        let rest = text.get(span.end..close)?;
        if let Some(at) = comma(rest) {
            // The comma goes, and what stands between stays.
            let at = span.end + at;
            return Some(vec![cut(start..span.end), cut(at..at + 1)]);
        }
        let mut end = span.end;
        if after.starts_with(&self.tail) {
            end += self.tail.len();
        }
        let mut splices = vec![cut(start..end)];
        if let Some(previous) = own.checked_sub(1).and_then(|own| all.get(own)) {
            let at = comma(text.get(previous.end..start)?)?;
            splices.push(cut(previous.end + at..previous.end + at + 1));
        }
        Some(splices)
    }

    /// How many bytes of white space before it belong to it.
    fn blank(&self, before: &str) -> usize {
        if before.ends_with(&self.lead) {
            return self.lead.len();
        }
        before.len() - before.trim_end().len()
    }

    /// Whole lines.
    fn lines(&self, before: &str, after: &str, span: &Range<usize>) -> Range<usize> {
        if before.ends_with(&self.lead) && after.starts_with(&self.tail) {
            return span.start - self.lead.len()..span.end + self.tail.len();
        }
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = after.find('\n').map_or(after.len(), |at| at + 1);
        start..span.end + end
    }
}

/// Whether a table holds nothing but what leads to the entry.
fn holds_only(document: &Document, whole: &[PathStep], path: &[PathStep]) -> bool {
    (whole.len()..path.len()).all(|depth| {
        let node = path.get(..depth).and_then(|path| document.find(path));
        node.is_some_and(|node| children(node).len() == 1)
    })
}
