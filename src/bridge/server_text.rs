//! A text of the server, made one line and examined while it arrives, so that a large one is not read
//! again once it is complete.
//!
//! Invariant: the length that a server announces reserves address space, and only once a part of it has
//! come; what takes memory is what came, and a little more.

use memchr::memchr2;

use super::lines::MESSAGE_BYTES_MAX;
use crate::session::envelope::{Envelope, Scanner};
use crate::sys::memory;

/// From this size on the length that the server announced is believed (bytes).
const TRUSTED_BYTES: usize = 1 << 20;

/// How much memory is provided at a time (bytes).
const STEP_BYTES: usize = 1 << 20;

/// A text that is not complete yet.
#[derive(Debug, Default)]
pub struct ServerText {
    bytes: Vec<u8>,
    /// Up to here it is known to be UTF-8 (bytes).
    valid: usize,
    is_broken: bool,
    /// Up to here there is memory (bytes); 0 if nothing was reserved.
    provided: usize,
    scanner: Scanner,
}

impl ServerText {
    /// Appends a piece. `announced`: how long the whole text becomes, as the server says (bytes).
    pub fn push(&mut self, piece: &[u8], announced: usize) {
        let begin = self.bytes.len();
        if begin >= TRUSTED_BYTES && begin + piece.len() > self.bytes.capacity() {
            self.reserve(announced);
        }
        if self.provided > 0 && begin + piece.len() > self.provided {
            memory::provide_pages(&mut self.bytes, STEP_BYTES);
            self.provided = begin + STEP_BYTES;
        }
        self.bytes.extend_from_slice(piece);
        self.examine(begin);
    }

    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The text in one line, and its envelope; `None` if it is not UTF-8.
    pub fn finish(mut self) -> Option<(Vec<u8>, Envelope)> {
        let is_text = !self.is_broken && self.valid == self.bytes.len();
        is_text.then(|| (self.bytes, self.scanner.finish()))
    }

    /// A byte more than announced, for the end of the line. If there is no such space, the text grows
    /// step by step.
    fn reserve(&mut self, announced: usize) {
        let whole = announced.min(MESSAGE_BYTES_MAX).saturating_add(1);
        let more = whole.saturating_sub(self.bytes.len());
        if self.bytes.try_reserve_exact(more).is_ok() {
            self.provided = self.bytes.len();
        }
    }

    fn examine(&mut self, begin: usize) {
        if let Some(new) = self.bytes.get_mut(begin..) {
            one_line(new);
            self.scanner.feed(new);
        }
        if self.is_broken {
            return;
        }
        let unknown = self.bytes.get(self.valid..).unwrap_or_default();
        match std::str::from_utf8(unknown) {
            Ok(_) => self.valid = self.bytes.len(),
            Err(error) => {
                self.valid += error.valid_up_to();
                // A character that is only cut may be continued.
                self.is_broken = error.error_len().is_some();
            }
        }
    }
}

impl From<Vec<u8>> for ServerText {
    fn from(bytes: Vec<u8>) -> Self {
        let mut text = Self {
            bytes,
            ..Self::default()
        };
        text.examine(0);
        text
    }
}

/// Makes one line of a message. Inside its strings a raw line end cannot stand, so each is a blank
/// between two tokens.
fn one_line(message: &mut [u8]) {
    let mut rest = message;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        let (_, tail) = rest.split_at_mut(at);
        let Some((end, tail)) = tail.split_first_mut() else {
            return;
        };
        *end = b' ';
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::envelope::LineKind;

    const TEXT: &str = "{\r\n \"jsonrpc\":\"2.0\",\n\"id\": 7, \"result\": \"\u{e9}\u{1f980}\"}";

    #[test]
    fn any_split_is_one_line_with_its_envelope() {
        let expected = TEXT.replace(['\r', '\n'], " ");
        for cut in 0..=TEXT.len() {
            let (head, tail) = TEXT.as_bytes().split_at(cut);
            let mut text = ServerText::default();
            text.push(head, TEXT.len());
            text.push(tail, TEXT.len());
            assert_eq!(text.len(), TEXT.len());
            let (line, envelope) = text.finish().unwrap();
            assert_eq!(line, expected.as_bytes());
            assert_eq!(envelope, Scanner::scan(TEXT.as_bytes()));
            assert_eq!(envelope.shape, LineKind::Object);
        }
        let (line, _) = ServerText::from(TEXT.as_bytes().to_vec()).finish().unwrap();
        assert_eq!(line, expected.as_bytes());
    }

    #[test]
    fn what_is_not_utf_8_is_no_text() {
        for bytes in [&b"\"\xff\""[..], b"\"\xc3\"", b"\"a\xc3", b"\"\xf0\x9f\xa6"] {
            for cut in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(cut);
                let mut text = ServerText::default();
                text.push(head, 0);
                text.push(tail, 0);
                assert!(text.finish().is_none(), "{bytes:?} {cut}");
            }
        }
    }

    #[test]
    fn what_is_announced_takes_no_space_before_a_part_of_it_came() {
        let mut text = ServerText::default();
        text.push(b"{", MESSAGE_BYTES_MAX);
        assert!(text.bytes.capacity() < 1 << 10);
        text.push(&vec![b' '; TRUSTED_BYTES], 8 << 20);
        text.push(&vec![b' '; TRUSTED_BYTES], 8 << 20);
        assert!(text.bytes.capacity() > 8 << 20);
        let mut text = ServerText::from(vec![b' '; TRUSTED_BYTES]);
        text.push(b" ", usize::MAX);
        assert!(text.bytes.capacity() <= MESSAGE_BYTES_MAX + 1);
    }
}
