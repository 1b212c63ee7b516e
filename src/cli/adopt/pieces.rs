//! A text with its secrets cut out: what may be written to the undo journal and shown to the user.
//!
//! *Always* cuts every occurrence, in each way it can be written in a client's file. Putting the
//! values back gives the text byte for byte.

use serde::{Deserialize, Serialize};

use crate::client::tree::quoted;
use crate::secret::{SecretName, tail};

/// One piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Piece {
    Text(String),
    /// The value as it is.
    Secret(SecretName),
    /// The value inside a string literal with escapes.
    Escaped(SecretName),
}

/// A value that is cut out.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) name: SecretName,
    pub(super) text: String,
}

/// Cuts the values out of a text, the longest first.
pub(super) fn cut(text: &str, cuts: &[Cut]) -> Vec<Piece> {
    let mut forms: Vec<(String, Piece)> = Vec::new();
    for cut in cuts.iter().filter(|cut| !cut.text.is_empty()) {
        let escaped = escape(&cut.text);
        if escaped != cut.text {
            forms.push((escaped, Piece::Escaped(cut.name.clone())));
        }
        forms.push((cut.text.clone(), Piece::Secret(cut.name.clone())));
    }
    forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
    let mut pieces = vec![Piece::Text(text.to_owned())];
    for (form, secret) in &forms {
        let mut next = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let Piece::Text(text) = piece else {
                next.push(piece);
                continue;
            };
            for (n, part) in text.split(form.as_str()).enumerate() {
                if n > 0 {
                    next.push(secret.clone());
                }
                if !part.is_empty() {
                    next.push(Piece::Text(part.to_owned()));
                }
            }
        }
        pieces = next;
    }
    pieces
}

/// A text as it stands between the quotes of a string literal.
pub(super) fn escape(text: &str) -> String {
    let literal = quoted(text);
    literal
        .get(1..literal.len() - 1)
        .unwrap_or_default()
        .to_owned()
}

/// The text with a mark in the place of each secret: its name and at most its last four characters.
pub(super) fn masked(text: &str, cuts: &[Cut]) -> String {
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
            Piece::Text(text) => text.clone(),
            Piece::Secret(name) | Piece::Escaped(name) => mark(name),
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
            .filter(|piece| matches!(piece, Piece::Text(_)))
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
