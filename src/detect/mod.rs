//! Whether a value is a secret, a placeholder, a reference, or none of these.
//!
//! Pure and driven by tables: known token formats (`shapes`), what a name promises (`names`), text
//! that people write until they have a value (`placeholder`), text that a client expands
//! (`reference`), and randomness (`random`). The answer has spans of the value, so that only the
//! secret part of a connection string or a flag is replaced. No value is kept.

mod entry;
mod encoded;
mod filler_words;
mod inside;
mod line;
pub mod names;
mod password;
mod placeholder;
mod positional;
mod random;
mod reference;
mod shapes;
mod store_reference;
mod unprefixed;
mod words;

use std::ops::Range;

use names::{Promise, promise};

pub use entry::{FirstLook, Judged, entry};
pub use store_reference::store_of;

/// The field of a value in an entry, and its name.
#[derive(Clone, Copy, Debug)]
pub enum ValueSite<'a> {
    Command,
    Argument,
    Env(&'a str),
    Header(&'a str),
    Url,
    /// A field that a client passes on in its own way (Zed's `settings`, `auth`).
    Setting(&'a str),
}

/// The verdict about a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its secret parts, from left to right.
    Secret(Vec<SecretPart>),
    Placeholder,
    Reference,
    Nothing,
}

/// A secret part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretPart {
    pub range: Range<usize>,
    /// Its name (a flag, a key, a header); may be empty.
    pub name: String,
    /// How it was recognized, for the user.
    pub why: &'static str,
}

impl SecretPart {
    /// The part in a text where its own begins at this place.
    fn moved(self, start: usize) -> Self {
        Self {
            range: self.range.start + start..self.range.end + start,
            ..self
        }
    }
}

impl Verdict {
    /// The secret parts, if it is a secret.
    pub fn secrets(&self) -> &[SecretPart] {
        match self {
            Self::Secret(parts) => parts,
            _ => &[],
        }
    }
}

/// The tokens of a known format in any text.
pub fn known_tokens(text: &str) -> Vec<&str> {
    let spans = known_spans(text).into_iter();
    spans.filter_map(|(range, _)| text.get(range)).collect()
}

/// Their spans, and the name of each format.
pub fn known_spans(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let known = shapes::find(text)
        .into_iter()
        .map(|known| (known.range, known.name));
    known
        .filter(|(range, _)| {
            let token = text.get(range.clone()).unwrap_or_default();
            !placeholder::is_placeholder(token)
        })
        .collect()
}

/// What the provider of a token puts before every one.
pub fn known_prefix(token: &str) -> Option<&'static str> {
    shapes::prefix(token)
}

/// Judges one value.
pub fn value(slot: ValueSite<'_>, text: &str) -> Verdict {
    match slot {
        ValueSite::Setting(name) if names::is_prose(name) => tokens_only(name, text),
        ValueSite::Env(name) | ValueSite::Header(name) | ValueSite::Setting(name) => {
            whole(name, text)
        }
        ValueSite::Url => whole("", text),
        ValueSite::Command | ValueSite::Argument => {
            arguments(&[text]).pop().unwrap_or(Verdict::Nothing)
        }
    }
}

/// Judges a text for people: only tokens of a known format count.
fn tokens_only(name: &str, text: &str) -> Verdict {
    let known = known_spans(text).into_iter();
    let found: Vec<_> = known.map(|(range, why)| part(range, name, why)).collect();
    if found.is_empty() {
        Verdict::Nothing
    } else {
        Verdict::Secret(found)
    }
}

/// Judges the arguments of a command, each with the flag before it. The command itself may come
/// first: the meaning of some flags depends on the program.
pub fn arguments<S: AsRef<str>>(arguments: &[S]) -> Vec<Verdict> {
    let all: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    let database = all.iter().any(|text| password::is_database(text));
    let mut verdicts = Vec::with_capacity(all.len());
    for (n, text) in all.iter().enumerate() {
        let before = n
            .checked_sub(1)
            .and_then(|n| all.get(n))
            .copied()
            .unwrap_or_default();
        verdicts.push(argument(before, text, database));
    }
    verdicts
}

