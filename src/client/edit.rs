//! Changes to a file: which bytes of an entry are replaced, and by what.
//!
//! Invariants: splices apply to the text as read, and only inside the entry; its style is kept
//! (separators, indentation, line ends). Removing a member removes the comments between it and its
//! neighbour, because people comment out old keys.

use std::ops::Range;

use super::document::Document;
use super::entry::{Program, ServerEntry};
use super::fields::name_of;
use super::tree::{FileFormat, Member, Node, PathStep, quoted};

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    pub range: Range<usize>,
    pub text: String,
}

/// What an entry starts after the change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The absolute path of mcpwrap.
    pub program: String,
    /// The words before the entry's own words: `run NAME --`.
    pub head: Vec<String>,
    /// For each word of the entry: keep, replace or drop it.
    pub words: Vec<NewWord>,
    /// The variables to remove from `env`.
    pub drop_env: Vec<String>,
}

/// The change of one word of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewWord {
    Keep,
    Replace(Vec<String>),
    Drop,
}

/// The splices that make the change, or why the entry's layout does not allow it.
pub fn splices(
    document: &Document,
    entry: &ServerEntry,
    change: &Change,
) -> Result<Vec<Splice>, &'static str> {
    let node = document.find(&entry.path).ok_or("no longer in the file")?;
    let mut splices = Vec::new();
    match &entry.program {
        Program::Text(path) => {
            let program = walk(node, path).ok_or("cannot read its `command`")?;
            splices.push(Splice {
                range: program.span.clone(),
                text: quoted(&change.program),
            });
            let mut head = change.head.clone();
            head.extend(new_texts(change.words.first(), entry.words.first()));
            let rest = change.words.get(1..).unwrap_or_default();
            match &entry.args {
                Some(path) => {
                    let args = walk(node, path).ok_or("cannot read its `args`")?;
                    list(document, args, &head, rest, &mut splices)?;
                }
                None => insert_args(document, node, path, &head, &mut splices)?,
            }
        }
        Program::Array(path) => {
            let array = walk(node, path).ok_or("cannot read its `command`")?;
            let mut head = vec![change.program.clone()];
            head.extend(change.head.iter().cloned());
            list(document, array, &head, &change.words, &mut splices)?;
        }
        Program::None => return Err("no program"),
    }
    if let Some(path) = entry
        .env_path
        .as_ref()
        .filter(|_| !change.drop_env.is_empty())
    {
        let parent = path
            .split_last()
            .and_then(|(_, head)| walk(node, head))
            .ok_or("cannot read its `env`")?;
        let env = path.last().and_then(|step| match step {
            PathStep::Key(key) => parent.member(key),
            PathStep::Index(_) => None,
        });
        drop_members(
            document,
            env.ok_or("cannot read its `env`")?,
            &change.drop_env,
            &mut splices,
        )?;
    }
    Ok(splices)
}

fn walk<'a>(node: &'a Node, path: &[PathStep]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, step| match step {
        PathStep::Key(key) => node.get(key),
        PathStep::Index(index) => node.list().get(*index),
    })
}

fn new_texts(change: Option<&NewWord>, word: Option<&super::entry::SpannedText>) -> Vec<String> {
    match change {
        Some(NewWord::Replace(texts)) => texts.clone(),
        Some(NewWord::Drop) => Vec::new(),
        Some(NewWord::Keep) | None => word.map(|word| word.text.clone()).into_iter().collect(),
    }
}

/// Inserts words before the elements of a list, and changes some of them.
fn list(
    document: &Document,
    list: &Node,
    head: &[String],
    changes: &[NewWord],
    splices: &mut Vec<Splice>,
) -> Result<(), &'static str> {
    let items = list.list();
    let Some(first) = items.first() else {
        let text = document.at(&list.span);
        if !text.starts_with('[') {
            return Err("its arguments are not a list");
        }
        let inner = head
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(", ");
        splices.push(Splice {
            range: list.span.clone(),
            text: format!("[{inner}]"),
        });
        return Ok(());
    };
    if items.len() != changes.len() || items.iter().any(|item| item.text().is_none()) {
        return Err("not all arguments are strings");
    }
    let separator = separator(document, list, items);
    let mut texts: Vec<String> = head.iter().map(|word| quoted(word)).collect();
    let own = |item: &Node, change: &NewWord| match change {
        NewWord::Keep => vec![document.at(&item.span).to_owned()],
        NewWord::Replace(words) => words.iter().map(|word| quoted(word)).collect(),
        NewWord::Drop => Vec::new(),
    };
    texts.extend(
        changes
            .first()
            .map(|change| own(first, change))
            .unwrap_or_default(),
    );
    splices.push(Splice {
        range: first.span.clone(),
        text: texts.join(&separator),
    });
    let mut end = first.span.end;
    for (item, change) in items.iter().zip(changes).skip(1) {
        match change {
            NewWord::Keep => {}
            NewWord::Replace(_) => splices.push(Splice {
                range: item.span.clone(),
                text: own(item, change).join(&separator),
            }),
            NewWord::Drop => splices.push(Splice {
                range: end..item.span.end,
                text: String::new(),
            }),
        }
        end = item.span.end;
    }
    Ok(())
}

