//! The result of an extraction, and small rules about words of a command line.

use std::collections::BTreeMap;
use std::ops::Range;

use super::store_wish::AdoptWish;
use crate::catalog::KnownServer;
use crate::client::edit::NewWord;
use crate::detect::{self, SecretPart};
use crate::package;
use crate::policy::{Cwd, Remote, argument, inherit};
use crate::reference::Reference;

/// How a secret was recognized that the client takes from the user's environment.
pub(super) const OF_TERMINAL: &str = "a secret of your terminal";

/// An entry without its secrets.
#[derive(Debug)]
pub struct Extracted {
    /// The remote server, if it is one.
    pub(super) remote: Option<Remote>,
    /// The policy's command; empty for a remote server.
    pub(super) command: Vec<String>,
    /// For each word of the entry, its replacement in the client's file.
    pub(super) words: Vec<NewWord>,
    pub(super) values: Vec<ExtractedSecret>,
    pub(super) pass: Vec<String>,
    pub(super) set: BTreeMap<String, String>,
    pub(super) drop_env: Vec<String>,
    pub(super) argv_secrets: bool,
    pub(super) cwd: Cwd,
    pub(super) shipped: Option<&'static KnownServer>,
    /// What it needs of another store.
    pub(super) wish: Option<AdoptWish>,
    /// Values in another store, by variable.
    pub(super) references: BTreeMap<String, Reference>,
    /// What the user should know about the change.
    pub(super) notes: Vec<String>,
}

/// One secret of an entry.
#[derive(Clone, Debug)]
pub struct ExtractedSecret {
    /// The variable of the policy's `[secrets]`.
    pub(super) variable: String,
    pub(super) text: String,
    pub(super) why: &'static str,
    /// Its location in the entry, for the user.
    pub(super) place: String,
}

pub(super) fn is_whole(parts: &[SecretPart], text: &str) -> bool {
    matches!(parts, [part] if part.range == (0..text.len()))
}

/// A variable name made from a name: `API_KEY` from `--api-key`. The server gets the variable, so it is none
/// that programs know, like `USER`.
pub(super) fn variable_of(name: &str) -> String {
    let words = detect::names::words(name.strip_prefix("env.").unwrap_or(name));
    let joined = words.join("_").to_ascii_uppercase();
    let plain: String = joined
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(100)
        .collect();
    let plain = plain.trim_start_matches(|c: char| c.is_ascii_digit());
    if plain.is_empty() {
        "SECRET".to_owned()
    } else if inherit::has_meaning(plain) {
        format!("{plain}_SECRET")
    } else {
        plain.to_owned()
    }
}

/// A word that is not a secret, shortened to fit a line.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        format!("{short}…")
    } else {
        short
    }
}

/// Whether the secret is the default of a reference that is the whole text: `${NAME:-SECRET}`.
pub(super) fn is_default(parts: &[SecretPart], text: &str) -> bool {
    let [part] = parts else { return false };
    let before = text.get(..part.range.start).unwrap_or_default();
    let is_open = before.starts_with("${") && before.ends_with(":-") && !before.contains('}');
    is_open && text.get(part.range.end..) == Some("}")
}

/// Whether a word is an option that the next word may belong to.
pub(super) fn takes_value(word: &str) -> bool {
    word.starts_with('-') && !matches!(word, "-" | "--" | "-y" | "--yes" | "-i" | "-it" | "--rm")
}

/// Whether a word is a shell.
pub(super) fn is_shell(word: &str) -> bool {
    let name = package::program_name(word);
    argument::SHELLS.contains(&name.as_str())
}

/// The range without the quotes and separators of a shell around its text.
pub(super) fn without_quotes(text: &str, range: &Range<usize>) -> Range<usize> {
    let value = text.get(range.clone()).unwrap_or_default();
    let head = value.trim_start_matches(['\'', '"']);
    let tail = head.trim_end_matches(['\'', '"', ';', '&', '|']);
    let start = range.end - head.len();
    start..start + tail.len()
}

/// The text with a placeholder for each secret part. `name` takes a part and its value, and returns the
/// name of its secret.
pub(super) fn with_places(
    text: &str,
    parts: &[SecretPart],
    mut name: impl FnMut(&SecretPart, &str) -> String,
) -> String {
    let mut out = String::new();
    let mut at = 0;
    for part in parts {
        let name = name(part, text.get(part.range.clone()).unwrap_or_default());
        out.push_str(text.get(at..part.range.start).unwrap_or_default());
        out.push_str("{secret.");
        out.push_str(&name);
        out.push('}');
        at = part.range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
