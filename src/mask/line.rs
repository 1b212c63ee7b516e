//! The lexer state within a line of JSON.
//!
//! Separates string literals from the rest, finds the `id` of the message, and detects the first
//! token that is not JSON. It does not match brackets or check the order of tokens: masking inside
//! literals is correct whatever is around them.

use super::literal::{LiteralEnd, Role, close, spells};

/// Longer tokens are not examined as a whole (bytes).
pub(super) const SCALAR_BYTES_MAX: usize = 64;

/// The byte order mark, which some servers on Windows write first.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The longest spelling of the key `id`, plus one byte.
const KEY_BYTES_MAX: usize = 13;

/// The keys of base64 in content blocks and resources, and how deep these are in a message. Above,
/// `data` is the text of a log message or the data of an error.
const BLOB_KEYS: &[&str] = &["data", "blob"];
const BLOB_DEPTH: usize = 3;

/// What is known about the line so far.
#[derive(Default)]
pub(super) struct LexState {
    pub(super) begun: bool,
    pub(super) place: LexPosition,
    depth: usize,
    /// Whether the line is an array of messages.
    batch: bool,
    /// The last of `{}[],:`.
    punctuation: u8,
    /// The beginning of the last literal that may be a key.
    key: Vec<u8>,
    /// A token that the end of the last piece cut.
    pub(super) scalar: Vec<u8>,
    pub(super) escaped: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LexPosition {
    #[default]
    Between,
    Scalar,
    /// In a number so long that its beginning was already written.
    LongNumber,
    Literal(Role),
    /// The line is not JSON.
    Text,
}

impl LexState {
    pub(super) fn reset(&mut self) {
        let key = std::mem::take(&mut self.key);
        *self = Self {
            key,
            ..Self::default()
        };
        self.key.clear();
    }

    /// Skips a piece of the line without a secret. Returns the length skipped: all of it, or up to
    /// a token that may continue in the next piece.
    pub(super) fn skip(&mut self, body: &[u8]) -> usize {
        let mut at = 0;
        while at < body.len() {
            let rest = body.get(at..).unwrap_or_default();
            match self.place {
                LexPosition::Between => at += self.between(rest),
                LexPosition::Scalar => {
                    let Some(end) = rest.iter().position(|b| ends_scalar(*b)) else {
                        return at;
                    };
                    let token = rest.get(..end).unwrap_or_default();
                    at += self.whole_scalar(token).unwrap_or(end);
                }
                LexPosition::LongNumber => return at,
                LexPosition::Literal(_) => {
                    let end = close(rest, &mut self.escaped);
                    at += self.skip_literal(rest, &end);
                }
                LexPosition::Text => return body.len(),
            }
        }
        at
    }

    /// Skips to the next literal or other token; returns the length skipped.
    pub(super) fn between(&mut self, rest: &[u8]) -> usize {
        for (at, &byte) in rest.iter().enumerate() {
            match byte {
                b' ' | b'\t' | b'\r' => {}
                b'{' | b'[' => {
                    if self.depth == 0 {
                        self.batch = byte == b'[';
                    }
                    self.depth = self.depth.saturating_add(1);
                    self.punctuation = byte;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.punctuation = byte;
                }
                b',' | b':' => self.punctuation = byte,
                b'"' => {
                    self.place = LexPosition::Literal(self.role());
                    return at + 1;
                }
                _ => {
                    self.place = LexPosition::Scalar;
                    return at;
                }
            }
        }
        rest.len()
    }

    /// The role of the literal that begins here.
    fn role(&mut self) -> Role {
        let Some(depth) = self.depth.checked_sub(1 + usize::from(self.batch)) else {
            return Role::Plain;
        };
        match self.punctuation {
            b'{' | b',' => {
                self.key.clear();
                Role::Key
            }
            b':' if depth == 0 && spells(&self.key, "id") => Role::Id,
            b':' if depth >= BLOB_DEPTH && BLOB_KEYS.iter().any(|key| spells(&self.key, key)) => {
                Role::Blob
            }
            _ => Role::Plain,
        }
    }

    pub(super) fn note_key(&mut self, role: Role, piece: &[u8]) {
        if role == Role::Key {
            let room = KEY_BYTES_MAX.saturating_sub(self.key.len());
            self.key.extend(piece.iter().take(room));
        }
    }

    /// Skips a literal without a secret; returns the length skipped.
    pub(super) fn skip_literal(&mut self, rest: &[u8], end: &LiteralEnd) -> usize {
        let (end, place, step) = match *end {
            LiteralEnd::Close(end) => (end, LexPosition::Between, end + 1),
            LiteralEnd::Broken(end) => (end, LexPosition::Text, end),
            LiteralEnd::Open => (rest.len(), self.place, rest.len()),
        };
        if let LexPosition::Literal(role) = self.place {
            self.note_key(role, rest.get(..end).unwrap_or_default());
        }
        self.place = place;
        step
    }

    /// Checks a token outside literals. `Some`: from this byte of it on, the line is not JSON.
    pub(super) fn whole_scalar(&mut self, token: &[u8]) -> Option<usize> {
        // At the start of the line the byte order mark counts as a space.
        let first = self.punctuation == 0;
        let value = token
            .strip_prefix(BYTE_ORDER_MARK)
            .filter(|_| first)
            .unwrap_or(token);
        let digits = value.iter().take_while(|b| in_number(**b)).count();
        let wrong = match value {
            b"" | b"true" | b"false" | b"null" => None,
            _ if digits > SCALAR_BYTES_MAX => {
                Some(digits + token.len() - value.len()).filter(|wrong| *wrong < token.len())
            }
            _ if value.len() <= SCALAR_BYTES_MAX && is_number(value) => None,
            _ => Some(0),
        };
        self.place = if wrong.is_some() {
            LexPosition::Text
        } else {
            LexPosition::Between
        };
        wrong
    }
}

pub(super) fn ends_scalar(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\r' | b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"'
    )
}

pub(super) fn in_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

/// Whether the token is a JSON number.
fn is_number(token: &[u8]) -> bool {
    let digits = |text: &mut &[u8]| {
        let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
        *text = text.get(count..).unwrap_or_default();
        count > 0
    };
    let mut rest = token.strip_prefix(b"-").unwrap_or(token);
    if let Some(after) = rest.strip_prefix(b"0") {
        rest = after;
    } else if !digits(&mut rest) {
        return false;
    }
    if let Some(after) = rest.strip_prefix(b".") {
        rest = after;
        if !digits(&mut rest) {
            return false;
        }
    }
    if let [b'e' | b'E', after @ ..] = rest {
        rest = if let [b'+' | b'-', signed @ ..] = after {
            signed
        } else {
            after
        };
        if !digits(&mut rest) {
            return false;
        }
    }
    rest.is_empty()
}
