//! The parts of a value that may be secret on their own: the password in a connection string, the
//! value after `--api-key=`, the token after `Bearer`, the strings of a JSON text.
//!
//! Returns spans of the text, so that a part can be cut out and restored byte for byte, and the
//! name of each part. `detect` judges them.

mod url;

use std::ops::Range;

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged as _;
use memchr::memmem;

use super::names::{Promise, promise};
use super::reference;

/// One part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValuePart {
    pub range: Range<usize>,
    /// Its name in the text: a flag, a key, a header; `password` in a URL.
    pub name: String,
    pub kind: PartContext,
}

/// The context of a part, as far as it matters for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartContext {
    /// After a name.
    Named,
    /// Before the `@` of a URL.
    Userinfo,
    /// A piece of a URL's path.
    Segment,
}

/// The parts of a text. Empty if the text is one value.
pub(super) fn parts(text: &str) -> Vec<ValuePart> {
    // Each kind of part follows one of these.
    if !text.bytes().any(|b| b"=: {[\"".contains(&b)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    collect(text, 0, &mut found, 0);
    found
}

/// The deepest nesting of values in values.
const DEPTH_MAX: u8 = 6;

fn collect(text: &str, at: usize, found: &mut Vec<ValuePart>, depth: u8) {
    if depth > DEPTH_MAX || reference::is_whole(text.trim()) {
        return;
    }
    let open = text.trim_start().as_bytes().first();
    if matches!(open, Some(b'{' | b'[')) && json(text, at, found, depth) {
        return;
    }
    if matches!(open, Some(b'"' | b'{' | b'[')) && quoted_json(text, at, found, depth) {
        return;
    }
    if let Some((name, range)) = reference::default_of(text) {
        named(name, text, range, at, found, depth);
        return;
    }
    if let Some(range) = url::oracle(text) {
        let range = at + range.start..at + range.end;
        found.push(ValuePart {
            range,
            name: "password".to_owned(),
            kind: PartContext::Userinfo,
        });
        return;
    }
    if let Some((name, range)) = scheme(text)
        .or_else(|| header(text))
        .or_else(|| assignment(text))
    {
        named(&name, text, range, at, found, depth);
        return;
    }
    if memmem::find(text.as_bytes(), b"://").is_some() {
        url::parts(text, at, found);
    } else if text.matches('=').count() >= 2 && text.contains([';', ' ', '&']) {
        pairs(text, 0, at, found);
    }
}

/// Adds a named part, or the parts inside it.
fn named(
    name: &str,
    text: &str,
    range: Range<usize>,
    at: usize,
    found: &mut Vec<ValuePart>,
    depth: u8,
) {
    let range = unquoted(text, range);
    let before = found.len();
    collect(
        text.get(range.clone()).unwrap_or_default(),
        at + range.start,
        found,
        depth + 1,
    );
    if found.len() == before {
        let range = at + range.start..at + range.end;
        found.push(ValuePart {
            range,
            name: name.to_owned(),
            kind: PartContext::Named,
        });
    }
}

fn unquoted(text: &str, range: Range<usize>) -> Range<usize> {
    let inner = text.get(range.clone()).unwrap_or_default();
    for quote in ['"', '\''] {
        if inner.len() >= 2 && inner.starts_with(quote) && inner.ends_with(quote) {
            return range.start + 1..range.end - 1;
        }
    }
    range
}

/// `Bearer X`, `Basic X`, `token X`: the word of an `Authorization` header.
fn scheme(text: &str) -> Option<(String, Range<usize>)> {
    const WORDS: &[&str] = &[
        "bearer ", "basic ", "token ", "apikey ", "api-key ", "bot ", "key ", "digest ",
    ];
    let head = text.get(..text.len().min(8))?;
    if !head.contains(' ') {
        return None;
    }
    let head = head.to_ascii_lowercase();
    let word = WORDS.iter().find(|word| head.starts_with(**word))?;
    let rest = text.get(word.len()..)?;
    let start = word.len() + (rest.len() - rest.trim_start().len());
    let end = text.trim_end().len();
    (start < end && !text.get(start..end)?.contains(char::is_whitespace))
        .then(|| ("authorization".to_owned(), start..end))
}

/// `X-Api-Key: value`, with or without the space.
fn header(text: &str) -> Option<(String, Range<usize>)> {
    let colon = text.find(':')?;
    let name = text.get(..colon)?;
    let rest = text.get(colon + 1..)?;
    let is_name = name.len() > 2
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let start = colon + 1 + (rest.len() - rest.trim_start().len());
    let end = text.trim_end().len();
    if !is_name || start >= end || rest.starts_with("//") {
        return None;
    }
    let known = matches!(promise(name), Promise::Token | Promise::Password)
        || name.to_ascii_lowercase().starts_with("x-");
    known.then(|| (name.to_owned(), start..end))
}

/// `NAME=value`, `--flag=value`, `--env.NAME=value`.
fn assignment(text: &str) -> Option<(String, Range<usize>)> {
    let equal = text.find('=')?;
    let name = text.get(..equal)?;
    let rest = text.get(equal + 1..)?;
    let plain = name.trim_start_matches('-');
    let is_name = plain
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && plain
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b));
    let upper = plain.len() > 2
        && plain
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && plain.contains('_');
    if !is_name {
        return None;
    }
    let means = name.starts_with('-')
        || upper
        || matches!(promise(plain), Promise::Token | Promise::Password);
    // `a=1;b=2` are pairs, and a quoted value may hold anything.
    let one = rest.starts_with(['"', '\'', '{'])
        || !(rest.contains(';') && rest.contains('='))
            && (name.starts_with('-')
                || !rest.contains(char::is_whitespace)
                || upper && !rest.contains('='));
    let some = !rest.is_empty() && !rest.starts_with('=');
    (means && one && some).then(|| (plain.to_owned(), equal + 1..text.len()))
}

