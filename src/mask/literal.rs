//! Masks inside one JSON string literal, which may be longer than memory.
//!
//! The raw bytes are decoded, the decoded text is searched, and the raw bytes of each match are
//! replaced. Invariants: all other bytes stay as the server wrote them; no escape or character is
//! cut in half.

use memchr::{memchr, memchr2};
use zeroize::Zeroize as _;

use super::Masker;
use super::mask_set::Replacement;
use super::pattern::{Hit, SearchMode, undivided};
use super::text::spans;

/// What the literal is, which decides what happens to a secret in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is masked.
    Plain,
    /// It is masked; it may be a key.
    Key,
    /// It is base64 and must stay decodable: a secret becomes as many zeros of base64.
    Blob,
    /// It is masked and reported; this is the ID of a message.
    Id,
}

/// The end of a literal that may be the beginning of a form.
#[derive(Default)]
pub(super) struct Literal {
    /// Raw bytes, starting with a complete character.
    raw: Vec<u8>,
    /// How many decoded bytes are covered by a mask that was already written.
    covered: usize,
    hits: Vec<Hit>,
    /// Whether the literal is an ID and contains a secret.
    pub(super) in_id: bool,
}

impl Literal {
    pub(super) fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Returns how many bytes are held, and no longer holds them: the caller passes them again, at the
    /// front of a larger piece. 0 if that is not possible: they are more than the caller's last `piece`
    /// (bytes), or a mask already covers some.
    pub(super) fn give_back(&mut self, piece: usize) -> usize {
        if self.covered > 0 || self.raw.len() >= piece {
            return 0;
        }
        let held = self.raw.len();
        self.raw.zeroize();
        held
    }

    /// Appends the masked piece to `out`. If the literal is not JSON, returns the raw bytes from
    /// the invalid escape on, for the caller to handle.
    pub(super) fn push(
        &mut self,
        masker: &Masker,
        piece: &[u8],
        (role, end): (Role, bool),
        replacement: &mut Replacement,
        out: &mut Vec<u8>,
    ) -> Option<Vec<u8>> {
        let Some(matcher) = &masker.matcher else {
            out.append(&mut self.raw);
            out.extend_from_slice(piece);
            return None;
        };
        let mut held = std::mem::take(&mut self.raw);
        if !held.is_empty() {
            held.extend_from_slice(piece);
        }
        let raw = if held.is_empty() { piece } else { &held };

        let decoded = Decoded::new(raw, end);
        let text = decoded.text(raw);
        let end = end || decoded.broken;
        let until = if end {
            matcher.find(text, SearchMode::Literal, &mut self.hits);
            text.len()
        } else {
            let until = matcher.scan(text, SearchMode::Literal, &mut self.hits);
            decoded.undivided(&self.hits, until)
        };
        let mut from = 0;
        for span in spans(&self.hits, self.covered, until) {
            self.in_id |= role == Role::Id;
            let clear = decoded.raw_end(from)..decoded.raw_start(span.start);
            out.extend_from_slice(raw.get(clear).unwrap_or_default());
            if role == Role::Blob {
                let filled = if span.hit.is_some() {
                    span.start
                } else {
                    self.covered
                };
                out.resize(out.len() + span.end.saturating_sub(filled), b'A');
                replacement.masked += u64::from(span.hit.is_some());
            } else if let Some(hit) = span.hit {
                out.extend_from_slice(replacement.mask(&masker.mask_sets, &hit).as_bytes());
            }
            from = span.end;
        }
        let raw_until = decoded.raw_start(until).min(decoded.used);
        out.extend_from_slice(
            raw.get(decoded.raw_end(from)..raw_until)
                .unwrap_or_default(),
        );
        self.covered = from.saturating_sub(until);

        let rest = raw.get(raw_until..).unwrap_or_default().to_vec();
        if !held.is_empty() {
            held.zeroize();
        }
        if decoded.broken {
            self.covered = 0;
            return Some(rest);
        }
        self.raw = rest;
        None
    }
}