fn argument(before: &str, text: &str, database: bool) -> Verdict {
    if database && let Some(range) = password::joined(text) {
        return Verdict::Secret(vec![part(range, "password", "password after `-p`")]);
    }
    if let Some(verdict) = line::variable(before, text) {
        return verdict;
    }
    let flag = before.starts_with('-') && !before.contains('=') && !text.starts_with('-');
    let name = if database && matches!(before, "-p" | "--pass") {
        "password"
    } else {
        before
    };
    let name = if flag {
        name.trim_start_matches('-')
    } else {
        ""
    };
    let verdict = whole(name, text);
    let is_line = text.contains(' ') && !text.trim_start().starts_with(['{', '[']);
    if is_line {
        return either(verdict, line::judged(text));
    }
    verdict
}

/// The parts of both, or else the stronger verdict.
fn either(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (Verdict::Secret(mut parts), Verdict::Secret(more)) => {
            let overlaps = |one: &SecretPart, all: &[SecretPart]| {
                let range = &one.range;
                all.iter()
                    .any(|part| part.range.start < range.end && range.start < part.range.end)
            };
            for one in more {
                if !overlaps(&one, &parts) {
                    parts.push(one);
                }
            }
            parts.sort_by_key(|part| part.range.start);
            Verdict::Secret(parts)
        }
        (a, b) => stronger(a, b),
    }
}

fn part(range: Range<usize>, name: &str, why: &'static str) -> SecretPart {
    SecretPart {
        range,
        name: name.to_owned(),
        why,
    }
}

/// Judges a value by its parts, its name and its content.
fn whole(name: &str, text: &str) -> Verdict {
    if text.trim().is_empty() {
        return Verdict::Nothing;
    }
    let parts = inside::parts(text);
    let found = secrets(name, text, &parts);
    if !found.is_empty() {
        return Verdict::Secret(found);
    }
    if reference::holds(text) {
        return Verdict::Reference;
    }
    let best = best_of(name, text, &parts);
    if parts.is_empty() || (best == Verdict::Nothing && !is_structured(text, &parts)) {
        return stronger(best, harmless(promise(name), text));
    }
    best
}

/// Whether a value of at least `LENGTH_MIN` bytes has a secret part. The answer equals that of
/// `whole` and is much faster for most values, which have none.
fn has_secret(name: &str, text: &str) -> bool {
    !secrets(name, text, &inside::parts(text)).is_empty()
}

/// The length of the shortest secret (bytes).
const LENGTH_MIN: usize = 4;

/// The secret parts of a value, from left to right.
fn secrets(name: &str, text: &str, parts: &[inside::ValuePart]) -> Vec<SecretPart> {
    let mut found: Vec<SecretPart> = Vec::new();
    let tokens = shapes::find(text);
    for inner in parts {
        let value = text.get(inner.range.clone()).unwrap_or_default();
        let promised = promise_of(name, inner);
        let known = judge(promised, value, text, inner.kind, shapes::find(value));
        found.extend(known.into_iter().map(|known| SecretPart {
            name: inner.name.clone(),
            ..known.moved(inner.range.start)
        }));
    }
    let alone = parts.is_empty()
        || found.is_empty()
            && !is_structured(text, parts)
            && best_of(name, text, parts) == Verdict::Nothing;
    if alone {
        let known = tokens.clone();
        found.extend(judge(
            promise(name),
            text,
            text,
            inside::PartContext::Named,
            known,
        ));
    }
    for known in tokens {
        let covered = found.iter().any(|part: &SecretPart| {
            part.range.start < known.range.end && known.range.start < part.range.end
        });
        let value = text.get(known.range.clone()).unwrap_or_default();
        if !covered && !placeholder::is_placeholder(value) {
            found.push(part(known.range, name.trim_start_matches('-'), known.name));
        }
    }
    found.sort_by_key(|part| part.range.start);
    found
}

