//! The naive definition of masking, shared by the property tests and the fuzz target.
//!
//! It marks every occurrence of every encoding, merges overlapping ones, and replaces them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use mcpwrap::testing::mask::{Masker, MessageMask, TextMask, spellings};
use mcpwrap::testing::secret::Secret;

/// Secrets, a text that contains them or pieces of them, and the positions where it is split.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) secrets: Vec<Vec<u8>>,
    pub(crate) text: Vec<u8>,
    pub(crate) cuts: Vec<usize>,
}

impl Case {
    pub(crate) fn masker(&self) -> Arc<Masker> {
        let secrets: Vec<Secret> = self
            .secrets
            .iter()
            .map(|s| Secret::new(s.clone()))
            .collect();
        let named: Vec<_> = secrets
            .iter()
            .enumerate()
            .map(|(n, s)| (format!("S{n}"), s))
            .collect();
        Arc::new(Masker::new(&named))
    }

    pub(crate) fn forms(&self) -> Forms {
        self.forms_where(|_| true)
    }

    pub(crate) fn forms_where(&self, keep: impl Fn(&[u8]) -> bool) -> Forms {
        let spell = |(secret, value): (usize, &Vec<u8>)| {
            let spellings = spellings(&Secret::new(value.clone()));
            spellings.into_iter().map(move |spelling| Form {
                secret,
                bytes: spelling.bytes.to_vec(),
                least: spelling.least,
            })
        };
        let all = self.secrets.iter().enumerate().flat_map(spell);
        let all: Vec<Form> = all.filter(|form| keep(&form.bytes)).collect();
        let mut windows: HashMap<Vec<u8>, Vec<(usize, usize)>> = HashMap::new();
        for (n, form) in all.iter().enumerate() {
            for (at, window) in form.bytes.windows(form.least).enumerate() {
                windows
                    .entry(window[..8].to_vec())
                    .or_default()
                    .push((n, at));
            }
        }
        Forms { all, windows }
    }

    /// The naive definition.
    pub(crate) fn expected(&self, forms: &Forms, text: &[u8]) -> Vec<u8> {
        let mut hits = Vec::new();
        for (start, head) in text.windows(8).enumerate() {
            for &(n, at) in forms.windows.get(head).into_iter().flatten() {
                let form = &forms.all[n];
                if text[start..].starts_with(&form.bytes[at..at + form.least]) {
                    let (from, to) = form.characters(at);
                    let order = (start + from - at, Reverse(form.least), form.secret);
                    hits.push((order, start + to - at));
                }
            }
        }
        hits.sort_unstable();
        let mut out = Vec::new();
        let mut until = 0;
        for ((start, _, secret), end) in hits {
            if start >= until {
                out.extend_from_slice(&text[until..start]);
                out.extend_from_slice(self.mask_of(secret).as_bytes());
            }
            until = until.max(end);
        }
        out.extend_from_slice(&text[until..]);
        out
    }

    /// Whether a match can share a byte with a mask, so that another mask is used.
    pub(crate) fn mask_is_unusual(&self, forms: &Forms) -> bool {
        let masks: Vec<String> = (0..self.secrets.len()).map(|n| self.mask_of(n)).collect();
        let unusual = |form: &Form| masks.iter().any(|mask| form.may_overlap(mask.as_bytes()));
        forms.all.iter().any(unusual)
    }

    fn mask_of(&self, secret: usize) -> String {
        let value = self.secrets[secret].trim_ascii_end();
        match value.last_chunk::<4>() {
            Some(tail) if value.len() >= 16 && tail.iter().all(u8::is_ascii_alphanumeric) => {
                format!("[secret S{secret} …{}]", String::from_utf8_lossy(tail))
            }
            _ => format!("[secret S{secret}]"),
        }
    }
}

/// One encoding of one secret.
pub(crate) struct Form {
    secret: usize,
    pub(crate) bytes: Vec<u8>,
    /// How many bytes in a row are a match.
    pub(crate) least: usize,
}

impl Form {
    /// Whether some text has a match that begins or ends inside the mask, or lies in it.
    fn may_overlap(&self, mask: &[u8]) -> bool {
        let form = &self.bytes;
        (0..=form.len()).any(|at| {
            let (left, right) = form.split_at(at);
            let same = right.iter().zip(mask).take_while(|(a, b)| a == b).count();
            let ends = same > 0 && at + same >= self.least;
            let same = left.iter().rev().zip(mask.iter().rev());
            let same = same.take_while(|(a, b)| a == b).count();
            ends || same > 0 && at - same + self.least <= form.len()
        }) || form
            .windows(self.least)
            .any(|window| contains(mask, window))
            || contains(form, mask)
    }

    /// The complete characters of the match that begins here.
    fn characters(&self, at: usize) -> (usize, usize) {
        let (mut from, mut to) = (at, at + self.least);
        if self.least < self.bytes.len() {
            let inside = |at: usize| self.bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
            while inside(from) {
                from += 1;
            }
            while inside(to) {
                to -= 1;
            }
        }
        (from, to)
    }
}

