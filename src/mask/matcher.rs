//! Finds all matches in a piece of a stream, overlapping ones too, and incomplete ones at its end.
//!
//! A match is a run of bytes that a text shares with a form, at least `least` bytes long. The search
//! reads four bytes at every `stride`th position. `least` is at least `stride + 3`, so each match
//! covers a complete sample, and a table leads from the sample to the places of the forms that have
//! these bytes. Clean text costs one multiplication and one byte of the table per stride. Invariant:
//! the result equals that of a naive search. No form may contain a line break.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use zeroize::Zeroize as _;

use super::pairs::PairSet;
use super::pattern::{Hit, Pattern, SearchMode, undivided};
use super::samples::{GRAM_BYTES, GramFilter, STRIDE, STRIDE_SHORT, gram, hash};

/// The bits of a hash that select a range of the places.
const START_BITS: u32 = 12;
/// With how many equal grams a place is compared, to find repetition.
const REPEATED_MAX: usize = 16;

/// Where a gram occurs in a pattern.
struct GramOffset {
    gram: u32,
    pattern: u32,
    offset: u32,
}

/// The patterns with their tables.
pub(super) struct Matcher {
    patterns: Vec<Pattern>,
    /// Sorted by the hash of the gram.
    places: Vec<GramOffset>,
    /// Where the hashes with the same upper bits begin in `places`.
    starts: Vec<u32>,
    filter: GramFilter,
    stride: usize,
    pairs: PairSet,
    hold_max: usize,
    ascii: bool,
}

impl Matcher {
    /// `None` if there are no patterns. Patterns are at least `FORM_BYTES_MIN` bytes long.
    pub(super) fn new(patterns: Vec<Pattern>) -> Option<Self> {
        let least = patterns.iter().map(|pattern| pattern.least).min()?;
        let long = least >= STRIDE + GRAM_BYTES - 1;
        let mut matcher = Self {
            hold_max: patterns.iter().map(|pattern| pattern.least).max()? - 1,
            ascii: patterns
                .iter()
                .filter(|n| SearchMode::Literal.has(n.scope))
                .all(|n| n.bytes.is_ascii()),
            patterns,
            places: Vec::new(),
            starts: Vec::new(),
            filter: GramFilter::default(),
            stride: if long { STRIDE } else { STRIDE_SHORT },
            pairs: PairSet::default(),
        };
        matcher.fill();
        Some(matcher)
    }

