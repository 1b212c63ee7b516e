//! A text without its secrets: what may be written to the undo journal and shown to the user.
//!
//! Invariants: every occurrence is cut, in each spelling that a client's file allows; filling the
//! values in gives the text byte for byte.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use serde::{Deserialize, Serialize};

use crate::client::tree::escaped;
use crate::secret::{SecretName, tail};

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedactedPiece {
    Text(String),
    /// The value as it is.
    Secret(SecretName),
    /// The value inside a string literal with escapes.
    Escaped(SecretName),
}

impl RedactedPiece {
    /// The secret that fills it in.
    pub fn secret(&self) -> Option<&SecretName> {
        match self {
            Self::Text(_) => None,
            Self::Secret(name) | Self::Escaped(name) => Some(name),
        }
    }
}

/// A value to cut out.
#[derive(Clone, Debug)]
pub struct Cut {
    pub name: SecretName,
    pub text: String,
}

/// Fewer forms are searched one by one: that takes less time than to make an automaton.
const SEARCHED_TOGETHER_MIN: usize = 8;

/// Finds the values in texts, many of them in one pass.
#[derive(Debug)]
pub struct Cutter {
    /// The spellings of the values.
    forms: Vec<(String, RedactedPiece)>,
    search: FormSearch,
}

#[derive(Debug)]
enum FormSearch {
    Each,
    Together(AhoCorasick),
}

impl Cutter {
    pub fn new(cuts: &[Cut]) -> Self {
        let mut forms: Vec<(String, RedactedPiece)> = Vec::new();
        for cut in cuts.iter().filter(|cut| !cut.text.is_empty()) {
            let escaped = escaped(&cut.text);
            if escaped != cut.text {
                forms.push((escaped, RedactedPiece::Escaped(cut.name.clone())));
            }
            forms.push((cut.text.clone(), RedactedPiece::Secret(cut.name.clone())));
        }
        let automaton = (forms.len() >= SEARCHED_TOGETHER_MIN).then(|| {
            // A text is searched a few times: the automaton that is made fastest is the fastest.
            let mut builder = AhoCorasick::builder();
            builder.kind(Some(AhoCorasickKind::NoncontiguousNFA));
            builder.build(forms.iter().map(|(form, _)| form)).ok()
        });
        let search = automaton.flatten();
        let search = search.map_or(FormSearch::Each, FormSearch::Together);
        Self { forms, search }
    }

    /// Where the values are, each with its piece, in order. Of two that overlap, the longer one counts.
    fn find(&self, text: &str) -> BTreeMap<usize, (usize, &RedactedPiece)> {
        let mut found: Vec<(Range<usize>, usize)> = match &self.search {
            FormSearch::Together(search) => search
                .find_overlapping_iter(text)
                .map(|one| (one.range(), one.pattern().as_usize()))
                .collect(),
            FormSearch::Each => {
                let forms = self.forms.iter().enumerate();
                forms
                    .flat_map(|(n, (form, _))| overlapping(text, form).map(move |range| (range, n)))
                    .collect()
            }
        };
        found.sort_by_key(|(range, form)| (std::cmp::Reverse(range.len()), *form, range.start));
        let mut taken: BTreeMap<usize, (usize, &RedactedPiece)> = BTreeMap::new();
        for (range, form) in found {
            let before = taken.range(..range.end).next_back();
            let is_free = before.is_none_or(|(_, (end, _))| *end <= range.start);
            if let Some((_, piece)) = self.forms.get(form).filter(|_| is_free) {
                taken.insert(range.start, (range.end, piece));
            }
        }
        taken
    }

    /// The text in pieces, with the values cut out.
    pub fn cut(&self, text: &str) -> Vec<RedactedPiece> {
        let mut pieces = Vec::new();
        let mut done = 0;
        let push = |pieces: &mut Vec<RedactedPiece>, part: Option<&str>| {
            let part = part.unwrap_or_default();
            if !part.is_empty() {
                pieces.push(RedactedPiece::Text(part.to_owned()));
            }
        };
        for (start, (end, piece)) in self.find(text) {
            push(&mut pieces, text.get(done..start));
            pieces.push(piece.clone());
            done = end;
        }
        push(&mut pieces, text.get(done..));
        if pieces.is_empty() {
            pieces.push(RedactedPiece::Text(String::new()));
        }
        pieces
    }

