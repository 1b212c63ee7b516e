//! The nearest known name, for hints such as "did you mean `secret`?".
//!
//! The whole program uses one threshold, which grows with the length of the name: a bad guess is worse
//! than none.

/// The known name that was probably meant by a word.
///
/// A third of the name's characters may differ, and one in short names, but never all of them. Two
/// swapped neighbours count as one difference.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, name)| {
            let length = name.chars().count();
            *distance <= (length / 3).max(1) && *distance < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        const FIELDS: &[&str] = &["from", "to", "optional", "secrets", "session"];
        const CLIENTS: &[&str] = &["cursor", "claude-code", "vscode", "zed", "amp"];
        for (word, known, expected) in [
            ("secert", FIELDS, Some("secrets")),
            ("form", FIELDS, Some("from")),
            ("tp", FIELDS, Some("to")),
            ("optinal", FIELDS, Some("optional")),
            ("hunter2", FIELDS, None),
            ("x", FIELDS, None),
            ("", FIELDS, None),
            ("zedd", CLIENTS, Some("zed")),
            ("cursr", CLIENTS, Some("cursor")),
            ("claude", CLIENTS, None),
            ("claudecode", CLIENTS, Some("claude-code")),
            ("vs-code", CLIENTS, Some("vscode")),
            ("zzzzzzzzz", CLIENTS, None),
            ("emacs", CLIENTS, None),
            ("aider", CLIENTS, None),
            ("b", &["a"], None),
            ("größe", &["grösse"], Some("grösse")),
            ("from", FIELDS, Some("from")),
        ] {
            assert_eq!(nearest(word, known.iter().copied()), expected, "{word}");
        }
    }

    #[test]
    fn the_nearest_wins_and_the_first_of_two() {
        assert_eq!(nearest("githib", ["gitlab", "github"]), Some("github"));
        assert_eq!(nearest("prox", ["prod", "proj"]), Some("prod"));
    }
}
