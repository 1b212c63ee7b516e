//! Passwords, which may look like anything.

use std::ops::Range;

use memchr::memmem;

use super::{random, reference};

/// The length of the shortest password (bytes).
const BYTES_MIN: usize = 4;

pub(super) fn is_password(text: &str) -> bool {
    let words = text.split_whitespace().count();
    text.len() >= BYTES_MIN
        && !random::is_no_password(text)
        && (words <= 6 || is_seed_phrase(text, words))
}

/// The words from which a wallet makes its keys. Source: BIP 39.
fn is_seed_phrase(text: &str, words: usize) -> bool {
    let is_word =
        |word: &str| (3..=8).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase());
    matches!(words, 12 | 15 | 18 | 21 | 24) && text.split_whitespace().all(is_word)
}

/// `postgres:postgres@localhost`: a well-known password on the local machine.
pub(super) fn is_default(text: &str, context: &str) -> bool {
    const DEFAULTS: &[&str] = &[
        "postgres", "root", "admin", "guest", "user", "mysql", "neo4j", "default", "test",
    ];
    const LOCAL: &[&str] = &[
        "@localhost",
        "@127.0.0.1",
        "@[::1]",
        "@host.docker.internal",
        "@db:",
        "@postgres:",
    ];
    DEFAULTS.contains(&text) && LOCAL.iter().any(|host| context.contains(host))
}

/// Programs whose `-p` is a password.
pub(super) fn is_database(text: &str) -> bool {
    let name = text.rsplit(['/', '\\']).next().unwrap_or(text);
    name == "sshpass"
        || ["mysql", "mariadb", "mongo", "jdbc", "redis-cli"]
            .iter()
            .any(|word| memmem::find(text.as_bytes(), word.as_bytes()).is_some())
}

/// `-pPASSWORD` in one word.
pub(super) fn joined(text: &str) -> Option<Range<usize>> {
    let rest = text.strip_prefix("-p")?;
    let mixed = rest.bytes().any(|b| b.is_ascii_digit())
        && rest.bytes().any(|b| b.is_ascii_alphabetic())
        || rest.bytes().any(|b| b.is_ascii_uppercase());
    let password = rest.len() >= 6 && mixed && !rest.starts_with('=') && !reference::holds(rest);
    password.then_some(2..text.len())
}