/// The separator between two elements of this list.
fn separator(document: &Document, list: &Node, items: &[Node]) -> String {
    let flow = document.at(&list.span).starts_with('[');
    let between = match items {
        [a, b, ..] => document.at(&(a.span.end..b.span.start)),
        _ => "",
    };
    let plain = |text: &str| {
        text.chars()
            .all(|c| c.is_whitespace() || c == ',' || c == '-')
    };
    if !between.is_empty() && plain(between) {
        return between.to_owned();
    }
    let Some(first) = items.first() else {
        return ", ".to_owned();
    };
    if flow {
        let lead = document.at(&(list.span.start + 1..first.span.start));
        let lead = if plain(lead) && lead.contains('\n') {
            lead
        } else {
            " "
        };
        return format!(",{lead}");
    }
    let line = line_head(document, first.span.start);
    let indent: String = line
        .chars()
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let indent = indent
        .get(..indent.len().saturating_sub(2))
        .unwrap_or_default();
    format!("{}{indent}- ", newline(document))
}

/// Adds the member `args` after `command`, in the style of the file.
fn insert_args(
    document: &Document,
    node: &Node,
    program: &[PathStep],
    words: &[String],
    splices: &mut Vec<Splice>,
) -> Result<(), &'static str> {
    let (Some(PathStep::Key(key)), Some(parent)) = (
        program.last(),
        program.split_last().and_then(|(_, head)| walk(node, head)),
    ) else {
        return Err("cannot read its `command`");
    };
    if parent.get("args").is_some() {
        return Err("its `args` are not a list");
    }
    let member = parent
        .map()
        .iter()
        .find(|member| member.key == *key)
        .ok_or("cannot read its `command`")?;
    let list = words
        .iter()
        .map(|word| quoted(word))
        .collect::<Vec<_>>()
        .join(", ");
    let head = line_head(document, member.key_span.start);
    let own_line = head.chars().all(|c| c.is_whitespace() || c == '-');
    let newline = newline(document);
    let at = member.node.span.end;
    let text = match document.format {
        FileFormat::Json if own_line => format!(",{newline}{head}\"args\": [{list}]"),
        FileFormat::Json => format!(", \"args\": [{list}]"),
        FileFormat::Toml if is_inline(document, parent) => format!(", args = [{list}]"),
        FileFormat::Toml => format!("{newline}{head}args = [{list}]"),
        FileFormat::Yaml | FileFormat::FrontMatter
            if document.at(&parent.span).starts_with('{') =>
        {
            format!(", args: [{list}]")
        }
        FileFormat::Yaml | FileFormat::FrontMatter => {
            let indent: String = head
                .chars()
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            format!("{newline}{indent}args: [{list}]")
        }
    };
    splices.push(Splice {
        range: at..at,
        text,
    });
    Ok(())
}

/// Whether a map is written on one line, in braces.
pub(super) fn is_inline(document: &Document, map: &Node) -> bool {
    document.at(&map.span).starts_with('{')
}

/// Removes members of a map, or items of a list of named values. The map itself stays, even if
/// empty.
fn drop_members(
    document: &Document,
    owner: &Member,
    names: &[String],
    splices: &mut Vec<Splice>,
) -> Result<(), &'static str> {
    let is_list = !owner.node.list().is_empty();
    let text = document.at(&owner.node.span);
    if is_list && text.starts_with("[[") {
        return Err("cannot edit its `env`");
    }
    let members = owner.node.map().iter();
    let members = members.map(|one| {
        (
            names.contains(&one.key),
            one.key_span.start..one.node.span.end,
        )
    });
    let items = owner.node.list().iter();
    let items = items.map(|item| {
        let name = name_of(item);
        (
            name.is_some_and(|name| names.contains(&name)),
            item.span.clone(),
        )
    });
    let all: Vec<(bool, Range<usize>)> = members.chain(items).collect();
    if document.format == FileFormat::Toml && !is_list && !is_inline(document, &owner.node) {
        for (_, range) in all.iter().filter(|(dropped, _)| *dropped) {
            let start = range.start - line_head(document, range.start).len();
            let rest = document.text.get(range.end..).unwrap_or_default();
            let end = range.end + rest.find('\n').map_or(rest.len(), |n| n + 1);
            splices.push(Splice {
                range: start..end,
                text: String::new(),
            });
        }
        return Ok(());
    }
    if all.iter().all(|(dropped, _)| *dropped) {
        let yaml = matches!(document.format, FileFormat::Yaml | FileFormat::FrontMatter);
        let none = if is_list { "[]" } else { "{}" };
        splices.push(if yaml && !text.starts_with(['{', '[']) {
            Splice {
                range: owner.key_span.end..owner.node.span.end,
                text: format!(": {none}"),
            }
        } else {
            Splice {
                range: owner.node.span.clone(),
                text: none.to_owned(),
            }
        });
        return Ok(());
    }
    let mut kept = None;
    for (n, (dropped, own)) in all.iter().enumerate() {
        if !dropped {
            kept = Some(own.end);
            continue;
        }
        let next = all.get(n + 1).map_or(own.end, |(_, next)| next.start);
        let range = match kept {
            Some(before) => before..own.end,
            None => own.start..next,
        };
        if kept.is_some() {
            kept = Some(own.end);
        }
        splices.push(Splice {
            range,
            text: String::new(),
        });
    }
    Ok(())
}

/// The text of the line before a byte.
pub(super) fn line_head(document: &Document, at: usize) -> &str {
    let before = document.text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |n| n + 1);
    before
        .get(start..)
        .unwrap_or_default()
        .trim_start_matches('\u{feff}')
}

/// The line ends of a file.
pub(super) fn newline(document: &Document) -> &'static str {
    if document.text.contains("\r\n") {
        "\r\n"
    } else {
        "\n"
    }
}

/// The text with all splices applied. They must not overlap.
pub fn apply(text: &str, splices: &[Splice]) -> Option<String> {
    let mut sorted: Vec<&Splice> = splices.iter().collect();
    sorted.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let mut out = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for splice in sorted {
        out.push_str(text.get(at..splice.range.start)?);
        out.push_str(&splice.text);
        at = splice.range.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}
