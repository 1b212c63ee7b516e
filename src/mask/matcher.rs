//! Finds all matches in a piece of a stream, overlapping ones too, and incomplete ones at its end.
//!
//! The search reads one sample every `stride` bytes. Every form has at least `stride + GRAM - 1`
//! bytes, so each match covers a complete sample, which is one of the form's first `stride` grams;
//! a table maps grams to forms and offsets. Clean text costs one load and one bit test per stride;
//! only a gram in the table leads to a comparison. Invariant: the result equals that of a naive
//! search. No form may contain a line break.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use zeroize::{Zeroize as _, Zeroizing};

use super::pattern::{Hit, Pattern, SearchMode};

/// Longer strides make bigger tables and gain nothing once memory is the limit.
const STRIDE_MAX: usize = 24;

/// Where a gram occurs in a pattern.
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
    /// The first bytes of every pattern, sorted; compared with ends too short for a sample.
    heads: Vec<Zeroizing<Vec<u8>>>,
    /// Whether a pattern begins with this byte.
    begins: [bool; 256],
    longest: usize,
    ascii: bool,
}

impl Matcher {
    /// `None` if there are no patterns. Patterns are at least `FORM_BYTES_MIN` bytes long.
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

        // 32 bits per gram: 3 % of the samples of clean text lead to a table lookup.
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

    /// The length of the longest form (bytes).
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Finds all matches in the text, in order; of those that start together the longest is first.
    /// Returns the start of the longest suffix of the text that may be the beginning of a form.
    pub(super) fn scan(&self, text: &[u8], mode: SearchMode, hits: &mut Vec<Hit>) -> usize {
        self.find(text, mode, hits).min(self.tail(text))
    }

    /// Like [`Self::scan`], but an incomplete match at the end is only reliably found if it is at
    /// least as long as the shortest form.
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

    /// The length of the prefix that belongs to no match, whatever follows the text (bytes).
    pub(super) fn clean(&self, text: &[u8], mode: SearchMode) -> usize {
        let mut clean = self.tail(text);
        let mut seen = None;
        self.visit(text, mode, |start, _| {
            // Later samples only find later starts, but this sample may still find an earlier one.
            if seen.is_some_and(|seen| start >= seen + self.stride) {
                return ControlFlow::Break(());
            }
            seen = seen.or(Some(start));
            clean = clean.min(start);
            ControlFlow::Continue(())
        });
        clean
    }

    /// Calls `found` for the start of each match, complete or cut by the end of the text.
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

    /// The start of the longest suffix of the text that is too short to contain a sample and is the
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

/// Hashes a gram into the upper bits (2^64 divided by the golden ratio).
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

    /// Every form is found at every offset, wherever the samples are.
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
