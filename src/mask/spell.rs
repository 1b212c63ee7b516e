//! The encodings in which programs print bytes.
//!
//! Tables of the differences between JSON writers and percent-encoders, and the encoders. Pure
//! functions of bytes; the results are wiped when dropped.

use zeroize::Zeroizing;

/// The options in which JSON writers differ.
pub(super) struct JsonDialect {
    /// ASCII characters written as `\u00XX`, besides control characters.
    ascii: &'static [u8],
    slash: bool,
    wide: bool,
    upper: bool,
}

pub(super) const MINIMAL: JsonDialect = JsonDialect {
    ascii: b"",
    slash: false,
    wide: false,
    upper: false,
};

/// The first is `JSON.stringify` and `serde_json`; below, what differs from it.
pub(super) const WRITERS: &[JsonDialect] = &[
    MINIMAL,
    // Control characters in upper case: Jackson.
    JsonDialect {
        upper: true,
        ..MINIMAL
    },
    // Python's `json`, Ruby's `ascii_only`; the same in upper case.
    JsonDialect {
        wide: true,
        ..MINIMAL
    },
    JsonDialect {
        wide: true,
        upper: true,
        ..MINIMAL
    },
    // PHP, with and without JSON_UNESCAPED_UNICODE.
    JsonDialect {
        slash: true,
        wide: true,
        ..MINIMAL
    },
    JsonDialect {
        slash: true,
        ..MINIMAL
    },
    // Go's `encoding/json` and Rails; Gson.
    JsonDialect {
        ascii: b"<>&",
        ..MINIMAL
    },
    JsonDialect {
        ascii: b"<>&='",
        ..MINIMAL
    },
    // .NET's System.Text.Json.
    JsonDialect {
        ascii: b"\"&'+<>`\x7f",
        wide: true,
        upper: true,
        ..MINIMAL
    },
];

/// The characters that a percent-encoder keeps besides letters and digits, and its space.
pub(super) const PERCENT: &[(&[u8], &[u8])] = &[
    // RFC 3986; `encodeURIComponent`; Python's `quote`; `encodeURI`.
    (b"-._~", b"%20"),
    (b"-_.!~*'()", b"%20"),
    (b"-._~/", b"%20"),
    (b";,/?:@&=+$-_.!~*'()#", b"%20"),
    // HTML forms and Java; Python's `quote_plus` and Go's `QueryEscape`.
    (b"-_.*", b"+"),
    (b"-_.~", b"+"),
    // The URL standard: user and password, query.
    (b"!$%&'()*+,-._~", b"%20"),
    (b"!$%&()*+,-./:;=?@[\\]^_`{|}~", b"%20"),
];

/// The value as written between the quotes of a JSON string.
pub(super) fn json(value: &[u8], writer: &JsonDialect) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 2));
    let mut rest = value;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let short = match first {
            b'"' | b'\\' => first,
            b'/' if writer.slash => b'/',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            12 => b'f',
            _ => 0,
        };
        if writer.ascii.contains(&first) || first < 0x20 && short == 0 {
            unicode(u32::from(first), writer.upper, &mut out);
        } else if short != 0 {
            out.extend_from_slice(&[b'\\', short]);
        } else if first >= 0x80 && writer.wide {
            let (code, length) = character(first, after);
            rest = after.get(length..).unwrap_or_default();
            match code {
                Some(code) => unicode(code, writer.upper, &mut out),
                None => out.push(first),
            }
        } else {
            out.push(first);
        }
    }
    out
}

/// The character or lone surrogate that begins with this byte, and the number of bytes that follow.
fn character(first: u8, after: &[u8]) -> (Option<u32>, usize) {
    let length = match first {
        0xC2..=0xDF => 1,
        0xE0..=0xEF => 2,
        0xF0..=0xF4 => 3,
        _ => return (None, 0),
    };
    let Some(tail) = after.get(..length) else {
        return (None, 0);
    };
    if !tail.iter().all(|b| (0x80..0xC0).contains(b)) {
        return (None, 0);
    }
    let head = u32::from(first) & (0x3F >> length);
    (
        Some(
            tail.iter()
                .fold(head, |code, b| code << 6 | u32::from(b & 0x3F)),
        ),
        length,
    )
}

/// Writes `\uXXXX`, twice beyond the basic plane.
fn unicode(code: u32, upper: bool, out: &mut Vec<u8>) {
    let (pair, single);
    let units: &[u32] = if let Some(high) = code.checked_sub(0x1_0000) {
        pair = [0xD800 + (high >> 10), 0xDC00 + (high & 0x3FF)];
        &pair
    } else {
        single = [code];
        &single
    };
    for unit in units {
        let text = if upper {
            format!("\\u{unit:04X}")
        } else {
            format!("\\u{unit:04x}")
        };
        out.extend_from_slice(text.as_bytes());
    }
}

