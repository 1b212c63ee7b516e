//! What a value looks like, so that a user notices a wrong one: its format, and a class of its size. Never a
//! part of it, but for the prefix that its provider gives to every value.

use crate::detect;
use crate::secret::Secret;

/// Upper limits of the classes of a size (bytes).
const CLASSES: &[usize] = &[8, 16, 32, 64, 128, 256, 1024, 16 * 1024];

/// E.g. "GitHub token (`ghp_…`), 32 to 63 characters".
pub(super) fn looks(value: &Secret) -> String {
    let bytes = value.expose();
    let size = size(bytes);
    let Ok(text) = str::from_utf8(bytes) else {
        return format!("not text, {size}");
    };
    let lines = match text.trim_end().lines().count() {
        0 | 1 => "",
        _ => ", several lines",
    };
    format!("{}, {size}{lines}", kind(text))
}

/// The format, if the text is one token or one document.
fn kind(text: &str) -> String {
    let text = text.trim();
    let spans = detect::known_spans(text);
    if let [(range, name)] = spans.as_slice() {
        let is_all = range.len() == text.len();
        let prefix = detect::known_prefix(text.get(range.clone()).unwrap_or_default());
        return match (is_all, prefix) {
            (true, Some(prefix)) => format!("{name} (`{prefix}…`)"),
            (true, None) => (*name).to_owned(),
            (false, _) => format!("text with a {name} in it"),
        };
    }
    if text.contains("-----BEGIN ") {
        return "PEM text".to_owned();
    }
    if text.starts_with(['{', '[']) {
        return "JSON".to_owned();
    }
    if text.contains("://") {
        return "URL".to_owned();
    }
    let is_hex = |c: char| c.is_ascii_hexdigit();
    let kind = if text.bytes().all(|b| b.is_ascii_digit()) {
        "digits"
    } else if text.chars().all(is_hex) {
        "hex digits"
    } else if text.chars().all(|c| c.is_ascii_alphanumeric()) {
        "letters and digits"
    } else if text.is_ascii() {
        "letters, digits and other characters"
    } else {
        "text that is not ASCII"
    };
    format!("no known format, {kind}")
}

fn size(bytes: &[u8]) -> String {
    let unit = if str::from_utf8(bytes).is_ok() {
        "characters"
    } else {
        "bytes"
    };
    let length = str::from_utf8(bytes).map_or(bytes.len(), |text| text.chars().count());
    let mut from = 0;
    for limit in CLASSES {
        if length < *limit && from == 0 {
            return format!("fewer than {limit} {unit}");
        }
        if length < *limit {
            return format!("{from} to {} {unit}", limit - 1);
        }
        from = *limit;
    }
    format!("{from} or more {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(value: &[u8], expected: &str) {
        assert_eq!(looks(&Secret::new(value.to_vec())), expected);
    }

    #[test]
    fn the_format_and_the_class_of_the_size() {
        case(
            b"ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
            "GitHub token (`ghp_\u{2026}`), 32 to 63 characters",
        );
        case(
            b"Bearer ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
            "text with a GitHub token in it, 32 to 63 characters",
        );
        case(
            b"-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n",
            "private key, 64 to 127 characters, several lines",
        );
        case(b"postgres://u:hunter22@db/x", "URL, 16 to 31 characters");
        case(
            b"0123456789abcdef0123456789abcdef",
            "no known format, hex digits, 32 to 63 characters",
        );
        case(
            b"q7Rt2LmX9vKp",
            "no known format, letters and digits, 8 to 15 characters",
        );
        case(
            "p\u{e4}ss w\u{f6}rt".as_bytes(),
            "no known format, text that is not ASCII, 8 to 15 characters",
        );
        case(b"a\xffb", "not text, fewer than 8 bytes");
        case(
            "x".repeat(20_000).as_bytes(),
            "no known format, letters and digits, 16384 or more characters",
        );
    }

    #[test]
    fn no_part_of_a_value_without_a_known_prefix_is_said() {
        let said = looks(&Secret::new(b"correct-horse-battery-staple".to_vec()));
        for part in ["correct", "horse", "staple"] {
            assert!(!said.contains(part), "{said}");
        }
    }
}
