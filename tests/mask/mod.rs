//! The laws of masking as property tests against a naive definition.
//!
//! The secrets use few characters, so that they often overlap.

use std::sync::Arc;

use mcpwrap::testing::mask::{MessageMask, TextMask, spellings};
use mcpwrap::testing::secret::Secret;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use proptest::{prop_assert_eq, prop_assume};
use serde_json::Value;

use self::laws::{Case, check, message_masked, run, show, text_masked};

#[path = "../fuzz/laws.rs"]
mod laws;
mod programs;
mod spellings;

fn secret() -> impl Strategy<Value = Vec<u8>> {
    // No brackets: a secret that ends like a mask begins gets another mask.
    let bytes = any::<u8>().prop_filter("a bracket", |byte| !b"[]".contains(byte));
    prop_oneof![
        4 => "[ab]{8,12}".prop_map(String::into_bytes),
        4 => "[ab0\"/\\\\=é🔑]{8,18}".prop_map(String::into_bytes),
        2 => "[ab]{8,10}\r?\n[ab+]{8,10}\n[ab]{1,3}".prop_map(String::into_bytes),
        1 => "nabcdefg[abn]{1,9}".prop_map(String::into_bytes),
        1 => "[a-f0-9]{40}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(bytes, 8..20),
    ]
}

fn secrets() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(secret(), 1..4).prop_flat_map(|secrets| {
        // Often a secret that begins or ends like another one or is part of it.
        let first = secrets[0].clone();
        let cut = (any::<Index>(), any::<bool>()).prop_map(move |(at, front)| {
            let (head, tail) = first.split_at(at.index(first.len()));
            if front {
                [tail, head].concat()
            } else {
                head.to_vec()
            }
        });
        (Just(secrets), cut, any::<bool>()).prop_map(|(mut secrets, cut, add)| {
            if add {
                secrets.push(cut);
            }
            secrets
        })
    })
}

/// A text of complete forms, pieces of forms, and other bytes.
fn case() -> impl Strategy<Value = Case> {
    secrets().prop_flat_map(|secrets| {
        let forms: Vec<Vec<u8>> = secrets
            .iter()
            .flat_map(|s| spellings(&Secret::new(s.clone())))
            .map(|spelling| spelling.bytes.to_vec())
            .collect();
        let forms = if forms.is_empty() {
            vec![b"none".to_vec()]
        } else {
            forms
        };
        let piece = (
            any::<Index>(),
            any::<Index>(),
            any::<Index>(),
            0..8,
            "[ab0\"\\\\/{}:,é \\[]{0,4}",
        )
            .prop_map(move |(form, from, to, kind, other)| {
                let form = form.get(&forms);
                let (from, to) = (from.index(form.len()), to.index(form.len() + 1));
                match kind {
                    0 | 1 => form.clone(),
                    2 => form[from..].to_vec(),
                    3 => form[..to].to_vec(),
                    4 => form[from..to.max(from)].to_vec(),
                    5 => b"\n".to_vec(),
                    _ => other.into_bytes(),
                }
            });
        let text = proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
        let cuts = proptest::collection::vec(prop_oneof![Just(1), 1usize..40], 0..60);
        (Just(secrets), text, cuts).prop_map(|(secrets, text, cuts)| Case {
            secrets,
            text,
            cuts,
        })
    })
}

/// A JSON line as a server could write it, each character with a random spelling.
fn literal(text: &str, ways: &[u8], out: &mut String) {
    out.push('"');
    for (n, c) in text.chars().enumerate() {
        match (c, ways.get(n % ways.len().max(1)).copied().unwrap_or(0)) {
            ('"' | '\\', 0..200) | ('/', 100..200) => out.extend(['\\', c]),
            ('\n', 0..200) => out.push_str("\\n"),
            ('\r', 0..200) => out.push_str("\\r"),
            (_, way) if way >= 200 || u32::from(c) < 0x20 => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let upper = way % 2 == 0;
                    let hex = format!("{unit:04x}");
                    out.push_str("\\u");
                    out.push_str(&if upper { hex.to_uppercase() } else { hex });
                }
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

fn strings(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, all)),
        Value::Object(fields) => {
            for (key, field) in fields {
                all.push(key.clone());
                strings(field, all);
            }
        }
        _ => {}
    }
}

