//! Finds all forms in a piece of a stream, overlapping ones too, and what may become one.
//!
//! The search looks at one sample every `stride` bytes. Every form has at least `stride + GRAM - 1`
//! bytes, so each occurrence covers a whole sample, and the sample is one of the form's first
//! `stride` grams: a table tells in which forms a gram stands and where. Clean text costs one load
//! and one bit test per stride; only a gram that is in the table leads to a comparison.
//! *Always* finds what a naive search finds. Assumes that no form holds a line break.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use zeroize::{Zeroize as _, Zeroizing};

use super::pattern::{Hit, Pattern, SearchMode};

/// Long strides make big tables, and gain nothing once the memory is the limit.
const STRIDE_MAX: usize = 24;

/// A gram that stands in a pattern.
struct GramOffset {
    gram: u64,
    pattern: usize,
    offset: usize,
}

/// The patterns with their tables.
pub(super) struct Matcher {
    patterns: Vec<Pattern>,
    /// Sorted by gram.
    places: Vec<GramOffset>,
    /// One bit per hash of a gram in `places`.
    filter: Vec<u64>,
    filter_shift: u32,
    gram_bytes: usize,
    stride: usize,
    /// The first bytes of every pattern, sorted: what a piece too short for a sample is compared to.
    heads: Vec<Zeroizing<Vec<u8>>>,
    /// Whether a pattern begins with the byte.
    begins: [bool; 256],
    longest: usize,
    ascii: bool,
}

impl Matcher {
    /// `None` if there is nothing to find. Patterns are at least `FORM_BYTES_MIN` bytes long.
    pub(super) fn new(patterns: Vec<Pattern>) -> Option<Self> {
        let shortest = patterns.iter().map(|pattern| pattern.bytes.len()).min()?;
        let gram_bytes = if shortest >= 15 { 8 } else { 4 };
        let stride = (shortest + 1 - gram_bytes).min(STRIDE_MAX);
        let mut matcher = Self {
            longest: patterns.iter().map(|pattern| pattern.bytes.len()).max()?,
            ascii: patterns
                .iter()
                .filter(|n| SearchMode::Literal.has(n.scope))
                .all(|n| n.bytes.is_ascii()),
            patterns,
            places: Vec::new(),
            filter: Vec::new(),
            filter_shift: 0,
            gram_bytes,
            stride,
            heads: Vec::new(),
            begins: [false; 256],
        };
        matcher.fill();
        Some(matcher)
    }

    fn fill(&mut self) {
        for (pattern, bytes) in self
            .patterns
            .iter()
            .map(|pattern| &pattern.bytes)
            .enumerate()
        {
            for (offset, window) in bytes.windows(self.gram_bytes).take(self.stride).enumerate() {
                if let Some(gram) = self.gram(window) {
                    self.places.push(GramOffset {
                        gram,
                        pattern,
                        offset,
                    });
                }
            }
            let head = bytes
                .get(..self.stride + self.gram_bytes - 1)
                .unwrap_or(bytes);
            self.heads.push(Zeroizing::new(head.to_vec()));
            if let Some(begins) = bytes
                .first()
                .and_then(|b| self.begins.get_mut(usize::from(*b)))
            {
                *begins = true;
            }
        }
        self.places
            .sort_unstable_by_key(|place| (place.gram, place.pattern, place.offset));
        self.heads.sort_unstable_by(|a, b| a.as_slice().cmp(b));
        self.heads.dedup();

        // 32 bits per gram: three of a hundred samples of clean text lead to a look at the table.
        let bits = (self.places.len() * 32)
            .next_power_of_two()
            .clamp(1 << 12, 1 << 19);
        self.filter = vec![0; bits / 64];
        self.filter_shift = 64 - bits.trailing_zeros();
        for place in &self.places {
            let hash = place.gram.wrapping_mul(GOLDEN) >> self.filter_shift;
            if let Some(word) = self.filter.get_mut(word_of(hash)) {
                *word |= 1 << (hash & 63);
            }
        }
    }

    fn gram(&self, window: &[u8]) -> Option<u64> {
        if self.gram_bytes == 8 {
            wide_gram(window)
        } else {
            short_gram(window)
        }
    }

    /// Whether all forms that are searched for in literals are ASCII.
    pub(super) fn is_ascii(&self) -> bool {
        self.ascii
    }

