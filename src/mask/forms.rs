//! The forms of a secret: every spelling in which a server is likely to print it.
//!
//! *Never* gives a form that holds a line break, so that masking never holds back a complete line:
//! of a value of several lines each line is a form, and so are the escaped spellings of the whole.
//! *Never* gives a form shorter than eight bytes, because it would be found in innocent text. So a
//! line, or a whole value, that is shorter is not masked.
//! Absent: reversed, compressed, encrypted or piecewise values; characters of a base64 text that
//! mix bits of the secret with bits of its neighbours; UTF-16; the parts of a structured value.

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::matcher::Reach;
use crate::secret::Secret;

/// The length of the shortest form.
pub(super) const FORM_BYTES_MIN: usize = 8;

/// Values longer than this are searched for in the usual spellings only, to save memory.
const RARE_SPELLINGS_BYTES_MAX: usize = 4096;

/// One spelling of a secret.
pub(super) struct Form {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) reach: Reach,
}

/// How a JSON writer spells a string, where writers differ.
struct Writer {
    /// ASCII characters that it writes as `\u00XX`, besides control characters.
    ascii: &'static [u8],
    slash: bool,
    wide: bool,
    upper: bool,
}

const MINIMAL: Writer = Writer {
    ascii: b"",
    slash: false,
    wide: false,
    upper: false,
};

/// The first is `JSON.stringify` and `serde_json`; below, what differs from it.
const WRITERS: &[Writer] = &[
    MINIMAL,
    // Control characters in upper case: Jackson.
    Writer {
        upper: true,
        ..MINIMAL
    },
    // Python's `json`, Ruby's `ascii_only`; the same in upper case.
    Writer {
        wide: true,
        ..MINIMAL
    },
    Writer {
        wide: true,
        upper: true,
        ..MINIMAL
    },
    // PHP, with and without JSON_UNESCAPED_UNICODE.
    Writer {
        slash: true,
        wide: true,
        ..MINIMAL
    },
    Writer {
        slash: true,
        ..MINIMAL
    },
    // Go's `encoding/json` and Rails; Gson.
    Writer {
        ascii: b"<>&",
        ..MINIMAL
    },
    Writer {
        ascii: b"<>&='",
        ..MINIMAL
    },
    // .NET's System.Text.Json.
    Writer {
        ascii: b"\"&'+<>`\x7f",
        wide: true,
        upper: true,
        ..MINIMAL
    },
];

