//! UTF-8 in pieces, for lines that are too long to be looked at before they go on.
//!
//! Valid text stays as it is; a byte that is not UTF-8 becomes `?`, because it would kill clients,
//! and inside a string it leaves the JSON valid.

use std::borrow::Cow;

/// Repairs a text that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// The beginning of a character whose rest has not come.
    begun: Vec<u8>,
}

impl Repair {
    /// The next piece. The beginning of a character at its end is kept for the next.
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
    fn pieces_of_characters_come_together_and_bad_bytes_are_replaced() {
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