    fn fill(&mut self) {
        for (index, pattern) in self.patterns.iter().enumerate() {
            self.pairs.add(&pattern.bytes);
            let pattern_index = u32::try_from(index).unwrap_or(u32::MAX);
            for offset in offsets(pattern, self.stride) {
                if let Some(gram) = pattern.bytes.get(offset..).and_then(gram) {
                    self.places.push(GramOffset {
                        gram,
                        pattern: pattern_index,
                        offset: u32::try_from(offset).unwrap_or(u32::MAX),
                    });
                }
            }
        }
        self.drop_repetition();
        let grams = 1 + self
            .places
            .windows(2)
            .filter(|pair| matches!(pair, [one, two] if one.gram != two.gram))
            .count();
        self.filter = GramFilter::new(
            self.places.iter().map(|place| place.gram),
            grams,
            self.stride,
        );
        let mut starts = vec![0_u32; (1 << START_BITS) + 1];
        for place in &self.places {
            if let Some(count) = starts.get_mut(bucket(place.gram) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        self.starts = starts;
    }

    /// Sorts the places, and keeps one of those that lead to the same matches. Otherwise the search
    /// for a periodic value would take the square of its length.
    fn drop_repetition(&mut self) {
        let patterns = &self.patterns;
        let context = |place: &GramOffset| {
            let pattern = patterns.get(place.pattern as usize)?;
            let reach = pattern.least - GRAM_BYTES;
            let offset = place.offset as usize;
            let before = offset.min(reach);
            // One byte more, because it decides where the last character of a match ends.
            let end = (offset + pattern.least + 1).min(pattern.bytes.len());
            let bytes = pattern.bytes.get(offset - before..end)?;
            Some((before, bytes, pattern.least, pattern.secret, pattern.scope))
        };
        self.places
            .sort_unstable_by_key(|place| (hash(place.gram), place.pattern, place.offset));
        let mut kept: Vec<GramOffset> = Vec::with_capacity(self.places.len());
        let mut same = 0;
        for place in std::mem::take(&mut self.places) {
            if kept.get(same).is_none_or(|first| first.gram != place.gram) {
                same = kept.len();
            }
            // Only a few of the latest: the contexts of a periodic form repeat soon.
            let known = kept
                .get(same..)
                .unwrap_or_default()
                .iter()
                .rev()
                .take(REPEATED_MAX)
                .any(|old| context(old) == context(&place));
            if !known {
                kept.push(place);
            }
        }
        self.places = kept;
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Whether all forms that are searched for in literals are ASCII.
    pub(super) fn is_ascii(&self) -> bool {
        self.ascii
    }

    /// The maximum number of bytes that may be the beginning of a match.
    pub(super) fn hold_max(&self) -> usize {
        self.hold_max
    }

    /// Finds all matches in the text, in order; of those that start together the one of the longest
    /// pattern is first.
    /// Returns the start of a suffix of the text in which a match may begin that is not complete.
    pub(super) fn scan(&self, text: &[u8], mode: SearchMode, hits: &mut Vec<Hit>) -> usize {
        self.find(text, mode, hits);
        undivided(hits, self.tail(text))
    }

    /// The start of a suffix of the text in which a match may begin that is not complete.
    pub(super) fn tail(&self, text: &[u8]) -> usize {
        self.pairs.tail(text, self.hold_max)
    }

    /// Like [`Self::scan`], for a text after which nothing follows.
    pub(super) fn find(&self, text: &[u8], mode: SearchMode, hits: &mut Vec<Hit>) {
        hits.clear();
        self.visit(text, mode, |hit| {
            hits.push(hit);
            ControlFlow::Continue(())
        });
        hits.sort_unstable_by_key(|hit| {
            (hit.start, Reverse(hit.least), hit.secret, Reverse(hit.end))
        });
        hits.dedup();
    }

    /// The length of the prefix that belongs to no match, whatever follows the text (bytes).
    pub(super) fn clean(&self, text: &[u8], mode: SearchMode) -> usize {
        let mut clean = self.tail(text);
        let mut seen = None;
        self.visit(text, mode, |hit| {
            // A later sample may find an earlier start, but not by more than the longest match.
            if seen.is_some_and(|seen| hit.run_start > seen + self.hold_max) {
                return ControlFlow::Break(());
            }
            seen = seen.or(Some(hit.run_start));
            clean = clean.min(hit.run_start);
            ControlFlow::Continue(())
        });
        clean
    }

    /// Calls `found` for matches that together cover the same bytes as all matches.
    fn visit(&self, text: &[u8], mode: SearchMode, mut found: impl FnMut(Hit) -> ControlFlow<()>) {
        let mut sample = |at: usize| self.compare(text, at, mode, &mut found);
        self.filter.visit(text, &mut sample);
    }

    /// Reports the matches that contain the sample at this position.
    #[inline(never)]
    fn compare(
        &self,
        text: &[u8],
        at: usize,
        mode: SearchMode,
        found: &mut impl FnMut(Hit) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let (before, after) = text.split_at(at.min(text.len()));
        let Some(gram) = gram(after) else {
            return ControlFlow::Continue(());
        };
        let bucket = bucket(gram);
        let range = self.starts.get(bucket..bucket + 2);
        let Some(&[start, end]) = range else {
            return ControlFlow::Continue(());
        };
        let places = self.places.get(start as usize..end as usize);
        for place in places.unwrap_or_default() {
            if place.gram != gram {
                continue;
            }
            let Some(pattern) = self.patterns.get(place.pattern as usize) else {
                continue;
            };
            if !mode.has(pattern.scope) {
                continue;
            }
            let (left, right) = pattern
                .bytes
                .split_at((place.offset as usize).min(pattern.bytes.len()));
            let reach = pattern.least - GRAM_BYTES;
            let left = shared(left.iter().rev(), before.iter().rev(), reach);
            let right = shared(right.iter(), after.iter(), pattern.least);
            if left + right < pattern.least {
                continue;
            }
            let offset = place.offset as usize;
            let start = pattern.boundary_after(offset - left);
            let end = pattern.boundary_before(offset + right);
            found(Hit {
                run_start: at - left,
                start: at + start - offset,
                end: at + end - offset,
                secret: pattern.secret,
                least: pattern.least,
            })?;
        }
        ControlFlow::Continue(())
    }
}

impl Drop for Matcher {
    fn drop(&mut self) {
        for place in &mut self.places {
            place.gram.zeroize();
        }
    }
}

/// The number of equal bytes at the start of both, at most `most`.
fn shared<'a>(
    one: impl Iterator<Item = &'a u8>,
    two: impl Iterator<Item = &'a u8>,
    most: usize,
) -> usize {
    one.zip(two).take(most).take_while(|(a, b)| a == b).count()
}

/// The range of the places of a gram.
const fn bucket(gram: u32) -> usize {
    (hash(gram) >> (32 - START_BITS)) as usize
}

/// The offsets of a pattern whose grams the table needs, so that each match covers one of them with
/// a sample: of the offsets with the same remainder by the stride, one among each `least - 3` in a
/// row. Where there is a choice, not one of the characters that an encoding repeats.
fn offsets(pattern: &Pattern, stride: usize) -> Vec<usize> {
    let reach = pattern.least - (GRAM_BYTES - 1);
    let end = pattern.bytes.len() - (GRAM_BYTES - 1);
    let common = |offset: usize| {
        let gram = pattern.bytes.get(offset..offset + GRAM_BYTES);
        let common = |byte: &&u8| COMMON.get(usize::from(**byte)) == Some(&true);
        gram.unwrap_or_default().iter().filter(common).count()
    };
    let mut chosen = Vec::new();
    for remainder in 0..stride {
        // The first offset that is not covered yet.
        let mut next = 0;
        while next + reach <= end {
            let first = next + (remainder + stride - next % stride) % stride;
            let choice = (first..next + reach).step_by(stride);
            let Some(best) = choice.rev().min_by_key(|offset| common(*offset)) else {
                break;
            };
            chosen.push(best);
            next = best + 1;
        }
    }
    chosen
}

/// What encodings of bytes repeat between the digits.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const COMMON: [bool; 256] = {
    let mut common = [false; 256];
    let bytes = b"\\%&#;,:-={} ux0";
    let mut n = 0;
    while n < bytes.len() {
        common[bytes[n] as usize] = true;
        n += 1;
    }
    common
};
