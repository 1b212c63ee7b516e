//! The forms of a secret: every encoding in which a server is likely to print it.
//!
//! Invariants: no form contains a line break, so masking never holds back a complete line (a value
//! of several lines has a form per line, and the escaped encodings of the whole value). No form is
//! shorter than eight bytes, because it would match unrelated text; shorter lines and values are
//! not masked. Pieces of the secret parts count too; what stands before the secret part of a value
//! is in many documents, so a value with parts counts as a whole only. Not covered: reversed,
//! compressed or encrypted values; base64 characters that mix bits of the secret with its
//! neighbours.

use zeroize::Zeroizing;

use super::form_list::{Form, FormList};
use super::parts::parts;
use super::pattern::{FORM_BYTES_MIN, PatternScope};
use super::spell::{MINIMAL, json};
use crate::secret::Secret;

/// Longer values are searched for in the usual encodings only, and in longer pieces, to save memory
/// (bytes).
const RARE_SPELLINGS_BYTES_MAX: usize = 4096;

/// Forms shorter than this may be periodic (bytes).
const REPETITION_BYTES_MIN: usize = 256;

/// All forms of a secret, without duplicates.
pub(super) fn forms(secret: &Secret) -> Vec<Form> {
    let value = secret.expose().trim_ascii();
    let mut list = FormList::default();
    if value.len() < FORM_BYTES_MIN {
        return list.forms;
    }
    list.rare = value.len() <= RARE_SPELLINGS_BYTES_MAX;
    for part in parts(value) {
        // A weak value was stored on purpose; a weak part is a word like any other.
        if part.as_slice() != value && Secret::new(part.to_vec()).is_weak() {
            continue;
        }
        list.pieces = true;
        for reading in readings(&part) {
            list.spell(&reading);
        }
        if part.as_slice() == value {
            list.whole = true;
        }
    }
    list.pieces = false;
    if !list.whole {
        for reading in readings(value) {
            list.spell(&reading);
        }
    }
    let mut forms = list.forms;
    forms.retain(|form| form.bytes.len() >= FORM_BYTES_MIN);
    // A literal that contains a form spells it with escapes.
    let escaped: Vec<Form> = forms
        .iter()
        .filter(|form| form.scope == PatternScope::Everywhere && is_escaped(&form.bytes))
        .map(|form| Form {
            bytes: json(&form.bytes, &MINIMAL),
            least: form.least,
            scope: PatternScope::Gate,
        })
        .collect();
    forms.extend(escaped);
    for form in &mut forms {
        let whole = form.least == form.bytes.len();
        cut_repetition(&mut form.bytes);
        let length = form.bytes.len();
        form.least = if whole {
            length
        } else {
            form.least.min(length)
        };
    }
    // Sorted so that of two equal forms the one with the wider scope stays, and of these the one
    // with the shorter pieces.
    forms.sort_unstable_by(|a, b| {
        (a.bytes.as_slice(), a.scope, a.least).cmp(&(b.bytes.as_slice(), b.scope, b.least))
    });
    forms.dedup_by(|later, earlier| {
        later.bytes == earlier.bytes
            && (later.least >= earlier.least || later.scope == PatternScope::Gate)
    });
    forms
}

/// Whether a JSON string spells the form with escapes.
fn is_escaped(form: &[u8]) -> bool {
    form.iter()
        .any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
}

/// Shortens a long periodic form to a few periods. The same text is masked, and comparing the form
/// at every byte no longer costs the square of its length.
fn cut_repetition(form: &mut Vec<u8>) {
    if form.len() < REPETITION_BYTES_MIN {
        return;
    }
    // `borders[n]`: length of the longest proper prefix of the first n bytes that is also their
    // suffix.
    let mut borders = vec![0; form.len() + 1];
    let mut border = 0;
    for (at, byte) in form.iter().enumerate().skip(1) {
        while border > 0 && form.get(border) != Some(byte) {
            border = borders.get(border).copied().unwrap_or_default();
        }
        border += usize::from(form.get(border) == Some(byte));
        if let Some(place) = borders.get_mut(at + 1) {
            *place = border;
        }
    }
    let period = form.len() - border;
    // Only complete periods are removed, so the last short match ends where the long one does.
    let rounds = (REPETITION_BYTES_MIN / 4).div_ceil(period).max(2);
    form.truncate(rounds * period + form.len() % period);
}

/// The last four characters of a value, if they may be shown: at least 16 bytes, alphanumeric.
pub(super) fn last_four(secret: &Secret) -> Option<String> {
    let value = secret.expose().trim_ascii_end();
    let tail = value.last_chunk::<4>().filter(|_| value.len() >= 16)?;
    tail.iter()
        .all(u8::is_ascii_alphanumeric)
        .then(|| tail.iter().map(|b| char::from(*b)).collect())
}

