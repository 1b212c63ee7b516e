//! All values of one entry of a client config, judged by field and content.

use std::collections::HashMap;

use crate::client::entry::{ServerEntry, SpannedText, pair, split_line};
use crate::client::tree::Node;

use super::{
    LENGTH_MIN, SecretPart, ValueSite, Verdict, arguments, has_secret, line, positional, value,
};

/// One value of an entry, with its verdict.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    pub slot: ValueSite<'a>,
    /// Its index among the words of the command line; 0 elsewhere.
    pub index: usize,
    pub word: &'a SpannedText,
    pub verdict: Verdict,
}

/// Judges an entry: the command line first, then env, headers, URL, settings.
pub fn entry<'a>(entry: &'a ServerEntry) -> Vec<Judged<'a>> {
    let texts: Vec<&str> = entry.words.iter().map(|word| word.text.as_str()).collect();
    let words = entry.words.iter().zip(arguments(&texts)).enumerate();
    let mut judged: Vec<Judged<'a>> = words
        .map(|(index, (word, verdict))| {
            let slot = if index == 0 {
                ValueSite::Command
            } else {
                ValueSite::Argument
            };
            Judged {
                slot,
                index,
                word,
                verdict,
            }
        })
        .collect();
    for n in positional::keys(&texts) {
        if let Some(one) = judged
            .get_mut(n)
            .filter(|one| one.verdict == Verdict::Nothing)
        {
            one.verdict = Verdict::Secret(vec![SecretPart {
                range: 0..one.word.text.len(),
                name: String::new(),
                why: "key of a known server",
            }]);
        }
    }
    let mut named = |words: &'a [SpannedText], slot: fn(&'a str) -> ValueSite<'a>| {
        judged.extend(words.iter().map(|word| {
            let slot = slot(&word.name);
            Judged {
                slot,
                index: 0,
                word,
                verdict: value(slot, &word.text),
            }
        }));
    };
    named(&entry.env, ValueSite::Env);
    named(&entry.headers, ValueSite::Header);
    named(&entry.settings, ValueSite::Setting);
    judged.extend(entry.url.iter().map(|word| Judged {
        slot: ValueSite::Url,
        index: 0,
        word,
        verdict: value(ValueSite::Url, &word.text),
    }));
    judged
}

/// A quick filter for entries. It caches results, since many clients have the same servers.
#[derive(Debug, Default)]
pub struct FirstLook<'a> {
    /// Whether a text under a name holds a secret.
    known: HashMap<(&'a str, &'a str), bool>,
}

impl<'a> FirstLook<'a> {
    /// Whether the entry needs a full scan: yes whenever [`entry`] would find a secret in it. It
    /// judges every string, also those that a client does not pass on.
    pub fn may_hold_secret(&mut self, node: &'a Node) -> bool {
        let pair = pair(node).is_some_and(|(name, text)| self.holds(name, text));
        pair || node
            .map()
            .iter()
            .any(|one| self.member(&one.key, &one.node))
    }

    fn member(&mut self, name: &'a str, node: &'a Node) -> bool {
        match node.text() {
            Some(text) if is_nameless(name) => self.word("", text) || self.holds(name, text),
            Some(text) => self.holds(name, text),
            None => node.is_map() && self.may_hold_secret(node) || self.list(name, node.list()),
        }
    }

    /// Judges each word of a list, with the one before it.
    fn list(&mut self, name: &'a str, words: &'a [Node]) -> bool {
        let is_words = matches!(name, "args" | "command" | "cmd");
        let mut before = "";
        words.iter().any(|word| {
            let Some(text) = word.text() else {
                before = "";
                return self.may_hold_secret(word) || self.list(name, word.list());
            };
            let flag = before.starts_with('-') && !before.contains('=') && !text.starts_with('-');
            let flag = if flag {
                before.trim_start_matches('-')
            } else {
                ""
            };
            // `-p` has a password for some programs.
            let password = before == "-p" && text.len() >= LENGTH_MIN
                || text.starts_with("-p") && text.len() > LENGTH_MIN;
            let assigned = line::assigned(before, text)
                .is_some_and(|(name, value, _)| self.holds(name, value));
            before = text;
            password
                || assigned
                || positional::may_be_key(text)
                || self.word(flag, text)
                || !is_words && (self.holds(name, text) || self.line(text))
        })
    }

    /// Judges a word of a command line, which may itself be a command line.
    fn word(&mut self, flag: &'a str, text: &'a str) -> bool {
        self.holds(flag, text)
            || text.contains(' ') && matches!(line::judged(text), Verdict::Secret(_))
    }

    /// `NAME=value` and `Name: value` in a list.
    fn line(&mut self, text: &'a str) -> bool {
        split_line(text).is_some_and(|(name, value, _)| self.holds(name, value))
    }

    fn holds(&mut self, name: &'a str, text: &'a str) -> bool {
        text.len() >= LENGTH_MIN
            && *self
                .known
                .entry((name, text))
                .or_insert_with(|| has_secret(name, text))
    }
}

/// Keys that say nothing about their values.
fn is_nameless(name: &str) -> bool {
    matches!(
        name,
        "command" | "cmd" | "path" | "url" | "serverUrl" | "httpUrl" | "uri"
    )
}