    /// How many bytes the longest form has.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// All occurrences in the text, in order, the longest first of those that start together.
    /// Returns where the longest end of the text starts that may be the beginning of a form.
    pub(super) fn scan(&self, text: &[u8], mode: SearchMode, hits: &mut Vec<Hit>) -> usize {
        self.find(text, mode, hits).min(self.tail(text))
    }

    /// The same, but of the beginnings of forms only those are sure to be seen that are as long as
    /// the shortest form.
    pub(super) fn find(&self, text: &[u8], mode: SearchMode, hits: &mut Vec<Hit>) -> usize {
        let mut open = text.len();
        hits.clear();
        self.visit(text, mode, |start, pattern| {
            let end = start + pattern.bytes.len();
            if end <= text.len() {
                hits.push(Hit {
                    start,
                    end,
                    secret: pattern.secret,
                });
            } else {
                open = open.min(start);
            }
            ControlFlow::Continue(())
        });
        hits.sort_unstable_by_key(|hit| (hit.start, Reverse(hit.end), hit.secret));
        open
    }

    /// How many bytes from the front of the text are no part of a form, whatever follows the text.
    pub(super) fn clean(&self, text: &[u8], mode: SearchMode) -> usize {
        let mut clean = self.tail(text);
        let mut seen = None;
        self.visit(text, mode, |start, _| {
            // A later sample finds later starts only, but this one may find an earlier one still.
            if seen.is_some_and(|seen| start >= seen + self.stride) {
                return ControlFlow::Break(());
            }
            seen = seen.or(Some(start));
            clean = clean.min(start);
            ControlFlow::Continue(())
        });
        clean
    }

    /// Calls `found` for each start of a form, or of what there is of it before the text ends.
    fn visit(
        &self,
        text: &[u8],
        mode: SearchMode,
        mut found: impl FnMut(usize, &Pattern) -> ControlFlow<()>,
    ) {
        let found = |start: usize, pattern: &Pattern| {
            if mode.has(pattern.scope) {
                found(start, pattern)
            } else {
                ControlFlow::Continue(())
            }
        };
        if self.gram_bytes == 8 {
            self.visit_by(text, wide_gram, found);
        } else {
            self.visit_by(text, short_gram, found);
        }
    }

    #[inline]
    fn visit_by(
        &self,
        text: &[u8],
        gram_of: impl Fn(&[u8]) -> Option<u64>,
        mut found: impl FnMut(usize, &Pattern) -> ControlFlow<()>,
    ) {
        let samples = text
            .get(self.stride - 1..)
            .unwrap_or_default()
            .chunks(self.stride);
        for (n, sample) in samples.enumerate() {
            let Some(gram) = gram_of(sample) else { break };
            let hash = gram.wrapping_mul(GOLDEN) >> self.filter_shift;
            let word = self.filter.get(word_of(hash)).copied().unwrap_or_default();
            if word >> (hash & 63) & 1 == 0 {
                continue;
            }
            let at = (n + 1) * self.stride - 1;
            if self.compare(text, at, gram, &mut found).is_break() {
                return;
            }
        }
    }

