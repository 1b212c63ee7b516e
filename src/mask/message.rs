//! Masks messages: the server's stdout, one JSON value per line.
//!
//! Invariants: in JSON only string literals (keys too) are masked, so valid JSON stays valid;
//! numbers, key order, spacing and other literals keep their bytes. A masked `id` no longer fits
//! its request: `secrets_in_ids` reports it to the caller, who ends that server. A line is lexed,
//! not parsed: from the first token on that is not JSON, it is masked as text. Clean lines are not
//! lexed. Memory is bounded by the longest form, not by the line.

use std::fmt;
use std::sync::Arc;

use memchr::memchr;

use super::Masker;
use super::line::{
    BYTE_ORDER_MARK, LexPosition, LexState, SCALAR_BYTES_MAX, ends_scalar, in_number,
};
use super::literal::{Literal, LiteralEnd, Role, close};
use super::mask_set::{GROWTH_BYTES_MAX, Replacement};
use super::pattern::{Hit, SearchMode};
use super::suspect::{Suspect, before_escape, has_unusual_escape, unusual_escape};
use super::text::{PENDING_BYTES, PIECE_BYTES, UndecidedTail};

/// Masks one stream of messages.
pub struct MessageMask {
    masker: Arc<Masker>,
    next: Option<Arc<Masker>>,
    line: LexState,
    literal: Literal,
    text: UndecidedTail,
    replacement: Replacement,
    hits: Vec<Hit>,
    secrets_in_ids: u64,
}

/// What is known about a piece of a line before it is lexed.
#[derive(Default)]
struct Survey {
    /// No secret is, begins or ends in it, however escaped.
    quiet: bool,
    /// The length of the front of which this is true.
    clear: usize,
    /// It contains unusual escapes.
    escapes: bool,
}

impl MessageMask {
    pub fn new(masker: Arc<Masker>) -> Self {
        Self {
            masker,
            next: None,
            line: LexState::default(),
            literal: Literal::default(),
            text: UndecidedTail::default(),
            replacement: Replacement::new(GROWTH_BYTES_MAX),
            hits: Vec::new(),
            secrets_in_ids: 0,
        }
    }

    /// Uses another masker from the start of the next line on.
    pub fn set_masker(&mut self, masker: Arc<Masker>) {
        if self.at_line_start() {
            self.masker = masker;
        } else {
            self.next = Some(masker);
        }
    }

    /// How many bytes from the front of the input may be written unchanged. They count as written;
    /// the caller passes the rest to `write`. Most input needs no copy this way.
    pub fn pass(&mut self, input: &[u8]) -> usize {
        if self.masker.is_empty() && self.next.is_none() {
            self.line.begun = input.last().map_or(self.line.begun, |last| *last != b'\n');
            return input.len();
        }
        let mut suspect = Suspect::new(input);
        let mut at = 0;
        while self.next.is_none() {
            if !self.line.begun {
                at = suspect.clean_lines(&self.masker, input, at);
            }
            let rest = input.get(at..).unwrap_or_default();
            let end = memchr(b'\n', rest);
            let body = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let survey = self.survey(body, end.is_some());
            if rest.is_empty() || !survey.quiet && survey.clear == 0 {
                break;
            }
            self.line.begun = true;
            let clear = body.get(..survey.clear).unwrap_or_default();
            let quiet = self.line.skip(clear);
            at += quiet;
            if end.is_none() || quiet < body.len() {
                break;
            }
            // Nothing is held back, so ending the line writes nothing.
            self.end_line(&mut Vec::new());
            at += 1;
        }
        at
    }

    /// Appends the masked input to `out`, except an end that may be the beginning of a form.
    pub fn write(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut suspect = Suspect::new(input);
        let mut at = 0;
        while at < input.len() {
            if !self.line.begun {
                let clean = suspect.clean_lines(&self.masker, input, at);
                out.extend_from_slice(input.get(at..clean).unwrap_or_default());
                at = clean;
            }
            let rest = input.get(at..).unwrap_or_default();
            let was_pending = self.is_pending();
            let most = if was_pending {
                PENDING_BYTES
            } else {
                PIECE_BYTES
            };
            let piece = rest.get(..most).unwrap_or(rest);
            let piece = memchr(b'\n', piece)
                .and_then(|end| piece.get(..=end))
                .unwrap_or(piece);
            self.piece(piece, out);
            at += piece.len();
            if was_pending && at < input.len() {
                at -= self.give_back(piece.len());
            }
        }
    }

