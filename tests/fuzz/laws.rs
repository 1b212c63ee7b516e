//! The naive definition of masking, shared by the property tests and the fuzz target.
//!
//! It marks every occurrence of every encoding, merges overlapping ones, and replaces them.

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

    pub(crate) fn forms(&self) -> Vec<(usize, Vec<u8>)> {
        let spell = |(n, secret): (usize, &Vec<u8>)| {
            let forms = spellings(&Secret::new(secret.clone()));
            forms.into_iter().map(move |form| (n, form.to_vec()))
        };
        self.secrets.iter().enumerate().flat_map(spell).collect()
    }

    /// The naive definition.
    pub(crate) fn expected(&self, forms: &[(usize, Vec<u8>)], text: &[u8]) -> Vec<u8> {
        let mut hits = Vec::new();
        for start in 0..text.len() {
            for (secret, form) in forms {
                if text[start..].starts_with(form) {
                    hits.push((start, std::cmp::Reverse(start + form.len()), *secret));
                }
            }
        }
        hits.sort_unstable();
        let mut out = Vec::new();
        let mut until = 0;
        for (start, end, secret) in hits {
            if start >= until {
                out.extend_from_slice(&text[until..start]);
                out.extend_from_slice(self.mask_of(secret).as_bytes());
            }
            until = until.max(end.0);
        }
        out.extend_from_slice(&text[until..]);
        out
    }

    /// Whether a secret overlaps its mask, so that another mask is used.
    fn mask_is_unusual(&self, forms: &[(usize, Vec<u8>)]) -> bool {
        (0..self.secrets.len()).any(|secret| {
            let mask = self.mask_of(secret).into_bytes();
            forms.iter().any(|(_, form)| {
                (1..=form.len().min(mask.len())).any(|n| {
                    form.starts_with(&mask[mask.len() - n..]) || form.ends_with(&mask[..n])
                }) || contains(&mask, form)
                    || contains(form, &mask)
            })
        })
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
    for (_, form) in case.forms() {
        assert!(
            !contains(&text, &form),
            "{} is left in {case:?}",
            show(&form)
        );
    }
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
        match forms.get((usize::from(byte) * 31 + at) % forms.len().max(1)) {
            Some((_, form)) if byte >= 0xF8 => case.text.extend_from_slice(form),
            _ => case.text.push(byte),
        }
    }
    case
}
