//! Masks plain text: the server's stderr.
//!
//! Invariants: the output does not depend on how the input is split; only bytes that may be the
//! beginning of a form are held back, so nothing is held back at the end of a line. Memory is
//! bounded by the longest form, not by the line.

use std::fmt;
use std::sync::Arc;

use memchr::memchr;
use zeroize::Zeroize as _;

use super::Masker;
use super::mask_set::Replacement;
use super::pattern::{Hit, SearchMode};

/// Input is processed in pieces of this size, so buffers stay small.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// The size of a piece that is examined together with what was held back.
pub(super) const PENDING_BYTES: usize = 512;

/// Masks one stream of text.
pub struct TextMask {
    masker: Arc<Masker>,
    next: Option<Arc<Masker>>,
    at_line_start: bool,
    stream: UndecidedTail,
    replacement: Replacement,
}

impl TextMask {
    pub fn new(masker: Arc<Masker>) -> Self {
        Self {
            masker,
            next: None,
            at_line_start: true,
            stream: UndecidedTail::default(),
            replacement: Replacement::new(usize::MAX),
        }
    }

    /// Uses another masker from the start of the next line on.
    pub fn set_masker(&mut self, masker: Arc<Masker>) {
        if self.at_line_start {
            self.masker = masker;
        } else {
            self.next = Some(masker);
        }
    }

    /// How many bytes from the front of the input may be written unchanged. They count as written;
    /// the caller passes the rest to `write`. Most input needs no copy this way.
    pub fn pass(&mut self, input: &[u8]) -> usize {
        if !self.stream.is_empty() || self.next.is_some() {
            return 0;
        }
        let clean = self
            .masker
            .matcher
            .as_ref()
            .map_or(input.len(), |m| m.clean(input, SearchMode::Text));
        self.note(input.get(..clean).unwrap_or_default());
        clean
    }

    /// Appends the masked input to `out`, except an end that may be the beginning of a form.
    pub fn write(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut input = input;
        if let Some(next) = self.next.take() {
            let Some(end) = memchr(b'\n', input).map(|at| at + 1) else {
                self.next = Some(next);
                return self.feed(input, out);
            };
            let (line, rest) = input.split_at(end);
            self.feed(line, out);
            self.masker = next;
            input = rest;
        }
        self.feed(input, out);
    }

    /// Appends what was held back, at the end of the stream.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.stream
            .push(&self.masker, b"", true, &mut self.replacement, out);
    }

    /// Whether the last byte ended a line or there was none yet; then nothing is held back.
    pub fn at_line_start(&self) -> bool {
        self.at_line_start
    }

    /// How many secrets were masked.
    pub fn masked(&self) -> u64 {
        self.replacement.masked
    }

    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while !rest.is_empty() {
            // Only a little is copied to what was held back.
            let pending = !self.stream.is_empty();
            let most = if pending { PENDING_BYTES } else { PIECE_BYTES };
            let (piece, after) = rest.split_at(rest.len().min(most));
            self.stream
                .push(&self.masker, piece, false, &mut self.replacement, out);
            rest = after;
        }
        self.note(input);
    }

    fn note(&mut self, input: &[u8]) {
        if let Some(last) = input.last() {
            self.at_line_start = *last == b'\n';
        }
    }
}

impl fmt::Debug for TextMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextMask(…)")
    }
}

/// The end of a stream that may be the beginning of a form.
#[derive(Default)]
pub(super) struct UndecidedTail {
    held: Vec<u8>,
    /// How many of the held bytes are covered by a mask that was already written.
    covered: usize,
    hits: Vec<Hit>,
}

impl UndecidedTail {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Appends the masked piece to `out`; unless this is the end, holds back what may be the
    /// beginning of a form.
    pub(super) fn push(
        &mut self,
        masker: &Masker,
        piece: &[u8],
        end: bool,
        replacement: &mut Replacement,
        out: &mut Vec<u8>,
    ) {
        let Some(matcher) = &masker.matcher else {
            out.append(&mut self.held);
            return out.extend_from_slice(piece);
        };
        let mut held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            held.extend_from_slice(piece);
        }
        let text = if held.is_empty() { piece } else { &held };

        let until = if end {
            matcher.find(text, SearchMode::Text, &mut self.hits);
            text.len()
        } else {
            matcher.scan(text, SearchMode::Text, &mut self.hits)
        };
        let mut from = 0;
        for span in spans(&self.hits, self.covered, until) {
            out.extend_from_slice(text.get(from..span.start).unwrap_or_default());
            if let Some(hit) = span.hit {
                out.extend_from_slice(replacement.mask(&masker.mask_sets, &hit).as_bytes());
            }
            from = span.end;
        }
        out.extend_from_slice(text.get(from..until).unwrap_or_default());
        self.covered = from.saturating_sub(until);

        let rest = text.len() - until;
        if held.is_empty() {
            held.extend_from_slice(piece.get(until..).unwrap_or_default());
        } else {
            held.copy_within(until.., 0);
            held.get_mut(rest..).unwrap_or_default().zeroize();
            held.truncate(rest);
        }
        self.held = held;
    }
}

impl Drop for UndecidedTail {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

/// A range of text that one mask replaces.
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// `None`: the mask was written with an earlier piece.
    pub(super) hit: Option<Hit>,
}

/// Merges overlapping hits that start before `hold`. The first one decides the name.
pub(super) fn spans(hits: &[Hit], covered: usize, hold: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    if covered > 0 {
        spans.push(Span {
            start: 0,
            end: covered,
            hit: None,
        });
    }
    for hit in hits.iter().take_while(|hit| hit.start < hold) {
        match spans.last_mut() {
            Some(last) if hit.start < last.end => last.end = last.end.max(hit.end),
            _ => spans.push(Span {
                start: hit.start,
                end: hit.end,
                hit: Some(*hit),
            }),
        }
    }
    spans
}