/// How programs interpret the bytes as text. UTF-8 has one reading. Otherwise: the bytes,
/// replacement characters (Node), Latin-1 and lone surrogates (Python).
fn readings(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut readings = vec![Zeroizing::new(value.to_vec())];
    if std::str::from_utf8(value).is_err() {
        let latin: String = value.iter().map(|b| char::from(*b)).collect();
        let mut surrogates = Zeroizing::new(Vec::new());
        for chunk in value.utf8_chunks() {
            surrogates.extend_from_slice(chunk.valid().as_bytes());
            for byte in chunk.invalid() {
                surrogates.extend_from_slice(&[0xED, 0xB0 | byte >> 6, 0x80 | byte & 0x3F]);
            }
        }
        readings.push(Zeroizing::new(
            String::from_utf8_lossy(value).into_owned().into_bytes(),
        ));
        readings.push(Zeroizing::new(latin.into_bytes()));
        readings.push(surrogates);
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(value: &[u8], expected: &[&str]) {
        let forms = forms(&Secret::new(value.to_vec()));
        let found = |text: &str| {
            forms
                .iter()
                .any(|form| form.bytes.as_slice() == text.as_bytes())
        };
        for text in expected {
            assert!(found(text), "{text}");
        }
        for form in &forms {
            assert!(form.bytes.len() >= FORM_BYTES_MIN && !form.bytes.contains(&b'\n'));
        }
    }

    #[test]
    fn a_token_has_the_usual_encodings() {
        case(
            b"gh?_0123>456",
            &[
                "gh?_0123>456",
                "gh%3F_0123%3E456",
                "gh%3f_0123%3e456",
                "gh?_0123\\u003e456",
                "gh?_0123\\u003E456",
                "Z2g/XzAxMjM+NDU2",
                "Z2g_XzAxMjM-NDU2",
                "doP18wMTIzPjQ1N",
                "naD9fMDEyMz40NT",
                "67683f5f303132333e343536",
                "67683F5F303132333E343536",
            ],
        );
    }

    #[test]
    fn a_token_has_few_forms() {
        assert_eq!(forms(&Secret::new(b"abcdefghijklmnop".to_vec())).len(), 54);
    }

    #[test]
    fn escapes_are_escaped_again() {
        case(
            b"pass\"word\\",
            &[
                "pass\\\"word\\\\",
                "pass\\\\\\\"word\\\\\\\\",
                "pass%22word%5C",
            ],
        );
        case(
            "pässwörd".as_bytes(),
            &[
                "p\\u00e4ssw\\u00f6rd",
                "p\\u00E4ssw\\u00F6rd",
                "p%C3%A4ssw%C3%B6rd",
            ],
        );
    }

    /// In UTF-16, U+010A and U+0A05 have the byte of a line break.
    #[test]
    fn a_form_never_has_a_line_break() {
        case("p\u{10a}ssword".as_bytes(), &["\u{1}s\0s\0w\0o\0r\0d\0"]);
        case("passwo\u{a05}d".as_bytes(), &["\0p\0a\0s\0s\0w\0o"]);
    }

    #[test]
    fn each_long_line_is_a_form_but_key_file_markers_are_not() {
        let key = b"-----BEGIN KEY-----\nMIIEowIBAAKC\r\n  qwertyuiop\nabc=\n-----END KEY-----\n";
        case(
            key,
            &[
                "MIIEowIBAAKC",
                "qwertyuiop",
                "-----BEGIN KEY-----\\nMIIEowIBAAKC\\r\\n  qwertyuiop\\nabc=\\n-----END KEY-----",
            ],
        );
        let forms = forms(&Secret::new(key.to_vec()));
        assert!(
            forms
                .iter()
                .all(|form| !form.bytes.starts_with(b"-----BEGIN KEY-----\n")
                    && form.bytes.as_slice() != b"-----BEGIN KEY-----")
        );
    }

    #[test]
    fn non_utf8_values_are_found_as_programs_print_them() {
        case(
            b"secret\xff123",
            &[
                "secret\u{fffd}123",
                "secret\u{ff}123",
                "secret\\udcff123",
                "secret%FF123",
            ],
        );
        let forms = forms(&Secret::new(b"secret\xff123".to_vec()));
        let scope = |bytes: &[u8]| {
            forms
                .iter()
                .find(|form| form.bytes.as_slice() == bytes)
                .map(|form| form.scope)
        };
        assert_eq!(scope(b"secret\xff123"), Some(PatternScope::Text));
        assert_eq!(
            scope(b"secret\xed\xb3\xbf123"),
            Some(PatternScope::Everywhere)
        );
    }

    #[test]
    fn long_periodic_forms_are_shortened() {
        for (value, length) in [
            ("a".repeat(65536), 64),
            ("abcdefghij".repeat(1000) + "abc", 73),
            ("0123456789".repeat(25), 250),
            ("x".repeat(1000) + &"y".repeat(1000), 2000),
        ] {
            let forms = forms(&Secret::new(value.clone().into_bytes()));
            let found = |form: &Form| form.bytes.as_slice() == &value.as_bytes()[..length];
            assert!(forms.iter().any(found), "{length}");
        }
    }

    #[test]
    fn short_values_have_no_forms() {
        for value in ["", "abcdefg", "  abc  \n ", "a\nb\nc"] {
            assert!(forms(&Secret::new(value.into())).is_empty());
        }
    }

    #[test]
    fn the_last_four_are_shown_of_long_alphanumeric_values_only() {
        for (value, expected) in [
            ("0123456789abcdef", Some("cdef")),
            ("0123456789abcdef\n", Some("cdef")),
            ("0123456789abcde", None),
            ("0123456789abcd==", None),
            ("0123456789abcdé", None),
        ] {
            assert_eq!(
                last_four(&Secret::new(value.into())).as_deref(),
                expected,
                "{value}"
            );
        }
    }
}
