//! A whole command line in one string: `sh -c "TOKEN=… server --key …"`; and a variable in one word of it.

use std::ops::Range;

use super::{Verdict, arguments, whole};

/// Judges the words of a command line.
pub(super) fn judged(text: &str) -> Verdict {
    let places = words(text);
    // One word is no line, and the caller has judged it.
    if places.first() == Some(&(0..text.len())) {
        return Verdict::Nothing;
    }
    let words: Vec<&str> = places
        .iter()
        .map(|place| text.get(place.clone()).unwrap_or_default())
        .collect();
    let mut found = Vec::new();
    let mut reference = false;
    for (place, verdict) in places.iter().zip(arguments(&words)) {
        reference |= verdict == Verdict::Reference;
        if let Verdict::Secret(parts) = verdict {
            found.extend(parts.into_iter().map(|part| part.moved(place.start)));
        }
    }
    match (found.is_empty(), reference) {
        (false, _) => Verdict::Secret(found),
        (true, true) => Verdict::Reference,
        (true, false) => Verdict::Nothing,
    }
}

/// `-e NAME=VALUE`, which containers and other clients have: the name, and the value with its start.
pub(super) fn assigned<'a>(before: &str, text: &'a str) -> Option<(&'a str, &'a str, usize)> {
    let pair = text.split_once('=');
    let (name, value) = pair.filter(|_| matches!(before, "-e" | "--env"))?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (!name.is_empty() && name.bytes().all(is_name)).then_some((name, value, name.len() + 1))
}

/// Judges the value of such a variable; none if it is not one.
pub(super) fn variable(before: &str, text: &str) -> Option<Verdict> {
    let (name, value, start) = assigned(before, text)?;
    let parts = match whole(name, value) {
        Verdict::Secret(parts) => parts,
        other => return Some(other),
    };
    let named = parts.into_iter().map(|mut part| {
        if part.name.is_empty() {
            name.clone_into(&mut part.name);
        }
        part.moved(start)
    });
    Some(Verdict::Secret(named.collect()))
}

/// Where the words stand, without the quotes around a whole word. A text with an open quote is no command
/// line: its words are what stands between spaces.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut start, mut quote, mut escaped) = (0, None, false);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            _ if std::mem::take(&mut escaped) => {}
            (None | Some(b'"'), b'\\') => escaped = true,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (None, b' ') => {
                found.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quote.is_some() {
        let mut at = 0;
        let spaced = text.split(' ').map(|word| {
            let start = at;
            at += word.len() + 1;
            start..start + word.len()
        });
        return spaced.collect();
    }
    found.push(start..text.len());
    let bare = found.into_iter().map(|range| {
        let word = text.get(range.clone()).unwrap_or_default();
        let quoted = |quote| {
            word.len() >= 2
                && word.starts_with(quote)
                && word.ends_with(quote)
                && word.matches(quote).count() == 2
        };
        if quoted('"') || quoted('\'') {
            range.start + 1..range.end - 1
        } else {
            range
        }
    });
    bare.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_judged_once() {
        for text in [r#"--h="a b""#, "'a b", "\"'a b'\""] {
            assert_eq!(judged(text), Verdict::Nothing, "{text}");
        }
    }

    #[test]
    fn the_words_of_a_line() {
        for (text, expected) in [
            ("a  b", &["a", "", "b"][..]),
            ("a --h 'X: Bearer y' c", &["a", "--h", "X: Bearer y", "c"]),
            ("K=\"v w\" a", &["K=\"v w\"", "a"]),
            (r"a b\ c", &["a", r"b\ c"]),
            ("it's b", &["it's", "b"]),
        ] {
            let found: Vec<_> = words(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
