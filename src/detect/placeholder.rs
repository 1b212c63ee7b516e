//! Text that people write until they have a real value.
//!
//! Whole words are judged, so that a random token that contains `test` stays a token. The lists
//! have common phrases of many languages; text in a script that tokens do not use is a placeholder.

use super::filler_words::{NOUNS, SHORT, WEAK, WHOLE, WORDS};
use super::names::{self, Promise};

/// Whether the text is a placeholder.
pub(super) fn is_placeholder(text: &str) -> bool {
    let text = text.trim().trim_matches(['"', '\'', '`']);
    let lower = text.to_lowercase();
    WHOLE.contains(lower.as_str())
        || bracketed(text)
        || filler(text)
        || is_text_for_people(text)
        || worded(text, &lower)
        || lower.ends_with("example")
        || lower.ends_with("examplekey")
}

/// `<token>`, `[token]`, `{token}`, `__TOKEN__`, `%TOKEN%`, without an equal sign inside.
fn bracketed(text: &str) -> bool {
    let pairs = [('<', '>'), ('[', ']'), ('{', '}')];
    let paired = pairs.iter().any(|&(open, close)| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|inner| {
                !inner.is_empty() && inner.len() < 80 && !inner.contains(['"', ':', open, close])
            })
    });
    let angle = text
        .find('<')
        .zip(text.rfind('>'))
        .and_then(|(a, b)| text.get(a + 1..b))
        .is_some_and(|inner| {
            inner.len() > 2
                && inner
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_- ".contains(&b))
        });
    paired || angle || (text.len() > 4 && text.starts_with("__") && text.ends_with("__"))
}

/// `xxxx`, `****`, `....`, `sk-xxxxxxxx`, `ghp_XXXXXXXX`, `00000000`, `sk-1234567890abcdef`,
/// `abcdefgh…`.
fn filler(text: &str) -> bool {
    let dots = text.ends_with("...") || text.ends_with('…');
    if dots || text.contains("****") || text.contains("••••") {
        return true;
    }
    let body = text.rsplit(['-', '_', ' ']).next().unwrap_or(text);
    let runs = |part: &str| {
        let mut chars = part.chars();
        let first = chars.next();
        part.chars().count() >= 3
            && first.is_some_and(|c| "xX*.#0?1".contains(c) && chars.all(|d| d == c))
    };
    let parts: Vec<_> = text
        .split(['-', '_', ' ', '.', '/', '='])
        .filter(|p| !p.is_empty())
        .collect();
    let filled: usize = parts
        .iter()
        .filter(|part| runs(part))
        .map(|part| part.len())
        .sum();
    runs(body) && filled * 2 >= text.len().saturating_sub(8)
        || filled >= 8 && filled * 2 >= text.len()
        || longest_run(text) >= 8 && longest_run(text) * 3 >= text.len()
        || (body.len() * 2 >= text.len() && counting(body))
}

fn longest_run(text: &str) -> usize {
    let mut best = 0;
    let mut run = 0;
    let mut previous = None;
    for c in text.chars() {
        run = if previous == Some(c) { run + 1 } else { 1 };
        previous = Some(c);
        best = best.max(run);
    }
    best
}

/// `1234567890…`, `abcdef0123456789`: most bytes are the previous byte plus one.
fn counting(text: &str) -> bool {
    let bytes = text.as_bytes();
    let steps = bytes.windows(2).filter(|pair| {
        matches!(pair, [a, b] if *b == a.wrapping_add(1) || (*a == b'9' && (*b == b'0' || *b == b'a' || *b == b'1')) || (*a == b'f' && *b == b'0'))
    });
    bytes.len() >= 8 && steps.count() * 10 >= (bytes.len() - 1) * 8
}

/// Letters that tokens do not contain (Korean, Chinese, Cyrillic, …), or a sentence.
fn is_text_for_people(text: &str) -> bool {
    let other = text
        .chars()
        .filter(|c| c.is_alphabetic() && !c.is_ascii())
        .count();
    let blank = text.split_whitespace().count() > 2;
    other >= 2 && text.chars().any(|c| c as u32 > 0x2ff) || (other >= 1 && blank)
}

fn worded(text: &str, lower: &str) -> bool {
    if lower.starts_with("your") {
        return true;
    }
    let words = names::joined(text);
    let mut placeholders = words.split(' ').filter(|word| WORDS.contains(word));
    // One that is long, or two of any length.
    if let Some(first) = placeholders.next()
        && (!SHORT.contains(first) || placeholders.next().is_some())
    {
        return true;
    }
    // `test-key-1`, `demo_token`, `not-a-real-key`: words that a random text would not be made of.
    if made_of_words(&words) {
        return true;
    }
    // `mot_de_passe_ici`, `TU_CONTRASEÑA`: letters only, which name a secret in any language.
    let named = text.contains(['_', '-', ' '])
        && text.chars().all(|c| c.is_alphabetic() || "_- ".contains(c))
        && matches!(names::promise(text), Promise::Password | Promise::Token);
    if named {
        return true;
    }
    // Letters only, which name the value itself: `my-secret-token`, `vncpassword`.
    let letters = lower
        .chars()
        .all(|c| c.is_ascii_alphabetic() || " _-.".contains(c));
    let itself = || {
        [
            "password",
            "passwd",
            "token",
            "apikey",
            "secret",
            "placeholder",
        ]
        .iter()
        .any(|noun| lower.contains(noun))
            || words.split(' ').any(|word| word == "key")
    };
    letters && (words.starts_with("my ") || itself())
}

/// Whether a text says of itself that it is none, in words only.
fn made_of_words(words: &str) -> bool {
    let all: Vec<&str> = words.split(' ').collect();
    let known = |word: &&str| {
        WEAK.contains(word)
            || NOUNS.contains(word)
            || word.len() < 4 && word.bytes().all(|b| b.is_ascii_digit())
    };
    let weak = all.iter().filter(|word| WEAK.contains(**word)).count();
    all.len() > 1 && weak > 0 && all.iter().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_in_many_languages() {
        for text in [
            "YOUR_API_KEY",
            "your-api-key-here",
            "<token>",
            "xxx",
            "sk-xxxxxxxxxxxx",
            "REPLACE_ME",
            "changeme",
            "여기에 API 키 입력",
            "在此填入你的密钥",
            "ВАШ_КЛЮЧ",
            "votre_cle_api",
            "dein-api-schlüssel",
            "TU_CLAVE_AQUI",
            "ghp_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
            "sk-...",
            "AKIAIOSFODNN7EXAMPLE",
            "1234567890abcdef",
            "my-secret-token",
            "vncpassword",
            "[YOUR-PASSWORD]",
            "${}",
            "https://<your-host>/",
            "ここに入力",
            "test-key-1",
            "not-a-real-key",
            "no-key-needed",
            "demo_token_123",
            "lm-studio",
            "changethis",
            "mot_de_passe_ici",
            "TU_CONTRASEÑA",
            "sua_senha_aqui",
        ] {
            assert!(is_placeholder(text) || text == "${}", "{text}");
        }
    }

    #[test]
    fn real_values_are_not_placeholders() {
        for text in [
            "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
            "correct horse battery",
            "Tr0ub4dor&3",
            "D5>Y18K@z+2.",
            "RrSrnJashurE",
            "RrsAxhTpRPzh",
            "sommerregen",
            "test4EC39HqLyjWDarj",
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
            "0",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
