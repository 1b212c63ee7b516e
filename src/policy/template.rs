//! Texts with placeholders for secrets: `postgres://app:{secret.DB_PASSWORD}@db/app`.
//!
//! Only `{secret.NAME}` is a placeholder. Other braces are literal, so JSON in a value needs no
//! escapes. This module never sees a value: `resolve` inserts them.

/// One piece of a template, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Literal text.
    Text(&'a str),
    /// The placeholder for the secret of this variable.
    Secret(&'a str),
}

/// A `{secret.` without a closing brace or a valid variable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

const OPEN: &str = "{secret.";

/// Splits a text into its pieces. A text without placeholders is one piece; an empty text has none.
pub fn parse(text: &str) -> Result<Vec<Piece<'_>>, Malformed> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) = after.split_once('}').ok_or(Malformed)?;
        if !is_variable_name(name) {
            return Err(Malformed);
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Secret(name));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// The variables of the secrets that a text refers to; empty if the text is malformed.
pub fn secrets(text: &str) -> impl Iterator<Item = &str> {
    parse(text)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Secret(name) => Some(name),
            Piece::Text(_) => None,
        })
}

/// Whether a text is a valid name of an environment variable.
pub fn is_variable_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes
            .first()
            .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        use Piece::{Secret, Text};
        let case = |text, expected: &[Piece<'_>]| assert_eq!(parse(text).unwrap(), expected);
        case("", &[]);
        case("plain {x} {secret} }", &[Text("plain {x} {secret} }")]);
        case("{secret.A}", &[Secret("A")]);
        case("{secret.A}{secret.B}", &[Secret("A"), Secret("B")]);
        case("a{secret.DB_1}b", &[Text("a"), Secret("DB_1"), Text("b")]);
        case(
            r#"{"k":"{secret.A}"}"#,
            &[Text(r#"{"k":""#), Secret("A"), Text(r#""}"#)],
        );
    }

    #[test]
    fn malformed() {
        for text in [
            "{secret.A",
            "{secret.}",
            "{secret.a b}",
            "x{secret.{secret.A}}",
            "{secret.1}",
        ] {
            assert_eq!(parse(text), Err(Malformed), "{text}");
        }
    }
}