/// Whether the parts make up the whole value.
fn is_structured(text: &str, parts: &[inside::ValuePart]) -> bool {
    parts
        .iter()
        .any(|part| part.kind != inside::PartContext::Named)
        || text.contains("://")
        || text.trim_start().starts_with(['{', '['])
}

/// The verdict about a value without a secret part.
fn best_of(name: &str, text: &str, parts: &[inside::ValuePart]) -> Verdict {
    parts.iter().fold(Verdict::Nothing, |best, inner| {
        let value = text.get(inner.range.clone()).unwrap_or_default();
        stronger(best, harmless(promise_of(name, inner), value))
    })
}

/// What the name of a part promises, or else the name of the whole value.
fn promise_of(outer: &str, inner: &inside::ValuePart) -> Promise {
    match inner.kind {
        inside::PartContext::Userinfo if inner.name == "password" => Promise::Password,
        inside::PartContext::Userinfo | inside::PartContext::Segment => Promise::Unknown,
        inside::PartContext::Named => match promise(&inner.name) {
            Promise::Unknown => promise(outer),
            promised => promised,
        },
    }
}

fn stronger(a: Verdict, b: Verdict) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Nothing => 0,
        Verdict::Placeholder => 1,
        Verdict::Reference => 2,
        Verdict::Secret(_) => 3,
    };
    if rank(&b) > rank(&a) { b } else { a }
}

/// The verdict about a text that is one value and not a secret.
fn harmless(promised: Promise, text: &str) -> Verdict {
    if text.is_empty() {
        Verdict::Nothing
    } else if reference::holds(text) {
        Verdict::Reference
    } else if placeholder::is_placeholder(text)
        && (promised != Promise::Other || !shapes::find(text).is_empty())
    {
        Verdict::Placeholder
    } else {
        Verdict::Nothing
    }
}

/// The secret parts of a text that is one value. The slowest tests come last.
fn judge(
    promised: Promise,
    text: &str,
    context: &str,
    kind: inside::PartContext,
    known: Vec<shapes::Known>,
) -> Vec<SecretPart> {
    // White space that was copied with a key.
    let head = text.len() - text.trim_start().len();
    let text = text.trim();
    let moved = known.into_iter().map(|known| shapes::Known {
        range: known.range.start.saturating_sub(head)..known.range.end.saturating_sub(head),
        ..known
    });
    let found = looks(promised, text, context, kind, moved.collect());
    if found.is_empty() || reference::holds(text) || placeholder::is_placeholder(text) {
        return Vec::new();
    }
    found.into_iter().map(|part| part.moved(head)).collect()
}

/// The parts that look like a secret in a text that is one value; `known` are the tokens in it.
fn looks(
    promised: Promise,
    text: &str,
    context: &str,
    kind: inside::PartContext,
    known: Vec<shapes::Known>,
) -> Vec<SecretPart> {
    if let [first] = known.as_slice() {
        // A token that is the whole value, except for some punctuation.
        let all = first.range.len() + 4 >= text.len() && !text.contains(char::is_whitespace);
        let range = if all {
            0..text.len()
        } else {
            first.range.clone()
        };
        return vec![part(range, "", first.name)];
    }
    if !known.is_empty() {
        return known
            .into_iter()
            .map(|k| part(k.range, "", k.name))
            .collect();
    }
    let why = match (promised, kind) {
        (Promise::Password, inside::PartContext::Userinfo)
            if password::is_default(text, context) =>
        {
            None
        }
        (Promise::Password, _) if password::is_password(text) => Some("password"),
        (Promise::Token, _) if !random::is_no_token(text) => Some("named as a secret"),
        (Promise::Perhaps, _) if random::is_machine_made(text) => Some("named as a secret"),
        _ if encoded::holds_secret(text) => Some("encoded secret"),
        (Promise::Unknown, _) if random::has_own_prefix(text) => Some("prefix of a key"),
        (Promise::Unknown, _) if random::is_random(text) => Some("random text"),
        _ => None,
    };
    why.map(|why| part(0..text.len(), "", why))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests;
