//! Literals much longer than a piece: however they are cut, the result is the same.

use std::sync::Arc;

use super::text::{PENDING_BYTES, PIECE_BYTES};
use super::{Masker, MessageMask};
use crate::secret::Secret;

const TOKEN: &str = "ghp_0123456789abcdef0123456789abcdef0123";
const MASK: &str = "[secret github/token …0123]";

fn mask(masker: &Arc<Masker>, input: &[u8], step: usize) -> String {
    let mut mask = MessageMask::new(Arc::clone(masker));
    let mut out = Vec::new();
    for piece in input.chunks(step) {
        let passed = mask.pass(piece);
        out.extend_from_slice(&piece[..passed]);
        mask.write(&piece[passed..], &mut out);
    }
    mask.flush(&mut out);
    // It is only found if the quotes before it were.
    assert_eq!(mask.secrets_in_ids(), 1);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_secret_at_any_border_of_pieces_is_masked() {
    let secret = Secret::new(TOKEN.as_bytes().to_vec());
    let masker = Arc::new(Masker::new(&[("github/token".to_owned(), &secret)]));
    // Bytes of which each may begin a form, an escape, and a character of three bytes.
    for filler in ["g", "\\\\", "€"] {
        for border in [PIECE_BYTES, PIECE_BYTES + PENDING_BYTES] {
            for before in [0, 1, 5, 20, 40, 60] {
                let length = border - before;
                let odd = "x".repeat(length % filler.len());
                let fill = odd + &filler.repeat(length / filler.len());
                let tail = filler.repeat(2 * PENDING_BYTES);
                let line =
                    |token: &str| format!("{{\"a\":\"{fill}{token}{tail}\",\"id\":\"{token}\"}}\n");
                let input = line(TOKEN);
                for step in [usize::MAX, 1000] {
                    let found = mask(&masker, input.as_bytes(), step.min(input.len()));
                    assert!(found == line(MASK), "{filler} {border} {before} {step}");
                }
            }
        }
    }
}