/// `Server=…;Password=…`, `host=… password=…`, `a=1&b=2`.
fn pairs(text: &str, from: usize, at: usize, found: &mut Vec<ValuePart>) {
    let mut start = from;
    let rest = text.get(from..).unwrap_or_default();
    for pair in rest.split_inclusive([';', '&', ' ', '#', '?']) {
        let body = pair.trim_end_matches([';', '&', ' ', '#', '?']);
        if let Some((name, value)) = body.split_once('=')
            && !value.is_empty()
        {
            let range = unquoted(text, start + name.len() + 1..start + body.len());
            let range = at + range.start..at + range.end;
            let name = name.trim();
            // Here it is never the working directory.
            let name = if name.eq_ignore_ascii_case("pwd") {
                "password"
            } else {
                name
            };
            found.push(ValuePart {
                range,
                name: name.to_owned(),
                kind: PartContext::Named,
            });
        }
        start += pair.len();
    }
}

/// The strings of a JSON text, each under its key. False if it is not JSON.
fn json(text: &str, at: usize, found: &mut Vec<ValuePart>, depth: u8) -> bool {
    let Ok(parsed) = jsonc_parser::parse_to_ast(
        text,
        &jsonc_parser::CollectOptions::default(),
        &jsonc_parser::ParseOptions::default(),
    ) else {
        return false;
    };
    let Some(value) = parsed.value else {
        return false;
    };
    strings("", &value, text, at, found, depth);
    true
}

/// JSON that is quoted once more, with or without the outer quotes: `"{\"KEY\":\"value\"}"`.
fn quoted_json(text: &str, at: usize, found: &mut Vec<ValuePart>, depth: u8) -> bool {
    let head = text.len() - text.trim_start().len();
    let body = text.trim();
    let outer = body.len() > 1 && body.starts_with('"') && body.ends_with('"');
    let (head, body) = match body.get(1..body.len().saturating_sub(1)) {
        Some(inner) if outer => (head + 1, inner),
        _ => (head, body),
    };
    let Some((plain, places)) = unescaped(body) else {
        return false;
    };
    if !plain.trim_start().starts_with(['{', '[']) || plain == body && !outer {
        return false;
    }
    let mut inner = Vec::new();
    collect(&plain, 0, &mut inner, depth + 1);
    let place = |n: usize| places.get(n).map(|place| at + head + place);
    let before = found.len();
    found.extend(inner.into_iter().filter_map(|part| {
        let range = place(part.range.start)?..place(part.range.end)?;
        Some(ValuePart { range, ..part })
    }));
    found.len() > before
}

/// A text without its backslash escapes, and for each of its bytes, and its end, the place in the
/// escaped text. `None` if nothing is escaped or an escape is not one of JSON.
fn unescaped(text: &str) -> Option<(String, Vec<usize>)> {
    let mut plain = String::with_capacity(text.len());
    let mut places = Vec::with_capacity(text.len() + 1);
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        let letter = if letter == '\\' {
            match letters.next()?.1 {
                escaped @ ('"' | '\\' | '/') => escaped,
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                // Not needed for a name or a key.
                'b' | 'f' => ' ',
                'u' => {
                    let code = text.get(at + 2..at + 6)?;
                    letters.by_ref().take(4).count();
                    char::from_u32(u32::from_str_radix(code, 16).ok()?).unwrap_or(' ')
                }
                _ => return None,
            }
        } else {
            letter
        };
        plain.push(letter);
        places.extend(std::iter::repeat_n(at, letter.len_utf8()));
    }
    places.push(text.len());
    Some((plain, places))
}

fn strings(
    name: &str,
    value: &Value<'_>,
    text: &str,
    at: usize,
    found: &mut Vec<ValuePart>,
    depth: u8,
) {
    match value {
        Value::StringLit(_) => {
            let range = value.range();
            let inner = range.start + 1..range.end.max(range.start + 2) - 1;
            let own = text.get(inner.clone()).unwrap_or_default();
            // JSON in a string of JSON.
            let is_json = own.trim_start().starts_with(['{', '[']) && own.contains('\\');
            if !(is_json && depth < DEPTH_MAX && quoted_json(own, at + inner.start, found, depth)) {
                named(name, text, inner, at, found, depth);
            }
        }
        Value::Object(object) => {
            for property in &object.properties {
                strings(
                    property.name.as_str(),
                    &property.value,
                    text,
                    at,
                    found,
                    depth,
                );
            }
        }
        Value::Array(array) => {
            for element in &array.elements {
                strings(name, element, text, at, found, depth);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