impl Drop for Literal {
    fn drop(&mut self) {
        self.raw.zeroize();
    }
}

/// The positions of an escape in the raw bytes and in the text.
struct Escape {
    raw_start: usize,
    raw_end: usize,
    text_start: usize,
    text_end: usize,
}

/// A piece of a literal as text, with the positions of its escapes.
struct Decoded {
    /// Empty if there are no escapes: the raw bytes are the text.
    text: Vec<u8>,
    escapes: Vec<Escape>,
    /// How many raw bytes were decoded: all but an incomplete escape.
    used: usize,
    /// Whether decoding stopped at an invalid escape.
    broken: bool,
}

impl Decoded {
    fn new(raw: &[u8], end: bool) -> Self {
        let mut decoded = Self {
            text: Vec::new(),
            escapes: Vec::new(),
            used: raw.len(),
            broken: false,
        };
        let mut at = 0;
        while let Some(clear) = memchr(b'\\', raw.get(at..).unwrap_or_default()) {
            let start = at + clear;
            let rest = raw.get(start..).unwrap_or_default();
            decoded
                .text
                .extend_from_slice(raw.get(at..start).unwrap_or_default());
            match escape(rest, end) {
                Read::Char(bytes, length) => {
                    let text_start = decoded.text.len();
                    decoded.text.extend_from_slice(bytes.as_slice());
                    at = start + length;
                    decoded.escapes.push(Escape {
                        raw_start: start,
                        raw_end: at,
                        text_start,
                        text_end: decoded.text.len(),
                    });
                }
                stop => {
                    decoded.used = start;
                    decoded.broken = matches!(stop, Read::Broken);
                    return decoded;
                }
            }
        }
        if !decoded.escapes.is_empty() {
            decoded
                .text
                .extend_from_slice(raw.get(at..).unwrap_or_default());
        }
        decoded
    }

    fn text<'a>(&'a self, raw: &'a [u8]) -> &'a [u8] {
        if self.escapes.is_empty() {
            raw.get(..self.used).unwrap_or_default()
        } else {
            &self.text
        }
    }

    /// The start, in the raw bytes, of the character at this offset of the text.
    fn raw_start(&self, text_at: usize) -> usize {
        self.raw(text_at, |escape| escape.raw_start)
    }

    /// The end, in the raw bytes, of the character before this offset of the text.
    fn raw_end(&self, text_at: usize) -> usize {
        self.raw(text_at, |escape| escape.raw_end)
    }

    /// The last position of the text up to this one that divides neither an escape nor a match.
    fn undivided(&self, hits: &[Hit], text_at: usize) -> usize {
        let before = self
            .escapes
            .partition_point(|escape| escape.text_start < text_at);
        let around = before
            .checked_sub(1)
            .and_then(|last| self.escapes.get(last));
        match around.filter(|escape| text_at < escape.text_end) {
            Some(escape) => self.undivided(hits, undivided(hits, escape.text_start)),
            None => text_at,
        }
    }

    fn raw(&self, text_at: usize, inside: impl Fn(&Escape) -> usize) -> usize {
        let before = self
            .escapes
            .partition_point(|escape| escape.text_start < text_at);
        match before
            .checked_sub(1)
            .and_then(|last| self.escapes.get(last))
        {
            Some(escape) if text_at < escape.text_end => inside(escape),
            Some(escape) => escape.raw_end + (text_at - escape.text_end),
            None => text_at,
        }
    }
}

impl Drop for Decoded {
    fn drop(&mut self) {
        // Most literals have no escapes, and wiping an empty buffer costs time too.
        if !self.text.is_empty() {
            self.text.zeroize();
        }
    }
}

/// What follows a backslash.
enum Read {
    Char(Utf8, usize),
    /// The piece ends before the escape does.
    Cut,
    /// Not a JSON escape.
    Broken,
}