/// The encodings of all secrets, and where each match can begin, by its first eight bytes.
pub(crate) struct Forms {
    pub(crate) all: Vec<Form>,
    windows: HashMap<Vec<u8>, Vec<(usize, usize)>>,
}

impl Forms {
    /// Whether the text contains a match.
    pub(crate) fn are_in(&self, text: &[u8]) -> bool {
        text.windows(8).enumerate().any(|(start, head)| {
            let windows = self.windows.get(head).into_iter().flatten();
            windows.into_iter().any(|&(n, at)| {
                let form = &self.all[n];
                text[start..].starts_with(&form.bytes[at..at + form.least])
            })
        })
    }
}

/// Runs a stream over a text in pieces. Both streams have the same methods.
macro_rules! run {
    ($mask:expr, $text:expr, $cuts:expr, $after:expr) => {{
        let mut mask = $mask;
        let mut out = Vec::new();
        let mut at = 0;
        let mut cuts = $cuts.iter().copied().chain([usize::MAX]);
        while at < $text.len() {
            let end = at
                .saturating_add(cuts.next().unwrap_or(usize::MAX))
                .min($text.len());
            let passed = if at % 2 == 0 {
                mask.pass(&$text[at..end])
            } else {
                0
            };
            out.extend_from_slice(&$text[at..at + passed]);
            mask.write(&$text[at + passed..end], &mut out);
            $after(&$text[..end], &out, mask.at_line_start());
            at = end;
        }
        mask.flush(&mut out);
        out
    }};
}

pub(crate) use run;

pub(crate) fn text_masked(masker: &Arc<Masker>, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    run!(
        TextMask::new(Arc::clone(masker)),
        text,
        cuts,
        |_: &[u8], _: &[u8], _| ()
    )
}

pub(crate) fn message_masked(masker: &Arc<Masker>, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    run!(
        MessageMask::new(Arc::clone(masker)),
        text,
        cuts,
        |_: &[u8], _: &[u8], _| ()
    )
}

pub(crate) fn contains(text: &[u8], form: &[u8]) -> bool {
    text.windows(form.len()).any(|window| window == form)
}

pub(crate) fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Builds a case from arbitrary bytes and checks laws 1, 2, 3, 6, 7 and 8 on it.
pub(crate) fn check(data: &[u8]) {
    let case = read(data);
    let forms = case.forms();
    if case.mask_is_unusual(&forms) {
        return;
    }
    let masker = case.masker();
    let text = text_masked(&masker, &case.text, &case.cuts);
    assert_eq!(
        show(&text),
        show(&case.expected(&forms, &case.text)),
        "the naive definition of {case:?}"
    );
    assert!(!forms.are_in(&text), "a form is left in {case:?}");
    let messages = message_masked(&masker, &case.text, &case.cuts);
    let whole = message_masked(&masker, &case.text, &[]);
    assert_eq!(show(&messages), show(&whole), "cuts change {case:?}");
    let again = message_masked(&masker, &messages, &[]);
    assert_eq!(
        show(&again),
        show(&messages),
        "twice is not once in {case:?}"
    );
    let mut lines = messages.split(|b| *b == b'\n');
    for line in case.text.split(|b| *b == b'\n') {
        let after = lines.next().unwrap_or_default();
        if serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok() {
            let valid = serde_json::from_slice::<serde::de::IgnoredAny>(after).is_ok();
            assert!(valid, "not JSON: {} in {case:?}", show(after));
        }
    }
}

/// The first byte selects the number of secrets and their characters. In the text, a byte of 0xF8
/// or more means a form; other bytes are literal.
fn read(data: &[u8]) -> Case {
    let few = b"ab0\"\\/\nun=\xc3\xa9+ ";
    let (&head, mut data) = data.split_first().unwrap_or((&0, b""));
    let mut take = |count: usize| {
        let (front, rest) = data.split_at(count.min(data.len()));
        data = rest;
        front.to_vec()
    };
    let mut secrets = Vec::new();
    for n in 0..=usize::from(head & 3) {
        let mut secret = take(8 + usize::from(head >> 4) + n);
        for byte in &mut secret {
            if head & 4 != 0 {
                *byte = few[usize::from(*byte) % few.len()];
            } else if b"[]".contains(byte) {
                *byte = b'_';
            }
        }
        secrets.push(secret);
    }
    let cuts = take(8)
        .iter()
        .cycle()
        .take(256)
        .map(|cut| 1 + usize::from(cut % 16))
        .collect();
    let mut case = Case {
        secrets,
        text: Vec::new(),
        cuts,
    };
    let forms = case.forms();
    for (at, &byte) in data.iter().enumerate() {
        let index = (usize::from(byte) * 31 + at) % forms.all.len().max(1);
        match forms.all.get(index) {
            Some(form) if byte >= 0xF8 => case.text.extend_from_slice(&form.bytes),
            _ => case.text.push(byte),
        }
    }
    case
}
