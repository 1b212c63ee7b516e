//! Tokens of a known format without a prefix: their parts have known lengths.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

/// A known token inside a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub range: Range<usize>,
    pub name: &'static str,
}

/// At most one of each format.
pub(super) fn find(text: &str) -> Vec<Known> {
    let all = [
        private_key(text),
        telegram(text),
        discord(text),
        airtable(text),
    ];
    all.into_iter().flatten().collect()
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn private_key(text: &str) -> Option<Known> {
    let start = memmem::find(text.as_bytes(), b"-----BEGIN ")?;
    let head = text.get(start..)?.get(11..)?.split("-----").next()?;
    if !head.ends_with("PRIVATE KEY") && !head.ends_with("PRIVATE KEY BLOCK") {
        return None;
    }
    let end = text.rfind("-----END ").map_or(text.len(), |end| {
        let tail = text
            .get(end + 9..)
            .and_then(|t| t.find("-----"))
            .map_or(0, |n| n + 5);
        end + 9 + tail
    });
    Some(Known {
        range: start..end.max(start),
        name: "private key",
    })
}

/// A Telegram bot token: digits, a colon, `AA` and 33 more.
fn telegram(text: &str) -> Option<Known> {
    let token = |colon: &usize| {
        text.get(colon + 1..)
            .is_some_and(|rest| rest.starts_with("AA"))
    };
    let colon = memchr_iter(b':', text.as_bytes()).find(token)?;
    let head = text.get(..colon)?;
    let digits = head.bytes().rev().take_while(u8::is_ascii_digit).count();
    let tail = text.get(colon + 1..)?;
    let body = tail.bytes().take_while(|&byte| is_word(byte)).count();
    let range = colon - digits..colon + 1 + body;
    ((8..=11).contains(&digits) && (33..=37).contains(&body)).then_some(Known {
        range,
        name: "Telegram bot token",
    })
}

/// The lengths of the two words on both sides of a byte.
fn around(text: &str, at: usize) -> (usize, usize) {
    let bytes = text.as_bytes();
    let before = bytes.get(..at).unwrap_or_default().iter().rev();
    let after = bytes.get(at + 1..).unwrap_or_default().iter();
    let is_part = |byte: &&u8| is_word(**byte);
    (
        before.take_while(is_part).count(),
        after.take_while(is_part).count(),
    )
}

/// A Discord bot token: the bot's ID in base64, the time, and a MAC, with dots between.
fn discord(text: &str) -> Option<Known> {
    let first = |dot: &usize| {
        let (id, time) = around(text, *dot);
        let start = text.get(dot - id..).unwrap_or_default();
        (24..=28).contains(&id) && time == 6 && start.starts_with(['M', 'N', 'O'])
    };
    let dot = memchr_iter(b'.', text.as_bytes()).find(first)?;
    let (id, _) = around(text, dot);
    let second = dot + 7;
    let (_, mac) = around(text, second);
    let is_token = text.as_bytes().get(second) == Some(&b'.') && (27..=38).contains(&mac);
    is_token.then_some(Known {
        range: dot - id..second + 1 + mac,
        name: "Discord bot token",
    })
}

/// An Airtable token: `pat`, 14 letters and digits, a dot, and 64 hex digits.
fn airtable(text: &str) -> Option<Known> {
    let is_token = |dot: &usize| {
        let (id, secret) = around(text, *dot);
        let secret = text.get(dot + 1..dot + 1 + secret).unwrap_or_default();
        let start = text.get(dot - id..).unwrap_or_default();
        id == 17
            && start.starts_with("pat")
            && secret.len() == 64
            && secret.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let dot = memchr_iter(b'.', text.as_bytes()).find(is_token)?;
    Some(Known {
        range: dot - 17..dot + 65,
        name: "Airtable token",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_without_a_prefix() {
        let discord = "MTc0ODMwMjE1NzY5MDEyMzQ1.DGOJhw.HYkRa1B2c3D4e5F6g7H8i9J0k1L2m3";
        let airtable = format!("patA1b2C3d4E5f6G7.{}", "0123456789abcdef".repeat(4));
        for (text, expected) in [
            (format!("--config {discord} x"), Some(discord)),
            (format!("K={airtable}"), Some(airtable.as_str())),
            ("www.example.com/a.b".to_owned(), None),
            ("1.2.3-rc.4".to_owned(), None),
        ] {
            let found = find(&text);
            let found = found.first().map(|known| &text[known.range.clone()]);
            assert_eq!(found, expected, "{text}");
        }
    }
}