    /// Stops holding the end of a piece of this length, so that the next piece can be a large one. Most
    /// text ends with a byte that some form contains. Returns how much has to be passed again.
    fn give_back(&mut self, piece: usize) -> usize {
        if !matches!(
            self.line.place,
            LexPosition::Literal(Role::Plain | Role::Blob)
        ) {
            return 0;
        }
        let held = self.literal.give_back(piece);
        if held > 0 {
            // What is held begins with a whole character.
            self.line.escaped = false;
        }
        held
    }

    /// Appends what was held back, at the end of the stream.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.end_line(out);
    }

    /// Whether the last byte ended a line or there was none yet; then nothing is held back.
    pub fn at_line_start(&self) -> bool {
        !self.line.begun
    }

    /// How many secrets were masked.
    pub fn masked(&self) -> u64 {
        self.replacement.masked
    }

    /// How many message IDs contained a secret. Masked, they fit no request.
    pub fn secrets_in_ids(&self) -> u64 {
        self.secrets_in_ids
    }

    /// Takes a piece of one line, possibly its end.
    fn piece(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let Some(last) = piece.last() else { return };
        self.line.begun = true;
        let body = piece.strip_suffix(b"\n").unwrap_or(piece);
        if self.masker.is_empty() {
            out.extend_from_slice(body);
        } else {
            self.lex(body, *last == b'\n', out);
        }
        if *last == b'\n' {
            self.end_line(out);
            out.push(b'\n');
        }
    }

    /// Whether something is held back.
    fn is_pending(&self) -> bool {
        !self.literal.is_empty() || !self.text.is_empty() || !self.line.scalar.is_empty()
    }

    /// Finds the literals in this piece of a line that need examination. `whole`: the line ends
    /// after the piece.
    fn survey(&mut self, body: &[u8], whole: bool) -> Survey {
        let Some(matcher) = &self.masker.matcher else {
            return Survey::default();
        };
        let open = if whole {
            matcher.find(body, SearchMode::Gate, &mut self.hits);
            body.len()
        } else {
            matcher.scan(body, SearchMode::Gate, &mut self.hits)
        };
        let escapes = unusual_escape(matcher, body).is_some();
        if !self.hits.is_empty() || escapes || self.is_pending() {
            return Survey {
                escapes,
                ..Survey::default()
            };
        }
        // What an escape spells that the end cuts may continue a match.
        let escape = before_escape(body, body.len());
        let tail = matcher.tail(body.get(..escape).unwrap_or_default());
        let cut = escape < body.len();
        let clear = before_escape(body, if cut { open.min(tail) } else { open });
        Survey {
            quiet: clear == body.len(),
            clear,
            escapes,
        }
    }

    /// Whether the current literal contains no secret up to its end in this piece.
    fn is_clean(&self, rest: &[u8], at: usize, survey: &Survey, end: &LiteralEnd) -> bool {
        let (LiteralEnd::Close(length) | LiteralEnd::Broken(length)) = *end else {
            return survey.quiet;
        };
        let piece = rest.get(..length).unwrap_or_default();
        let next = self.hits.partition_point(|hit| hit.start < at);
        self.hits
            .get(next)
            .is_none_or(|hit| hit.start >= at + length)
            && self.literal.is_empty()
            && !(survey.escapes && has_unusual_escape(&self.masker, piece))
    }

    fn lex(&mut self, body: &[u8], whole: bool, out: &mut Vec<u8>) {
        let survey = self.survey(body, whole);
        let mut copied = 0;
        let clear = body.get(..survey.clear).unwrap_or_default();
        let mut at = self.line.skip(clear);
        while at < body.len() {
            let rest = body.get(at..).unwrap_or_default();
            match self.line.place {
                LexPosition::Between => at += self.line.between(rest),
                LexPosition::Scalar | LexPosition::LongNumber => {
                    let end = at
                        + rest
                            .iter()
                            .position(|b| ends_scalar(*b))
                            .unwrap_or(rest.len());
                    let token = body.get(at..end).unwrap_or_default();
                    if self.line.place == LexPosition::Scalar
                        && self.line.scalar.is_empty()
                        && end < body.len()
                    {
                        at = self
                            .line
                            .whole_scalar(token)
                            .map_or(end, |wrong| at + wrong);
                    } else {
                        out.extend_from_slice(body.get(copied..at).unwrap_or_default());
                        self.cut_scalar(token, end < body.len(), out);
                        copied = end;
                        at = end;
                    }
                }
                LexPosition::Literal(role) => {
                    let mut escaped = self.line.escaped;
                    let end = close(rest, &mut escaped);
                    if self.is_clean(rest, at, &survey, &end) {
                        at += self.line.skip_literal(rest, &end);
                        continue;
                    }
                    self.line.escaped = escaped;
                    out.extend_from_slice(body.get(copied..at).unwrap_or_default());
                    at += self.mask_literal(rest, role, &end, out);
                    copied = at;
                }
                LexPosition::Text => {
                    out.extend_from_slice(body.get(copied..at).unwrap_or_default());
                    self.text
                        .push(&self.masker, rest, false, &mut self.replacement, out);
                    copied = body.len();
                    at = copied;
                }
            }
        }
        out.extend_from_slice(body.get(copied..).unwrap_or_default());
    }

    /// Masks the literal up to its end in `rest`; returns the length. The closing quote is left to
    /// `between`.
    fn mask_literal(
        &mut self,
        rest: &[u8],
        role: Role,
        end: &LiteralEnd,
        out: &mut Vec<u8>,
    ) -> usize {
        let (end, closed) = match *end {
            LiteralEnd::Close(end) => (end, true),
            LiteralEnd::Broken(_) | LiteralEnd::Open => (rest.len(), false),
        };
        let piece = rest.get(..end).unwrap_or_default();
        self.line.note_key(role, piece);
        let wrong = self.literal.push(
            &self.masker,
            piece,
            (role, closed),
            &mut self.replacement,
            out,
        );
        if let Some(wrong) = wrong {
            self.line.place = LexPosition::Text;
            self.text
                .push(&self.masker, &wrong, false, &mut self.replacement, out);
        } else if closed {
            self.line.place = LexPosition::Between;
            out.push(b'"');
        }
        self.count_id();
        end + usize::from(closed && self.line.place == LexPosition::Between)
    }

    fn count_id(&mut self) {
        if self.line.place != LexPosition::Literal(Role::Id)
            && std::mem::take(&mut self.literal.in_id)
        {
            self.secrets_in_ids += 1;
        }
    }

    /// Takes a piece of a split token. `whole`: this is its end.
    fn cut_scalar(&mut self, token: &[u8], whole: bool, out: &mut Vec<u8>) {
        let mut token = token;
        if self.line.place == LexPosition::Scalar {
            self.line.scalar.extend_from_slice(token);
            if !whole && self.line.scalar.len() <= SCALAR_BYTES_MAX + BYTE_ORDER_MARK.len() {
                return;
            }
            let scalar = std::mem::take(&mut self.line.scalar);
            let wrong = self.line.whole_scalar(&scalar);
            let (right, rest) = scalar.split_at(wrong.unwrap_or(scalar.len()));
            out.extend_from_slice(right);
            self.text
                .push(&self.masker, rest, false, &mut self.replacement, out);
            if wrong.is_none() && !whole {
                self.line.place = LexPosition::LongNumber;
            }
            return;
        }
        let digits = token
            .iter()
            .position(|b| !in_number(*b))
            .unwrap_or(token.len());
        out.extend_from_slice(token.get(..digits).unwrap_or_default());
        token = token.get(digits..).unwrap_or_default();
        if !token.is_empty() {
            self.line.place = LexPosition::Text;
            self.text
                .push(&self.masker, token, false, &mut self.replacement, out);
        } else if whole {
            self.line.place = LexPosition::Between;
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        match self.line.place {
            LexPosition::Literal(role) => {
                let how = (role, true);
                let wrong = self
                    .literal
                    .push(&self.masker, b"", how, &mut self.replacement, out);
                self.text.push(
                    &self.masker,
                    &wrong.unwrap_or_default(),
                    true,
                    &mut self.replacement,
                    out,
                );
            }
            LexPosition::Scalar => self.cut_scalar(b"", true, out),
            LexPosition::Between | LexPosition::LongNumber | LexPosition::Text => {}
        }
        self.text
            .push(&self.masker, b"", true, &mut self.replacement, out);
        self.line.reset();
        self.count_id();
        self.replacement.new_line();
        if let Some(next) = self.next.take() {
            self.masker = next;
        }
    }
}

impl fmt::Debug for MessageMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageMask(…)")
    }
}