/// The bytes of one character; a lone surrogate has three, like a character.
struct Utf8 {
    bytes: [u8; 4],
    length: usize,
}

impl Utf8 {
    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

fn escape(raw: &[u8], end: bool) -> Read {
    let cut = if end { Read::Broken } else { Read::Cut };
    let Some(kind) = raw.get(1) else { return cut };
    let plain = match kind {
        b'"' | b'\\' | b'/' => *kind,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(raw, end, cut),
        _ => return Read::Broken,
    };
    Read::Char(
        Utf8 {
            bytes: [plain, 0, 0, 0],
            length: 1,
        },
        2,
    )
}

fn unicode(raw: &[u8], end: bool, cut: Read) -> Read {
    let unit = match hex_unit(raw) {
        Ok(unit) => unit,
        Err(Wrong::Cut) => return cut,
        Err(Wrong::Broken) => return Read::Broken,
    };
    if (0xD800..0xDC00).contains(&unit) {
        match hex_unit(raw.get(6..).unwrap_or_default()) {
            Ok(low @ 0xDC00..0xE000) => {
                let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                return Read::Char(utf8(code), 12);
            }
            // The second half may be in the next piece.
            Err(Wrong::Cut) if !end => return Read::Cut,
            _ => {}
        }
    }
    Read::Char(utf8(unit), 6)
}

enum Wrong {
    Cut,
    Broken,
}

/// The number in `\uXXXX`.
fn hex_unit(raw: &[u8]) -> Result<u32, Wrong> {
    let mut unit = 0;
    for n in 0..6 {
        let byte = *raw.get(n).ok_or(Wrong::Cut)?;
        let digit = char::from(byte).to_digit(16);
        unit = match (n, byte, digit) {
            (0, b'\\', _) | (1, b'u', _) => 0,
            (2.., _, Some(digit)) => unit << 4 | digit,
            _ => return Err(Wrong::Broken),
        };
    }
    Ok(unit)
}

fn utf8(code: u32) -> Utf8 {
    let mut bytes = [0; 4];
    if let Some(c) = char::from_u32(code) {
        let length = c.encode_utf8(&mut bytes).len();
        return Utf8 { bytes, length };
    }
    let [_, _, high, low] = code.to_be_bytes();
    let middle = (high & 0x0F) << 2 | low >> 6;
    Utf8 {
        bytes: [0xE0 | high >> 4, 0x80 | middle, 0x80 | low & 0x3F, 0],
        length: 3,
    }
}

/// Whether the raw bytes between the quotes spell this text.
pub(super) fn spells(raw: &[u8], text: &str) -> bool {
    if raw == text.as_bytes() {
        return true;
    }
    let decoded = Decoded::new(raw, true);
    !decoded.broken && decoded.text(raw) == text.as_bytes()
}

/// How a literal ends within a piece.
pub(super) enum LiteralEnd {
    Close(usize),
    /// At an invalid escape.
    Broken(usize),
    Open,
}

/// Finds the closing quote or an invalid escape. `escaped` says whether the byte before the piece
/// is a backslash that begins an escape, and is updated for the next piece.
pub(super) fn close(piece: &[u8], escaped: &mut bool) -> LiteralEnd {
    let mut at = usize::from(std::mem::take(escaped));
    while let Some(found) = memchr2(b'"', b'\\', piece.get(at..).unwrap_or_default()) {
        at += found;
        if piece.get(at) == Some(&b'"') {
            return LiteralEnd::Close(at);
        }
        match piece.get(at + 1) {
            None => *escaped = true,
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
            Some(b'u') if piece.iter().skip(at + 2).take(4).all(u8::is_ascii_hexdigit) => {}
            Some(_) => return LiteralEnd::Broken(at),
        }
        at += 2;
    }
    LiteralEnd::Open
}
