//! Inserts a new entry into a config, in the style of the file.
//!
//! Invariants: no byte that was there changes; the new text is parsed again, the entry in it runs
//! mcpwrap, and taking it out gives the old bytes.

use super::document::Document;
use super::edit::{Splice, apply, line_head, newline};
use super::entry::entries;
use super::entry_text::{NewEntry, json_body, json_inline, toml_body, toml_inline, yaml_body};
use super::form::EntryHome;
use super::insertion::{Insertion, children, comma, span_of};
use super::tree::{FileFormat, Node, PathStep};

/// The text with the entry, and what was inserted.
///
/// # Errors
/// Why the file does not allow it.
pub fn insert(
    document: &Document,
    home: &EntryHome,
    entry: NewEntry<'_>,
) -> Result<(String, Insertion), &'static str> {
    let target = InsertTarget::new(document, home, entry)?;
    let (lead, body, tail, at, comma) = match document.format {
        FileFormat::FrontMatter => return Err("an entry in Markdown is written by hand"),
        FileFormat::Toml if !target.is_flow() => target.toml(),
        FileFormat::Yaml if !target.is_flow() => target.yaml()?,
        _ => target.flow()?,
    };
    let mut splices = Vec::new();
    if let Some(comma) = comma {
        splices.push(Splice {
            range: comma..comma,
            text: ",".to_owned(),
        });
    }
    splices.push(Splice {
        range: at..at,
        text: format!("{lead}{body}{tail}"),
    });
    let text = apply(&document.text, &splices).ok_or(LAYOUT)?;
    let insertion = Insertion {
        path: target.path(),
        outer: target.depth + 1,
        lead,
        tail,
        body,
        comma: comma.is_some(),
    };
    prove(document, &text, &insertion, entry)?;
    Ok((text, insertion))
}

/// What a new file of this format holds before the entry is inserted.
pub const fn empty_text(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Json => "{}\n",
        FileFormat::Toml | FileFormat::Yaml | FileFormat::FrontMatter => "",
    }
}

const LAYOUT: &str = "cannot edit the layout of this file safely";

/// Parses the new text and takes the entry out of it again.
fn prove(
    document: &Document,
    text: &str,
    insertion: &Insertion,
    entry: NewEntry<'_>,
) -> Result<(), &'static str> {
    let new = Document::read(document.format, text.as_bytes().to_vec()).map_err(|_| LAYOUT)?;
    let whole = insertion.path.get(..insertion.outer).unwrap_or_default();
    let span = span_of(&new, whole).ok_or(LAYOUT)?;
    let server = entry.arguments.get(1).cloned();
    let mut all = entries(&new).into_iter();
    let runs = all.any(|one| one.path == insertion.path && one.wrapped == server);
    let back = insertion.undone(&new);
    if new.at(&span) == insertion.body && runs && back.as_deref() == Ok(document.text.as_str()) {
        Ok(())
    } else {
        Err(LAYOUT)
    }
}

/// Before it, itself, after it, where, and where a comma goes.
type InsertParts = (String, String, String, usize, Option<usize>);

/// Where in a file the entry goes.
struct InsertTarget<'a> {
    document: &'a Document,
    home: &'a EntryHome,
    entry: NewEntry<'a>,
    /// The deepest table on the way that exists.
    node: &'a Node,
    /// How many of the keys lead to it.
    depth: usize,
}

