//! How programs quote text: escapes of single characters, for languages, shells and markup.
//!
//! Letters, digits and `_` are never escaped here, so a token has one spelling. Pure functions of
//! bytes; the results are wiped when dropped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// Escapes of bytes, each a byte and its text.
type Escapes = &'static [(u8, &'static str)];

/// HTML and XML: Python, Go, PHP, XML libraries, templates; text and attributes.
const HTML: &[Escapes] = &[
    &[(b'&', "&amp;"), (b'<', "&lt;"), (b'>', "&gt;")],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&quot;"),
    ],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&quot;"),
        (b'\'', "&#x27;"),
    ],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&quot;"),
        (b'\'', "&#39;"),
    ],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&quot;"),
        (b'\'', "&#039;"),
    ],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&quot;"),
        (b'\'', "&apos;"),
    ],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&#34;"),
        (b'\'', "&#39;"),
    ],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&quot;"),
        (b'\'', "&#39;"),
        (b'/', "&#x2F;"),
        (b'`', "&#x60;"),
        (b'=', "&#x3D;"),
    ],
];

/// Languages and shells, besides JSON.
const OTHER: &[Escapes] = &[
    // Single quotes in Python, JavaScript and PHP; C and MySQL.
    &[(b'\\', "\\\\"), (b'\'', "\\'")],
    &[(b'\\', "\\\\"), (b'\'', "\\'"), (b'"', "\\\"")],
    &[(b'\\', "\\\\")],
    // Double quotes in shells, PHP and Perl.
    &[
        (b'\\', "\\\\"),
        (b'"', "\\\""),
        (b'$', "\\$"),
        (b'`', "\\`"),
    ],
    &[(b'\\', "\\\\"), (b'"', "\\\""), (b'$', "\\$")],
    &[
        (b'\\', "\\\\"),
        (b'"', "\\\""),
        (b'$', "\\$"),
        (b'@', "\\@"),
    ],
    &[(b'\\', "\\\\"), (b'"', "\\\""), (b'#', "\\#")],
    &[(b'\\', "\\\\"), (b'`', "\\`"), (b'$', "\\$")],
    &[(b'\\', "\\\\"), (b'"', "\\\""), (b'!', "\\!")],
    // Single quotes in shells: `shlex.quote`, and most others.
    &[(b'\'', "'\"'\"'")],
    &[(b'\'', "'\\''")],
    // Doubled: SQL, YAML and PowerShell; CSV and Visual Basic; make; printf and batch files; formats.
    &[(b'\'', "''")],
    &[(b'"', "\"\"")],
    &[(b'$', "$$")],
    &[(b'%', "%%")],
    &[(b'{', "{{"), (b'}', "}}")],
    // PowerShell.
    &[(b'`', "``"), (b'"', "`\""), (b'$', "`$")],
    // C and JavaScript, numeric.
    &[(b'"', "\\042"), (b'\'', "\\047"), (b'\\', "\\134")],
    &[(b'"', "\\x22"), (b'\'', "\\x27"), (b'\\', "\\x5c")],
    &[
        (b'"', "\\x22"),
        (b'\'', "\\x27"),
        (b'\\', "\\\\"),
        (b'<', "\\x3c"),
        (b'>', "\\x3e"),
        (b'&', "\\x26"),
    ],
];

/// Characters that get a backslash: regular expressions, Markdown. Shells escape all but these.
const SPECIAL: &[&[u8]] = &[
    b"-[]{}()*+?.,\\^$|#~& ",
    b"[]{}()*+?.\\^$|",
    b"-[]{}()*+?./\\^$|",
    b"\\`*_{}[]()#+-.!|<>~",
];
const SHELL_PLAIN: &[&[u8]] = &[b"_@%+=:,./-", b"_-.,:+/@", b"_-.,:+/@=^%", b"_"];

