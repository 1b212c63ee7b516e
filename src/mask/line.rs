//! Where in a line of JSON the masking of messages is.
//!
//! Tells string literals from what stands between them, finds the `id` of the message, and notices
//! the first token that no JSON has. *Never* counts brackets against each other or looks at the
//! order of tokens: masking in literals is right whatever stands around them.

use super::literal::{LiteralEnd, Role, close, spells};

/// Where a long token stops being looked at as a whole.
pub(super) const SCALAR_BYTES_MAX: usize = 64;

/// The byte order mark, which some servers on Windows write first.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The longest spelling of the key `id`, and one byte more.
const KEY_BYTES_MAX: usize = 13;

/// What is known of the line so far.
#[derive(Default)]
pub(super) struct LexState {
    pub(super) begun: bool,
    pub(super) place: LexPosition,
    depth: usize,
    /// Whether the line is an array of messages.
    batch: bool,
    /// The last of `{}[],:`.
    punctuation: u8,
    /// The beginning of the last key of the message.
    key: Vec<u8>,
    /// A token that the last piece cut.
    pub(super) scalar: Vec<u8>,
    pub(super) escaped: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LexPosition {
    #[default]
    Between,
    Scalar,
    /// In a number that is so long that its beginning was written already.
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

    /// Steps over a piece of the line in which nothing has to be masked. Returns how far that was:
    /// all of it, or up to a token whose end has to be awaited.
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
                    at += self.quiet_literal(rest, &end);
                }
                LexPosition::Text => return body.len(),
            }
        }
        at
    }

    /// Goes on to the next literal or other token, and returns how far that was.
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

    /// What the literal is that begins here.
    fn role(&mut self) -> Role {
        if self.depth != 1 + usize::from(self.batch) {
            return Role::Plain;
        }
        match self.punctuation {
            b'{' | b',' => {
                self.key.clear();
                Role::Key
            }
            b':' if spells(&self.key, "id") => Role::Id,
            _ => Role::Plain,
        }
    }

    pub(super) fn note_key(&mut self, role: Role, piece: &[u8]) {
        if role == Role::Key {
            let room = KEY_BYTES_MAX.saturating_sub(self.key.len());
            self.key.extend(piece.iter().take(room));
        }
    }

    /// Steps over a literal that holds nothing, and returns how far that was.
    pub(super) fn quiet_literal(&mut self, rest: &[u8], end: &LiteralEnd) -> usize {
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

    /// Judges a token outside of literals. `Some`: the line is not JSON, from this byte of it on.
    pub(super) fn whole_scalar(&mut self, token: &[u8]) -> Option<usize> {
        // At the beginning of the line the mark is taken for a space.
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

/// Whether the token is a number of JSON.
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
