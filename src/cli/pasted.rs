//! What people copy together with a value: white space, invisible characters, quotes, `NAME=`,
//! `Bearer `.

use crate::secret::Secret;

/// The wrappers of a value, from the outside, and the value in them.
#[derive(Debug)]
pub(super) struct Pasted {
    pub(super) wrappers: Vec<&'static str>,
    pub(super) value: Secret,
}

/// Looks for wrappers; `None` if there are none or nothing would be left.
pub(super) fn pasted(value: &Secret) -> Option<Pasted> {
    let mut wrappers = Vec::new();
    let mut value = value.expose();
    while let Some((wrapper, inner)) = unwrap(value) {
        wrappers.push(wrapper);
        value = inner;
    }
    (!wrappers.is_empty() && !value.is_empty()).then(|| Pasted {
        wrappers,
        value: Secret::new(value.to_vec()),
    })
}

fn unwrap(value: &[u8]) -> Option<(&'static str, &[u8])> {
    // A PEM file ends with a line break, and some programs need it.
    let inner = value.trim_ascii();
    if inner.len() < value.len() && !inner.contains(&b'\n') {
        return Some(("white space", inner));
    }
    if let Ok(text) = str::from_utf8(value) {
        let inner = text.trim_matches(is_unseen);
        if inner.len() < text.len() && !inner.contains('\n') {
            return Some(("invisible characters", inner.as_bytes()));
        }
    }
    for quote in [b'"', b'\'', b'`'] {
        let inner = value
            .strip_prefix(&[quote])
            .and_then(|rest| rest.strip_suffix(&[quote]));
        if let Some(inner) = inner
            && !inner.contains(&quote)
        {
            return Some(("quotes", inner));
        }
    }
    if let Some((scheme, rest)) = value.split_at_checked(7)
        && scheme.eq_ignore_ascii_case(b"bearer ")
        && !rest.trim_ascii().contains(&b' ')
    {
        return Some(("`Bearer `", rest));
    }
    let rest = value.strip_prefix(b"export ").unwrap_or(value);
    let equal = rest.iter().position(|byte| *byte == b'=')?;
    let (name, rest) = (rest.get(..equal)?, rest.get(equal + 1..)?);
    let constant = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let is_name = name.len() >= 3
        && name.first().is_some_and(u8::is_ascii_uppercase)
        && name.iter().all(constant);
    // Base64 ends with `=`, and a connection string has more of them.
    let is_value = rest.iter().any(|byte| *byte != b'=') && !rest.contains(&b';');
    (is_name && is_value).then_some(("`NAME=`", rest))
}

/// A character that a web page or a chat adds and nobody sees: a byte order mark, a zero-width or
/// directional character, or a space that is not ASCII.
fn is_unseen(c: char) -> bool {
    !c.is_ascii() && c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e01ef}')
}

/// Whether such a character is between others, where it cannot be cut off.
pub(super) fn has_unseen(value: &Secret) -> bool {
    str::from_utf8(value.expose()).is_ok_and(|text| text.contains(is_unseen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(value: &str, wrappers: &[&str], inner: &str) {
        let found = pasted(&Secret::new(value.into())).unwrap();
        assert_eq!(found.wrappers, wrappers, "{value}");
        assert_eq!(found.value.expose(), inner.as_bytes(), "{value}");
    }

    #[test]
    fn wrappers_are_found() {
        case(" ghp_abc ", &["white space"], "ghp_abc");
        case("\"ghp_abc\"", &["quotes"], "ghp_abc");
        case("Bearer ghp_abc", &["`Bearer `"], "ghp_abc");
        case("ghp_abc\u{200b}", &["invisible characters"], "ghp_abc");
        case(
            "\u{feff}ghp_abc\u{a0}",
            &["invisible characters"],
            "ghp_abc",
        );
        case(
            "ghp_abc\u{a0}\r\n",
            &["white space", "invisible characters"],
            "ghp_abc",
        );
        case(
            "\u{2060}\"ghp_abc\"",
            &["invisible characters", "quotes"],
            "ghp_abc",
        );
        case("GITHUB_TOKEN=ghp_abc", &["`NAME=`"], "ghp_abc");
        case(
            "export API_KEY=\"Bearer ghp_abc\"\t",
            &["white space", "`NAME=`", "quotes", "`Bearer `"],
            "ghp_abc",
        );
    }

    #[test]
    fn invisible_characters_inside() {
        let has = |text: &str| has_unseen(&Secret::new(text.into()));
        assert!(has("ghp_\u{200b}abc") && has("a\u{a0}b"));
        assert!(!has("ghp_abc") && !has("pässwort 1"));
    }

    #[test]
    fn values_are_left_alone() {
        for value in [
            "ghp_abc",
            "dGVzdHRlc3Q=",
            "ABCD==",
            "Server=h;Password=p",
            "password=p",
            "two words",
            "\"a\" and \"b\"",
            "{\"a\":\"b\"}",
            "-----BEGIN K-----\nabc\n-----END K-----\n",
            "\"\"",
            "   ",
        ] {
            assert!(pasted(&Secret::new(value.into())).is_none(), "{value}");
        }
    }
}
