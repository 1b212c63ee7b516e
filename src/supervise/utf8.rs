//! Repairs UTF-8 in pieces, for lines too long to check before they are forwarded.
//!
//! Valid text stays unchanged; a byte that is not UTF-8 becomes `?`, because it would crash some
//! clients, and inside a string the JSON stays valid.

use std::borrow::Cow;

/// Repairs a text in pieces.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// The beginning of an incomplete character.
    begun: Vec<u8>,
}

impl Repair {
    /// Repairs the next piece. An incomplete character at its end is kept for the next call.
    pub(super) fn repair<'a>(&mut self, piece: &'a [u8]) -> Cow<'a, [u8]> {
        if self.begun.is_empty() && std::str::from_utf8(piece).is_ok() {
            return Cow::Borrowed(piece);
        }
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend(piece);
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(_) => {
                    out.extend(rest);
                    return Cow::Owned(out);
                }
                Err(error) => {
                    let (valid, bad) = rest.split_at(error.valid_up_to());
                    out.extend(valid);
                    match error.error_len() {
                        None => {
                            self.begun = bad.to_vec();
                            return Cow::Owned(out);
                        }
                        Some(length) => {
                            out.resize(out.len() + length, b'?');
                            rest = bad.get(length..).unwrap_or_default();
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_characters_are_joined_and_invalid_bytes_replaced() {
        for split in 0..="aé€🦀b".len() {
            let (head, tail) = "aé€🦀b".as_bytes().split_at(split);
            let mut repair = Repair::default();
            let mut out = repair.repair(head).into_owned();
            out.extend(repair.repair(tail).iter());
            assert_eq!(out, "aé€🦀b".as_bytes());
        }
        assert_eq!(Repair::default().repair(b"a\xff\"b").as_ref(), b"a?\"b");
    }
}
