//! The encodings of one part of a secret, each with the number of bytes that are a piece of it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::pattern::{FORM_BYTES_MIN, PatternScope};
use super::quote::quoted;
use super::spell::{MINIMAL, PERCENT, WRITERS, base64, hex, json, percent};
use super::units::{base32, base85, units, utf16};

/// How many bytes in a row count as a piece of a secret.
const PIECE_BYTES: usize = 12;
/// The digits of a piece of 12 bytes in base64 and base32.
const BASE64_PIECE_BYTES: usize = 16;
const BASE32_PIECE_BYTES: usize = 20;
/// Two bytes or more of these encodings stand for one of the secret.
const BASE64_TWICE_PIECE_BYTES: usize = 40;
/// A piece of a form that is not ASCII: a match is cut to complete characters.
const PIECE_BYTES_WIDE: usize = 16;
/// A piece of a long value: larger, to save memory.
const PIECE_BYTES_LONG: usize = 48;
/// The shortest token that is also searched for in upper and lower case (bytes).
const CASE_BYTES_MIN: usize = 20;

/// One encoding of a secret.
pub(super) struct Form {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// How many of its bytes in a row count as a match.
    pub(super) least: usize,
    pub(super) scope: PatternScope,
}

/// The forms of one secret, as they are found.
#[derive(Default)]
pub(super) struct FormList {
    pub(super) forms: Vec<Form>,
    /// Whether the rare encodings are added too.
    pub(super) rare: bool,
    /// Whether pieces of the forms count.
    pub(super) pieces: bool,
    /// Whether the value is its own only part.
    pub(super) whole: bool,
}

impl FormList {
    fn add(&mut self, bytes: Zeroizing<Vec<u8>>, piece: usize) {
        let text = is_text(&bytes);
        let piece = match (text, self.pieces) {
            (true, true) if !self.rare => piece.max(PIECE_BYTES_LONG),
            (true, true) if !bytes.is_ascii() => piece.max(PIECE_BYTES_WIDE),
            (true, true) => piece,
            _ => usize::MAX,
        };
        self.forms.push(Form {
            least: piece.min(bytes.len()),
            scope: if text {
                PatternScope::Everywhere
            } else {
                PatternScope::Text
            },
            bytes,
        });
    }

    /// Adds the encodings of one reading of a part.
    pub(super) fn spell(&mut self, value: &[u8]) {
        let value = value.trim_ascii();
        let lines = lines(value);
        // Wrapped elsewhere, or not at all.
        let joined = Zeroizing::new(lines.concat());
        self.add(joined.clone(), PIECE_BYTES);
        for line in &lines {
            self.add(Zeroizing::new(line.to_vec()), PIECE_BYTES);
        }
        for part in lines
            .into_iter()
            .filter(|line| line.len() < value.len())
            .chain([value])
        {
            self.quoted(part);
        }
        let most = if self.rare { PERCENT.len() } else { 1 };
        for (kept, space) in PERCENT.iter().take(most) {
            for digits in [b"0123456789ABCDEF", b"0123456789abcdef"] {
                let once = percent(value, kept, space, digits);
                if once.as_slice() != value {
                    self.add(percent(&once, kept, space, digits), PIECE_BYTES);
                }
                self.add(once, PIECE_BYTES);
            }
        }
        self.bases(value);
        if !(self.rare && self.pieces) {
            return;
        }
        for (form, piece) in units(value) {
            self.add(form, piece);
        }
        for form in utf16(&joined).into_iter().flatten() {
            // Half of a unit may be the byte of a line break, and streams are masked by line.
            let parts = form.split(|byte| *byte == b'\n');
            for part in parts.filter(|part| part.len() >= FORM_BYTES_MIN) {
                self.add(Zeroizing::new(part.to_vec()), 2 * PIECE_BYTES);
            }
        }
        if joined.len() >= CASE_BYTES_MIN {
            self.add(Zeroizing::new(joined.to_ascii_lowercase()), PIECE_BYTES);
            self.add(Zeroizing::new(joined.to_ascii_uppercase()), PIECE_BYTES);
        }
    }

    /// JSON and the quoting of languages, shells and markup; also inside JSON.
    fn quoted(&mut self, value: &[u8]) {
        let writers = if self.rare {
            WRITERS
        } else {
            std::slice::from_ref(&MINIMAL)
        };
        for writer in writers {
            let once = json(value, writer);
            let twice = json(&once, &MINIMAL);
            self.add(json(&twice, &MINIMAL), PIECE_BYTES);
            self.add(twice, PIECE_BYTES);
            self.add(json(&once, writer), PIECE_BYTES);
            self.add(once, PIECE_BYTES);
        }
        if self.rare && !value.contains(&b'\n') {
            for form in quoted(value) {
                self.add(json(&form, &MINIMAL), PIECE_BYTES);
                self.add(form, PIECE_BYTES);
            }
        }
    }

    /// Base64, hex, base32 and base85.
    fn bases(&mut self, value: &[u8]) {
        let mut inner = vec![Zeroizing::new(value.to_vec())];
        if self.rare {
            let escaped = json(value, &MINIMAL);
            if escaped.as_slice() != value {
                inner.push(escaped);
            }
        }
        for value in &inner {
            for offset in 0..3 {
                self.add(base64(value, offset, &STANDARD_NO_PAD), BASE64_PIECE_BYTES);
                self.add(base64(value, offset, &URL_SAFE_NO_PAD), BASE64_PIECE_BYTES);
            }
        }
        for form in hex(value) {
            self.add(form, 2 * PIECE_BYTES);
        }
        if !self.rare {
            return;
        }
        let twice = Zeroizing::new(STANDARD.encode(value).into_bytes());
        let wide = utf16(value).into_iter().flatten().take(1);
        for value in [twice].into_iter().chain(wide) {
            for offset in 0..3 {
                let form = base64(&value, offset, &STANDARD_NO_PAD);
                self.add(form, BASE64_TWICE_PIECE_BYTES);
            }
        }
        let base32 = base32(value);
        self.add(
            Zeroizing::new(base32.to_ascii_lowercase()),
            BASE32_PIECE_BYTES,
        );
        self.add(base32, BASE32_PIECE_BYTES);
        // A short form would need shorter steps for the whole search.
        let base85 = base85(value).into_iter();
        for form in base85.filter(|form| form.len() >= BASE64_PIECE_BYTES) {
            self.add(form, BASE64_PIECE_BYTES);
        }
    }
}

/// The lines to mask: long enough, and not the BEGIN or END line of a key file.
fn lines(value: &[u8]) -> Vec<&[u8]> {
    value
        .split(|b| matches!(b, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii)
        .filter(|line| line.len() >= FORM_BYTES_MIN)
        .filter(|line| !line.starts_with(b"-----BEGIN ") && !line.starts_with(b"-----END "))
        .collect()
}

/// Whether the bytes are complete characters. Lone surrogates count, because JSON can spell them.
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