/// The same cases in every run, others in each `cargo xtask soak`.
fn config() -> ProptestConfig {
    let seed = match std::env::var_os("MCPWRAP_TEST_SOAK") {
        Some(_) => RngSeed::Random,
        None => RngSeed::Fixed(1),
    };
    ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: seed,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    // Laws 1, 2 and 8.
    #[test]
    fn text_is_masked_by_the_naive_definition_however_it_is_split(case in case()) {
        prop_assume!(!case.mask_is_unusual(&case.forms()));
        let out = text_masked(&case.masker(), &case.text, &case.cuts);
        prop_assert_eq!(show(&out), show(&case.expected(&case.forms(), &case.text)));
    }

    // Laws 3 and 6.
    #[test]
    fn masked_text_contains_no_form_and_masking_again_changes_nothing(case in case()) {
        let masker = case.masker();
        let out = text_masked(&masker, &case.text, &case.cuts);
        assert!(!case.forms().are_in(&out), "{}", show(&out));
        prop_assert_eq!(show(&text_masked(&masker, &out, &[])), show(&out));
    }

    // Law 4.
    #[test]
    fn without_a_secret_nothing_changes(text in any::<Vec<u8>>(), secret in "[ab]{8}|[A-Z]{30}", cuts in any::<Vec<u8>>()) {
        let cuts: Vec<usize> = cuts.into_iter().map(usize::from).map(|cut| cut.max(1)).collect();
        for secrets in [vec![], vec![secret.into_bytes()]] {
            let case = Case { secrets, text: text.clone(), cuts: cuts.clone() };
            prop_assert_eq!(&text_masked(&case.masker(), &case.text, &case.cuts), &text);
            prop_assert_eq!(&message_masked(&case.masker(), &case.text, &case.cuts), &text);
        }
    }

    // Law 5: split at every byte, the output lags no more than the forms require.
    #[test]
    fn nothing_is_held_at_the_end_of_a_line_and_little_before(case in case()) {
        prop_assume!(!case.mask_is_unusual(&case.forms()));
        let masker = case.masker();
        let ones = vec![1; case.text.len()];
        let bound = masker.hold_bytes_max();
        let forms = case.forms();
        run!(TextMask::new(Arc::clone(&masker)), case.text, ones, |seen: &[u8], out: &[u8], at_start: bool| {
            assert_eq!(at_start, seen.is_empty() || seen.ends_with(b"\n"));
            let decided = seen.len().saturating_sub(if at_start { 0 } else { bound });
            let sure = case.expected(&forms, &seen[..decided]);
            assert!(out.len() + 200 >= sure.len() && (!at_start || out == sure));
        });
        run!(MessageMask::new(masker), case.text, ones, |seen: &[u8], out: &[u8], at_start: bool| {
            assert_eq!(at_start, seen.is_empty() || seen.ends_with(b"\n"));
            assert!(!at_start || out.is_empty() || out.ends_with(b"\n"));
        });
    }

    // Law 1 for any line, JSON or not; laws 3 and 6 for lines that are not JSON.
    #[test]
    fn messages_are_masked_the_same_however_they_are_split(case in case()) {
        let masker = case.masker();
        let whole = message_masked(&masker, &case.text, &[]);
        prop_assert_eq!(show(&message_masked(&masker, &case.text, &case.cuts)), show(&whole));
        prop_assert_eq!(show(&message_masked(&masker, &whole, &case.cuts)), show(&whole));
    }

    // Law 7, and law 2 for each literal.
    #[test]
    fn only_the_text_of_literals_changes(case in case(), ways in any::<Vec<u8>>(), key in any::<bool>()) {
        prop_assume!(!case.mask_is_unusual(&case.forms()));
        let text = String::from_utf8_lossy(&case.text).replace('\n', " ");
        let mut line = String::from("{ \"n\":1.50e+3 ,\"a\" : [true, -0,\t");
        literal(&text, &ways, &mut line);
        line.push_str("],\"id\":7,");
        literal(if key { &text } else { "k" }, &ways, &mut line);
        line.push_str(":null}\n");
        let before: Value = serde_json::from_str(&line).unwrap();

        let out = message_masked(&case.masker(), line.as_bytes(), &case.cuts);
        let out = String::from_utf8(out).unwrap();
        let after: Value = serde_json::from_str(&out).unwrap();
        let (mut old, mut new) = (Vec::new(), Vec::new());
        strings(&before, &mut old);
        strings(&after, &mut new);
        // In literals only forms of complete characters are found.
        let forms = case.forms_where(|form| std::str::from_utf8(form).is_ok());
        for text in &mut old {
            *text = String::from_utf8_lossy(&case.expected(&forms, text.as_bytes())).into();
        }
        old.sort();
        new.sort();
        prop_assert_eq!(new, old);
        assert!(out.starts_with("{ \"n\":1.50e+3 ,\"a\" : [true, -0,\t\""));
        assert!(out.ends_with(":null}\n") && out.contains("],\"id\":7,"));
    }
}

/// A piece of the input may end where the decoded text has the middle of an escaped character.
#[test]
fn a_split_at_an_escaped_character_changes_nothing() {
    let secret = "🔑bc🔑de🔑🔑fg🔑";
    let case = Case {
        secrets: vec![secret.into()],
        text: Vec::new(),
        cuts: Vec::new(),
    };
    let masker = case.masker();
    // More than is ever held back, so that what is held back begins anywhere in the secret.
    let text = secret.repeat(2 + masker.hold_bytes_max() / secret.len());
    let mut line = String::new();
    literal(&text, &[250], &mut line);
    let whole = message_masked(&masker, line.as_bytes(), &[]);
    for first in 1..line.len() {
        let split = message_masked(&masker, line.as_bytes(), &[first, 1]);
        assert_eq!(show(&split), show(&whole), "split at {first}");
    }
}

/// The body of the fuzz target on pseudo-random bytes, the same in every run.
#[test]
fn the_laws_hold_for_arbitrary_bytes() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut data = Vec::new();
    for round in 0..100_usize {
        data.clear();
        for _ in 0..40 + round % 120 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let [.., kind, byte] = (state >> 32).to_le_bytes()[..4] else {
                continue;
            };
            data.push(match kind % 4 {
                0 => byte | 0xF8,
                1 => b"\"\\/{}[]:,\nu0 ab\xef"[usize::from(byte) % 16],
                _ => byte,
            });
        }
        check(&data);
    }
}

/// The saved inputs of the fuzz target.
#[test]
fn the_laws_hold_for_the_corpus() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/mask");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}