    /// The places of the values as they are, with their names. A value of fewer bytes than `bytes_min`
    /// occurs by chance.
    pub fn places(&self, text: &str, bytes_min: usize) -> Vec<(usize, SecretName)> {
        let found = self.find(text).into_iter();
        let long = found.filter(|(start, (end, _))| end - start >= bytes_min);
        long.filter_map(|(start, (_, piece))| match piece {
            RedactedPiece::Secret(name) => Some((start, name.clone())),
            RedactedPiece::Text(_) | RedactedPiece::Escaped(_) => None,
        })
        .collect()
    }
}

/// Every occurrence of a form that is not empty, also one that overlaps another.
fn overlapping<'a>(text: &'a str, form: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text.get(from..)?.find(form)?;
        from = text.ceil_char_boundary(start + 1);
        Some(start..start + form.len())
    })
}

/// Cuts the values out of a text, the longest first.
pub fn cut(text: &str, cuts: &[Cut]) -> Vec<RedactedPiece> {
    Cutter::new(cuts).cut(text)
}

/// The text of pieces, with the values filled in.
pub fn fill(
    pieces: &[RedactedPiece],
    value: &dyn Fn(&SecretName) -> Option<String>,
) -> Option<String> {
    let text = |piece: &RedactedPiece| match piece {
        RedactedPiece::Text(text) => Some(text.clone()),
        RedactedPiece::Secret(name) => value(name),
        RedactedPiece::Escaped(name) => value(name).map(|text| escaped(&text)),
    };
    pieces.iter().map(text).collect()
}

/// The text with a mark instead of each secret: its name and at most its last four characters.
pub fn masked(text: &str, cuts: &[Cut]) -> String {
    let values: BTreeMap<_, _> = cuts.iter().map(|cut| (&cut.name, &*cut.text)).collect();
    let mark = |name: &SecretName| {
        let value = values.get(name).copied().unwrap_or_default();
        let tail = tail(value).map_or_else(String::new, |tail| format!(" …{tail}"));
        format!("[secret {name}{tail}]")
    };
    cut(text, cuts)
        .iter()
        .map(|piece| match piece {
            RedactedPiece::Text(text) => text.clone(),
            RedactedPiece::Secret(name) | RedactedPiece::Escaped(name) => mark(name),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts() -> Vec<Cut> {
        let one = |name: &str, text: &str| Cut {
            name: SecretName::new(name).unwrap(),
            text: text.to_owned(),
        };
        vec![
            one("a", "long-value-0123456789"),
            one("b", "value"),
            one("c", "q\"uote"),
        ]
    }

    #[test]
    fn every_occurrence_in_every_form() {
        let pieces = cut(
            "x long-value-0123456789 value \"q\\\"uote\" q\"uote",
            &cuts(),
        );
        let texts: Vec<_> = pieces
            .iter()
            .filter(|piece| matches!(piece, RedactedPiece::Text(_)))
            .collect();
        assert!(!format!("{texts:?}").contains("value") && !format!("{texts:?}").contains("uote"));
        assert_eq!(pieces.len() - texts.len(), 4);
    }

    #[test]
    fn one_by_one_and_together_find_the_same() {
        let cuts = ["a", "éa", "aéa", "éé", "aéaé"].map(|text| Cut {
            name: SecretName::new("a").unwrap(),
            text: text.to_owned(),
        });
        let each = Cutter::new(&cuts);
        assert!(matches!(each.search, FormSearch::Each));
        let automaton = AhoCorasick::new(cuts.iter().map(|cut| &cut.text)).unwrap();
        let together = Cutter {
            forms: each.forms.clone(),
            search: FormSearch::Together(automaton),
        };
        for bits in 0..1 << 8_u8 {
            let text: String = (0..8)
                .map(|n| if bits >> n & 1 == 0 { 'a' } else { 'é' })
                .collect();
            assert_eq!(each.find(&text), together.find(&text), "{text}");
        }
    }

    #[test]
    fn a_mark_shows_at_most_four_characters() {
        assert_eq!(
            masked("=long-value-0123456789=value", &cuts()),
            "=[secret a …6789]=[secret b]"
        );
    }
}