    #[inline(never)]
    fn compare(
        &self,
        text: &[u8],
        at: usize,
        gram: u64,
        found: &mut impl FnMut(usize, &Pattern) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let first = self.places.partition_point(|place| place.gram < gram);
        let places = self.places.get(first..).unwrap_or_default();
        for place in places.iter().take_while(|place| place.gram == gram) {
            let Some(start) = at.checked_sub(place.offset) else {
                continue;
            };
            let Some(pattern) = self.patterns.get(place.pattern) else {
                continue;
            };
            let there = text.get(start..).unwrap_or_default();
            let length = there.len().min(pattern.bytes.len());
            if there.get(..length) == pattern.bytes.get(..length) {
                found(start, pattern)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Where the longest end of the text starts that is too short to hold a sample and is the
    /// beginning of a form.
    fn tail(&self, text: &[u8]) -> usize {
        let first = text.len().saturating_sub(self.stride + self.gram_bytes - 2);
        let mut tail = text.len();
        for (start, byte) in text.iter().enumerate().skip(first).rev() {
            if *byte == b'\n' {
                break;
            }
            if self.begins.get(usize::from(*byte)) == Some(&true) {
                let end = text.get(start..).unwrap_or_default();
                let next = self.heads.partition_point(|head| head.as_slice() < end);
                if self
                    .heads
                    .get(next)
                    .is_some_and(|head| head.starts_with(end))
                {
                    tail = start;
                }
            }
        }
        tail
    }
}

impl Drop for Matcher {
    fn drop(&mut self) {
        for place in &mut self.places {
            place.gram.zeroize();
        }
    }
}

/// Spreads a gram over the upper bits (2^64 divided by the golden ratio).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn wide_gram(window: &[u8]) -> Option<u64> {
    window.first_chunk().map(|gram| u64::from_le_bytes(*gram))
}

fn short_gram(window: &[u8]) -> Option<u64> {
    window
        .first_chunk()
        .map(|gram| u64::from(u32::from_le_bytes(*gram)))
}

fn word_of(hash: u64) -> usize {
    (hash >> 6) as usize
}

#[cfg(test)]
mod tests {
    use super::super::pattern::PatternScope;
    use super::*;

    fn matcher(forms: &[&str]) -> Matcher {
        let pattern = |(secret, form): (usize, &&str)| Pattern {
            bytes: Zeroizing::new(form.as_bytes().to_vec()),
            secret,
            scope: PatternScope::Everywhere,
        };
        Matcher::new(forms.iter().enumerate().map(pattern).collect()).unwrap()
    }

    #[track_caller]
    fn case(forms: &[&str], text: &str, expected: &[(usize, usize)], open: usize) {
        let mut hits = Vec::new();
        let found = matcher(forms).scan(text.as_bytes(), SearchMode::Gate, &mut hits);
        let hits: Vec<_> = hits.iter().map(|hit| (hit.start, hit.end)).collect();
        assert_eq!((hits.as_slice(), found), (expected, open));
        let first = expected.first().map_or(open, |hit| hit.0.min(open));
        assert_eq!(
            matcher(forms).clean(text.as_bytes(), SearchMode::Gate),
            first
        );
    }

    #[test]
    fn every_occurrence_is_found() {
        case(&["abcdefgh"], "", &[], 0);
        case(&["abcdefgh"], "abcdefgh", &[(0, 8)], 8);
        case(&["abcdefgh"], "xabcdefghx", &[(1, 9)], 10);
        case(&["aaaaaaaa"], "aaaaaaaaaa", &[(0, 8), (1, 9), (2, 10)], 3);
        case(
            &["abcdefgh", "abcdefghij"],
            "abcdefghij",
            &[(0, 10), (0, 8)],
            10,
        );
        case(
            &["abcdefgh", "efghijkl"],
            "abcdefghijkl",
            &[(0, 8), (4, 12)],
            12,
        );
    }

    #[test]
    fn what_may_become_an_occurrence_is_open() {
        case(&["abcdefgh"], "xxa", &[], 2);
        case(&["abcdefgh"], "abcdefg", &[], 0);
        case(&["abcdefgh"], "abcabcd", &[], 3);
        case(&["abcdefgh"], "abcdefg\n", &[], 8);
        case(
            &["abcdefghijklmnopqrstuvwxyz"],
            "-abcdefghijklmnopqrstuvwxy",
            &[],
            1,
        );
        case(&["abcdefgh", "efghijkl"], "abcdefgh", &[(0, 8)], 4);
    }

    /// Every form is found at every place, however the samples fall.
    #[test]
    fn samples_miss_nothing() {
        for length in 8..60 {
            let form: String = (b'0'..).map(char::from).take(length).collect();
            let other = format!("~{form}");
            let matcher = matcher(&[&form, &other]);
            for before in 0..60 {
                let text = format!("{}{form}{}", "-".repeat(before), "-".repeat(before / 2));
                let mut hits = Vec::new();
                let open = matcher.scan(text.as_bytes(), SearchMode::Text, &mut hits);
                assert_eq!(
                    hits,
                    [Hit {
                        start: before,
                        end: before + length,
                        secret: 0
                    }]
                );
                assert_eq!(open, text.len());
                let cut = text.as_bytes().get(..before + length - 1).unwrap();
                assert_eq!(matcher.scan(cut, SearchMode::Text, &mut hits), before);
            }
        }
    }
}
