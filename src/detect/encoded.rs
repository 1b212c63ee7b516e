//! Secrets in base64: JSON with a token in it, or a text with a token of a known format.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::names::{Promise, promise};
use super::{inside, placeholder, random, reference, shapes};

/// Shorter texts hold no token (bytes).
const BYTES_MIN: usize = 24;
/// Longer ones are files (bytes).
const BYTES_MAX: usize = 64 << 10;

/// Whether a text is base64 of something that holds a secret.
pub(super) fn holds_secret(text: &str) -> bool {
    if !(BYTES_MIN..=BYTES_MAX).contains(&text.len()) {
        return false;
    }
    let body = text.trim_end_matches('=');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/-_".contains(&b);
    if !body.bytes().all(plain) {
        return false;
    }
    let decoded = STANDARD_NO_PAD
        .decode(body)
        .or_else(|_| URL_SAFE_NO_PAD.decode(body));
    let Some(inner) = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return false;
    };
    let token = |known: &shapes::Known| {
        inner
            .get(known.range.clone())
            .is_some_and(|token| !placeholder::is_placeholder(token))
    };
    shapes::find(&inner).iter().any(token)
        || inner.starts_with(['{', '['])
            && inside::parts(&inner)
                .iter()
                .any(|part| is_secret(part, &inner))
}

fn is_secret(part: &inside::ValuePart, text: &str) -> bool {
    let value = text.get(part.range.clone()).unwrap_or_default();
    matches!(promise(&part.name), Promise::Token | Promise::Password)
        && !random::is_no_token(value)
        && !reference::holds(value)
        && !placeholder::is_placeholder(value)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn base64_with_and_without_a_secret() {
        for (text, expected) in [
            (r#"{"token": "q1w2e3r4t5y6u7i8"}"#, true),
            ("x ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8", true),
            (r#"{"token": "YOUR_TOKEN", "x": 1}"#, false),
            ("only a long enough text without any token", false),
        ] {
            assert_eq!(holds_secret(&STANDARD.encode(text)), expected, "{text}");
        }
        assert!(!holds_secret("aB3dE5fG7hI9jK1lM3nO5pQ7"));
    }
}