pub(super) fn percent(
    value: &[u8],
    kept: &[u8],
    space: &[u8],
    digits: &[u8; 16],
) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 3));
    for &byte in value {
        match byte {
            b' ' => out.extend_from_slice(space),
            _ if byte.is_ascii_alphanumeric() || kept.contains(&byte) => out.push(byte),
            _ => out.extend_from_slice(&[b'%', digit(digits, byte >> 4), digit(digits, byte)]),
        }
    }
    out
}

/// The base64 characters that depend on this value alone when `offset` other bytes (modulo three)
/// come before it.
pub(super) fn base64(
    value: &[u8],
    offset: usize,
    engine: &impl base64::Engine,
) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(vec![0; offset]);
    padded.extend_from_slice(value);
    let text = Zeroizing::new(engine.encode(&*padded));
    let first = (8 * offset).div_ceil(6);
    let end = 8 * padded.len() / 6;
    Zeroizing::new(text.as_bytes().get(first..end).unwrap_or_default().to_vec())
}

/// In lower case and in upper case.
pub(super) fn hex(value: &[u8]) -> [Zeroizing<Vec<u8>>; 2] {
    let room = || Zeroizing::new(vec![0; base16ct::encoded_len(value)]);
    let (mut lower, mut upper) = (room(), room());
    base16ct::lower::encode(value, &mut lower).expect("the buffer has two digits per byte");
    base16ct::upper::encode(value, &mut upper).expect("the buffer has two digits per byte");
    [lower, upper]
}

fn digit(digits: &[u8; 16], nibble: u8) -> u8 {
    digits
        .get(usize::from(nibble & 15))
        .copied()
        .unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD_NO_PAD;

    use super::*;

    #[track_caller]
    fn case(value: &str, writer: &JsonDialect, expected: &str) {
        assert_eq!(
            json(value.as_bytes(), writer).as_slice(),
            expected.as_bytes()
        );
    }

    #[test]
    fn the_first_writer_matches_serde_json() {
        for value in [
            "a\"b\\c/d",
            "\u{0}\u{8}\u{b}\u{c}\n\r\t\u{1f}\u{7f}",
            "é€😀",
        ] {
            let expected = serde_json::to_string(value).unwrap();
            case(value, &MINIMAL, expected.trim_matches('"'));
        }
    }

    #[test]
    fn other_writers_escape_more() {
        let wide = JsonDialect {
            wide: true,
            ..MINIMAL
        };
        case("é€😀", &wide, "\\u00e9\\u20ac\\ud83d\\ude00");
        case(
            "é\u{1b}",
            &JsonDialect {
                upper: true,
                ..wide
            },
            "\\u00E9\\u001B",
        );
        case(
            "a/b",
            &JsonDialect {
                slash: true,
                ..MINIMAL
            },
            "a\\/b",
        );
        case(
            "<a>&",
            &JsonDialect {
                ascii: b"<>&",
                ..MINIMAL
            },
            "\\u003ca\\u003e\\u0026",
        );
    }

    #[test]
    fn invalid_utf8_stays() {
        let wide = JsonDialect {
            wide: true,
            ..MINIMAL
        };
        assert_eq!(
            json(b"a\xff\xc3\xe2\x82", &wide).as_slice(),
            b"a\xff\xc3\xe2\x82"
        );
        assert_eq!(json(b"\xed\xb3\xbf", &wide).as_slice(), b"\\udcff");
    }

    #[test]
    fn percent_encoders_keep_different_characters() {
        let digits = b"0123456789ABCDEF";
        let all = |value: &[u8]| -> Vec<String> {
            let spell = |(kept, space): &(&[u8], &[u8])| {
                String::from_utf8_lossy(&percent(value, kept, space, digits)).into_owned()
            };
            PERCENT.iter().map(spell).collect()
        };
        let found = all(b"a b/c~d*");
        for expected in [
            "a%20b%2Fc~d%2A",
            "a%20b%2Fc~d*",
            "a%20b/c~d%2A",
            "a+b%2Fc%7Ed*",
            "a+b%2Fc~d%2A",
        ] {
            assert!(found.iter().any(|text| text == expected), "{expected}");
        }
    }

    #[test]
    fn base64_is_found_after_any_bytes() {
        let value = b"swordfish!";
        for before in 0..7 {
            for after in 0..7 {
                let whole = [vec![b'x'; before].as_slice(), value, &vec![b'y'; after]].concat();
                let text = base64::Engine::encode(&STANDARD_NO_PAD, whole);
                let form = base64(value, before % 3, &STANDARD_NO_PAD);
                assert!(form.len() >= 12 && text.contains(std::str::from_utf8(&form).unwrap()));
            }
        }
    }
}
