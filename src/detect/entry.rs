//! All values of one entry of a client's file, judged where they stand.

use crate::client::entry::{Entry, Word};

use super::{Slot, Verdict, arguments, value};

/// One value of an entry, with what it is.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    pub slot: Slot<'a>,
    /// Its place among the words of the command line; 0 elsewhere.
    pub index: usize,
    pub word: &'a Word,
    pub verdict: Verdict,
}

/// Judges an entry. The command line comes first, then env, headers, address, settings.
pub fn entry<'a>(entry: &'a Entry) -> Vec<Judged<'a>> {
    let texts: Vec<&str> = entry.words.iter().map(|word| word.text.as_str()).collect();
    let words = entry.words.iter().zip(arguments(&texts)).enumerate();
    let mut judged: Vec<Judged<'a>> = words
        .map(|(index, (word, verdict))| {
            let slot = if index == 0 {
                Slot::Command
            } else {
                Slot::Argument
            };
            Judged {
                slot,
                index,
                word,
                verdict,
            }
        })
        .collect();
    let mut named = |words: &'a [Word], slot: fn(&'a str) -> Slot<'a>| {
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
    named(&entry.env, Slot::Env);
    named(&entry.headers, Slot::Header);
    named(&entry.settings, Slot::Setting);
    judged.extend(entry.url.iter().map(|word| Judged {
        slot: Slot::Url,
        index: 0,
        word,
        verdict: value(Slot::Url, &word.text),
    }));
    judged
}