impl<'a> InsertTarget<'a> {
    fn new(
        document: &'a Document,
        home: &'a EntryHome,
        entry: NewEntry<'a>,
    ) -> Result<Self, &'static str> {
        let mut node = &document.root;
        let mut depth = 0;
        for key in home.keys {
            let Some(next) = node.get(key) else { break };
            let is_last = depth + 1 == home.keys.len();
            let is_empty = document.at(&next.span).trim().is_empty()
                || matches!(document.at(&next.span), "null" | "~");
            let is_right = if is_last && home.form.is_listed() {
                !next.is_map() && (next.text().is_none())
            } else {
                next.is_map()
            };
            let may_fill = is_empty && document.format == FileFormat::Yaml;
            if !(is_right || may_fill) {
                return Err("its servers are not in the form that the client documents");
            }
            node = next;
            depth += 1;
        }
        Ok(Self {
            document,
            home,
            entry,
            node,
            depth,
        })
    }

    /// The keys of the tables that are missing.
    fn missing(&self) -> &'static [&'static str] {
        self.home.keys.get(self.depth..).unwrap_or_default()
    }

    fn path(&self) -> Vec<PathStep> {
        let keys = self.home.keys.iter();
        let mut path: Vec<_> = keys.map(|key| PathStep::Key((*key).to_owned())).collect();
        path.push(if self.home.form.is_listed() {
            let is_there = self.missing().is_empty();
            PathStep::Index(if is_there { self.node.list().len() } else { 0 })
        } else {
            PathStep::Key(self.entry.name.to_owned())
        });
        path
    }

    /// Whether the table is in braces, or the list in brackets.
    fn is_flow(&self) -> bool {
        let text = self.document.at(&self.node.span);
        self.document.format == FileFormat::Json
            || self.depth > 0 && text.starts_with('{')
            || self.depth > 0
                && text.starts_with('[')
                && !text.starts_with("[[")
                && !self.node.is_map()
            || self.document.format == FileFormat::Yaml && text.starts_with('{')
    }

    fn toml(&self) -> InsertParts {
        let text = &self.document.text;
        let newline = newline(self.document);
        let lead = match text.trim_end_matches(['\r', '\n']).len() {
            0 => String::new(),
            end => {
                let breaks = text.get(end..).unwrap_or_default().matches('\n').count();
                newline.repeat(2_usize.saturating_sub(breaks))
            }
        };
        let body = toml_body(self.home, self.entry).replace('\n', newline);
        (lead, body, newline.to_owned(), text.len(), None)
    }

    fn yaml(&self) -> Result<InsertParts, &'static str> {
        let text = &self.document.text;
        let newline = newline(self.document);
        let end_of_line = |at: usize| {
            let rest = text.get(at..).unwrap_or_default();
            let line = rest.split('\n').next().unwrap_or_default();
            at + line.trim_end_matches('\r').len()
        };
        let listed = self.home.form.is_listed() && self.missing().is_empty();
        let all = children(self.node);
        let (indent, at) = if let Some(last) = all.last() {
            let line = line_head(self.document, last.start);
            let indent: String = line.chars().take_while(|c| *c == ' ').collect();
            let is_plain = line.trim_start() == if listed { "- " } else { "" };
            if !is_plain {
                return Err(LAYOUT);
            }
            let end = text.get(..last.end).unwrap_or_default().trim_end().len();
            (indent, end_of_line(end))
        } else if self.depth == 0 {
            (String::new(), text.len())
        } else {
            // A key without a value.
            let head = self
                .home
                .keys
                .get(self.depth - 1)
                .copied()
                .unwrap_or_default();
            let mut above = &self.document.root;
            for key in self.home.keys.get(..self.depth - 1).unwrap_or_default() {
                above = above.get(key).ok_or(LAYOUT)?;
            }
            let member = above.member(head);
            let key = member.ok_or(LAYOUT)?.key_span.clone();
            let line = line_head(self.document, key.start);
            if !line.trim().is_empty() || self.document.at(&self.node.span).len() > 1 {
                return Err(LAYOUT);
            }
            (format!("{line}  "), end_of_line(key.end))
        };
        let dash = if listed { "- " } else { "" };
        let lead = match (self.depth, text.trim().is_empty()) {
            (0, true) => String::new(),
            (0, false) if at == text.len() && text.ends_with('\n') => String::new(),
            _ => format!("{newline}{indent}{dash}"),
        };
        let inner = if listed {
            format!("{indent}  ")
        } else {
            indent
        };
        let body = yaml_body(self.missing(), self.home.form, self.entry, &inner, "  ");
        let tail = if at == text.len() { newline } else { "" };
        Ok((lead, body.replace('\n', newline), tail.to_owned(), at, None))
    }

    fn flow(&self) -> Result<InsertParts, &'static str> {
        let document = self.document;
        let node = self.node;
        let text = document.at(&node.span);
        let open = node.span.start + 1;
        let close = node.span.end.checked_sub(1).ok_or(LAYOUT)?;
        if !text.starts_with(['{', '[']) || close < open {
            return Err(LAYOUT);
        }
        let newline = newline(document);
        let unit = unit(document);
        let is_json = document.format == FileFormat::Json;
        let all = children(node);
        let is_line = |at: usize| line_head(document, at).chars().all(char::is_whitespace);
        let Some(last) = all.last() else {
            // The span of an empty YAML table may go on to the end of a comment.
            let bracket = text.find(['}', ']']).ok_or(LAYOUT)?;
            let close = node.span.start + bracket;
            let inner = document.text.get(open..close).unwrap_or_default();
            let at = open + inner.trim_end().len();
            if !is_json || is_one_line(document) {
                return Ok((String::new(), self.body(None), String::new(), at, None));
            }
            let line = line_head(document, node.span.start);
            let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
            let own = format!("{indent}{unit}");
            let is_open = document
                .text
                .get(at..close)
                .unwrap_or_default()
                .contains('\n');
            let tail = if is_open {
                String::new()
            } else {
                format!("{newline}{indent}")
            };
            let body = self.body(Some((&own, &unit, newline)));
            return Ok((format!("{newline}{own}"), body, tail, at, None));
        };
        let rest = document.text.get(last.end..close).unwrap_or_default();
        let trailing = comma(rest).is_some();
        let used = rest.trim_end();
        let at = last.end + used.len();
        let ends_in_comment = used.rsplit('\n').next().unwrap_or_default().contains("//");
        let (lead, body) = if is_json && is_line(last.start) {
            let own = line_head(document, last.start).to_owned();
            let body = self.body(Some((&own, &unit, newline)));
            (format!("{newline}{own}"), body)
        } else {
            let is_tight = match all.as_slice() {
                [.., before, last] => last.start - before.end < 2,
                _ => is_json && is_one_line(document) && !document.text.contains(": "),
            };
            let lead = match (ends_in_comment, is_tight) {
                (true, _) => newline,
                (false, true) => "",
                (false, false) => " ",
            };
            (lead.to_owned(), self.body(None))
        };
        let tail = if trailing { "," } else { "" };
        let comma = (!trailing).then_some(last.end);
        Ok((lead, body, tail.to_owned(), at, comma))
    }

    /// In braces; on lines of its own with this indentation, unit and line end.
    fn body(&self, lines: Option<(&str, &str, &str)>) -> String {
        let (missing, form, entry) = (self.missing(), self.home.form, self.entry);
        if self.document.format == FileFormat::Toml {
            return toml_inline(missing, form, entry);
        }
        match lines {
            Some(lines) => json_body(missing, form, entry, lines),
            None => json_inline(missing, form, entry),
        }
    }
}

/// Whether a JSON file that is not empty has no line end in its value.
fn is_one_line(document: &Document) -> bool {
    let root = &document.root;
    !children(root).is_empty() && !document.at(&root.span).contains('\n')
}

/// One step of indentation.
fn unit(document: &Document) -> String {
    let first = children(&document.root).into_iter().next();
    let line = first.map_or("", |first| line_head(document, first.start));
    let is_indent = !line.is_empty() && line.chars().all(char::is_whitespace);
    if is_indent { line } else { "  " }.to_owned()
}