/// What a percent-encoder leaves as it is, besides letters and digits, and how it writes a space.
const PERCENT: &[(&[u8], &[u8])] = &[
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

/// All forms of a secret, without duplicates.
pub(super) fn forms(secret: &Secret) -> Vec<Form> {
    let value = secret.expose();
    let mut forms = Vec::new();
    for reading in readings(value) {
        spell(
            &reading,
            value.len() <= RARE_SPELLINGS_BYTES_MAX,
            &mut forms,
        );
    }
    // A literal that holds a form spells it with escapes.
    let escaped: Vec<Form> = forms
        .iter()
        .filter(|form| form.reach == Reach::Everywhere)
        .map(|form| Form {
            bytes: json(&form.bytes, &MINIMAL),
            reach: Reach::Gate,
        })
        .collect();
    forms.extend(escaped);
    forms.retain(|form| form.bytes.len() >= FORM_BYTES_MIN);
    // Sorted so that of two equal forms the one that reaches farther stays.
    forms.sort_unstable_by(|a, b| a.bytes.as_slice().cmp(&b.bytes).then(a.reach.cmp(&b.reach)));
    forms.dedup_by(|later, earlier| later.bytes == earlier.bytes);
    forms
}

/// The last four characters of a value that may be shown: only of a long one, only plain ones.
pub(super) fn last_four(secret: &Secret) -> Option<String> {
    let value = secret.expose().trim_ascii_end();
    let tail = value.last_chunk::<4>().filter(|_| value.len() >= 16)?;
    tail.iter()
        .all(u8::is_ascii_alphanumeric)
        .then(|| tail.iter().map(|b| char::from(*b)).collect())
}

/// What a program makes of the bytes when it takes them for text. UTF-8 stays as it is. Otherwise:
/// the bytes, replacement characters (Node), Latin-1, and lone surrogates (Python).
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

/// Adds the spellings of one reading of the value.
fn spell(value: &[u8], rare: bool, forms: &mut Vec<Form>) {
    let value = value.trim_ascii();
    let mut add = |bytes: Zeroizing<Vec<u8>>| {
        let reach = if is_text(&bytes) {
            Reach::Everywhere
        } else {
            Reach::Text
        };
        forms.push(Form { bytes, reach });
    };
    let writers = if rare {
        WRITERS
    } else {
        std::slice::from_ref(&MINIMAL)
    };
    let lines = lines(value);
    for line in &lines {
        add(Zeroizing::new(line.to_vec()));
    }
    for part in lines
        .into_iter()
        .filter(|line| line.len() < value.len())
        .chain([value])
    {
        for writer in writers {
            let once = json(part, writer);
            add(json(&once, &MINIMAL));
            add(json(&once, writer));
            add(once);
        }
    }
    for (kept, space) in PERCENT.iter().take(if rare { PERCENT.len() } else { 1 }) {
        add(percent(value, kept, space, b"0123456789ABCDEF"));
        add(percent(value, kept, space, b"0123456789abcdef"));
    }
    for offset in 0..3 {
        add(base64(value, offset, &STANDARD_NO_PAD));
        add(base64(value, offset, &URL_SAFE_NO_PAD));
    }
    add(hex(value, b"0123456789abcdef"));
    add(hex(value, b"0123456789ABCDEF"));
}

/// The lines that are worth masking: long enough, and not the frame of a key file.
fn lines(value: &[u8]) -> Vec<&[u8]> {
    value
        .split(|b| matches!(b, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii)
        .filter(|line| line.len() >= FORM_BYTES_MIN)
        .filter(|line| !line.starts_with(b"-----BEGIN ") && !line.starts_with(b"-----END "))
        .collect()
}

/// Whether the bytes are whole characters. Lone surrogates count: JSON can spell them.
fn is_text(mut bytes: &[u8]) -> bool {
    loop {
        match std::str::from_utf8(bytes) {
            Ok(_) => return true,
            Err(error) => match bytes.get(error.valid_up_to()..) {
                Some([0xED, 0xA0..=0xBF, 0x80..=0xBF, rest @ ..]) => bytes = rest,
                _ => return false,
            },
        }
    }
}

/// The value as it stands between the quotes of a JSON string.
fn json(value: &[u8], writer: &Writer) -> Zeroizing<Vec<u8>> {
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

/// The character or lone surrogate that begins with this byte, and how many bytes follow.
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

/// `\uXXXX`, two of them beyond the basic plane.
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

fn percent(value: &[u8], kept: &[u8], space: &[u8], digits: &[u8; 16]) -> Zeroizing<Vec<u8>> {
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

/// The characters that this value alone determines, wherever it stands in the encoded text: behind
/// `offset` other bytes (modulo three).
fn base64(value: &[u8], offset: usize, engine: &impl base64::Engine) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(vec![0; offset]);
    padded.extend_from_slice(value);
    let text = Zeroizing::new(engine.encode(&*padded));
    let first = (8 * offset).div_ceil(6);
    let end = 8 * padded.len() / 6;
    Zeroizing::new(text.as_bytes().get(first..end).unwrap_or_default().to_vec())
}

fn hex(value: &[u8], digits: &[u8; 16]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(
        value
            .iter()
            .flat_map(|b| [digit(digits, b >> 4), digit(digits, *b)])
            .collect(),
    )
}

fn digit(digits: &[u8; 16], nibble: u8) -> u8 {
    digits
        .get(usize::from(nibble & 15))
        .copied()
        .unwrap_or(b'0')
}
