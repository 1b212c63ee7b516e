//! Servers that take their key as an argument without a flag.

use super::random;

/// The packages, without versions. Source: their own documentation.
const PACKAGES: &[&str] = &[
    "hyperbrowser-mcp",
    "@neondatabase/mcp-server-neon",
    "@upstash/mcp-server",
    "airtable-mcp-server",
    "@twilio-alpha/mcp",
    "@e2b/mcp-server",
    "mcp-server-linear",
    "mcp-linear",
    "@tacticlaunch/mcp-linear",
];

/// The words that are keys by their position alone.
pub(super) fn keys(words: &[&str]) -> Vec<usize> {
    let Some(package) = words.iter().position(|word| is_known(word)) else {
        return Vec::new();
    };
    let after = words.iter().enumerate().skip(package + 1);
    let is_key = |n: &usize, word: &str| {
        let before = n
            .checked_sub(1)
            .and_then(|n| words.get(n))
            .copied()
            .unwrap_or_default();
        let flag = before.starts_with('-') && !before.contains('=');
        !flag && may_be_key(word)
    };
    after
        .filter(|(n, word)| is_key(n, word))
        .map(|(n, _)| n)
        .collect()
}

/// Whether a word could be a key, if its package takes one.
pub(super) fn may_be_key(word: &str) -> bool {
    word.len() >= 16 && !word.starts_with('-') && random::is_machine_made(word)
}

fn is_known(word: &str) -> bool {
    let name = match word.rfind('@') {
        Some(at) if at > 0 => word.get(..at).unwrap_or(word),
        _ => word,
    };
    PACKAGES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_known_packages_only() {
        let key = "hb_3485a1c292be01e4fc2d031c4188";
        assert_eq!(keys(&["npx", "-y", "hyperbrowser-mcp@1.0.0", key]), [3]);
        assert!(keys(&["npx", "-y", "hyperbrowser-mcp", "--x", key]).is_empty());
        assert!(keys(&["npx", "-y", "other-mcp", key]).is_empty());
        assert_eq!(
            keys(&[
                "npx",
                "@neondatabase/mcp-server-neon",
                "start",
                "a1b2c3d4e5f6a7b8c9d0"
            ]),
            [3]
        );
    }
}
