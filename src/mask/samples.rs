//! Reads a text at regular positions and tests a table: the part of the search that every byte of
//! clean output pays for.

use std::ops::ControlFlow;

use super::pattern::FORM_BYTES_MIN;

/// The bytes of a sample.
pub(super) const GRAM_BYTES: usize = 4;
/// The strides for patterns of which at least 12 bytes must match, and for shorter ones.
pub(super) const STRIDE: usize = 9;
pub(super) const STRIDE_SHORT: usize = FORM_BYTES_MIN + 1 - GRAM_BYTES;
/// The samples that are tested together, and the bytes that they span.
const GROUP: usize = 8;
const SPAN: usize = STRIDE * (GROUP - 1) + GRAM_BYTES;
const SPAN_SHORT: usize = STRIDE_SHORT * (GROUP - 1) + GRAM_BYTES;
/// The bits of a hash that select a byte of the table. Eight grams share a byte, a bit each.
const TABLE_BITS: u32 = 18;
/// With more grams, testing the bit costs less than the samples that only share a byte.
const SPARSE_GRAMS_MAX: usize = 5000;

/// `BITS[n]` has the bit `n % 8`.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const BITS: [u8; 256] = {
    let mut bits = [0; 256];
    let mut n = 0;
    while n < 256 {
        bits[n] = 1 << (n % 8);
        n += 1;
    }
    bits
};

/// The grams to look for. The default has no table and finds none.
#[derive(Default)]
pub(super) struct GramFilter {
    table: Vec<u8>,
    sparse: bool,
    short: bool,
}

impl GramFilter {
    /// `grams` may repeat; `count` is the number of different ones.
    pub(super) fn new(grams: impl Iterator<Item = u32>, count: usize, stride: usize) -> Self {
        let mut table = vec![0; 1 << TABLE_BITS];
        for gram in grams {
            let hash = hash(gram);
            if let Some(byte) = table.get_mut(place(hash)) {
                *byte |= bit(hash);
            }
        }
        Self {
            table,
            sparse: count <= SPARSE_GRAMS_MAX,
            short: stride != STRIDE,
        }
    }

    /// Calls `found` with the position of each sample that may be one of the grams.
    #[inline]
    pub(super) fn visit(&self, text: &[u8], found: &mut impl FnMut(usize) -> ControlFlow<()>) {
        let Some(table) = self.table.first_chunk() else {
            return;
        };
        match (self.short, self.sparse) {
            (false, true) => visit::<STRIDE, SPAN, true>(text, table, found),
            (false, false) => visit::<STRIDE, SPAN, false>(text, table, found),
            (true, true) => visit::<STRIDE_SHORT, SPAN_SHORT, true>(text, table, found),
            (true, false) => visit::<STRIDE_SHORT, SPAN_SHORT, false>(text, table, found),
        }
    }
}

#[inline]
fn visit<const STRIDE: usize, const SPAN: usize, const SPARSE: bool>(
    text: &[u8],
    table: &[u8; 1 << TABLE_BITS],
    found: &mut impl FnMut(usize) -> ControlFlow<()>,
) {
    let known = |gram: u32| {
        let hash = hash(gram);
        let byte = table.get(place(hash)).copied().unwrap_or_default();
        if SPARSE { byte } else { byte & bit(hash) }
    };
    let mut at = STRIDE - 1;
    while let Some(group) = text.get(at..).and_then(|rest| rest.first_chunk::<SPAN>()) {
        let mut any = 0;
        for n in 0..GROUP {
            any |= group.get(n * STRIDE..).and_then(gram).map_or(0, known);
        }
        if any != 0 {
            for n in 0..GROUP {
                let known = group.get(n * STRIDE..).and_then(gram).map_or(0, known);
                if known != 0 && found(at + n * STRIDE).is_break() {
                    return;
                }
            }
        }
        at += STRIDE * GROUP;
    }
    while at < text.len() {
        let known = text.get(at..).and_then(gram).map_or(0, known);
        if known != 0 && found(at).is_break() {
            return;
        }
        at += STRIDE;
    }
}

pub(super) fn gram(text: &[u8]) -> Option<u32> {
    text.first_chunk().map(|gram| u32::from_le_bytes(*gram))
}

/// The gram times 2^32 divided by the golden ratio: different grams have different hashes.
pub(super) const fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9E37_79B9)
}

const fn place(hash: u32) -> usize {
    (hash >> (32 - TABLE_BITS)) as usize
}

fn bit(hash: u32) -> u8 {
    let index = hash >> (24 - TABLE_BITS) & 0xFF;
    BITS.get(index as usize).copied().unwrap_or_default()
}