/// All quoted spellings of a value that differ from it.
pub(super) fn quoted(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    if value
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    {
        return all;
    }
    for escapes in HTML.iter().chain(OTHER) {
        all.push(replaced(value, |byte, out| {
            let known = escapes.iter().find(|(known, _)| *known == byte);
            known.is_some_and(|(_, text)| {
                out.extend_from_slice(text.as_bytes());
                true
            })
        }));
    }
    for special in SPECIAL {
        all.push(replaced(value, |byte, out| {
            backslash(special.contains(&byte), byte, out)
        }));
    }
    for plain in SHELL_PLAIN {
        all.push(replaced(value, |byte, out| {
            let kept = byte.is_ascii_alphanumeric() || byte >= 0x80 || plain.contains(&byte);
            backslash(!kept, byte, out)
        }));
    }
    // Bytes of Python and C, with each of the quotes; quoted-printable.
    for (quotes, octal) in [
        (&b"\\"[..], false),
        (b"\\'", false),
        (b"\\\"", false),
        (b"\\\"", true),
    ] {
        all.push(replaced(value, |byte, out| {
            if byte < 0x80 {
                return backslash(quotes.contains(&byte), byte, out);
            }
            let text = if octal {
                format!("\\{byte:03o}")
            } else {
                format!("\\x{byte:02x}")
            };
            out.extend_from_slice(text.as_bytes());
            true
        }));
    }
    all.push(replaced(value, |byte, out| {
        let special = byte == b'=' || byte >= 0x80;
        if special {
            out.extend_from_slice(format!("={byte:02X}").as_bytes());
        }
        special
    }));
    if let Ok(text) = std::str::from_utf8(value) {
        all.push(utf7(text));
        all.push(latin(text));
    }
    all.retain(|form| form.as_slice() != value);
    all.sort_unstable_by(|a, b| a.as_slice().cmp(b));
    all.dedup();
    all
}

fn backslash(special: bool, byte: u8, out: &mut Vec<u8>) -> bool {
    if special {
        out.extend_from_slice(&[b'\\', byte]);
    }
    special
}

/// Copies the value; `escape` appends the bytes that it replaces.
fn replaced(value: &[u8], mut escape: impl FnMut(u8, &mut Vec<u8>) -> bool) -> Zeroizing<Vec<u8>> {
    // Enough room, so that no unwiped copy is left behind.
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 6));
    for &byte in value {
        if !escape(byte, &mut out) {
            out.push(byte);
        }
    }
    out
}

/// UTF-7 (RFC 2152), which mail programs use.
fn utf7(text: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 8));
    let mut units: Vec<u8> = Vec::new();
    let flush = |units: &mut Vec<u8>, out: &mut Vec<u8>| {
        if !units.is_empty() {
            out.push(b'+');
            out.extend_from_slice(STANDARD_NO_PAD.encode(&*units).as_bytes());
            out.push(b'-');
            units.clear();
        }
    };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || "'(),-./:? ".contains(c) {
            flush(&mut units, &mut out);
            out.push(c as u8);
        } else if c == '+' && units.is_empty() {
            out.extend_from_slice(b"+-");
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                units.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut units, &mut out);
    out
}

/// Python's `ascii`: `\xe4`, `\u20ac`, `\U0001f511`.
fn latin(text: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 10));
    for c in text.chars() {
        match u32::from(c) {
            0x5C => out.extend_from_slice(b"\\\\"),
            0..0x80 => out.push(c as u8),
            code @ 0x80..0x100 => out.extend_from_slice(format!("\\x{code:02x}").as_bytes()),
            code @ 0x100..0x1_0000 => out.extend_from_slice(format!("\\u{code:04x}").as_bytes()),
            code => out.extend_from_slice(format!("\\U{code:08x}").as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(value: &str, expected: &str) {
        let found = quoted(value.as_bytes());
        assert!(
            found
                .iter()
                .any(|form| form.as_slice() == expected.as_bytes()),
            "{expected}"
        );
    }

    #[test]
    fn a_token_has_no_quoted_spelling() {
        assert!(quoted(b"abc_DEF_123").is_empty());
    }

    #[test]
    fn quoting_of_programs() {
        case("a\"b'c<d", "a&quot;b&#x27;c&lt;d");
        case("a'b", "a'\"'\"'b");
        case("a'b", "a''b");
        case("a b$c", "a\\ b\\$c");
        case("a\"b", "a\\042b");
        case("a&b", "a+ACY-b");
        case("p\u{e4}=", "p=C3=A4=3D");
        case("p\u{e4}", "p\\xe4");
        case("p\u{e4}", "p\\303\\244");
    }
}
