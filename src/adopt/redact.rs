//! A text without its secrets: what may be written to the undo journal and shown to the user.
//!
//! Invariants: every occurrence is cut, in each spelling that a client's file allows; filling the
//! values in gives the text byte for byte.

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

/// Cuts the values out of a text, the longest first.
pub fn cut(text: &str, cuts: &[Cut]) -> Vec<RedactedPiece> {
    let mut forms: Vec<(String, RedactedPiece)> = Vec::new();
    for cut in cuts.iter().filter(|cut| !cut.text.is_empty()) {
        let escaped = escaped(&cut.text);
        if escaped != cut.text {
            forms.push((escaped, RedactedPiece::Escaped(cut.name.clone())));
        }
        forms.push((cut.text.clone(), RedactedPiece::Secret(cut.name.clone())));
    }
    forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
    let mut pieces = vec![RedactedPiece::Text(text.to_owned())];
    for (form, secret) in &forms {
        let mut next = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let RedactedPiece::Text(text) = piece else {
                next.push(piece);
                continue;
            };
            for (n, part) in text.split(form.as_str()).enumerate() {
                if n > 0 {
                    next.push(secret.clone());
                }
                if !part.is_empty() {
                    next.push(RedactedPiece::Text(part.to_owned()));
                }
            }
        }
        pieces = next;
    }
    pieces
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
    let mark = |name: &SecretName| {
        let value = cuts
            .iter()
            .find(|cut| cut.name == *name)
            .map_or("", |cut| cut.text.as_str());
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
    fn a_mark_shows_at_most_four_characters() {
        assert_eq!(
            masked("=long-value-0123456789=value", &cuts()),
            "=[secret a …6789]=[secret b]"
        );
    }
}
