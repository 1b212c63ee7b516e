//! Text that a client or a shell expands to a value: `${env:X}`, `{env:X}`, `$(…)`, `%X%`, …
//!
//! One line per notation. The target of a reference is not read. The table of clients says which
//! client knows which notation, but all count everywhere, because users copy entries between
//! clients.

use std::ops::Range;

/// A notation: its opening, its closing, and what it may contain.
struct Notation {
    open: &'static str,
    close: &'static str,
    inside: fn(&str) -> bool,
}

const NOTATIONS: &[Notation] = &[
    Notation {
        open: "${{",
        close: "}}",
        inside: any,
    },
    Notation {
        open: "{{",
        close: "}}",
        inside: word,
    },
    Notation {
        open: "${",
        close: "}",
        inside: any,
    },
    Notation {
        open: "{env:",
        close: "}",
        inside: any,
    },
    Notation {
        open: "{file:",
        close: "}",
        inside: any,
    },
    Notation {
        open: "{secret.",
        close: "}",
        inside: any,
    },
    Notation {
        open: "$(",
        close: ")",
        inside: any,
    },
    Notation {
        open: "`",
        close: "`",
        inside: word,
    },
    Notation {
        open: "%",
        close: "%",
        inside: upper,
    },
];

/// Prefixes that make the whole value a reference.
const SCHEMES: &[&str] = &[
    "op://",
    "secret:",
    "keychain:",
    "keyring:",
    "vault:",
    "env:",
    "env://",
    "file://",
    "bws://",
    "awssm://",
    "aws-sm://",
    "gcpsm://",
    "doppler://",
    "infisical://",
    "process.env.",
    "os.environ",
    "secrets.",
    "input:",
];

/// The spans of the references in a text.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        return std::iter::once(0..text.len()).collect();
    }
    let mut found = Vec::new();
    let mut at = 0;
    // Each notation starts with one of these.
    while let Some(next) = text
        .get(at..)
        .and_then(|rest| rest.find(['$', '{', '%', '`']))
    {
        at += next;
        let rest = text.get(at..).unwrap_or_default();
        match notation(rest).or_else(|| variable(rest)) {
            Some(length) => {
                found.push(at..at + length);
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// Whether a text contains a reference.
pub(super) fn holds(text: &str) -> bool {
    text.contains(['$', '{', '%', '`', ':', '.']) && !find(text).is_empty()
}

fn notation(rest: &str) -> Option<usize> {
    NOTATIONS.iter().find_map(|notation| {
        let inner = rest.strip_prefix(notation.open)?;
        let end = inner.find(notation.close)?;
        let inside = inner.get(..end)?;
        (!inside.is_empty() && !inside.contains('\n') && (notation.inside)(inside))
            .then_some(notation.open.len() + end + notation.close.len())
    })
}

/// `$NAME` in capitals: in lower case it may be part of a password.
fn variable(rest: &str) -> Option<usize> {
    let name = rest.strip_prefix('$')?;
    let length = name
        .bytes()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        .count();
    let head = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_uppercase() || b == b'_');
    let ends = !name
        .as_bytes()
        .get(length)
        .is_some_and(u8::is_ascii_alphanumeric);
    (head && length >= 3 && ends).then_some(1 + length)
}

fn any(_: &str) -> bool {
    true
}

fn word(inside: &str) -> bool {
    inside
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_-. :/".contains(&b))
}

fn upper(inside: &str) -> bool {
    inside.len() >= 3
        && inside
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && inside
            .bytes()
            .any(|b| b.is_ascii_uppercase() && !b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_of_all_clients() {
        for text in [
            "${env:X}",
            "${X}",
            "${X:-d}",
            "$X_TOKEN",
            "{env:X}",
            "{file:/p}",
            "$(pass show x)",
            "%APPDATA%",
            "${input:token}",
            "${{ secrets.X }}",
            "op://vault/item/field",
            "Bearer ${X}",
            "{secret.X}",
            "secret:a/b",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "pa$$word",
            "a$b",
            "{\"a\":1}",
            "100%",
            "%20and%20",
            "$1",
            "plain",
            "x{y}",
        ] {
            assert!(!holds(text), "{text}");
        }
    }
}
