//! The search against expected positions.

use zeroize::Zeroizing;

use super::matcher::Matcher;
use super::pattern::{Pattern, PatternScope, SearchMode};

fn matcher(forms: &[&str]) -> Matcher {
    let pattern = |(secret, form): (usize, &&str)| Pattern {
        bytes: Zeroizing::new(form.as_bytes().to_vec()),
        least: form.len(),
        secret,
        scope: PatternScope::Everywhere,
    };
    Matcher::new(forms.iter().enumerate().map(pattern).collect()).unwrap()
}

#[track_caller]
fn case(forms: &[&str], text: &str, expected: &[(usize, usize)], open: usize) {
    let mut hits = Vec::new();
    let matcher = matcher(forms);
    let found = matcher.scan(text.as_bytes(), SearchMode::Gate, &mut hits);
    let hits: Vec<_> = hits.iter().map(|hit| (hit.start, hit.end)).collect();
    assert_eq!((hits.as_slice(), found), (expected, open));
    let first = expected.first().map_or(open, |hit| hit.0.min(open));
    assert_eq!(matcher.clean(text.as_bytes(), SearchMode::Gate), first);
}

#[test]
fn every_occurrence_is_found() {
    case(&["abcdefgh"], "", &[], 0);
    case(&["abcdefgh"], "-abcdefgh", &[(1, 9)], 2);
    case(&["abcdefgh"], "xabcdefghx", &[(1, 9)], 10);
    case(&["aaaaaaaa"], "aaaaaaaaaa", &[(0, 8), (1, 9), (2, 10)], 3);
    case(
        &["abcdefgh", "abcdefghij"],
        "abcdefghij-",
        &[(0, 10), (0, 8)],
        11,
    );
    case(
        &["abcdefgh", "efghijkl"],
        "abcdefghijkl-",
        &[(0, 8), (4, 12)],
        13,
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
    case(&["abcdefgh", "efghijkl"], "xxxxxefgh", &[], 5);
}

/// Every form is found at every offset, wherever the samples are, and every piece of it.
#[test]
fn samples_miss_nothing() {
    for length in 8..60 {
        let form: String = (b'0'..).map(char::from).take(length).collect();
        let other = format!("~{form}");
        let matcher = matcher(&[&form, &other]);
        for before in 0..60 {
            let text = format!("{}{form}{}", "-".repeat(before), "-".repeat(before / 2));
            let mut hits = Vec::new();
            matcher.scan(text.as_bytes(), SearchMode::Text, &mut hits);
            assert_eq!(hits.len(), 1, "{text}");
            assert_eq!((hits[0].start, hits[0].end), (before, before + length));
            let cut = &text.as_bytes()[..before + length - 1];
            let open = matcher.scan(cut, SearchMode::Text, &mut hits);
            assert_eq!((hits.len(), open), (0, before));
        }
    }
}

/// For each number of bytes that must match, a piece is found and a shorter one is not.
#[test]
fn pieces_are_found() {
    let form: Vec<u8> = (b'0'..b'z').collect();
    for least in [8, 11, 12, 20, 48] {
        let pattern = Pattern {
            bytes: Zeroizing::new(form.clone()),
            least,
            secret: 0,
            scope: PatternScope::Everywhere,
        };
        let matcher = Matcher::new(vec![pattern]).unwrap();
        for from in 0..form.len() {
            for to in from..=form.len() {
                let text = [b"--- ", &form[from..to], b" ---"].concat();
                let mut covered = vec![false; text.len()];
                let mut hits = Vec::new();
                matcher.find(&text, SearchMode::Text, &mut hits);
                for hit in hits {
                    covered[hit.start..hit.end].fill(true);
                }
                let found = covered.iter().filter(|byte| **byte).count();
                let expected = if to - from >= least { to - from } else { 0 };
                assert_eq!(found, expected, "{least} {from} {to}");
            }
        }
    }
}

/// Otherwise a server could make the search take the square of the length of a periodic value.
#[test]
fn repetition_needs_few_places() {
    for form in ["x".repeat(900), "abcdefghijklmnopqrstuvwxyz".repeat(40)] {
        let pattern = Pattern {
            bytes: Zeroizing::new(form.into_bytes()),
            least: 12,
            secret: 0,
            scope: PatternScope::Everywhere,
        };
        let matcher = Matcher::new(vec![pattern]).unwrap();
        assert!(matcher.places() < 100, "{}", matcher.places());
    }
}
